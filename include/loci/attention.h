/* SPDX-License-Identifier: Apache-2.0
 *
 * loci/attention.h: for authors of an attention backend: what every backend asks of a call before it computes. Header
 * only, optional, links to nothing.
 *
 *  (1) After loci_attn_check_desc and a check of q, k, v, o no kernel can reach outside a tensor, whatever numbers
 *      stand in lengths, block tables and block lists.
 *  (2) Lists are read here: q_len, k_len, block_table and the tensors of `blocks` are host memory in a call of any
 *      device (docs/adr/0006). Of the others only shape, type and strides are looked at.
 *  (3) A sentence names the tensor, what was found and what was wanted. `where` begins it: "attention/mine".
 */
#ifndef LOCI_ATTENTION_H
#define LOCI_ATTENTION_H

#include <loci/author.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What else than its dimensions a tensor may be, or must. */
#define LOCI_AXIS_ONE(axis) (UINT32_C(1) << (axis))      /* the axis may also be 1                           */
#define LOCI_AXIS_MORE(axis) (UINT32_C(0x100) << (axis)) /* the axis may also be longer                      */
#define LOCI_PACKED UINT32_C(0x10000)                    /* the last axis has stride 1                       */
#define LOCI_APART UINT32_C(0x20000)                     /* written: no two of its elements share memory     */

/* Element [a] or [a, b] of i32 numbers; an axis of length 1 broadcasts. */
static inline int32_t loci_attn_i32(const loci_tensor *t, int64_t a, int64_t b)
{
    int64_t at = t->shape[0] == 1 ? 0 : a * t->strides[0];

    if (t->ndim > 1 && t->shape[1] != 1)
        at += b * t->strides[1];
    return ((const int32_t *)loci_ptr(t))[at];
}

/* A tensor that is there has this dtype and these dimensions, no negative stride, and data. NULL is fine. */
static inline loci_status loci_attn_check(loci_error *err, const char *where, const char *name, const loci_tensor *t,
                                          loci_dtype type, uint32_t also, int32_t ndim, const int64_t *dim)
{
    int empty = 0, negative = 0, shared = -1;
    int32_t i;

    if (!t)
        return LOCI_OK;
    if (t->dtype.code != type.code || t->dtype.bits != type.bits || t->dtype.lanes != 1)
        return loci_refuse(err, LOCI_E_ARG, where, "%s has dtype code %u of %u bits, wanted code %u of %u bits", name,
                           (unsigned)t->dtype.code, (unsigned)t->dtype.bits, (unsigned)type.code, (unsigned)type.bits);
    if (t->ndim != ndim)
        return loci_refuse(err, LOCI_E_ARG, where, "%s has %d axes, wanted %d", name, (int)t->ndim, (int)ndim);
    for (i = 0; i < ndim; i++) {
        if (t->shape[i] != dim[i] && !((also & LOCI_AXIS_ONE(i)) && t->shape[i] == 1) &&
            !((also & LOCI_AXIS_MORE(i)) && t->shape[i] > dim[i]))
            return loci_refuse(err, LOCI_E_ARG, where, "axis %d of %s is %lld long, wanted %lld", (int)i, name,
                               (long long)t->shape[i], (long long)dim[i]);
        empty |= t->shape[i] == 0;
        negative |= t->shape[i] > 1 && t->strides[i] < 0;
        if (t->shape[i] > 1 && t->strides[i] == 0)
            shared = (int)i;
    }
    if (empty)
        return LOCI_OK;
    if (!t->data || negative)
        return loci_refuse(err, LOCI_E_ARG, where, "%s has %s", name, negative ? "a negative stride" : "no data");
    if ((also & LOCI_PACKED) && t->shape[ndim - 1] > 1 && t->strides[ndim - 1] != 1)
        return loci_refuse(err, LOCI_E_UNSUPPORTED, where, "the last axis of %s has stride %lld, wanted 1", name,
                           (long long)t->strides[ndim - 1]);
    if ((also & LOCI_APART) && shared >= 0)
        return loci_refuse(err, LOCI_E_UNSUPPORTED, where, "axis %d of %s has stride 0: give it memory of its own",
                           shared, name);
    return LOCI_OK;
}

/* For functions with `err` in scope: returns from them when t is wrong. The dimensions come last. */
#define LOCI_ATTN_CHECK(where, t, type, also, ...) \
    do { \
        const int64_t loci_dim_[] = {__VA_ARGS__}; \
        LOCI_RETURN_IF(loci_attn_check(err, where, #t, t, type, also, (int32_t)(sizeof loci_dim_ / sizeof *loci_dim_), \
                                       loci_dim_)); \
    } while (0)

