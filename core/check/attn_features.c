/* SPDX-License-Identifier: Apache-2.0
 *
 * core/check: the features of loci_attn_desc, switched on in a problem.
 *
 * A feature that cannot be told from its neighbours proves nothing: windows are shorter than the keys, positions are in
 * disorder, tables have more distances than buckets.
 */
#include "core/check/attn.h"

static const loci_device cpu = {LOCI_CPU, 0};
static const loci_dtype u8 = {LOCI_UINT, 8, 1}, i32 = {LOCI_INT, 32, 1}, i64 = {LOCI_INT, 64, 1};
static const loci_dtype f64 = {LOCI_FLOAT, 64, 1}; /* the trial makes them acc */

static const loci_tensor *tensor(struct problem *p, int n, void *data, loci_dtype dtype, int32_t ndim,
                                 const int64_t *shape)
{
    return loci_view_set(&p->v[n], data, cpu, dtype, ndim, shape);
}

#define B (p->scene.docs)
#define T (p->scene.seq)
#define S (p->scene.keys)
#define H (p->scene.heads)

const char *feature_plain(struct problem *p, int n)
{
    (void)p;
    return n == 0 ? "every key visible" : NULL;
}

const char *feature_causal(struct problem *p, int n)
{
    p->desc.causal = 1;
    if (n == 0)
        p->scene.keys = T;
    else
        p->desc.offset = S - T;
    return n == 0 ? "causal" : n == 1 ? "causal, aligned to the last key" : NULL;
}

const char *feature_window(struct problem *p, int n)
{
    static const struct {
        int left, right, causal;
        const char *words;
    } all[] = {{3, -1, 1, "window_left 3, causal"}, {0, 0, 0, "window_left 0, window_right 0"},
               {1, 2, 0, "window_left 1, right 2"}, {-1, 1, 0, "window_right 1"},
               {5, -1, 0, "window_left 5"},         {9, 0, 1, "window_left 9, window_right 0, causal"}};

    if (n >= (int)(sizeof all / sizeof *all))
        return NULL;
    p->desc.window_left = all[n].left;
    p->desc.window_right = all[n].right;
    p->desc.causal = all[n].causal;
    p->desc.offset = S - T;
    return all[n].words;
}

const char *feature_prefix(struct problem *p, int n)
{
    p->desc.prefix = n == 1 ? 3 : 2;
    p->desc.causal = 1;
    p->desc.window_left = n == 2 ? 2 : -1;
    return n == 0   ? "prefix 2, causal"
           : n == 1 ? "prefix 3, causal"
           : n == 2 ? "prefix 2, causal, window_left 2"
                    : NULL;
}

const char *feature_offset(struct problem *p, int n)
{
    p->desc.causal = 1;
    p->desc.offset = n == 0 ? 1 : S + 2;
    return n == 0 ? "offset 1, causal" : n == 1 ? "offset beyond the keys, causal" : NULL;
}

const char *feature_positions(struct problem *p, int n)
{
    p->desc.causal = n < 2;
    p->desc.window_left = n == 1 ? 4 : -1;
    for (int64_t i = 0; i < B * T; i++)
        p->q_pos[i] = (int32_t)(i % T + 1 + i / T);
    for (int64_t j = 0; j < B * S; j++) /* in disorder, some at -1 */
        p->k_pos[j] = (int32_t)(j * 5 % S) - 1;
    p->desc.q_pos = tensor(p, 0, p->q_pos, i32, 2, (int64_t[]){B, T});
    p->desc.k_pos = tensor(p, 1, p->k_pos, i32, 2, (int64_t[]){B, S});
    return n == 0 ? "positions, causal" : n == 1 ? "positions, causal, window_left 4" : n == 2 ? "positions" : NULL;
}

const char *feature_segments(struct problem *p, int n)
{
    p->desc.causal = n;
    for (int64_t i = 0; i < B * T; i++)
        p->q_seg[i] = i % T > T / 2 ? 7 : 3;
    for (int64_t j = 0; j < B * S; j++)
        p->k_seg[j] = j % S > S / 3 ? 7 : 3;
    p->desc.q_seg = tensor(p, 2, p->q_seg, i32, 2, (int64_t[]){B, T});
    p->desc.k_seg = tensor(p, 3, p->k_seg, i32, 2, (int64_t[]){B, S});
    return n == 0 ? "segments" : n == 1 ? "segments, causal" : NULL;
}

