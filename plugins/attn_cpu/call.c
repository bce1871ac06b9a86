/* SPDX-License-Identifier: Apache-2.0
 *
 * Reads one call and cuts it. After cpu_call_read no kernel can reach outside a tensor: dtypes, shapes and lengths are
 * right, fields that cpu does not serve are refused by name, scratch suffices.
 */
#include <stdio.h>

#include "tile.h"

static const loci_dtype i32 = {LOCI_INT, 32, 1};

#define ANY INT64_C(-1) /* an axis that is either the wanted length or 1: written as ANY - length */

/* A tensor that is there has this dtype, these dimensions, whole rows and data. */
static loci_status check(loci_error *err, const char *name, const loci_tensor *t, loci_dtype type, int32_t ndim,
                         const int64_t *dim)
{
    int ok, empty = 0;
    int32_t i;

    if (!t)
        return LOCI_OK;
    if (t->dtype.code != type.code || t->dtype.bits != type.bits || t->dtype.lanes != 1)
        return cpu_fail(err, LOCI_E_ARG, "%s has dtype code %u of %u bits, wanted code %u of %u bits", name,
                        t->dtype.code, t->dtype.bits, type.code, type.bits);
    if (t->ndim != ndim)
        return cpu_fail(err, LOCI_E_ARG, "%s has %d axes, wanted %d", name, t->ndim, ndim);
    for (i = 0, ok = 1; i < ndim; i++) {
        int64_t want = dim[i] <= ANY ? ANY - dim[i] : dim[i];

        if (t->shape[i] != want && !(dim[i] <= ANY && t->shape[i] == 1))
            return cpu_fail(err, LOCI_E_ARG, "axis %d of %s is %lld long, wanted %lld", i, name, (long long)t->shape[i],
                            (long long)want);
        ok &= t->shape[i] < 2 || t->strides[i] >= 0;
        empty |= t->shape[i] == 0;
    }
    if (ndim == 4 && t->shape[3] > 1 && t->strides[3] != 1)
        return cpu_fail(err, LOCI_E_ARG, "the last axis of %s has stride %lld, wanted 1", name,
                        (long long)t->strides[3]);
    if ((!t->data && !empty) || !ok)
        return cpu_fail(err, LOCI_E_ARG, "%s has %s", name, ok ? "no data" : "a negative stride");
    return LOCI_OK;
}

