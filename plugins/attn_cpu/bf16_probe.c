/* SPDX-License-Identifier: Apache-2.0
 *
 * vdpbf16ps against an f32 FMA, in registers: the best of a few short runs each, taken in turns, a millisecond in all.
 * Twelve chains hide the latency of either. Assembly, so that the answer is the processor's at any level of
 * optimisation.
 */
#include <immintrin.h>
#include <time.h>

#include "bf16.h"

#define CHAINS 12
#define RUNS 7
#define ROUNDS 2000

static double now_s(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

#define LINE(what, n) what " %0, %0, %%zmm" #n "\n\t"
#define ROUND(what) \
    LINE(what, 16) \
    LINE(what, 17) LINE(what, 18) LINE(what, 19) LINE(what, 20) LINE(what, 21) LINE(what, 22) LINE(what, 23) \
        LINE(what, 24) LINE(what, 25) LINE(what, 26) LINE(what, 27)
#define USED "xmm16", "xmm17", "xmm18", "xmm19", "xmm20", "xmm21", "xmm22", "xmm23", "xmm24", "xmm25", "xmm26", "xmm27"

/* The sums begin anywhere and are thrown away. */
static double fma_s(void)
{
    const __m512 a = _mm512_set1_ps(0.75f);
    double start = now_s();

    for (int n = 0; n < ROUNDS; n++)
        __asm__ volatile(ROUND("vfmadd231ps") : : "v"(a) : USED);
    return now_s() - start;
}

static double dot_s(void)
{
    const __m512 a = _mm512_set1_ps(0.75f); /* its halves are 0.75 and 0 */
    double start = now_s();

    for (int n = 0; n < ROUNDS; n++)
        __asm__ volatile(ROUND("vdpbf16ps") : : "v"(a) : USED);
    return now_s() - start;
}

bf16_rates attn_cpu_bf16_rates(void)
{
    const double fma_work = 32.0 * CHAINS * ROUNDS, dot_work = 2 * fma_work; /* operations of a run */
    bf16_rates best = {0, 0};

    for (int n = 0; n < RUNS; n++) {
        double fma = fma_work / fma_s(), dot = dot_work / dot_s();

        best.fma = fma > best.fma ? fma : best.fma;
        best.dot = dot > best.dot ? dot : best.dot;
    }
    return best;
}
