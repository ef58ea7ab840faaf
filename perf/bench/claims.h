/* What the claims' programs share; claims.c tells what they are. */
#ifndef PIRN_PERF_CLAIMS_H
#define PIRN_PERF_CLAIMS_H

#include <pirn.h>
#include <stddef.h>
#include <stdint.h>

typedef struct bench_claims {
    int64_t second_ns; /* of the tutorials */
    int workers, site;
} bench_claims;

extern bench_claims bench_claim; /* set before the first claim runs, in all of their processes */

double bench_claim_since(int64_t begin); /* in the tutorials' seconds */
/* Prints took_KEY; fails if it took less than it slept. */
void bench_claim_took(const char *key, double seconds, double least);
/* Runs fn in a runtime of its own; how long that took from start to end. */
double bench_claim_run(int (*fn)(void *arg));
void bench_claim_finish(pirn_awaitable *awaitable); /* joins; fails unless it went well */
/* A gather of the items, to which it takes over the references. */
pirn_awaitable *bench_claim_gather(pirn_awaitable **items, size_t count);

/* pages.c: 50 ms for each page, served to a listener; the claims about them. */
void bench_serve_pages(int listener);
void bench_claim_pool(void);
void bench_claim_streams(void);

#endif
