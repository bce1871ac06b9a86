/* SPDX-License-Identifier: Apache-2.0
 *
 * Rows of a bf16 tensor as the tiles of a backward want them: as they lie, transposed in dwords (pairs of neighbouring
 * elements), as pairs of neighbouring rows, and those transposed, which is a transposition of 16-bit elements. What
 * lies beyond the last row or element is 0.
 */
#ifndef ATTN_CPU_AMX_ROWS_H
#define ATTN_CPU_AMX_ROWS_H

#include "bf16_room.h"

/* Row i of the first `rows`, elements x .. x + 31; zeros beyond. */
INLINE __m512i part(const loci_tensor *t, int64_t b, int64_t i, int64_t rows, int64_t h, int64_t x)
{
    return i < rows ? _mm512_maskz_loadu_epi16(bf16_below(t->shape[3] - x), bf16_at(t, b, i, h) + x)
                    : _mm512_setzero_si512();
}

static int finite_rows(const loci_tensor *t, int64_t b, int64_t rows, int64_t h)
{
    __m512i peak = _mm512_setzero_si512();

    for (int64_t i = 0; i < rows; i++)
        for (int64_t x = 0; x < t->shape[3]; x += 32)
            peak = bf16_magnitude(peak, part(t, b, i, rows, h, x));
    return bf16_largest(peak) < BF16_INFINITE;
}

/* 32 rows as they lie. */
static void lay_rows(uint16_t *to, const loci_tensor *t, int64_t b, int64_t first, int64_t rows, int64_t h)
{
    for (int64_t x = 0; x < t->shape[3]; x += 32, to += 1024)
        for (int64_t i = 0; i < 32; i++)
            _mm512_store_si512(to + i * 32, part(t, b, first + i, rows, h, x));
}

/* 16 rows transposed in dwords; tiles of neighbouring x are `step` tiles apart. */
static void turn_rows(uint32_t *to, int64_t step, const loci_tensor *t, int64_t b, int64_t first, int64_t rows,
                      int64_t h)
{
    for (int64_t x = 0; x < t->shape[3]; x += 32, to += step * 256) {
        __m512i row[16];

        for (int64_t i = 0; i < 16; i++)
            row[i] = part(t, b, first + i, rows, h, x);
        isa_transpose(row);
        for (int64_t i = 0; i < 16; i++)
            _mm512_store_si512(to + i * 16, row[i]);
    }
}

/* 32 rows as pairs of neighbours, a dword for each element; turned: transposed, so that an element's 32 are a row. */
INLINE void pair_rows(uint32_t *to, const loci_tensor *t, int64_t b, int64_t first, int64_t rows, int64_t h,
                      const int turned)
{
    for (int64_t x = 0; x < t->shape[3]; x += 16, to += 256) {
        const __mmask16 m = (__mmask16)bf16_below(t->shape[3] - x);
        __m512i row[16];

        for (int64_t i = 0; i < 16; i++) {
            const int64_t at = first + 2 * i;

            row[i] = bf16_pair(at < rows ? bf16_at(t, b, at, h) + x : NULL,
                               at + 1 < rows ? bf16_at(t, b, at + 1, h) + x : NULL, m);
        }
        if (turned)
            isa_transpose(row);
        for (int64_t i = 0; i < 16; i++)
            _mm512_store_si512(to + i * 16, row[i]);
    }
}

INLINE __m512 wide(__m256i halves)
{
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(halves), 16));
}

#endif
