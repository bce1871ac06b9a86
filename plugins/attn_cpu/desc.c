/* SPDX-License-Identifier: Apache-2.0
 *
 * Reads the descriptor of a call: after it no kernel can reach outside a tensor, whatever numbers stand in block
 * tables, block lists and lengths. Sets what the kernels ask about it: S, look, adjust, fetch, dropout.
 */
#include "check.h"

static const loci_dtype i32 = {LOCI_INT, 32, 1}, i64 = {LOCI_INT, 64, 1}, u8 = {LOCI_UINT, 8, 1};

loci_status cpu_check(loci_error *err, const char *name, const loci_tensor *t, loci_dtype type, uint32_t also,
                      int32_t ndim, const int64_t *dim)
{
    int ok, empty = 0;

    if (!t)
        return LOCI_OK;
    if (t->dtype.code != type.code || t->dtype.bits != type.bits || t->dtype.lanes != 1)
        return cpu_fail(err, LOCI_E_ARG, "%s has dtype code %u of %u bits, wanted code %u of %u bits", name,
                        t->dtype.code, t->dtype.bits, type.code, type.bits);
    if (t->ndim != ndim)
        return cpu_fail(err, LOCI_E_ARG, "%s has %d axes, wanted %d", name, t->ndim, ndim);
    ok = 1;
    for (int32_t i = 0; i < ndim; i++) {
        if (t->shape[i] != dim[i] && !((also & ONE_TOO << i) && t->shape[i] == 1) &&
            !((also & AT_LEAST << i) && t->shape[i] > dim[i]))
            return cpu_fail(err, LOCI_E_ARG, "axis %d of %s is %lld long, wanted %lld", i, name, (long long)t->shape[i],
                            (long long)dim[i]);
        ok &= t->shape[i] < 2 || t->strides[i] >= 0;
        empty |= t->shape[i] == 0;
    }
    if ((also & PACKED) && t->shape[ndim - 1] > 1 && t->strides[ndim - 1] != 1)
        return cpu_fail(err, LOCI_E_ARG, "the last axis of %s has stride %lld, wanted 1", name,
                        (long long)t->strides[ndim - 1]);
    if ((!t->data && !empty) || !ok)
        return cpu_fail(err, LOCI_E_ARG, "%s has %s", name, ok ? "no data" : "a negative stride");
    return LOCI_OK;
}

loci_status cpu_apart(loci_error *err, const char *name, const loci_tensor *t, int32_t from)
{
    for (int32_t i = 0; t && i < t->ndim; i++)
        if (t->shape[i] == 0)
            return LOCI_OK;
    for (int32_t i = from; t && i < t->ndim; i++)
        if (t->shape[i] > 1 && t->strides[i] == 0)
            return cpu_fail(err, LOCI_E_UNSUPPORTED, "axis %d of %s has stride 0: give it memory of its own", i, name);
    return LOCI_OK;
}

/* Every block that a row needs exists. Sets S. */
static loci_status read_table(cpu_call *c, loci_error *err)
{
    const loci_attn_desc *a = c->desc;
    const loci_tensor *block_table = a->block_table, *k = c->io->k;
    int64_t tok = a->block_tok;

    if (!a->k_len || !tok || block_table->ndim != 2)
        return cpu_fail(err, LOCI_E_ARG, "block_table needs shape [rows, blocks], k_len and block_tok above 0");
    CHECK(block_table, i32, 0, c->B, block_table->shape[1]);
    CHECK(a->k_len, i32, 0, c->B);
    c->S = 0;
    for (int64_t b = 0; b < c->B; b++) {
        int64_t len = cpu_i32(a->k_len, b, 0);

        if (len < 0 || len > block_table->shape[1] * tok)
            return cpu_fail(err, LOCI_E_ARG, "k_len[%lld] is %lld, the block table has room for %lld", (long long)b,
                            (long long)len, (long long)(block_table->shape[1] * tok));
        c->S = len > c->S ? len : c->S;
        for (int64_t n = 0; n * tok < len; n++)
            if (cpu_i32(block_table, b, n) < 0 || cpu_i32(block_table, b, n) >= k->shape[0])
                return cpu_fail(err, LOCI_E_ARG, "block_table[%lld,%lld] is %d, k has %lld blocks", (long long)b,
                                (long long)n, cpu_i32(block_table, b, n), (long long)k->shape[0]);
    }
    return LOCI_OK;
}

