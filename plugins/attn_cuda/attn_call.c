/* SPDX-License-Identifier: Apache-2.0
 *
 * One call, checked and unpacked. After cuda_call_read no kernel can reach outside a tensor.
 *
 *   scratch   [staged int32][shift B H T][slope parts B H T][table parts B H tiles buckets]      device
 *   host      [staged int32]
 */
#include "attn_call.h"

static const loci_dtype f32 = {LOCI_FLOAT, 32, 1};

/* ---- room ---- */

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

static uint64_t rounded(uint64_t bytes)
{
    return bytes > UINT64_MAX - 63 ? UINT64_MAX : (bytes + 63) / 64 * 64;
}

/* Bytes of the parts that a backward sums up: for each query a shift and a slope, for each tile the buckets. */
static uint64_t parts_bytes(int32_t type, uint64_t B, uint64_t H, uint64_t T, int64_t width, uint64_t buckets)
{
    uint64_t queries = times(times(times(B, H), T), 4);
    uint64_t tiles = (uint64_t)attn_cuda_tiles(type, width, (int64_t)T);

    return plus(times(2, rounded(queries)), times(times(times(times(B, H), tiles), buckets), 4));
}

/* Of a block list no plan knows the size: a map of blocks of 32 x 32 for each head, and as much again for tiles. */
static uint64_t list_room(uint64_t H, uint64_t T, uint64_t S)
{
    uint64_t map = times(times(H, T / 32 + 1), S / 32 + 1);

    return map > CUDA_LIST_LEAST / 2 ? times(2, map) : CUDA_LIST_LEAST;
}

void cuda_call_room(const loci_shape *s, uint64_t *scratch, uint64_t *host)
{
    uint64_t B = (uint64_t)s->rows, T = (uint64_t)s->seq, S = (uint64_t)s->ctx, numbers = times(4, B);
    int64_t width = s->dk > s->dv ? s->dk : s->dv;

    if (s->features & (LOCI_A_POS | LOCI_A_SEGMENTS))
        numbers = plus(numbers, times(times(3, B), T > S ? T : S));
    if (s->features & LOCI_A_PAGED)
        numbers = plus(numbers, times(B, S));
    if (s->features & LOCI_A_TABLE)
        numbers = plus(numbers, CUDA_BUCKETS);
    if (s->features & LOCI_A_BLOCKS)
        numbers = plus(numbers, list_room((uint64_t)s->heads, T, S));
    *host = rounded(times(numbers, 4));
    *scratch = *host;
    if (s->flags & LOCI_X_SAVE)
        *scratch = plus(*scratch, parts_bytes(cuda_type(s->dtype), B, (uint64_t)s->heads, T, width,
                                              s->features & LOCI_A_TABLE ? CUDA_BACK_BUCKETS : 0));
}

/* ---- the tensors of a call ---- */

static attn_rows rows_of(const loci_tensor *t)
{
    attn_rows r = {0};

    if (t)
        r = (attn_rows){loci_ptr(t), t->strides[0], t->strides[1], t->strides[2]};
    return r;
}

static attn_stats stats_of(const loci_tensor *t)
{
    attn_stats s = {0};

    if (t)
        s = (attn_stats){loci_ptr(t), t->strides[0], t->strides[1], t->strides[2]};
    return s;
}

/* Does every row begin at a multiple of 16 bytes? */
static int rows_aligned(const loci_tensor *t)
{
    int64_t size = t ? t->dtype.bits / 8 : 1;

    if (!t)
        return 1;
    for (int32_t i = 0; i < 3; i++)
        if (t->shape[i] > 1 && t->strides[i] * size % 16)
            return 0;
    return (uintptr_t)loci_ptr(t) % 16 == 0;
}

