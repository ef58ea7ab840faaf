/*
 * A thread gives its alternate stack back without a look at the others': of thousands that end each
 * would go through all.
 */
#include "tests/support.h"

#include <semaphore.h>
#include <signal.h>
#include <sys/mman.h>

#include "runtime/overflow.h"

struct other {
    sem_t made, over;
    char *page; /* where its record is: behind the stack. NULL: it has another's */
};

static void *other_main(void *arg)
{
    struct other *o = arg;
    stack_t before, stack;
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    CHECK_OK(sigaltstack(NULL, &before));
    CHECK_OK(pirn_overflow_thread_init());
    CHECK_OK(sigaltstack(NULL, &stack));
    if ((before.ss_flags & SS_DISABLE) != 0)
        o->page = (char *)((uintptr_t)((char *)stack.ss_sp + stack.ss_size) / page * page);
    CHECK_OK(sem_post(&o->made));
    while (sem_wait(&o->over) != 0)
        ;
    pirn_overflow_thread_fini();
    return NULL;
}

static void *first_main(void *arg)
{
    struct other *others = arg;
    pthread_t threads[2];
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    /* One before it, and one after it. */
    for (int i = 0; i < 2; i++) {
        CHECK_OK(sem_init(&others[i].made, 0, 0));
        CHECK_OK(sem_init(&others[i].over, 0, 0));
        CHECK_OK(pthread_create(&threads[i], NULL, other_main, &others[i]));
        while (sem_wait(&others[i].made) != 0)
            ;
        if (i == 0)
            CHECK_OK(pirn_overflow_thread_init());
    }
    for (int i = 0; i < 2; i++)
        if (others[i].page != NULL)
            CHECK_OK(mprotect(others[i].page, page, PROT_NONE));
    pirn_overflow_thread_fini();
    for (int i = 0; i < 2; i++) {
        if (others[i].page != NULL)
            CHECK_OK(mprotect(others[i].page, page, PROT_READ | PROT_WRITE));
        CHECK_OK(sem_post(&others[i].over));
        CHECK_OK(pthread_join(threads[i], NULL));
    }
    return NULL;
}

START_TEST(a_thread_looks_at_its_own_stack_alone)
{
    struct other others[2] = {{.page = NULL}, {.page = NULL}};
    pthread_t thread;
    CHECK_OK(pthread_create(&thread, NULL, first_main, others));
    CHECK_OK(pthread_join(thread, NULL));
}
END_TEST

SUPPORT_MAIN("overflow_crowd", a_thread_looks_at_its_own_stack_alone)
