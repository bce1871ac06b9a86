/* SPDX-License-Identifier: Apache-2.0
 *
 * What a CPU can do with vdpbf16ps: sixteen float32 sums, to each of which a pair of bf16 products is added.
 *
 * Odd rounds add a b, even ones a (-b), so that no sum ever leaves the numbers it began between. a is 1 to 32 over the
 * lanes and b is 1/4: every product and sum is exact. The chains begin apart, at 0 to 11, or a compiler would compute
 * one of them.
 */
#include "core/bench/dot.h"
#include <immintrin.h>

#define CHAINS(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11)
#define N_CHAINS 12

#define START(i) r##i = _mm512_set1_ps(i),
#define ADD(i) r##i = _mm512_dpbf16_ps(r##i, a, plus);
#define TAKE(i) r##i = _mm512_dpbf16_ps(r##i, a, minus);
#define TOTAL(i) sum += (double)_mm512_reduce_add_ps(r##i);

static double loop(int64_t rounds)
{
    const __m512 zero = _mm512_setzero_ps();
    const __m512i count = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const __m512 low = _mm512_cvtepi32_ps(_mm512_add_epi32(count, _mm512_set1_epi32(1)));
    const __m512 high = _mm512_add_ps(low, _mm512_set1_ps(16)), quarter = _mm512_set1_ps(0.25f);
    const __m512bh a = _mm512_cvtne2ps_pbh(high, low), plus = _mm512_cvtne2ps_pbh(quarter, quarter),
                   minus = _mm512_cvtne2ps_pbh(_mm512_sub_ps(zero, quarter), _mm512_sub_ps(zero, quarter));
    __m512 CHAINS(START) last = zero;
    double sum = (double)_mm512_reduce_add_ps(last);

    for (int64_t k = 0; k + 1 < rounds; k += 2) {
        CHAINS(ADD)
        CHAINS(TAKE)
    }
    if (rounds % 2) {
        CHAINS(ADD)
    }
    CHAINS(TOTAL)
    return sum;
}

const loci_dot loci_dot_avx512bf16 = {"vdpbf16ps", LOCI_DOT_AVX512BF16, 2.0 * 2 * 16 * N_CHAINS,
                                      1056,        1056 + 12 * 132,     loop};