#define CHECK(t, type, ...) \
    do { \
        const int64_t dim_[] = {__VA_ARGS__}; \
        loci_status s_ = check(err, #t, t, type, (int32_t)(sizeof dim_ / sizeof *dim_), dim_); \
        if (s_) \
            return s_; \
    } while (0)

/* An output in which several elements share their memory would be written by several threads. */
static loci_status apart(loci_error *err, const char *name, const loci_tensor *t)
{
    for (int32_t i = 0; t && i < t->ndim; i++)
        if (t->shape[i] == 0)
            return LOCI_OK;
    for (int32_t i = 0; t && i < t->ndim; i++)
        if (t->shape[i] > 1 && t->strides[i] == 0)
            return cpu_fail(err, LOCI_E_UNSUPPORTED, "axis %d of %s has stride 0: give it memory of its own", i, name);
    return LOCI_OK;
}

/* The first field of the descriptor that only ref serves, or NULL. */
static const char *declined(const loci_attn_desc *a, uint64_t flags)
{
    return a->q_seg || a->k_seg                       ? "segments"
           : a->mask                                  ? "mask"
           : a->bias                                  ? "bias"
           : a->table                                 ? "table"
           : a->softcap > 0                           ? "softcap"
           : a->sink                                  ? "sink"
           : a->dropout > 0 && (flags & LOCI_X_TRAIN) ? "dropout"
           : a->block_table                           ? "block_table"
           : a->blocks                                ? "blocks"
                                                      : NULL;
}

static loci_status read_back(const cpu_call *c, loci_dtype type, loci_error *err)
{
    const loci_attn_io *io = c->io;
    loci_status s;

    if (!io->d_o || !io->lse)
        return cpu_fail(err, LOCI_E_ARG, "a backward needs o, lse and d_o");
    if (io->dbias || io->dtable || io->dsink || (io->dslopes && !c->desc->slopes))
        return cpu_fail(err, LOCI_E_ARG, "a gradient is asked for something that is not given");
    CHECK(io->d_o, type, c->B, c->T, c->H, c->e);
    CHECK(io->d_lse, type, c->B, c->H, c->T);
    CHECK(io->dq, type, c->B, c->T, c->H, c->d);
    CHECK(io->dk, type, c->B, c->S, c->Hk, c->d);
    CHECK(io->dv, type, c->B, c->S, c->Hv, c->e);
    CHECK(io->dslopes, type, c->H);
    if ((s = apart(err, "dq", io->dq)) || (s = apart(err, "dk", io->dk)))
        return s;
    return apart(err, "dv", io->dv);
}

static loci_status read_desc(const cpu_call *c, loci_dtype type, loci_error *err)
{
    const loci_attn_desc *a = c->desc;
    const char *other = declined(a, c->exec->flags);

    if (other)
        return cpu_fail(err, LOCI_E_UNSUPPORTED, "%s is not served by cpu: set attention.backend = ref", other);
    CHECK(a->q_pos, i32, ANY - c->B, c->T);
    CHECK(a->k_pos, i32, ANY - c->B, c->S);
    CHECK(a->q_len, i32, c->B);
    CHECK(a->k_len, i32, c->B);
    CHECK(a->slopes, type, c->H);
    if (a->prefix < 0 || c->S > INT32_MAX || c->T > INT32_MAX)
        return cpu_fail(err, LOCI_E_ARG, "prefix %lld is negative, or %lld queries or %lld keys exceed 2^31-1",
                        (long long)a->prefix, (long long)c->T, (long long)c->S);
    for (int64_t b = 0; b < c->B; b++) {
        int64_t q = a->q_len ? ((const int32_t *)loci_ptr(a->q_len))[b * a->q_len->strides[0]] : 0;
        int64_t k = a->k_len ? ((const int32_t *)loci_ptr(a->k_len))[b * a->k_len->strides[0]] : 0;

        if (q < 0 || q > c->T || k < 0 || k > c->S)
            return cpu_fail(err, LOCI_E_ARG, "row %lld has lengths %lld and %lld, limits are %lld and %lld",
                            (long long)b, (long long)q, (long long)k, (long long)c->T, (long long)c->S);
    }
    return LOCI_OK;
}

int cpu_call_fused(const cpu_call *c)
{
    return c->B * c->groups >= (int64_t)c->workers;
}

static int64_t gcd(int64_t a, int64_t b)
{
    while (b) {
        int64_t r = a % b;

        a = b;
        b = r;
    }
    return a;
}

/* The width that computes the fewest lanes; among equals the widest, which reads k and v least often. */
static int64_t best_width(int64_t T, int64_t lanes)
{
    int64_t best = lanes, least = INT64_MAX;

    for (int64_t n = 1; n <= 3; n++) {
        int64_t w = n * lanes, all = (T + w - 1) / w * w;

        if (all <= least) {
            least = all;
            best = w;
        }
    }
    return best;
}

/* Products and sums that stop at the largest number instead of wrapping: no scratch is that large. */
static uint64_t times(uint64_t a, uint64_t b)
{
    uint64_t r;

    return __builtin_mul_overflow(a, b, &r) ? UINT64_MAX : r;
}

static uint64_t plus(uint64_t a, uint64_t b)
{
    return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

uint64_t cpu_call_cut(cpu_call *c, int backward)
{
    uint64_t real = c->ops->real, part = 0, all;
    uint64_t keys = (uint64_t)(c->S + TILE_GROUP - 1) / TILE_GROUP * TILE_GROUP;
    uint64_t dp = (uint64_t)c->ops->pad(c->d), ep = (uint64_t)c->ops->pad(c->e);

    c->groups = gcd(c->Hk, c->Hv);
    c->wide = best_width(c->T, c->ops->lanes);
    c->tiles = (c->T + c->wide - 1) / c->wide;
    c->room_bytes = c->ops->room_bytes(c->d, c->e);
    c->acc_bytes = 0;
    if (backward && c->groups) {
        uint64_t widths = (uint64_t)(c->Hk / c->groups) * dp + (uint64_t)(c->Hv / c->groups) * ep;
        uint64_t tiles = (uint64_t)(c->T + c->ops->lanes - 1) / (uint64_t)c->ops->lanes; /* the most: grows with T */

        if (!cpu_call_fused(c) && keys > TILE_KEYS)
            keys = TILE_KEYS;
        c->acc_bytes = times(times(keys, widths), real); /* keys and pads make it a multiple of 64 */
        part = times(times(times((uint64_t)c->B, (uint64_t)c->H), tiles), real);
    }
    all = plus(times(c->workers, plus(c->room_bytes, c->acc_bytes)), part);
    c->rooms = c->exec ? c->exec->scratch : NULL;
    if (c->rooms && c->exec->scratch_bytes >= all) {
        c->accs = c->rooms + c->workers * c->room_bytes;
        c->part = c->accs + c->workers * c->acc_bytes;
    }
    return all;
}

loci_status cpu_call_read(cpu_call *c, const tile_ops *ops, const loci_exec *exec, const loci_attn_io *io, int backward,
                          loci_error *err)
{
    const loci_tensor *q = io->q, *k = io->k, *v = io->v;
    loci_dtype type;
    uint64_t bytes;
    loci_status s;

    if (io->struct_size < sizeof *io || !io->desc || io->desc->struct_size < sizeof *io->desc)
        return cpu_fail(err, LOCI_E_ARG, "the call or its descriptor is of an older header");
    if (!q || !k || !v || !io->o || q->ndim != 4 || k->ndim != 4 || v->ndim != 4)
        return cpu_fail(err, LOCI_E_ARG, "q, k, v and o are needed, with four axes each");
    type = (loci_dtype){LOCI_FLOAT, (uint8_t)(8 * ops->real), 1};
    *c = (cpu_call){.exec = exec,
                    .io = io,
                    .desc = io->desc,
                    .ops = ops,
                    .B = q->shape[0],
                    .T = q->shape[1],
                    .S = k->shape[1],
                    .H = q->shape[2],
                    .Hk = k->shape[2],
                    .Hv = v->shape[2],
                    .d = q->shape[3],
                    .e = v->shape[3],
                    .workers = exec->host->workers(exec->host)};
    if (c->H && (!c->Hk || !c->Hv || c->H % c->Hk || c->H % c->Hv))
        return cpu_fail(err, LOCI_E_ARG, "%lld query heads are no multiple of %lld key heads and %lld value heads",
                        (long long)c->H, (long long)c->Hk, (long long)c->Hv);
    CHECK(io->q, type, c->B, c->T, c->H, c->d);
    CHECK(io->k, type, c->B, c->S, c->Hk, c->d);
    CHECK(io->v, type, c->B, c->S, c->Hv, c->e);
    CHECK(io->o, type, c->B, c->T, c->H, c->e);
    CHECK(io->lse, type, c->B, c->H, c->T);
    if ((s = apart(err, "o", io->o)) || (s = apart(err, "lse", io->lse)) || (s = read_desc(c, type, err)) ||
        (backward && (s = read_back(c, type, err))))
        return s;
    bytes = cpu_call_cut(c, backward);
    if (!io->dslopes)
        c->part = NULL;
    if (exec->scratch_bytes < bytes)
        return cpu_fail(err, LOCI_E_ARG, "scratch holds %llu bytes, this %s needs %llu: plan for %s",
                        (unsigned long long)exec->scratch_bytes, backward ? "backward" : "forward",
                        (unsigned long long)bytes, backward ? "its sizes with SAVE" : "its sizes");
    return LOCI_OK;
}
