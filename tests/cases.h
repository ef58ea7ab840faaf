/* The main of a test that has one case, for whose tests Check forks. */
#ifndef PIRN_TESTS_CASES_H
#define PIRN_TESTS_CASES_H

#include <check.h>

static inline int cases_main(const char *name, TCase *cases)
{
    Suite *suite = suite_create(name);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}

#endif