const char *feature_lengths(struct problem *p, int n)
{
    for (int64_t b = 0; b < B; b++) {
        p->k_len[b] = (int32_t)(S - 2 * b - 1);
        p->q_len[b] = (int32_t)(T - b - (n > 0));
    }
    p->k_len[0] = n == 2 ? 0 : p->k_len[0];
    p->desc.k_len = n != 1 ? tensor(p, 4, p->k_len, i32, 1, (int64_t[]){B}) : NULL;
    p->desc.q_len = n >= 1 ? tensor(p, 5, p->q_len, i32, 1, (int64_t[]){B}) : NULL;
    return n == 0 ? "k_len" : n == 1 ? "q_len" : n == 2 ? "q_len, k_len, one 0" : NULL;
}

const char *feature_mask(struct problem *p, int n)
{
    const int64_t shape[] = {n == 0 ? B : 1, 1, T, S};

    for (int64_t x = 0; x < B * T * S; x++)
        p->mask[x] = x * 7 % 10 < 6;
    p->desc.mask = tensor(p, 6, p->mask, u8, 4, shape);
    return n == 0 ? "mask" : n == 1 ? "mask, one for all rows" : NULL;
}

const char *feature_bias(struct problem *p, int n)
{
    p->desc.bias = tensor(p, 7, NULL, f64, 4, (int64_t[]){n == 0 ? B : 1, n == 2 ? 1 : H, T, S});
    return n == 0 ? "bias" : n == 1 ? "bias, one for all rows" : n == 2 ? "bias, one for all heads" : NULL;
}

const char *feature_slopes(struct problem *p, int n)
{
    p->desc.causal = n == 0;
    p->desc.slopes = tensor(p, 8, NULL, f64, 1, (int64_t[]){H});
    p->desc.offset = n == 0 ? S - T : 0;
    return n == 0 ? "slopes, causal" : n == 1 ? "slopes" : NULL;
}

const char *feature_table(struct problem *p, int n)
{
    p->desc.causal = n == 0;
    p->desc.bidirectional = n != 0;
    p->desc.max_distance = 7;
    p->desc.table = tensor(p, 9, NULL, f64, 2, (int64_t[]){8, H});
    return n == 0 ? "table of 8 buckets, causal" : n == 1 ? "table of 8 buckets, bidirectional" : NULL;
}

const char *feature_softcap(struct problem *p, int n)
{
    p->desc.softcap = 1.5;
    return n == 0 ? "softcap 1.5" : NULL;
}

const char *feature_sink(struct problem *p, int n)
{
    p->desc.causal = n;
    p->desc.offset = n ? -3 : 0; /* three queries see the sink alone */
    p->desc.sink = tensor(p, 10, NULL, f64, 1, (int64_t[]){H});
    return n == 0 ? "sink" : n == 1 ? "sink, causal, offset -3" : NULL;
}

const char *feature_dropout(struct problem *p, int n)
{
    p->desc.dropout = 0.3;
    p->desc.rng_stream = 5;
    p->train = true;
    for (int64_t b = 0; b < B; b++)
        p->ids[b] = 100 + b;
    if (n == 1)
        p->desc.ids = tensor(p, 11, p->ids, i64, 1, (int64_t[]){B});
    return n == 0 ? "dropout 0.3" : n == 1 ? "dropout 0.3, ids" : NULL;
}

const char *feature_paged(struct problem *p, int n)
{
    const int64_t tok = n == 0 ? 3 : 4, each = (S + tok - 1) / tok;

    for (int64_t b = 0; b < B; b++)
        p->k_len[b] = (int32_t)(S - 2 * b);
    for (int64_t i = 0; i < B * each; i++) /* backwards, with a block between that belongs to nobody */
        p->table[i] = (int32_t)(B * each - i);
    p->scene.blocks = B * each + 1;
    p->desc.block_tok = (uint32_t)tok;
    p->desc.k_len = tensor(p, 4, p->k_len, i32, 1, (int64_t[]){B});
    p->desc.block_table = tensor(p, 12, p->table, i32, 2, (int64_t[]){B, each});
    return n == 0 ? "block_table of 3 tokens" : n == 1 ? "block_table of 4 tokens" : NULL;
}

