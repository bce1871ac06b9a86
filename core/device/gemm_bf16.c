/* SPDX-License-Identifier: Apache-2.0
 *
 * core/device/gemm_bf16: a product whose operands are rounded to bfloat16 and whose sums are float32.
 *
 * A and B are copied into a room in pieces of LOCI_BF16_DEEP along the sum, as they are stored; C takes the pieces one
 * after the other. Sizes alone decide the pieces, so the bits do not depend on the number of threads.
 */
#include "core/device/gemm.h"

/* Rows and columns as stored, so that a row is contiguous. */
static void narrow(const loci_kern *k, uint16_t *to, const float *from, int64_t ld, int64_t rows, int64_t columns)
{
    for (int64_t i = 0; i < rows; i++)
        k->narrow(to + i * columns, from + i * ld, columns);
}

bool loci_gemm_bf16(const loci_kern *k, const loci_block *b, void *room)
{
    uint16_t *a16 = room, *b16 = a16 + LOCI_BF16_EDGE * LOCI_BF16_DEEP;
    loci_block piece = *b;
    bool ok = true;

    piece.a = a16;
    piece.b = b16;
    for (int64_t at = 0; at < b->K && ok; at += LOCI_BF16_DEEP) {
        const int64_t deep = b->K - at < LOCI_BF16_DEEP ? b->K - at : LOCI_BF16_DEEP;
        narrow(k, a16, (const float *)b->a + (b->ta ? at * b->lda : at), b->lda, b->ta ? deep : b->M,
               b->ta ? b->M : deep);
        narrow(k, b16, (const float *)b->b + (b->tb ? at : at * b->ldb), b->ldb, b->tb ? b->N : deep,
               b->tb ? deep : b->N);
        piece.K = deep;
        piece.lda = b->ta ? b->M : deep;
        piece.ldb = b->tb ? deep : b->N;
        piece.beta = at ? 1 : b->beta;
        ok = loci_library_bf16(&piece);
    }
    return ok;
}
