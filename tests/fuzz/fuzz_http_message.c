/*
 * Messages, one after the other, from any bytes. The first byte says which side and how the rest is
 * cut up. However it is: what is accepted is that of the whole, no body is longer than its bytes,
 * no head beyond its limits.
 */
#include "tests/fuzz/fuzz_http.h"

static const struct message_limits limits = {{2048, 1024, 20}, 4096};

struct outcome {
    int messages, refused;
    uint64_t sum; /* of all that was told */
};

static void add(struct outcome *o, const void *bytes, size_t n)
{
    const unsigned char *c = bytes;
    for (size_t i = 0; i < n; i++)
        o->sum = o->sum * 1099511628211u + c[i] + 1;
}

static void add_head(struct outcome *o, const struct message *m)
{
    MUST(m->field_count <= limits.head.headers);
    if (!m->response) {
        MUST(strlen(m->target) > 0 && strlen(m->target) <= limits.head.target);
        MUST(strchr(m->target, '#') == NULL);
        add(o, m->target, strlen(m->target) + 1);
        add(o, m->method, strlen(m->method) + 1);
    }
    for (int i = 0; i < m->field_count; i++) {
        MUST(pirn_http_is_token(m->fields[i].name, strlen(m->fields[i].name)));
        MUST(pirn_http_is_value(m->fields[i].value, strlen(m->fields[i].value)));
        add(o, m->fields[i].name, strlen(m->fields[i].name) + 1);
        add(o, m->fields[i].value, strlen(m->fields[i].value) + 1);
    }
    MUST(m->length >= -1);
    add(o, &m->length, sizeof m->length);
}

/* All that can be done with data[begin, have). False: more is needed, or it is over. */
static bool step(struct message *m, struct outcome *o, const char *data, size_t *begin, size_t have)
{
    size_t n = have - *begin, used, got;
    if (m->stage == MESSAGE_HEAD) {
        ssize_t length = pirn_http_message_head(m, data + *begin, n);
        MUST(length <= (ssize_t)n && (length >= 0 || m->refused >= 400));
        if (length <= 0)
            return false;
        *begin += (size_t)length;
        add_head(o, m);
    } else if (m->stage == MESSAGE_BODY && n > 0) {
        char *out = malloc(n); /* for the sanitizer to see a byte too many */
        MUST(out != NULL);
        int err = pirn_http_message_body(m, data + *begin, n, out, &used, &got);
        MUST(used <= n && got <= used && m->received <= limits.body + (int64_t)n);
        if (err == 0) {
            MUST(used > 0);
            add(o, out, got);
            *begin += used;
        }
        free(out);
    }
    if (m->stage == MESSAGE_DONE) {
        o->messages++;
        pirn_http_message_next(m, false);
        return *begin < have;
    }
    return m->stage == MESSAGE_BODY && *begin < have;
}

static struct outcome run(bool response, const char *data, size_t size, size_t piece)
{
    struct outcome o = {0};
    struct message m;
    size_t begin = 0, have = 0;
    pirn_http_message_init(&m, response, &limits);
    do {
        have = size - have > piece ? have + piece : size;
        while (step(&m, &o, data, &begin, have))
            ;
    } while (have < size && m.stage != MESSAGE_BAD);
    if (m.stage == MESSAGE_BODY && pirn_http_message_ended(&m) == 0)
        o.messages++;
    o.refused = m.refused;
    pirn_http_message_free(&m);
    return o;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct outcome whole, cut;
    if (size < 1)
        return 0;
    whole = run(data[0] & 1, (const char *)data + 1, size - 1, size);
    cut = run(data[0] & 1, (const char *)data + 1, size - 1, 1 + (data[0] >> 1) % 16);
    /* Which of two things is wrong first depends on how much is there to be looked at. */
    MUST(whole.messages == cut.messages && (whole.refused == 0) == (cut.refused == 0));
    MUST(whole.refused != 0 || whole.sum == cut.sum);
    return 0;
}
