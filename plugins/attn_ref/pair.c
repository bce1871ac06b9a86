/* SPDX-License-Identifier: Apache-2.0
 *
 * What a pair (query i, key j) is, before any arithmetic: positions, visibility, T5's bucket, dropout. Each function is
 * a line of the comment of loci_attn_desc.
 *
 *  (1) Position -1 is visible to every query and has no distance: windows, segments, causality, slopes and the table
 *      do not apply to it. Lengths, the dense mask and the block list do.
 *  (2) Dropout depends on positions, head and document only, so any backend and any cutting draws the same mask.
 */
#include <Random123/philox.h>
#include <loci/random.h>
#include <math.h>
#include <stdlib.h>

#include "ref.h"

int64_t ref_at(const loci_tensor *t, int64_t a, int64_t b, int64_t c, int64_t d)
{
    const int64_t index[4] = {a, b, c, d};
    int64_t at = 0;

    for (int32_t n = 0; n < t->ndim; n++)
        if (t->shape[n] != 1)
            at += index[n] * t->strides[n];
    return at;
}

int32_t ref_i32(const loci_tensor *t, int64_t a, int64_t b)
{
    return ((const int32_t *)loci_ptr(t))[ref_at(t, a, b, 0, 0)];
}

int64_t ref_query_pos(const ref_call *c, int64_t b, int64_t i)
{
    return c->desc->q_pos ? ref_i32(c->desc->q_pos, b, i) : c->desc->offset + i;
}

int64_t ref_key_pos(const ref_call *c, int64_t b, int64_t j)
{
    if (j < c->desc->prefix)
        return -1;
    return c->desc->k_pos ? ref_i32(c->desc->k_pos, b, j) : j;
}

int64_t ref_key_len(const ref_call *c, int64_t b)
{
    return c->desc->k_len ? ref_i32(c->desc->k_len, b, 0) : c->S;
}

int64_t ref_key_at(const ref_call *c, const loci_tensor *t, int64_t b, int64_t j, int64_t h)
{
    int64_t tok = c->desc->block_tok;

    if (c->desc->block_table)
        return ref_at(t, ref_i32(c->desc->block_table, b, j / tok), j % tok, h, 0);
    return ref_at(t, b, j, h, 0);
}

static int in_blocks(const loci_blocks *m, int64_t h, int64_t i, int64_t j)
{
    int64_t hb = m->heads == 1 ? 0 : h;
    int64_t row = i / m->bq;

    for (int64_t n = ref_i32(m->ptr, hb, row); n < ref_i32(m->ptr, hb, row + 1); n++) {
        int32_t kind = m->kind ? ref_i32(m->kind, hb, n) : -1;

        if (ref_i32(m->col, hb, n) != j / m->bk)
            continue;
        return kind < 0 || ((const uint8_t *)loci_ptr(m->tiles))[ref_at(m->tiles, kind, i % m->bq, j % m->bk, 0)];
    }
    return 0;
}

int ref_visible(const ref_call *c, int64_t b, int64_t h, int64_t i, int64_t j)
{
    const loci_attn_desc *a = c->desc;
    int64_t p_q, p_k;

    if (j >= ref_key_len(c, b) || (a->q_len && i >= ref_i32(a->q_len, b, 0)))
        return 0;
    if (a->mask && !((const uint8_t *)loci_ptr(a->mask))[ref_at(a->mask, b, h, i, j)])
        return 0;
    if (a->blocks && !in_blocks(a->blocks, h, i, j))
        return 0;
    p_k = ref_key_pos(c, b, j);
    if (p_k < 0)
        return 1; /* (1) */
    p_q = ref_query_pos(c, b, i);
    return (!a->q_seg || ref_i32(a->q_seg, b, i) == ref_i32(a->k_seg, b, j)) && (!a->causal || p_k <= p_q) &&
           (a->window_left < 0 || p_q - p_k <= a->window_left) && (a->window_right < 0 || p_k - p_q <= a->window_right);
}

/* Raffel et al. 2020: half of the buckets are exact distances, the rest grow logarithmically up to max_distance. */
int64_t ref_bucket(int64_t rel, int64_t buckets, int64_t max_distance, int bidirectional)
{
    int64_t n = bidirectional ? buckets / 2 : buckets;
    int64_t base = bidirectional && rel > 0 ? n : 0;
    int64_t away = bidirectional ? llabs(rel) : rel < 0 ? -rel : 0;
    int64_t exact = n / 2, far;

    if (away < exact)
        return base + away;
    far = exact + (int64_t)floor(log((double)away / (double)exact) / log((double)max_distance / (double)exact) *
                                 (double)(n - exact));
    return base + (far < n - 1 ? far : n - 1);
}

int ref_keep(const ref_call *c, int64_t b, int64_t h, int64_t p_q, int64_t p_k)
{
    const loci_tensor *ids = c->desc->ids;
    uint64_t id = ids ? (uint64_t)((const int64_t *)loci_ptr(ids))[ref_at(ids, b, 0, 0, 0)] : 0;
    uint64_t key = loci_random_key(c->exec->seed, c->exec->step, id, c->desc->rng_stream);
    philox4x32_ctr_t counter = {{(uint32_t)p_q, (uint32_t)p_k, (uint32_t)h, 0}};
    philox4x32_key_t words = {{(uint32_t)key, (uint32_t)(key >> 32)}};

    return philox4x32(counter, words).v[0] >= c->dropout * 0x1p32; /* (2) */
}
