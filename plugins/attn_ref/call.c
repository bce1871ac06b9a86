/* SPDX-License-Identifier: Apache-2.0
 *
 * Reads one call. After it, no kernel can reach outside a tensor: shapes agree, lengths and block numbers are in range,
 * scratch suffices. What a message names is what the caller has to change.
 */
#include <stdio.h>
#include <string.h>

#include "ref.h"

/* A product that stops at 2^62 instead of wrapping: no scratch is that large. */
static uint64_t times(uint64_t a, uint64_t b)
{
    uint64_t r, most = UINT64_C(1) << 62;

    return __builtin_mul_overflow(a, b, &r) || r > most ? most : r;
}

uint64_t ref_room_bytes(int f64, int64_t S, int64_t d, int64_t e)
{
    uint64_t reals = (uint64_t)S + 2 * (uint64_t)d + 2 * (uint64_t)e + (uint64_t)(d > e ? d : e);

    return (times(reals, f64 ? 8 : 4) + 63) / 64 * 64;
}

uint64_t ref_shift_bytes(int f64, int64_t B, int64_t H, int64_t T)
{
    return times(times(times((uint64_t)B, (uint64_t)H), (uint64_t)T), f64 ? 8 : 4);
}

uint64_t ref_scratch_bytes(uint32_t workers, uint64_t room, uint64_t shift)
{
    uint64_t rooms = times(workers, room);

    return rooms + shift;
}

static const loci_dtype i32 = {LOCI_INT, 32, 1}, i64 = {LOCI_INT, 64, 1}, u8 = {LOCI_UINT, 8, 1};

#define ONE_TOO UINT32_C(0x10000) /* << axis: the axis may also be 1        */
#define AT_LEAST UINT32_C(1)      /* << axis: the axis may also be longer   */

static int dims_text(char *at, size_t size, int32_t ndim, const int64_t *dim)
{
    int n = 0;

    for (int32_t i = 0; i < ndim && (size_t)n < size; i++)
        n += snprintf(at + n, size - (size_t)n, i ? ",%lld" : "%lld", (long long)dim[i]);
    return n;
}

/* A tensor that is there has this dtype and these dimensions. */
static loci_status check(loci_error *err, const char *name, const loci_tensor *t, loci_dtype type, int32_t ndim,
                         const int64_t *dim, uint32_t also)
{
    char got[100] = "", want[100] = "";
    int ok, empty = 0;

    if (!t)
        return LOCI_OK;
    if (t->dtype.code != type.code || t->dtype.bits != type.bits || t->dtype.lanes != 1)
        return ref_fail(err, LOCI_E_ARG, "%s has dtype code %u of %u bits, wanted code %u of %u bits", name,
                        t->dtype.code, t->dtype.bits, type.code, type.bits);
    ok = t->ndim == ndim;
    for (int32_t i = 0; ok && i < ndim; i++) {
        ok = t->shape[i] == dim[i] || ((also >> i & ONE_TOO) && t->shape[i] == 1) ||
             ((also >> i & AT_LEAST) && t->shape[i] > dim[i]);
        empty |= t->shape[i] == 0;
    }
    if (!ok) {
        dims_text(got, sizeof got, t->ndim < 0 ? 0 : t->ndim, t->shape);
        dims_text(want, sizeof want, ndim, dim);
        return ref_fail(err, LOCI_E_ARG, "%s is [%s], wanted [%s]", name, got, want);
    }
    if (!t->data && !empty)
        return ref_fail(err, LOCI_E_ARG, "%s has no data", name);
    return LOCI_OK;
}