const char *feature_blocks(struct problem *p, int n)
{
    enum { BQ = 4, BK = 3 };
    const int32_t nq = (int32_t)((T + BQ - 1) / BQ), nk = (int32_t)((S + BK - 1) / BK);
    int32_t nnz = 0;

    for (int32_t r = 0; r < nq; r++) {
        for (int32_t c = 0; c < nk; c++)
            if ((r + c) % 3 != 1)
                p->col[nnz] = c, p->kind[nnz++] = -1;
        p->ptr[r + 1] = nnz;
    }
    nnz = 0;
    for (int32_t c = 0; c < nk; c++) {
        for (int32_t r = 0; r < nq; r++)
            if ((r + c) % 3 != 1)
                p->t_col[nnz] = r, p->t_kind[nnz++] = -1;
        p->t_ptr[c + 1] = nnz;
    }
    for (int64_t i = 0; i < T; i++)
        for (int64_t j = 0; j < S; j++)
            p->sparse[i * S + j] = (i / BQ + j / BK) % 3 != 1;
    p->desc.causal = n;
    p->desc.offset = n ? S - T : 0;
    p->blocks = (loci_blocks){.struct_size = sizeof p->blocks, .bq = BQ, .bk = BK, .heads = 1};
    p->blocks.ptr = tensor(p, 0, p->ptr, i32, 2, (int64_t[]){1, nq + 1});
    p->blocks.col = tensor(p, 1, p->col, i32, 2, (int64_t[]){1, nnz});
    p->blocks.kind = tensor(p, 2, p->kind, i32, 2, (int64_t[]){1, nnz});
    p->blocks.t_ptr = tensor(p, 3, p->t_ptr, i32, 2, (int64_t[]){1, nk + 1});
    p->blocks.t_col = tensor(p, 5, p->t_col, i32, 2, (int64_t[]){1, nnz});
    p->blocks.t_kind = tensor(p, 6, p->t_kind, i32, 2, (int64_t[]){1, nnz});
    p->desc.blocks = &p->blocks;
    return n == 0 ? "blocks of 4 x 3" : n == 1 ? "blocks of 4 x 3, causal" : NULL;
}

const char *feature_heads(struct problem *p, int n)
{
    p->scene.k_heads = 2;
    p->scene.v_heads = n == 0 ? 2 : 1;
    return n == 0 ? "4 heads of q on 2 of k and v" : n == 1 ? "4 heads of q on 2 of k and 1 of v" : NULL;
}

const char *feature_empty(struct problem *p, int n)
{
    p->desc.causal = 1;
    p->desc.offset = -3;
    return n == 0 ? "three queries that see no key" : NULL;
}

const char *feature_d_lse(struct problem *p, int n)
{
    p->d_lse = true;
    p->desc.causal = n;
    return n == 0 ? "d_lse" : n == 1 ? "d_lse, causal" : NULL;
}

/* What fit accepts of all, one over the other. */
const char *feature_all(struct problem *p, int n)
{
    static const struct {
        uint64_t bit;
        feature_fn *on;
        int variant;
    } all[] = {{LOCI_A_WINDOW, feature_window, 0},   {LOCI_A_PREFIX, feature_prefix, 0},
               {LOCI_A_LENGTHS, feature_lengths, 0}, {LOCI_A_MASK, feature_mask, 0},
               {LOCI_A_BIAS, feature_bias, 1},       {LOCI_A_SLOPES, feature_slopes, 0},
               {LOCI_A_TABLE, feature_table, 0},     {LOCI_A_SOFTCAP, feature_softcap, 0},
               {LOCI_A_SINK, feature_sink, 0},       {LOCI_A_SEGMENTS, feature_segments, 1}};

    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (p->accepts & all[i].bit)
            all[i].on(p, all[i].variant);
    feature_heads(p, 0);
    p->desc.causal = 1;
    p->desc.window_left = p->accepts & LOCI_A_WINDOW ? 6 : -1;
    p->desc.offset = S - T;
    p->d_lse = true;
    return n == 0 ? "many features at once" : NULL;
}
