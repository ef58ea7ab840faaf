/*
 * Two functions to be called, one soon and one in a second, while main sleeps two.
 *
 * They run as coroutines of their own, so they might wait, too; Python's callbacks must not. Later
 * is a point of time here: pirn_call_at is Python's call_later and its call_at.
 */
#include "seeds.h"

static int hello(void *arg)
{
    printf("Hello %s\n", (const char *)arg);
    return 0;
}

static int start(void *arg)
{
    (void)arg;
    must(pirn_call_soon(NULL, NULL, hello, "call_soon()"));
    must(pirn_call_at(NULL, NULL, hello, "call_later()", after(1)));
    return pirn_sleep(after(2));
}

int main(void)
{
    pirn_time begun = pirn_now();
    int rc = pirn_run(start, NULL);
    if (since(begun) < 2)
        printf("too early\n");
    return report(rc);
}
