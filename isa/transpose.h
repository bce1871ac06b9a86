/* SPDX-License-Identifier: Apache-2.0
 *
 * Sixteen rows of sixteen dwords in registers, transposed: 64 shuffles of AVX-512F.
 */
#ifndef LOCI_ISA_TRANSPOSE_H
#define LOCI_ISA_TRANSPOSE_H

#include <immintrin.h>

/* r[i][j] = r[j][i], dwords. */
static inline __attribute__((always_inline)) void isa_transpose(__m512i r[16])
{
    __m512i t[16];

    for (int i = 0; i < 16; i += 4)
        for (int half = 0; half < 2; half++) {
            __m512i a = half ? _mm512_unpackhi_epi32(r[i], r[i + 1]) : _mm512_unpacklo_epi32(r[i], r[i + 1]);
            __m512i b = half ? _mm512_unpackhi_epi32(r[i + 2], r[i + 3]) : _mm512_unpacklo_epi32(r[i + 2], r[i + 3]);

            t[i + 2 * half] = _mm512_unpacklo_epi64(a, b);
            t[i + 2 * half + 1] = _mm512_unpackhi_epi64(a, b);
        }
    for (int n = 0; n < 4; n++) { /* t[4 q + n] holds columns n, 4 + n, 8 + n, 12 + n of rows 4 q .. 4 q + 3 */
        __m512i a = _mm512_shuffle_i32x4(t[n], t[4 + n], 0x88), b = _mm512_shuffle_i32x4(t[8 + n], t[12 + n], 0x88);
        __m512i d = _mm512_shuffle_i32x4(t[n], t[4 + n], 0xdd), e = _mm512_shuffle_i32x4(t[8 + n], t[12 + n], 0xdd);

        r[n] = _mm512_shuffle_i32x4(a, b, 0x88);
        r[8 + n] = _mm512_shuffle_i32x4(a, b, 0xdd);
        r[4 + n] = _mm512_shuffle_i32x4(d, e, 0x88);
        r[12 + n] = _mm512_shuffle_i32x4(d, e, 0xdd);
    }
}

#endif
