/*
 * Names of tasks: one that was given, copied into what few tasks have; or "task-" and the number,
 * made when somebody asks.
 */
#include <errno.h>
#include <string.h>

#include "runtime/task.h"

int pirn_task_set_name(struct pirn_task *t, const char *name)
{
    struct task_extra *e = pirn_task_extra(t);
    if (e == NULL)
        return -ENOMEM;
    lock_take(&t->base.lock);
    memset(e->name, 0, sizeof(e->name));
    strncpy(e->name, name, sizeof(e->name) - 1);
    lock_drop(&t->base.lock);
    return 0;
}

void pirn_task_name(struct pirn_task *t, char *buf, size_t size)
{
    lock_take(&t->base.lock);
    pirn_task_name_raw(t, buf, size);
    lock_drop(&t->base.lock);
}

void pirn_task_name_raw(const struct pirn_task *t, char *buf, size_t size)
{
    struct task_extra *e = task_extra(t);
    if (size == 0)
        return;
    if (e != NULL && e->name[0] != '\0') {
        size_t n = strnlen(e->name, NAME_MAX_BYTES - 1);
        n = n < size ? n : size - 1;
        memcpy(buf, e->name, n);
        buf[n] = '\0';
        return;
    }
    char digits[24], *d = digits + sizeof(digits);
    uint64_t id = t->id;
    *--d = '\0';
    do
        *--d = (char)('0' + id % 10);
    while ((id /= 10) != 0);
    size_t n = 0;
    for (const char *s = "task-"; *s != '\0' && n + 1 < size; s++)
        buf[n++] = *s;
    for (; *d != '\0' && n + 1 < size; d++)
        buf[n++] = *d;
    buf[n] = '\0';
}
