/*
 * More values are live across a switch than registers are known to be lost by it (test_avx512.sh):
 * each of two contexts must find its own again.
 */
#include <immintrin.h>
#include <stdio.h>

#include "runtime/context.h"

static void *main_sp, *peer_sp;
static _Alignas(64) char stack[65536];
static volatile double given = 1;
static volatile int given_words = 3;

/* Without a branch: test_avx512.sh reads its code from top to bottom. */
__attribute__((noinline)) double across(void **save_sp, void *to_sp);
__attribute__((noinline)) double across(void **save_sp, void *to_sp)
{
#define FOUR(X, a, b, c, d) \
    X(a); \
    X(b); \
    X(c); \
    X(d)
#define EACH(X) \
    FOUR(X, 0, 1, 2, 3); \
    FOUR(X, 4, 5, 6, 7); \
    FOUR(X, 8, 9, 10, 11); \
    FOUR(X, 12, 13, 14, 15); \
    FOUR(X, 16, 17, 18, 19); \
    FOUR(X, 20, 21, 22, 23)
#define TAKE(i) double v##i = given + (i)
#define ADD(i) sum = sum * 2 + v##i
    EACH(TAKE);
    __m512i words = _mm512_set1_epi32(given_words);
    __mmask16 odd = _mm512_test_epi32_mask(words, _mm512_set1_epi32(1));
    __mmask16 great = _mm512_cmpgt_epi32_mask(words, _mm512_set1_epi32(2));
    context_switch(save_sp, to_sp, NULL);
    double sum = 0;
    EACH(ADD);
    words = _mm512_maskz_add_epi32(odd, words, words);
    words = _mm512_mask_add_epi32(words, great, words, words);
    return sum + _mm512_reduce_add_epi32(words);
}

static double peer_sum;

static void peer(void *arg)
{
    (void)arg;
    given = -5;
    given_words = 0;
    peer_sum = across(&peer_sp, main_sp);
    context_switch(&peer_sp, main_sp, NULL);
}

static double expected(double first, int words)
{
    double sum = 0;
    for (int i = 0; i < 24; i++)
        sum = sum * 2 + first + i;
    return sum + words;
}

int main(void)
{
    peer_sp = pirn_context_make(stack + sizeof(stack), peer);
    double sum = across(&main_sp, peer_sp); /* the peer is inside its own */
    context_switch(&main_sp, peer_sp, NULL);
    if (sum == expected(1, 16 * 12) && peer_sum == expected(-5, 0))
        return 0;
    fprintf(stderr, "%.0f and %.0f, not %.0f and %.0f\n", sum, peer_sum, expected(1, 16 * 12),
            expected(-5, 0));
    return 1;
}