static loci_status read_back(attn_args *a, const loci_attn_io *io, loci_dtype type, loci_error *err)
{
    const loci_attn_desc *d = io->desc;
    const loci_tensor *k = io->k, *v = io->v;

    if (!io->d_o || !io->lse)
        return cuda_fail(err, LOCI_E_ARG, "a backward needs o, lse and d_o");
    if ((io->dbias && !d->bias) || (io->dtable && !d->table) || (io->dsink && !d->sink) || (io->dslopes && !d->slopes))
        return cuda_fail(err, LOCI_E_ARG, "a gradient is asked for something that is not given");
    if (d->block_table && (io->dk || io->dv))
        return cuda_fail(err, LOCI_E_UNSUPPORTED, "dk and dv of a block table are not served: rows may share blocks");
    if (io->dtable && a->buckets > CUDA_BACK_BUCKETS)
        return cuda_fail(err, LOCI_E_UNSUPPORTED, "the gradient of a table of %d buckets: the most is %d", a->buckets,
                         CUDA_BACK_BUCKETS);
    CHECK(io->d_o, type, PACKED, a->B, a->T, a->H, a->e);
    CHECK(io->d_lse, f32, 0, a->B, a->H, a->T);
    CHECK(io->dq, type, PACKED | WRITTEN, a->B, a->T, a->H, a->d);
    CHECK(io->dk, type, PACKED | WRITTEN, k->shape[0], k->shape[1], a->Hk, a->d);
    CHECK(io->dv, type, PACKED | WRITTEN, v->shape[0], v->shape[1], a->Hv, a->e);
    CHECK(io->dslopes, f32, WRITTEN, a->H);
    CHECK(io->dsink, f32, WRITTEN, a->H);
    if (io->dbias)
        CHECK(io->dbias, f32, 0, d->bias->shape[0], d->bias->shape[1], d->bias->shape[2], d->bias->shape[3]);
    if (io->dbias && ((a->T > 1 && (io->dbias->shape[2] == 1 || io->dbias->strides[2] == 0)) ||
                      (a->S > 1 && (io->dbias->shape[3] == 1 || io->dbias->strides[3] == 0))))
        return cuda_fail(err, LOCI_E_UNSUPPORTED, "dbias has one element for several pairs: give it memory of its own");
    if (io->dtable)
        CHECK(io->dtable, f32, WRITTEN, d->table->shape[0], a->H);
    a->d_o = rows_of(io->d_o);
    a->d_lse = stats_of(io->d_lse);
    a->dq = rows_of(io->dq);
    a->dk = rows_of(io->dk);
    a->dv = rows_of(io->dv);
    a->dbias = cuda_pairs(io->dbias);
    a->dslopes = cuda_heads(io->dslopes);
    a->dtable = cuda_heads(io->dtable);
    a->dsink = cuda_heads(io->dsink);
    a->aligned = a->aligned && rows_aligned(io->d_o);
    return LOCI_OK;
}

/* Where the parts of a backward lie: after the staged numbers. */
static loci_status place_parts(attn_args *a, const loci_exec *exec, const loci_attn_io *io, uint64_t from,
                               loci_error *err)
{
    int64_t width = a->d > a->e ? a->d : a->e;
    uint64_t queries = rounded((uint64_t)a->B * (uint64_t)a->H * (uint64_t)a->T * 4);
    uint64_t bytes = from + parts_bytes(a->type, (uint64_t)a->B, (uint64_t)a->H, (uint64_t)a->T, width,
                                        io->dtable ? (uint64_t)a->buckets : 0);
    char *at = exec->scratch;

    if (exec->scratch_bytes < bytes || !at)
        return cuda_fail(err, LOCI_E_ARG,
                         "scratch holds %llu bytes, this backward needs %llu: plan for its sizes with "
                         "SAVE",
                         (unsigned long long)exec->scratch_bytes, (unsigned long long)bytes);
    a->shift = (float *)(void *)(at + from);
    a->slope_part = io->dslopes ? (float *)(void *)(at + from + queries) : NULL;
    a->table_part = io->dtable ? (float *)(void *)(at + from + 2 * queries) : NULL;
    a->table_tiles = attn_cuda_tiles(a->type, width, a->T);
    return LOCI_OK;
}

