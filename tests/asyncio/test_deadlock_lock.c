/* Blocked for ever, in debug mode: by whom, where a task has ended with the lock. And children of a
 * cancelled scope that go on, and wait for ever. */
#include "tests/asyncio/deadlock.h"

struct locks {
    pirn_mutex left, under, kept, again;
    pirn_rwlock rwlock, read, tried;
    pirn_condition condition;
};

static int leaves_locks(void *arg)
{
    struct locks *l = arg;
    CHECK_OK(pirn_mutex_lock(&l->left, PIRN_NEVER));
    CHECK_OK(pirn_mutex_lock(&l->again, PIRN_NEVER));
    CHECK_OK(pirn_rwlock_write_lock(&l->rwlock, PIRN_NEVER));
    CHECK_OK(pirn_rwlock_write_lock(&l->read, PIRN_NEVER));
    CHECK_OK(pirn_rwlock_write_lock(&l->tried, PIRN_NEVER));
    return pirn_mutex_lock(&l->under, PIRN_NEVER);
}

static int waits_for_left(void *arg)
{
    return pirn_mutex_lock(&((struct locks *)arg)->left, PIRN_NEVER);
}

static int waits_for_kept(void *arg)
{
    return pirn_mutex_lock(&((struct locks *)arg)->kept, PIRN_NEVER);
}

static int waits_for_again(void *arg)
{
    return pirn_mutex_lock(&((struct locks *)arg)->again, PIRN_NEVER);
}

static int waits_to_read(void *arg)
{
    return pirn_rwlock_read_lock(&((struct locks *)arg)->rwlock, PIRN_NEVER);
}

static int waits_to_write(void *arg)
{
    return pirn_rwlock_write_lock(&((struct locks *)arg)->rwlock, PIRN_NEVER);
}

static int waits_for_reader(void *arg)
{
    return pirn_rwlock_write_lock(&((struct locks *)arg)->read, PIRN_NEVER);
}

static int waits_for_one_that_tried(void *arg)
{
    return pirn_rwlock_write_lock(&((struct locks *)arg)->tried, PIRN_NEVER);
}

static int waits_to_be_notified(void *arg)
{
    struct locks *l = arg;
    CHECK_OK(pirn_mutex_lock(&l->under, PIRN_NEVER));
    return pirn_condition_wait(&l->condition, PIRN_NEVER);
}

static void starts(const char *name, pirn_fn fn, struct locks *l)
{
    pirn_task *task = support_spawn_named(name, fn, l);
    support_until_waiting(task);
    CHECK_OK(pirn_detach(task));
}

/* Some wait before the owner ends, the others come later. */
static int waits_for_locks(void *arg)
{
    struct locks *l = arg;
    CHECK_OK(pirn_condition_init(&l->condition, &l->under));
    starts("notified", waits_to_be_notified, l);
    CHECK_OK(pirn_mutex_lock(&l->under, PIRN_NEVER));
    pirn_task *owner = support_spawn_named("owner", leaves_locks, l);
    support_until_waiting(owner);
    starts("early", waits_for_left, l);
    CHECK_OK(pirn_mutex_unlock(&l->under));
    CHECK_OK(support_join(owner));
    starts("late", waits_for_left, l);
    starts("reads", waits_to_read, l);
    starts("writes", waits_to_write, l);
    CHECK_OK(pirn_mutex_init(&l->again)); /* another one in the same place */
    CHECK_OK(pirn_mutex_lock(&l->again, PIRN_NEVER));
    CHECK_OK(pirn_mutex_lock(&l->kept, PIRN_NEVER));
    CHECK_OK(pirn_rwlock_init(&l->read));
    CHECK_OK(pirn_rwlock_read_lock(&l->read, PIRN_NEVER));
    l->tried = (pirn_rwlock)PIRN_RWLOCK_INIT;
    CHECK_OK(pirn_rwlock_try_read_lock(&l->tried));
    starts("behind-reader", waits_for_reader, l);
    starts("behind-one-that-tried", waits_for_one_that_tried, l);
    starts("behind-new", waits_for_again, l);
    starts("behind-main", waits_for_kept, l);
    return waits_for(new_future());
}