/* ---- the descriptor ---------------------------------------------------------------------------------------------- */

/* Every block that a row needs is one of the pool's. *S: the longest k_len. */
static inline loci_status loci_attn_check_pages(const char *where, const loci_attn_io *io, int64_t *S, loci_error *err)
{
    const loci_dtype i32 = {LOCI_INT, 32, 1};
    const loci_tensor *block_table = io->desc->block_table, *k_len = io->desc->k_len;
    const int64_t B = io->q->shape[0], tok = io->desc->block_tok;
    int64_t b, n;

    if (!k_len || !tok || tok > INT32_MAX || block_table->ndim != 2)
        return loci_refuse(err, LOCI_E_ARG, where,
                           "block_table needs shape [rows, blocks], k_len and block_tok above 0");
    LOCI_ATTN_CHECK(where, block_table, i32, 0, B, block_table->shape[1]);
    LOCI_ATTN_CHECK(where, k_len, i32, 0, B);
    *S = 0;
    for (b = 0; b < B; b++) {
        const int64_t len = loci_attn_i32(k_len, b, 0);

        if (len < 0 || len > block_table->shape[1] * tok)
            return loci_refuse(err, LOCI_E_ARG, where, "k_len[%lld] is %lld, the block table has room for %lld",
                               (long long)b, (long long)len, (long long)(block_table->shape[1] * tok));
        *S = len > *S ? len : *S;
        for (n = 0; n * tok < len; n++) {
            const int32_t block = loci_attn_i32(block_table, b, n);

            if (block < 0 || block >= io->k->shape[0])
                return loci_refuse(err, LOCI_E_ARG, where, "block_table[%lld,%lld] is %d, k has %lld blocks",
                                   (long long)b, (long long)n, (int)block, (long long)io->k->shape[0]);
        }
    }
    return LOCI_OK;
}

/* Every row, column and tile that the block list names exists. S: keys of a row without a block table. */
static inline loci_status loci_attn_check_blocks(const char *where, const loci_attn_io *io, int64_t S, loci_error *err)
{
    const loci_dtype i32 = {LOCI_INT, 32, 1}, u8 = {LOCI_UINT, 8, 1};
    const loci_attn_desc *d = io->desc;
    const loci_blocks *m = d->blocks;
    const int64_t T = io->q->shape[1], H = io->q->shape[2];
    const int64_t keys = d->block_table ? d->block_table->shape[1] * (int64_t)d->block_tok : S;
    int64_t nq, nk, nnz, h, row, n;

    if (m->bq <= 0 || m->bk <= 0 || (m->heads != 1 && m->heads != H) || !m->ptr || !m->col || m->col->ndim != 2)
        return loci_refuse(err, LOCI_E_ARG, where,
                           "blocks need bq and bk above 0, heads 1 or %lld, ptr and col [heads, nnz]", (long long)H);
    nq = (T + m->bq - 1) / m->bq;
    nk = (keys + m->bk - 1) / m->bk;
    nnz = m->col->shape[1];
    LOCI_ATTN_CHECK(where, m->ptr, i32, 0, m->heads, nq + 1);
    LOCI_ATTN_CHECK(where, m->col, i32, 0, m->heads, nnz);
    LOCI_ATTN_CHECK(where, m->kind, i32, 0, m->heads, nnz);
    LOCI_ATTN_CHECK(where, m->tiles, u8, LOCI_AXIS_MORE(0), 0, m->bq, m->bk);
    for (h = 0; h < m->heads; h++)
        for (row = 0; row < nq; row++) {
            const int64_t from = loci_attn_i32(m->ptr, h, row), to = loci_attn_i32(m->ptr, h, row + 1);

            if (from < 0 || to < from || to > nnz)
                return loci_refuse(err, LOCI_E_ARG, where,
                                   "blocks.ptr[%lld,%lld..] is %lld..%lld, wanted a range in 0..%lld", (long long)h,
                                   (long long)row, (long long)from, (long long)to, (long long)nnz);
            for (n = from; n < to; n++) {
                const int32_t col = loci_attn_i32(m->col, h, n), kind = m->kind ? loci_attn_i32(m->kind, h, n) : -1;

                if (col < 0 || col >= nk || kind < -1 || (kind >= 0 && (!m->tiles || kind >= m->tiles->shape[0])))
                    return loci_refuse(err, LOCI_E_ARG, where,
                                       "blocks entry %lld has column %d of %lld and tile %d of %lld", (long long)n,
                                       (int)col, (long long)nk, (int)kind,
                                       (long long)(m->tiles ? m->tiles->shape[0] : 0));
            }
        }
    return LOCI_OK;
}