static loci_status read_sizes(attn_args *a, const loci_attn_io *io, loci_error *err)
{
    const loci_tensor *q = io->q, *k = io->k, *v = io->v;
    int64_t most = INT32_MAX - 1024, longest;

    if (!q || !k || !v || !io->o || q->ndim != 4 || k->ndim != 4 || v->ndim != 4)
        return cuda_fail(err, LOCI_E_ARG, "q, k, v and o are needed, with four axes each");
    for (int32_t i = 0; i < 4; i++)
        if (q->shape[i] > most || k->shape[i] > most || v->shape[i] > most)
            return cuda_fail(err, LOCI_E_UNSUPPORTED, "axis %d of q, k or v exceeds %lld", i, (long long)most);
    longest = q->shape[1] > k->shape[1] ? q->shape[1] : k->shape[1];
    if (q->shape[3] > ATTN_WIDEST || v->shape[3] > ATTN_WIDEST)
        return cuda_fail(err, LOCI_E_UNSUPPORTED, "heads are %lld and %lld wide, the widest served is %d",
                         (long long)q->shape[3], (long long)v->shape[3], ATTN_WIDEST);
    if (times(times((uint64_t)q->shape[0], (uint64_t)q->shape[2]), (uint64_t)longest / 4 + 1) > (uint64_t)most)
        return cuda_fail(err, LOCI_E_UNSUPPORTED,
                         "%lld rows of %lld heads and %lld tokens are more than a launch has blocks",
                         (long long)q->shape[0], (long long)q->shape[2], (long long)longest);
    *a = (attn_args){.type = cuda_type(q->dtype),
                     .B = (int32_t)q->shape[0],
                     .T = (int32_t)q->shape[1],
                     .S = (int32_t)k->shape[1],
                     .H = (int32_t)q->shape[2],
                     .Hk = (int32_t)k->shape[2],
                     .Hv = (int32_t)v->shape[2],
                     .d = (int32_t)q->shape[3],
                     .e = (int32_t)v->shape[3]};
    if (a->type < 0)
        return cuda_fail(err, LOCI_E_UNSUPPORTED, "q has dtype code %u of %u bits; cuda serves f32, bf16 and fp16",
                         q->dtype.code, q->dtype.bits);
    if (a->H && (!a->Hk || !a->Hv || a->H % a->Hk || a->H % a->Hv))
        return cuda_fail(err, LOCI_E_ARG, "%d query heads are no multiple of %d key heads and %d value heads", a->H,
                         a->Hk, a->Hv);
    return LOCI_OK;
}

loci_status cuda_call_read(attn_args *a, const loci_exec *exec, const loci_attn_io *io, int backward, loci_error *err)
{
    const loci_attn_desc *d = io->desc;
    const loci_tensor *k = io->k;
    uint64_t room = exec->host_bytes < exec->scratch_bytes ? exec->host_bytes : exec->scratch_bytes;
    attn_stage s = {.host = exec->host_scratch, .device = exec->scratch, .room = (int64_t)(room / 4)};
    loci_dtype type;
    int e;

    if (io->struct_size < sizeof *io || !d || d->struct_size < sizeof *d)
        return cuda_fail(err, LOCI_E_ARG, "the call or its descriptor is of an older header");
    LOCI_RETURN_IF(read_sizes(a, io, err));
    type = io->q->dtype;
    CHECK(io->q, type, PACKED, a->B, a->T, a->H, a->d);
    if (d->block_table) {
        CHECK(io->k, type, PACKED, k->shape[0], d->block_tok, a->Hk, a->d);
        CHECK(io->v, type, PACKED, k->shape[0], d->block_tok, a->Hv, a->e);
    } else {
        CHECK(io->k, type, PACKED, a->B, a->S, a->Hk, a->d);
        CHECK(io->v, type, PACKED, a->B, a->S, a->Hv, a->e);
    }
    CHECK(io->o, type, PACKED | (backward ? 0 : WRITTEN), a->B, a->T, a->H, a->e);
    CHECK(io->lse, f32, backward ? 0 : WRITTEN, a->B, a->H, a->T);
    a->q = rows_of(io->q);
    a->k = rows_of(io->k);
    a->v = rows_of(io->v);
    a->o = rows_of(io->o);
    a->lse = stats_of(io->lse);
    a->aligned = rows_aligned(io->q) && rows_aligned(io->k) && rows_aligned(io->v);
    LOCI_RETURN_IF(cuda_desc_read(a, exec, io, &s, err));
    if (backward) {
        LOCI_RETURN_IF(read_back(a, io, type, err));
        LOCI_RETURN_IF(place_parts(a, exec, io, rounded((uint64_t)s.used * 4), err));
    }
    if (s.used && (e = attn_cuda_stage(s.device, s.host, (size_t)s.used * 4, exec->stream)))
        return cuda_fail(err, LOCI_E_DEVICE, "lists for the kernels: %s", rt_error(e));
    return LOCI_OK;
}
