/*
 * What a name means: lookup [-4 | -6] [-s SERVER[:PORT],...] NAME... prints the addresses of each
 * name, all looked up at once, in the order asked for. It gives up after ten seconds.
 */
#include <errno.h>
#include <pirn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct question {
    const char *name;
    const pirn_resolve_config *config;
    pirn_address *list;
    int n; /* of them; or an error */
} question;

static int ask(void *arg)
{
    question *q = arg;
    q->n = pirn_resolve(q->name, NULL, q->config, &q->list, pirn_after_s(10));
    return 0; /* else a failure would end the others */
}

static void print(const pirn_address *address)
{
    char text[128];
    if (pirn_address_text(address, text, sizeof(text)) < 0)
        return;
    *strrchr(text, ':') = '\0'; /* the port is of no interest */
    size_t len = strlen(text);
    if (text[0] == '[' && text[len - 1] == ']')
        printf("%.*s\n", (int)len - 2, text + 1);
    else
        printf("%s\n", text);
}

typedef struct options {
    pirn_resolve_config config;
    char **names;
    int count;
} options;

/* When the scope is closed, whatever came, nobody uses the questions any more. */
static int ask_all(question *questions, int count)
{
    pirn_scope *scope;
    int rc = pirn_scope_open(&scope, 0);
    if (rc < 0)
        return rc;
    for (int i = 0; rc == 0 && i < count; i++)
        rc = pirn_scope_spawn(scope, ask, &questions[i], PIRN_NEVER);
    if (rc < 0)
        pirn_scope_fail(scope, rc);
    return pirn_scope_close(scope, PIRN_NEVER);
}

static int look_up(void *arg)
{
    options *o = arg;
    question *questions = calloc((size_t)o->count, sizeof(*questions));
    if (questions == NULL)
        return -ENOMEM;
    for (int i = 0; i < o->count; i++)
        questions[i] = (question){o->names[i], &o->config, NULL, -ECANCELED};
    int result = ask_all(questions, o->count);
    for (int i = 0; i < o->count; i++) {
        question *q = &questions[i];
        for (int k = 0; k < q->n; k++)
            print(&q->list[k]);
        if (q->n >= 0) {
            pirn_addresses_free(q->list);
            continue;
        }
        fprintf(stderr, "%s: %s\n", q->name, strerror(-q->n));
        result = q->n;
    }
    free(questions);
    return result;
}

int main(int argc, char **argv)
{
    options o = {.config = PIRN_RESOLVE_CONFIG_INIT};
    int c;
    while ((c = getopt(argc, argv, "46s:")) != -1) {
        if (c == '4')
            o.config.family = AF_INET;
        else if (c == '6')
            o.config.family = AF_INET6;
        else if (c == 's')
            o.config.servers = optarg;
        else
            return 2;
    }
    o.names = argv + optind;
    o.count = argc - optind;
    if (o.count == 0) {
        fprintf(stderr, "usage: lookup [-4 | -6] [-s SERVER[:PORT],...] NAME...\n");
        return 2;
    }
    return pirn_run(look_up, &o) == 0 ? 0 : 1;
}
