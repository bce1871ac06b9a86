/* SPDX-License-Identifier: Apache-2.0
 *
 * The two lists of blocks of a call, staged: which block of a pool a row's keys lie in, and which blocks of pairs are
 * visible. Both have been checked (loci/attention.h).
 *
 * A block list, rows of columns in CSR, becomes a map, so that a kernel asks for a pair or a tile without a search:
 *
 *     map    [Hb, nq, nk]   UNLISTED, ALL_SEEN, or which tile
 *     tiles  [n, bq, bk]    bytes
 *
 * A column that a row names twice counts as the first time says, as in every backend.
 */
#include "attn_call.h"

#include <string.h>

loci_status cuda_stage_table(attn_args *a, const loci_attn_desc *d, attn_stage *s, loci_error *err)
{
    int64_t tok = d->block_tok, most = (a->S + tok - 1) / tok;
    int32_t *to = cuda_reserve(s, a->B * most, &a->block_table);

    if (!to)
        return cuda_fail(err, LOCI_E_ARG, "host_scratch is too small for the block table: plan with PAGED");
    for (int64_t b = 0; b < a->B; b++)
        for (int64_t x = 0; x < most; x++)
            to[b * most + x] = x * tok < loci_attn_i32(d->k_len, b, 0) ? loci_attn_i32(d->block_table, b, x) : 0;
    a->blocks = (int32_t)most;
    a->block_tok = (int32_t)tok;
    return LOCI_OK;
}

static void write_map(const attn_list *l, const loci_blocks *m, int32_t *map)
{
    for (int64_t n = 0; n < (int64_t)l->heads * l->nq * l->nk; n++)
        map[n] = ATTN_UNLISTED;
    for (int64_t h = 0; h < l->heads; h++)
        for (int64_t row = 0; row < l->nq; row++)
            for (int64_t n = loci_attn_i32(m->ptr, h, row); n < loci_attn_i32(m->ptr, h, row + 1); n++) {
                const int32_t col = loci_attn_i32(m->col, h, n);
                int32_t *at = map + (h * l->nq + row) * l->nk + col;

                if (col < l->nk && *at == ATTN_UNLISTED) /* blocks behind the longest row of a pool are nobody's */
                    *at = m->kind ? loci_attn_i32(m->kind, h, n) : ATTN_ALL_SEEN;
            }
}

static void write_tiles(const loci_tensor *t, unsigned char *to)
{
    const int64_t bq = t->shape[1], bk = t->shape[2];

    for (int64_t n = 0; n < t->shape[0]; n++)
        for (int64_t i = 0; i < bq; i++)
            for (int64_t j = 0; j < bk; j++)
                to[(n * bq + i) * bk + j] = ((const unsigned char *)loci_ptr(
                    t))[(t->shape[0] > 1 ? n * t->strides[0] : 0) + (bq > 1 ? i * t->strides[1] : 0) +
                        (bk > 1 ? j * t->strides[2] : 0)];
}

loci_status cuda_stage_list(attn_args *a, const loci_blocks *m, attn_stage *s, loci_error *err)
{
    const int64_t nq = (a->T + (int64_t)m->bq - 1) / m->bq, nk = (a->S + (int64_t)m->bk - 1) / m->bk;
    const int64_t bytes = m->tiles ? m->tiles->shape[0] * m->bq * m->bk : 0;
    int32_t *map, *tiles = NULL;
    const int32_t *device = NULL;

    a->list = (attn_list){m->heads, m->bq, m->bk, (int32_t)nq, (int32_t)nk, NULL, NULL};
    map = cuda_reserve(s, m->heads * nq * nk, &a->list.map);
    if (map && bytes && (tiles = cuda_reserve(s, (bytes + 3) / 4, &device)))
        a->list.tiles = (const unsigned char *)device;
    if (!map || (bytes && !tiles))
        return cuda_fail(err, LOCI_E_UNSUPPORTED,
                         "blocks of %d x %d and their tiles are %lld numbers, more than was planned for: take larger "
                         "blocks, or fewer tiles",
                         m->bq, m->bk, (long long)(m->heads * nq * nk + (bytes + 3) / 4));
    write_map(&a->list, m, map);
    if (bytes)
        write_tiles(m->tiles, (unsigned char *)tiles);
    return LOCI_OK;
}