/* Every row, column and tile that the block list names exists. */
static loci_status read_blocks(const cpu_call *c, loci_error *err)
{
    const loci_blocks *m = c->desc->blocks;
    int64_t keys = c->desc->block_table ? c->desc->block_table->shape[1] * c->desc->block_tok : c->S, nq, nk, nnz;

    if (m->bq <= 0 || m->bk <= 0 || (m->heads != 1 && m->heads != c->H) || !m->ptr || !m->col || m->col->ndim != 2)
        return cpu_fail(err, LOCI_E_ARG, "blocks need bq and bk above 0, heads 1 or %lld, ptr and col [heads, nnz]",
                        (long long)c->H);
    nq = (c->T + m->bq - 1) / m->bq;
    nk = (keys + m->bk - 1) / m->bk;
    nnz = m->col->shape[1];
    CHECK(m->ptr, i32, 0, m->heads, nq + 1);
    CHECK(m->col, i32, 0, m->heads, nnz);
    CHECK(m->kind, i32, 0, m->heads, nnz);
    CHECK(m->tiles, u8, AT_LEAST, 0, m->bq, m->bk);
    for (int64_t h = 0; h < m->heads; h++)
        for (int64_t row = 0; row < nq; row++) {
            int64_t from = cpu_i32(m->ptr, h, row), to = cpu_i32(m->ptr, h, row + 1);

            if (from < 0 || to < from || to > nnz)
                return cpu_fail(err, LOCI_E_ARG, "blocks.ptr[%lld,%lld..] is %lld..%lld, wanted a range in 0..%lld",
                                (long long)h, (long long)row, (long long)from, (long long)to, (long long)nnz);
            for (int64_t n = from; n < to; n++) {
                int32_t col = cpu_i32(m->col, h, n), kind = m->kind ? cpu_i32(m->kind, h, n) : -1;

                if (col < 0 || col >= nk || kind < -1 || (kind >= 0 && (!m->tiles || kind >= m->tiles->shape[0])))
                    return cpu_fail(err, LOCI_E_ARG, "blocks entry %lld has column %d of %lld and tile %d of %lld",
                                    (long long)n, col, (long long)nk, kind,
                                    (long long)(m->tiles ? m->tiles->shape[0] : 0));
            }
        }
    return LOCI_OK;
}

/* Numbers that no shape says. */
static loci_status read_numbers(const cpu_call *c, loci_error *err)
{
    const loci_attn_desc *a = c->desc;

    if (a->prefix < 0 || c->S > INT32_MAX || c->T > INT32_MAX)
        return cpu_fail(err, LOCI_E_ARG, "prefix %lld is negative, or %lld queries or %lld keys exceed 2^31-1",
                        (long long)a->prefix, (long long)c->T, (long long)c->S);
    if (!a->q_seg != !a->k_seg)
        return cpu_fail(err, LOCI_E_ARG, "q_seg and k_seg go together");
    if (!(a->dropout >= 0 && a->dropout < 1))
        return cpu_fail(err, LOCI_E_ARG, "dropout %g lies outside [0, 1)", a->dropout);
    for (int64_t b = 0; b < c->B; b++) {
        int64_t q = a->q_len ? cpu_i32(a->q_len, b, 0) : 0, k = a->k_len ? cpu_i32(a->k_len, b, 0) : 0;

        if (q < 0 || q > c->T || k < 0 || k > c->S)
            return cpu_fail(err, LOCI_E_ARG, "row %lld has lengths %lld and %lld, limits are %lld and %lld",
                            (long long)b, (long long)q, (long long)k, (long long)c->T, (long long)c->S);
    }
    if (a->table) {
        int64_t exact = a->table->shape[0] / (a->bidirectional ? 4 : 2);

        if (exact < 1 || a->max_distance <= exact)
            return cpu_fail(err, LOCI_E_ARG, "a table of %lld buckets needs max_distance above %lld, it is %d",
                            (long long)a->table->shape[0], (long long)exact, a->max_distance);
    }
    return LOCI_OK;
}

loci_status cpu_desc_read(cpu_call *c, loci_dtype acc, loci_error *err)
{
    const loci_attn_desc *a = c->desc;
    uint32_t longer = a->block_table ? AT_LEAST : 0;
    loci_status s;

    if (a->block_table && (s = read_table(c, err)))
        return s;
    CHECK(a->q_pos, i32, ONE_TOO, c->B, c->T);
    CHECK(a->k_pos, i32, ONE_TOO | longer << 1, c->B, c->S);
    CHECK(a->q_seg, i32, ONE_TOO, c->B, c->T);
    CHECK(a->k_seg, i32, ONE_TOO | longer << 1, c->B, c->S);
    CHECK(a->q_len, i32, 0, c->B);
    CHECK(a->k_len, i32, 0, c->B);
    CHECK(a->mask, u8, ONE_TOO | ONE_TOO << 1 | longer << 3, c->B, c->H, c->T, c->S);
    CHECK(a->bias, acc, ONE_TOO | ONE_TOO << 1 | longer << 3, c->B, c->H, c->T, c->S);
    CHECK(a->slopes, acc, 0, c->H);
    CHECK(a->table, acc, AT_LEAST, 1, c->H);
    CHECK(a->sink, acc, 0, c->H);
    CHECK(a->ids, i64, 0, c->B);
    if ((s = read_numbers(c, err)) || (a->blocks && (s = read_blocks(c, err))))
        return s;
    c->look = a->q_seg || a->mask || a->blocks;
    c->adjust = a->softcap > 0 || a->bias || a->table;
    c->fetch = c->T > 3 * c->ops->lanes || (c->T > 1 && (c->half || a->block_table)); /* a strip alone reads in place */
    c->dropout = c->exec->flags & LOCI_X_TRAIN ? a->dropout : 0;
    return LOCI_OK;
}
