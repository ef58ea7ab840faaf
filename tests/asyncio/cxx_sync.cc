/*
 * The guards in C++: a lock is released when an exception leaves the scope, and by return; and the
 * initialisers are valid C++.
 */
#include <pirn.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>

namespace
{

#define CHECK(cond) \
    do { \
        if (!(cond)) { \
            std::fprintf(stderr, "%s:%d: failed: %s\n", __FILE__, __LINE__, #cond); \
            std::_Exit(1); \
        } \
    } while (0)

pirn_mutex mutex = PIRN_MUTEX_INIT;
pirn_rwlock rwlock = PIRN_RWLOCK_INIT;
pirn_condition condition = PIRN_CONDITION_INIT(&mutex);
pirn_event event = PIRN_EVENT_INIT;
pirn_semaphore semaphore = PIRN_SEMAPHORE_INIT(1);
pirn_once once = PIRN_ONCE_INIT;
pirn_wait_group group = PIRN_WAIT_GROUP_INIT;

int guarded(bool fails)
{
    PIRN_GUARD_MUTEX(held, &mutex, PIRN_NEVER);
    if (held.error != 0)
        return held.error;
    PIRN_GUARD_WRITE(writing, &rwlock, PIRN_NEVER);
    PIRN_GUARD_SEMAPHORE(permit, &semaphore, PIRN_NEVER);
    CHECK(writing.error == 0 && permit.error == 0);
    CHECK(pirn_semaphore_value(&semaphore) == 0);
    if (fails)
        throw std::runtime_error("out");
    return 7;
}

int run(void *)
{
    bool caught = false;
    CHECK(guarded(false) == 7);
    try {
        guarded(true);
    } catch (const std::runtime_error &) {
        caught = true;
    }
    CHECK(caught);
    CHECK(pirn_mutex_try_lock(&mutex) == 0);
    CHECK(guarded(true) == -EDEADLK); /* not locked, not thrown */
    CHECK(pirn_condition_notify_all(&condition) == 0);
    CHECK(pirn_mutex_unlock(&mutex) == 0);
    {
        PIRN_GUARD_READ(reading, &rwlock, PIRN_NEVER);
        CHECK(reading.error == 0);
        CHECK(pirn_rwlock_try_write_lock(&rwlock) == -EAGAIN);
    }
    CHECK(pirn_rwlock_try_write_lock(&rwlock) == 0);
    CHECK(pirn_rwlock_write_unlock(&rwlock) == 0);
    CHECK(pirn_semaphore_value(&semaphore) == 1);
    CHECK(pirn_event_is_set(&event) == 0);
    CHECK(pirn_wait_group_wait(&group, PIRN_NOW) == 0);
    return pirn_once_do(
        &once, [](void *) -> int { return 42; }, nullptr, PIRN_NEVER);
}

} // namespace

int main()
{
    CHECK(pirn_run(run, nullptr) == 42);
    CHECK(guarded(false) == 7); /* on a plain thread */
    return 0;
}