#define CHECK(t, type, ndim, also, ...) \
    do { \
        const int64_t dim_[] = {__VA_ARGS__}; \
        loci_status s_ = check(err, #t, t, type, ndim, dim_, also); \
        if (s_) \
            return s_; \
    } while (0)

static loci_status need(loci_error *err, int there, const char *what)
{
    return there ? LOCI_OK : ref_fail(err, LOCI_E_ARG, "%s", what);
}

/* The keys of a block table: every block a row needs exists. Sets S. */
static loci_status read_table(ref_call *c, loci_error *err)
{
    const loci_attn_desc *a = c->desc;
    const loci_tensor *table = a->block_table;
    int64_t tok = a->block_tok;

    if (!a->k_len || !tok || table->ndim != 2 || table->shape[0] != c->B)
        return ref_fail(err, LOCI_E_ARG, "block_table needs shape [rows, blocks], k_len and block_tok above 0");
    CHECK(table, i32, 2, 0, c->B, table->shape[1]);
    CHECK(a->k_len, i32, 1, 0, c->B);
    c->S = 0;
    for (int64_t b = 0; b < c->B; b++) {
        int64_t len = ref_i32(a->k_len, b, 0);

        if (len < 0 || len > table->shape[1] * tok)
            return ref_fail(err, LOCI_E_ARG, "k_len[%lld] is %lld, the block table has room for %lld", (long long)b,
                            (long long)len, (long long)(table->shape[1] * tok));
        c->S = len > c->S ? len : c->S;
        for (int64_t n = 0; n * tok < len; n++)
            if (ref_i32(table, b, n) < 0 || ref_i32(table, b, n) >= c->io->k->shape[0])
                return ref_fail(err, LOCI_E_ARG, "block_table[%lld,%lld] is %d, k has %lld blocks", (long long)b,
                                (long long)n, ref_i32(table, b, n), (long long)c->io->k->shape[0]);
    }
    return LOCI_OK;
}

/* The block list: every row, column and tile it names exists. */
static loci_status read_blocks(const ref_call *c, loci_error *err)
{
    const loci_blocks *m = c->desc->blocks;
    int64_t nq, nk, nnz, keys;

    if (m->bq <= 0 || m->bk <= 0 || (m->heads != 1 && m->heads != c->H) || !m->ptr || !m->col || m->col->ndim != 2)
        return ref_fail(err, LOCI_E_ARG, "blocks need bq and bk above 0, heads 1 or %lld, ptr and col [heads, nnz]",
                        (long long)c->H);
    nq = (c->T + m->bq - 1) / m->bq;
    keys = c->desc->block_table ? c->desc->block_table->shape[1] * c->desc->block_tok : c->S;
    nk = (keys + m->bk - 1) / m->bk;
    nnz = m->col->shape[1];
    CHECK(m->ptr, i32, 2, 0, m->heads, nq + 1);
    CHECK(m->col, i32, 2, 0, m->heads, nnz);
    CHECK(m->kind, i32, 2, 0, m->heads, nnz);
    CHECK(m->tiles, u8, 3, AT_LEAST, 0, m->bq, m->bk);
    for (int64_t h = 0; h < m->heads; h++)
        for (int64_t r = 0; r < nq; r++) {
            int64_t from = ref_i32(m->ptr, h, r), to = ref_i32(m->ptr, h, r + 1);

            if (from < 0 || to < from || to > nnz)
                return ref_fail(err, LOCI_E_ARG, "blocks.ptr[%lld,%lld..] is %lld..%lld, wanted a range in 0..%lld",
                                (long long)h, (long long)r, (long long)from, (long long)to, (long long)nnz);
            for (int64_t n = from; n < to; n++) {
                int32_t col = ref_i32(m->col, h, n), kind = m->kind ? ref_i32(m->kind, h, n) : -1;

                if (col < 0 || col >= nk || kind < -1 || (kind >= 0 && (!m->tiles || kind >= m->tiles->shape[0])))
                    return ref_fail(err, LOCI_E_ARG, "blocks entry %lld has column %d of %lld and tile %d of %lld",
                                    (long long)n, col, (long long)nk, kind,
                                    (long long)(m->tiles ? m->tiles->shape[0] : 0));
            }
        }
    return LOCI_OK;
}

static loci_status read_desc(ref_call *c, loci_dtype acc, loci_error *err)
{
    const loci_attn_desc *a = c->desc;
    uint32_t longer = a->block_table ? AT_LEAST : 0;
    loci_status s;

    if (a->block_table && (s = read_table(c, err)))
        return s;
    CHECK(a->q_pos, i32, 2, ONE_TOO, c->B, c->T);
    CHECK(a->k_pos, i32, 2, ONE_TOO | longer << 1, c->B, c->S);
    CHECK(a->q_seg, i32, 2, ONE_TOO, c->B, c->T);
    CHECK(a->k_seg, i32, 2, ONE_TOO | longer << 1, c->B, c->S);
    CHECK(a->q_len, i32, 1, 0, c->B);
    CHECK(a->k_len, i32, 1, 0, c->B);
    CHECK(a->mask, u8, 4, ONE_TOO | ONE_TOO << 1 | longer << 3, c->B, c->H, c->T, c->S);
    CHECK(a->bias, acc, 4, ONE_TOO | ONE_TOO << 1 | longer << 3, c->B, c->H, c->T, c->S);
    CHECK(a->slopes, acc, 1, 0, c->H);
    CHECK(a->table, acc, 2, AT_LEAST, 1, c->H);
    CHECK(a->sink, acc, 1, 0, c->H);
    CHECK(a->ids, i64, 1, 0, c->B);
    if ((s = need(err, !a->q_seg == !a->k_seg, "q_seg and k_seg go together")) ||
        (s = need(err, a->prefix >= 0, "prefix is negative")) ||
        (s = need(err, a->dropout >= 0 && a->dropout < 1, "dropout lies outside [0, 1)")))
        return s;
    for (int64_t b = 0; b < c->B; b++)
        if ((a->k_len && (ref_i32(a->k_len, b, 0) < 0 || ref_i32(a->k_len, b, 0) > c->S)) ||
            (a->q_len && (ref_i32(a->q_len, b, 0) < 0 || ref_i32(a->q_len, b, 0) > c->T)))
            return ref_fail(err, LOCI_E_ARG, "q_len[%lld] or k_len[%lld] lies outside 0..%lld, 0..%lld", (long long)b,
                            (long long)b, (long long)c->T, (long long)c->S);
    if (a->table) {
        int64_t exact = a->table->shape[0] / (a->bidirectional ? 4 : 2);

        if (exact < 1 || a->max_distance <= exact)
            return ref_fail(err, LOCI_E_ARG, "a table of %lld buckets needs max_distance above %lld, it is %d",
                            (long long)a->table->shape[0], (long long)exact, a->max_distance);
    }
    return a->blocks ? read_blocks(c, err) : LOCI_OK;
}

static loci_status read_back(const ref_call *c, loci_dtype type, loci_dtype acc, loci_error *err)
{
    const loci_attn_io *io = c->io;
    const loci_attn_desc *a = c->desc;
    const loci_tensor *k = io->k, *v = io->v;
    loci_status s;

    if ((s = need(err, io->d_o && io->lse, "a backward needs o, lse and d_o")) ||
        (s = need(err, (a->bias || !io->dbias) && (a->slopes || !io->dslopes), "dbias or dslopes without its input")) ||
        (s = need(err, (a->table || !io->dtable) && (a->sink || !io->dsink), "dtable or dsink without its input")))
        return s;
    CHECK(io->d_o, type, 4, 0, c->B, c->T, c->H, c->e);
    CHECK(io->d_lse, acc, 3, 0, c->B, c->H, c->T);
    CHECK(io->dq, type, 4, 0, c->B, c->T, c->H, c->d);
    CHECK(io->dk, type, 4, 0, k->shape[0], k->shape[1], c->Hk, c->d);
    CHECK(io->dv, type, 4, 0, v->shape[0], v->shape[1], c->Hv, c->e);
    if (io->dbias)
        CHECK(io->dbias, acc, 4, 0, a->bias->shape[0], a->bias->shape[1], a->bias->shape[2], a->bias->shape[3]);
    CHECK(io->dslopes, acc, 1, 0, c->H);
    if (io->dtable)
        CHECK(io->dtable, acc, 2, 0, a->table->shape[0], c->H);
    CHECK(io->dsink, acc, 1, 0, c->H);
    return LOCI_OK;
}

loci_status ref_call_read(ref_call *c, const loci_exec *exec, const loci_attn_io *io, int backward, loci_error *err)
{
    const loci_attn_desc *a = io->desc;
    const loci_tensor *q = io->q, *k = io->k, *v = io->v;
    uint32_t workers = exec->host->workers(exec->host);
    loci_dtype type, acc;
    uint64_t bytes;
    loci_status s;

    if (io->struct_size < sizeof *io || !a || a->struct_size < sizeof *a)
        return ref_fail(err, LOCI_E_ARG, "the call or its descriptor is of an older header");
    if (!q || !k || !v || !io->o || q->ndim != 4 || k->ndim != 4 || v->ndim != 4)
        return ref_fail(err, LOCI_E_ARG, "q, k, v and o are needed, with four axes each");
    type = q->dtype;
    acc = (loci_dtype){LOCI_FLOAT, (uint8_t)(type.bits == 64 ? 64 : 32), 1};
    *c = (ref_call){.exec = exec,
                    .io = io,
                    .desc = a,
                    .B = q->shape[0],
                    .T = q->shape[1],
                    .S = k->shape[1],
                    .H = q->shape[2],
                    .Hk = k->shape[2],
                    .Hv = v->shape[2],
                    .d = q->shape[3],
                    .e = v->shape[3],
                    .f64 = type.bits == 64,
                    .dropout = exec->flags & LOCI_X_TRAIN ? a->dropout : 0};
    if (!(type.code == LOCI_FLOAT && (type.bits == 32 || type.bits == 64)) &&
        !(type.code == LOCI_BFLOAT && type.bits == 16))
        return ref_fail(err, LOCI_E_UNSUPPORTED, "q has dtype code %u of %u bits; ref serves f32, f64 and bf16",
                        type.code, type.bits);
    if (c->H && (!c->Hk || !c->Hv || c->H % c->Hk || c->H % c->Hv))
        return ref_fail(err, LOCI_E_ARG, "%lld query heads are no multiple of %lld key heads and %lld value heads",
                        (long long)c->H, (long long)c->Hk, (long long)c->Hv);
    CHECK(io->q, type, 4, 0, c->B, c->T, c->H, c->d);
    if (a->block_table) {
        CHECK(io->k, type, 4, 0, k->shape[0], a->block_tok, c->Hk, c->d);
        CHECK(io->v, type, 4, 0, k->shape[0], a->block_tok, c->Hv, c->e);
    } else {
        CHECK(io->k, type, 4, 0, c->B, c->S, c->Hk, c->d);
        CHECK(io->v, type, 4, 0, c->B, c->S, c->Hv, c->e);
    }
    CHECK(io->o, type, 4, 0, c->B, c->T, c->H, c->e);
    CHECK(io->lse, acc, 3, 0, c->B, c->H, c->T);
    if ((s = read_desc(c, acc, err)) || (backward && (s = read_back(c, type, acc, err))))
        return s;

    c->room_bytes = ref_room_bytes(c->f64, c->S, c->d, c->e);
    c->rooms = exec->scratch;
    bytes = ref_scratch_bytes(workers, c->room_bytes, backward ? ref_shift_bytes(c->f64, c->B, c->H, c->T) : 0);
    if (exec->scratch_bytes < bytes)
        return ref_fail(err, LOCI_E_ARG, "scratch holds %llu bytes, this %s needs %llu: plan for %s",
                        (unsigned long long)exec->scratch_bytes, backward ? "backward" : "forward",
                        (unsigned long long)bytes, backward ? "its sizes with SAVE" : "its sizes");
    c->shift = c->rooms ? c->rooms + workers * c->room_bytes : NULL;
    return LOCI_OK;
}
