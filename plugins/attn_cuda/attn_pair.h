/* SPDX-License-Identifier: Apache-2.0
 *
 * plugins/attn_cuda/attn_pair.h: what a pair (query i, key j) is: who sees whom, what is added to a score, what is
 * dropped. Each function is a line of the comment of loci_attn_desc; attn_ref's pair.c says the same in C.
 *
 *  (1) Scores are in units of log 2: s2 = s log2(e), so that weights are exp2(s2 - lse2).
 *  (2) GENERAL = false serves scale, causality, windows, offset and lengths, by index alone. GENERAL = true serves
 *      everything. Both are compiled; the launch chooses.
 *  (3) Differences of positions wrap as int32 does; that a position is beyond 2^31 is the host's to refuse.
 */
#ifndef ATTN_CUDA_ATTN_PAIR_H
#define ATTN_CUDA_ATTN_PAIR_H

#include "attn.h"
#include "gpu.h"

#define LOG2_E 1.4426950408889634f
#define LN_2 0.6931471805599453f

GPU_FN int smaller(int a, int b)
{
    return a < b ? a : b;
}

GPU_FN int larger(int a, int b)
{
    return a > b ? a : b;
}

/* ---- lengths and ranges ---- */

GPU_FN int query_len(const attn_args &a, int b)
{
    return a.q_len ? a.q_len[b] : a.T;
}

GPU_FN int key_len(const attn_args &a, int b)
{
    return a.k_len ? a.k_len[b] : a.S;
}

/* a + b at the ends of int32: windows may be unbounded. */
GPU_FN int add_bounded(int64_t a, int64_t b)
{
    int64_t sum = a + b;

    return sum > INT32_MAX ? INT32_MAX : sum < INT32_MIN ? INT32_MIN : (int)sum;
}

/* The keys that some query of i0 .. i1-1 may see. Positions that are not indices: all. */
GPU_FN void keys_of(const attn_args &a, int b, int i0, int i1, int *from, int *to)
{
    int len = key_len(a, b);

    *from = 0;
    *to = len;
    if (a.q_pos || a.k_pos)
        return;
    if (a.causal)
        *to = smaller(*to, larger(add_bounded(i1, a.offset), a.prefix));
    if (a.window_right != ATTN_NO_WINDOW)
        *to = smaller(*to, larger(add_bounded((int64_t)i1 + a.offset, a.window_right), a.prefix));
    if (a.window_left != ATTN_NO_WINDOW && !a.prefix)
        *from = larger(0, add_bounded((int64_t)i0 + a.offset, -(int64_t)a.window_left));
    *to = larger(smaller(*to, len), 0);
}

/* The queries that may see some key of j0 .. j1-1. */
GPU_FN void queries_of(const attn_args &a, int b, int j0, int j1, int *from, int *to)
{
    *from = 0;
    *to = query_len(a, b);
    if (a.q_pos || a.k_pos || j0 < a.prefix)
        return;
    if (a.causal)
        *from = larger(*from, add_bounded(j0, -(int64_t)a.offset));
    if (a.window_right != ATTN_NO_WINDOW)
        *from = larger(*from, add_bounded((int64_t)j0 - a.offset, -(int64_t)a.window_right));
    if (a.window_left != ATTN_NO_WINDOW)
        *to = smaller(*to, add_bounded((int64_t)j1 - a.offset, a.window_left));
}

/* Does every query of i0 .. i1-1 see every key of j0 .. j1-1? For GENERAL = false. */
GPU_FN bool all_visible(const attn_args &a, int b, int i0, int i1, int j0, int j1)
{
    int64_t first = (int64_t)i0 + a.offset, last = (int64_t)i1 - 1 + a.offset;

    return i1 <= query_len(a, b) && j1 <= key_len(a, b) && (!a.causal || j1 - 1 <= first) &&
           (a.window_left == ATTN_NO_WINDOW || last - j0 <= a.window_left) &&
           (a.window_right == ATTN_NO_WINDOW || j1 - 1 - first <= a.window_right);
}

/* ---- block lists ---- */

/* What the list says of block (row, col) of head h. */
GPU_FN int block_kind(const attn_list &l, int h, int row, int col)
{
    return l.map[((l.heads == 1 ? 0 : (int64_t)h) * l.nq + row) * l.nk + col];
}

GPU_FN bool in_list(const attn_list &l, int h, int i, int j)
{
    int kind = block_kind(l, h, i / l.bq, j / l.bk);

    return kind == ATTN_ALL_SEEN || (kind >= 0 && l.tiles[((int64_t)kind * l.bq + i % l.bq) * l.bk + j % l.bk] != 0);
}

/* Does the list name a block with a pair of i0 .. i1-1 and j0 .. j1-1? All threads of a block ask the same. */
GPU_FN bool any_listed(const attn_args &a, int h, int i0, int i1, int j0, int j1)
{
    const attn_list &l = a.list;

    if (!l.map)
        return true;
    for (int row = i0 / l.bq; row < l.nq && row * (int64_t)l.bq < i1; row++)
        for (int col = j0 / l.bk; col < l.nk && col * (int64_t)l.bk < j1; col++)
            if (block_kind(l, h, row, col) != ATTN_UNLISTED)
                return true;
    return false;
}