/* Numbers that no shape says. */
static inline loci_status loci_attn_check_numbers(const char *where, const loci_attn_io *io, int64_t S, loci_error *err)
{
    const loci_attn_desc *d = io->desc;
    const int64_t B = io->q->shape[0], T = io->q->shape[1];
    int64_t b;

    if (d->prefix < 0 || S > INT32_MAX || T > INT32_MAX)
        return loci_refuse(err, LOCI_E_ARG, where,
                           "prefix %lld is negative, or %lld queries or %lld keys exceed 2^31-1", (long long)d->prefix,
                           (long long)T, (long long)S);
    if (!d->q_seg != !d->k_seg)
        return loci_refuse(err, LOCI_E_ARG, where, "q_seg and k_seg go together");
    if (!(d->dropout >= 0 && d->dropout < 1))
        return loci_refuse(err, LOCI_E_ARG, where, "dropout %g lies outside [0, 1)", d->dropout);
    for (b = 0; b < B; b++) {
        const int64_t q = d->q_len ? loci_attn_i32(d->q_len, b, 0) : 0,
                      k = d->k_len ? loci_attn_i32(d->k_len, b, 0) : 0;

        if (q < 0 || q > T || k < 0 || k > S)
            return loci_refuse(err, LOCI_E_ARG, where,
                               "row %lld has q_len %lld and k_len %lld, limits are %lld and %lld", (long long)b,
                               (long long)q, (long long)k, (long long)T, (long long)S);
    }
    if (d->table) {
        const int64_t exact = d->table->shape[0] / (d->bidirectional ? 4 : 2);

        if (exact < 1 || d->max_distance <= exact)
            return loci_refuse(err, LOCI_E_ARG, where,
                               "a table of %lld buckets needs max_distance above %lld, it is %d",
                               (long long)d->table->shape[0], (long long)exact, (int)d->max_distance);
    }
    return LOCI_OK;
}

/* Every field of io's descriptor, for q [B,T,H,d] and k [B,S,Hk,d] (or its pool of blocks), which have four axes. acc:
 * the type of bias, slopes, table and sink. *S becomes k's length, with a block table the longest k_len. */
static inline loci_status loci_attn_check_desc(const char *where, const loci_attn_io *io, loci_dtype acc, int64_t *S,
                                               loci_error *err)
{
    const loci_dtype i32 = {LOCI_INT, 32, 1}, i64 = {LOCI_INT, 64, 1}, u8 = {LOCI_UINT, 8, 1};
    const loci_attn_desc *a = io->desc;
    const int64_t B = io->q->shape[0], T = io->q->shape[1], H = io->q->shape[2];
    const uint32_t longer = a->block_table ? LOCI_AXIS_MORE(0) : 0, one = LOCI_AXIS_ONE(0),
                   pair = one | LOCI_AXIS_ONE(1);

    *S = io->k->shape[1];
    if (a->block_table)
        LOCI_RETURN_IF(loci_attn_check_pages(where, io, S, err));
    LOCI_ATTN_CHECK(where, a->q_pos, i32, one, B, T);
    LOCI_ATTN_CHECK(where, a->k_pos, i32, one | longer << 1, B, *S);
    LOCI_ATTN_CHECK(where, a->q_seg, i32, one, B, T);
    LOCI_ATTN_CHECK(where, a->k_seg, i32, one | longer << 1, B, *S);
    LOCI_ATTN_CHECK(where, a->q_len, i32, 0, B);
    LOCI_ATTN_CHECK(where, a->k_len, i32, 0, B);
    LOCI_ATTN_CHECK(where, a->mask, u8, pair | longer << 3, B, H, T, *S);
    LOCI_ATTN_CHECK(where, a->bias, acc, pair | longer << 3, B, H, T, *S);
    LOCI_ATTN_CHECK(where, a->slopes, acc, 0, H);
    LOCI_ATTN_CHECK(where, a->table, acc, LOCI_AXIS_MORE(0), 1, H);
    LOCI_ATTN_CHECK(where, a->sink, acc, 0, H);
    LOCI_ATTN_CHECK(where, a->ids, i64, 0, B);
    LOCI_RETURN_IF(loci_attn_check_numbers(where, io, *S, err));
    return a->blocks ? loci_attn_check_blocks(where, io, *S, err) : LOCI_OK;
}

#ifdef __cplusplus
}
#endif
#endif