static void blocks(int workers)
{
    pirn_config config = config_of(workers, PIRN_DEBUG);
    struct locks l;
    int status;
    memset(&l, 0, sizeof(l));
    CHECK_OK(pirn_run_with(&config, waits_for_locks, &l, &status));
}

/* Does the line of who waits for ever name the lock's owner? */
static bool names_owner(const struct child *c, const char *task, const char *what)
{
    char begin[64], line[700];
    snprintf(begin, sizeof(begin), "pirn: task %s (task ", task);
    const char *at = strstr(c->text, begin);
    CHECK(at != NULL);
    snprintf(line, sizeof(line), "%.*s", (int)strcspn(at, "\n"), at);
    snprintf(begin, sizeof(begin), ") waits for ever: %s at ", what);
    CHECK(strstr(line, begin) != NULL);
    const char *owner = strstr(line, "), whose owner owner (task ");
    CHECK(owner == NULL || strcmp(strrchr(owner, ')'), ") has ended") == 0);
    return owner != NULL;
}

START_TEST(a172_the_owner_that_has_ended_is_named)
{
    FOR_WORKERS(w)
    {
        struct child c;
        child_start(&c, blocks, w);
        while (lines_with(&c, "waits for ever") < 10)
            child_read(&c, 10);
        child_end(&c, true);
        CHECK_EQ(lines_with(&c, "task owner (task "), 6); /* what it has not unlocked */
        CHECK_EQ(lines_with(&c, "whose owner owner (task "), 5);
        CHECK(names_owner(&c, "early", "mutex"));
        CHECK(names_owner(&c, "late", "mutex"));
        CHECK(names_owner(&c, "reads", "read lock"));
        CHECK(names_owner(&c, "writes", "write lock"));
        CHECK(names_owner(&c, "notified", "condition"));
        CHECK(!names_owner(&c, "behind-reader", "write lock"));
        CHECK(!names_owner(&c, "behind-one-that-tried", "write lock"));
        CHECK(!names_owner(&c, "behind-new", "mutex"));
        CHECK(!names_owner(&c, "behind-main", "mutex"));
        CHECK(!names_owner(&c, "main", "future"));
    }
}
END_TEST

/* ---- A cancelled scope ------------------------------------------------------------------- */

static int swallows(void *arg)
{
    (void)arg;
    CHECK_EQ(pirn_sleep(PIRN_NEVER), -ECANCELED);
    return waits_for(new_future());
}

static int closes(void *arg)
{
    pirn_spawn_config config = PIRN_SPAWN_CONFIG_INIT;
    pirn_scope *scope;
    pirn_task *child;
    (void)arg;
    config.name = "child";
    CHECK_OK(pirn_scope_open(&scope, 0));
    CHECK_OK(pirn_scope_spawn_task(scope, &child, &config, swallows, NULL, PIRN_NEVER));
    support_until_waiting(child);
    CHECK_OK(pirn_scope_cancel(scope, NULL));
    return pirn_scope_close(scope, PIRN_NEVER);
}

static void closes_for_ever(int workers)
{
    pirn_config config = config_of(workers, PIRN_DEBUG);
    int status;
    CHECK_OK(pirn_run_with(&config, closes, NULL, &status));
}

START_TEST(a172_after_a_late_child_was_named)
{
    FOR_WORKERS(w)
    {
        struct child c;
        child_start(&c, closes_for_ever, w);
        while (lines_with(&c, "waits for ever") < 2)
            child_read(&c, 10);
        child_end(&c, true);
        CHECK_EQ(lines_with(&c, " but its child child (task "), 1);
        CHECK_EQ(lines_with(&c, "nothing can happen any more: 2 tasks"), 1);
    }
}
END_TEST

DEADLOCK_MAIN("deadlock_lock", a172_the_owner_that_has_ended_is_named,
              a172_after_a_late_child_was_named)
