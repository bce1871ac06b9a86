/* SPDX-License-Identifier: Apache-2.0
 *
 * vdpbf16ps against an f32 FMA, in registers: the best of a few short runs each, taken in turns, a millisecond in all.
 * Twelve chains hide the latency of either; a b + r with 0 < a < 1 stays finite and normal.
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

/* The sum is used, so that nothing is left out. */
static float total(const __m512 *r)
{
    __m512 sum = _mm512_setzero_ps();

    for (int i = 0; i < CHAINS; i++)
        sum = _mm512_add_ps(sum, r[i]);
    return _mm512_reduce_add_ps(sum);
}

static double fma_s(float *sink)
{
    const __m512 a = _mm512_set1_ps(0.75f), b = _mm512_set1_ps(0.5f);
    __m512 r[CHAINS];
    double start;

    for (int i = 0; i < CHAINS; i++)
        r[i] = _mm512_set1_ps((float)i);
    start = now_s();
    for (int n = 0; n < ROUNDS; n++)
        for (int i = 0; i < CHAINS; i++)
            r[i] = _mm512_fmadd_ps(r[i], a, b);
    *sink += total(r);
    return now_s() - start;
}

static double dot_s(float *sink)
{
    const __m512bh a = (__m512bh)_mm512_set1_epi32(0x3f003f00), b = (__m512bh)_mm512_set1_epi32(0x3e803e80);
    __m512 r[CHAINS];
    double start;

    for (int i = 0; i < CHAINS; i++)
        r[i] = _mm512_set1_ps((float)i);
    start = now_s();
    for (int n = 0; n < ROUNDS; n++)
        for (int i = 0; i < CHAINS; i++)
            r[i] = _mm512_dpbf16_ps(r[i], a, b);
    *sink += total(r);
    return now_s() - start;
}

bf16_rates attn_cpu_bf16_rates(void)
{
    const double fma_work = 32.0 * CHAINS * ROUNDS, dot_work = 2 * fma_work; /* operations of a run */
    volatile float sink = 0;
    bf16_rates best = {0, 0};

    for (int n = 0; n < RUNS; n++) {
        float sum = 0;
        double fma = fma_work / fma_s(&sum), dot = dot_work / dot_s(&sum);

        best.fma = fma > best.fma ? fma : best.fma;
        best.dot = dot > best.dot ? dot : best.dot;
        sink = sink + sum;
    }
    return best;
}
