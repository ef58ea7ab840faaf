/*
 * A head's table: what the parser library finds in a head, with NULs behind it.
 *
 *   1. pirn_http_table_begin: room for the table, and for a copy of the head
 *   2. the library parses the head where it came, and calls for the target, each name and each
 *      value; they are noted where they are in the copy, and ended there. (In what it parses
 *      nothing may be changed meanwhile.)
 *   3. what is looked up in each message (its length, its host) is noted on the way
 *
 * A head is parsed in one piece, so all of these are given in one piece; if not, the head is
 * refused. And no target or table may be larger than head.c has found it, for that is what there is
 * room for.
 */
#include "api/http/message.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

void pirn_http_message_free(struct message *m)
{
    free(m->fields);
    m->fields = NULL;
    m->text = NULL;
    m->room = 0;
}

/* Room for a head of n bytes, and its table. */
static int make_room(struct message *m, size_t n)
{
    size_t fields = (size_t)m->scan.lines * sizeof(*m->fields);
    size_t spare = m->response ? 0 : 2 * (m->scan.target + 1), want = fields + n + 1 + spare;
    if (m->room < want) {
        size_t room =
            m->room == 0 ? (want | 63) + 1 : 2 * want; /* the next is often like the first */
        pirn_http_message_free(m);
        m->fields = malloc(room);
        if (m->fields == NULL)
            return -ENOMEM;
        m->room = room;
    }
    m->text = (char *)m->fields + fields;
    m->spare = m->text + n + 1;
    return 0;
}

static void note_known(struct message *m, const struct message_field *field, size_t n)
{
    static const struct {
        const char *name;
        enum message_known which;
    } of_length[] = {
        [4] = {"Host", KNOWN_HOST},
        [6] = {"Expect", KNOWN_EXPECT},
        [10] = {"Connection", KNOWN_CONNECTION},
        [14] = {"Content-Length", KNOWN_LENGTH},
        [17] = {"Transfer-Encoding", KNOWN_CODING},
    };
    if (n >= sizeof(of_length) / sizeof(of_length[0]) || of_length[n].name == NULL ||
        strncasecmp(field->name, of_length[n].name, n) != 0)
        return;
    enum message_known which = of_length[n].which;
    if (m->known[which].count++ == 0)
        m->known[which].first = (uint16_t)(field - m->fields); /* a head has not as many */
}

int pirn_http_table_begin(struct message *m, const char *data, size_t n)
{
    if (make_room(m, n) < 0)
        return -ENOMEM;
    memcpy(m->text, data, n);
    m->text[n] = '\0';
    m->seen = data;
    return 0;
}

int pirn_http_table_target(grammar *g, const char *at, size_t n)
{
    struct message *m = g->data;
    if (m->target != NULL || n != m->scan.target)
        return -1;
    m->target = m->text + (at - m->seen);
    m->target[n] = '\0';
    return 0;
}

int pirn_http_table_name(grammar *g, const char *at, size_t n)
{
    struct message *m = g->data;
    if (m->stage != MESSAGE_HEAD)
        return 0; /* a trailer */
    if (m->field_count >= m->scan.lines - 1)
        return -1; /* more than there are lines */
    char *name = m->text + (at - m->seen);
    struct message_field *field = &m->fields[m->field_count++];
    name[n] = '\0';
    *field = (struct message_field){name, name + n}; /* empty, until there is a value */
    m->valued = false;
    note_known(m, field, n);
    return 0;
}

int pirn_http_table_value(grammar *g, const char *at, size_t n)
{
    struct message *m = g->data;
    if (m->stage != MESSAGE_HEAD)
        return 0;
    if (m->field_count == 0 || m->valued)
        return -1;
    m->valued = true;
    if (n == 0)
        return 0; /* http_parser says that it is at the next line's first byte */
    char *value = m->text + (at - m->seen);
    while (n > 0 && (value[n - 1] == ' ' || value[n - 1] == '\t'))
        n--;
    while (n > 0 && (*value == ' ' || *value == '\t')) {
        value++;
        n--;
    }
    value[n] = '\0';
    m->fields[m->field_count - 1].value = value;
    return 0;
}

/* Names of headers: letters that differ in case differ in this bit. */
static bool is_called(const struct message_field *field, const char *name)
{
    return ((*field->name ^ *name) & ~0x20) == 0 && strcasecmp(field->name, name) == 0;
}

const char *pirn_http_message_find(const struct message *m, const char *name)
{
    for (int i = 0; i < m->field_count; i++)
        if (is_called(&m->fields[i], name))
            return m->fields[i].value;
    return NULL;
}

int pirn_http_message_at(const struct message *m, size_t i, const char **ret_name,
                         const char **ret_value)
{
    if (i >= (size_t)m->field_count)
        return -ENOENT;
    *ret_name = m->fields[i].name;
    *ret_value = m->fields[i].value;
    return 0;
}