/* The first tile of `cols` keys from j0 on, before `to`, that some query of i0 .. i1-1 may see; else `to` or behind. */
template <bool GENERAL> GPU_FN int next_tile(const attn_args &a, int h, int i0, int i1, int j0, int to, int cols)
{
    while (GENERAL && j0 < to && !any_listed(a, h, i0, i1, j0, j0 + cols))
        j0 += cols;
    return j0;
}

/* ---- memory ---- */

/* Where row j of a row b begins: in order, or in the pool of blocks. A block that does not exist is block 0. */
GPU_FN int64_t key_at(const attn_args &a, const attn_rows &x, int b, int j, int h)
{
    if (a.block_table) {
        int block = a.block_table[(int64_t)b * a.blocks + j / a.block_tok];

        return block * x.b + j % a.block_tok * x.t + h * x.h;
    }
    return b * x.b + j * x.t + h * x.h;
}

GPU_FN int64_t query_at(const attn_rows &x, int b, int i, int h)
{
    return b * x.b + i * x.t + h * x.h;
}

GPU_FN float *stat_at(const attn_stats &x, int b, int h, int i)
{
    return x.data + b * x.b + h * x.h + i * x.i;
}

/* ---- dropout ---- */

/* The first word of Philox 4x32-10 (Salmon et al. 2011). */
GPU_FN uint32_t philox(uint32_t c0, uint32_t c1, uint32_t c2, uint32_t k0, uint32_t k1)
{
    uint32_t c3 = 0;

    for (int round = 0; round < 10; round++) {
        uint64_t p0 = (uint64_t)0xD2511F53u * c0, p1 = (uint64_t)0xCD9E8D57u * c2;
        uint32_t n0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0, n2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;

        c1 = (uint32_t)p1;
        c3 = (uint32_t)p0;
        c0 = n0;
        c2 = n2;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    return c0;
}

/* ---- pairs ---- */

typedef struct pair {
    float s2;   /* the score, -inf where it is not visible        */
    float cap;  /* d cap(x) / dx                                  */
    float z;    /* what dropout multiplies the weight by          */
    int rel;    /* p_k - p_q; 0 where p_k < 0                     */
    int bucket; /* of the table; -1: none                        */
} pair;

GPU_FN int bucket_of(const attn_args &a, int rel)
{
    int n = a.bidirectional ? a.buckets / 2 : a.buckets, exact = n / 2, far = exact;
    int base = a.bidirectional && rel > 0 ? n : 0, away = rel < 0 ? -rel : a.bidirectional ? rel : 0;

    if (away < exact)
        return base + away;
    while (far < n - 1 && away >= a.bounds[far - exact])
        far++;
    return base + far;
}

/* x is scale q.k; i < T and j < S. */
template <bool GENERAL> GPU_FN pair pair_of(const attn_args &a, int b, int h, int i, int j, float x)
{
    pair p = {x * LOG2_E, 1, 1, 0, -1};
    int p_q = a.offset + i, p_k = j, rel;
    bool on = i < query_len(a, b) && j < key_len(a, b);

    if (GENERAL && on) {
        if (a.q_pos)
            p_q = a.q_pos[(int64_t)b * a.T + i];
        if (a.k_pos)
            p_k = a.k_pos[b * a.k_pos_b + j * a.k_pos_j];
        if (j < a.prefix)
            p_k = -1;
        if (a.mask.data)
            on = ((const uint8_t *)a.mask.data)[b * a.mask.b + h * a.mask.h + i * a.mask.i + j * a.mask.j] != 0;
        if (a.list.map)
            on = on && in_list(a.list, h, i, j);
        if (a.q_seg && p_k >= 0)
            on = on && a.q_seg[(int64_t)b * a.T + i] == a.k_seg[(int64_t)b * a.S + j];
    }
    rel = (int)((uint32_t)p_k - (uint32_t)p_q);
    if (p_k >= 0 || !GENERAL)
        on = on && (!a.causal || rel <= 0) && (a.window_left == ATTN_NO_WINDOW || -rel <= a.window_left) &&
             (a.window_right == ATTN_NO_WINDOW || rel <= a.window_right);
    if (GENERAL && on) {
        if (a.softcap > 0) {
            float t = tanhf(x / a.softcap);

            x = a.softcap * t;
            p.cap = 1 - t * t;
        }
        if (a.bias.data)
            x += ((const float *)a.bias.data)[b * a.bias.b + h * a.bias.h + i * a.bias.i + j * a.bias.j];
        if (p_k >= 0) {
            p.rel = rel;
            if (a.slopes.data)
                x += a.slopes.data[h * a.slopes.h] * (float)rel;
            if (a.table.data) {
                p.bucket = bucket_of(a, rel);
                x += a.table.data[p.bucket * a.table.n + h * a.table.h];
            }
        }
        if (a.keys)
            p.z = philox((uint32_t)p_q, (uint32_t)p_k, (uint32_t)h, a.keys[2 * b], a.keys[2 * b + 1]) > a.keep_above
                      ? a.keep_scale
                      : 0;
        p.s2 = x * LOG2_E;
    }
    if (!on)
        p.s2 = -INFINITY;
    return p;
}

#endif
