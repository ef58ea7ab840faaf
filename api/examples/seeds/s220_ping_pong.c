/*
 * Two functions take turns: func_b asks for the next of func_a, which stops half a second before
 * each of its turns but the first. Six lines, and then it ends; Python's goes on for ever.
 *
 * The generator has no values: that it has come to its yield is all there is to know.
 */
#include "seeds.h"

enum {
    TURNS = 3
};

static int func_a(pirn_generator *self, void *arg)
{
    int err = 0;
    (void)arg;
    while (err == 0) {
        printf("-------A-------\n");
        err = pirn_generator_yield(self, NULL);
        if (err == 0)
            err = pirn_sleep(after(0.5));
    }
    return err;
}

static int func_b(void *arg)
{
    pirn_generator *a;
    (void)arg;
    must(pirn_generator_new(&a, 0, func_a, NULL));
    for (int i = 0; i < TURNS; i++) {
        printf("---------B------------\n");
        must(pirn_generator_next(a, NULL, PIRN_NEVER));
    }
    return pirn_generator_close(a);
}

int main(void)
{
    return report(pirn_run(func_b, NULL));
}
