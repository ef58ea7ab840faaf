/* What the fuzz targets share. Build and run: CONTRIBUTING.md. */
#ifndef PIRN_TESTS_FUZZ_HTTP_H
#define PIRN_TESTS_FUZZ_HTTP_H

#include "api/http/message.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MUST(cond) \
    do { \
        if (!(cond)) { \
            fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #cond); \
            abort(); \
        } \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
