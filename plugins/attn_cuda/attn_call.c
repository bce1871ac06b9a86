/* SPDX-License-Identifier: Apache-2.0
 *
 * One call, checked, staged, unpacked. After cuda_call_read no kernel can reach outside a tensor, as far as the host can
 * see: positions of keys lie on the device, and nothing is addressed by them.
 *
 *   scratch   [staged int32][shift B H T][slope parts B H T][table parts B H tiles buckets]      device
 *   host      [staged int32]
 */
#include <loci/random.h>
#include <math.h>
#include <string.h>

#include "attn_call.h"

static const loci_dtype f32 = {LOCI_FLOAT, 32, 1}, i32 = {LOCI_INT, 32, 1}, i64 = {LOCI_INT, 64, 1},
                        u8 = {LOCI_UINT, 8, 1};

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
    *host = rounded(times(numbers, 4));
    *scratch = *host;
    if (s->flags & LOCI_X_SAVE)
        *scratch = plus(*scratch, parts_bytes(cuda_type(s->dtype), B, (uint64_t)s->heads, T, width,
                                              s->features & LOCI_A_TABLE ? CUDA_BACK_BUCKETS : 0));
}

/* ---- staging ---- */

typedef struct stage {
    int32_t *host, *device;
    int64_t used, room; /* in numbers */
} stage;

static int64_t at2(const loci_tensor *t, int64_t a, int64_t b)
{
    int64_t at = t->shape[0] == 1 ? 0 : a * t->strides[0];

    return t->ndim > 1 && t->shape[1] != 1 ? at + b * t->strides[1] : at;
}

/* n numbers: where the host writes them, and in *device where the kernels will find them. NULL: no room. */
static int32_t *reserve(stage *s, int64_t n, const int32_t **device)
{
    int32_t *at = s->host + s->used;

    if (s->used + n > s->room)
        return NULL;
    *device = s->device + s->used;
    s->used += n;
    return at;
}

static int too_small(stage *s, const loci_tensor *t, int64_t n, int64_t m, const int32_t **device)
{
    int32_t *to;

    if (!t)
        return 0;
    to = reserve(s, n * m, device);
    for (int64_t a = 0; to && a < n; a++)
        for (int64_t b = 0; b < m; b++)
            to[a * m + b] = ((const int32_t *)loci_ptr(t))[at2(t, a, b)];
    return !to;
}

/* The first distance of each bucket after the exact ones: Raffel et al. 2020, where a bucket is
 * exact + floor(log(away / exact) / log(max_distance / exact) (n - exact)); it grows with the distance. */
static void write_bounds(int32_t *to, int64_t n, int64_t exact, int32_t max_distance)
{
    for (int64_t m = 1; exact + m < n; m++) {
        int64_t low = exact, high = max_distance; /* the bound lies in (low, high] */

        while (high - low > 1) {
            int64_t away = low + (high - low) / 2;
            double far = floor(log((double)away / (double)exact) / log((double)max_distance / (double)exact) *
                               (double)(n - exact));

            if (far >= (double)m)
                high = away;
            else
                low = away;
        }
        to[m - 1] = (int32_t)high;
    }
}

static loci_status read_table(attn_args *a, const loci_attn_desc *d, stage *s, loci_error *err)
{
    int64_t buckets = d->table->shape[0], n = d->bidirectional ? buckets / 2 : buckets, exact = n / 2;
    int32_t *to;

    if (exact < 1 || d->max_distance <= exact)
        return cuda_fail(err, LOCI_E_ARG, "a table of %lld buckets needs max_distance above %lld, it is %d",
                         (long long)buckets, (long long)exact, d->max_distance);
    if (buckets > CUDA_BUCKETS || !(to = reserve(s, n - exact, &a->bounds)))
        return cuda_fail(err, LOCI_E_UNSUPPORTED, "a table of %lld buckets: the most is %d, planned for", //
                         (long long)buckets, CUDA_BUCKETS);
    write_bounds(to, n, exact, d->max_distance);
    a->buckets = (int32_t)buckets;
    a->bidirectional = d->bidirectional != 0;
    return LOCI_OK;
}

/* Every block that a row needs exists. Sets S. */
static loci_status read_blocks(attn_args *a, const loci_attn_io *io, stage *s, loci_error *err)
{
    const loci_attn_desc *d = io->desc;
    const loci_tensor *block_table = d->block_table;
    const int32_t *len, *blocks;
    int64_t tok = d->block_tok, most;
    int32_t *to;

    if (!d->k_len || !tok || tok > INT32_MAX || block_table->ndim != 2)
        return cuda_fail(err, LOCI_E_ARG, "block_table needs shape [rows, blocks], k_len and block_tok above 0");
    CHECK(block_table, i32, 0, a->B, block_table->shape[1]);
    CHECK(d->k_len, i32, 0, a->B);
    len = (const int32_t *)loci_ptr(d->k_len);
    blocks = (const int32_t *)loci_ptr(block_table);
    a->S = 0;
    for (int64_t b = 0; b < a->B; b++) {
        int64_t n = len[at2(d->k_len, b, 0)];

        if (n < 0 || n > block_table->shape[1] * tok || n > INT32_MAX)
            return cuda_fail(err, LOCI_E_ARG, "k_len[%lld] is %lld, the block table has room for %lld", (long long)b,
                             (long long)n, (long long)(block_table->shape[1] * tok));
        a->S = n > a->S ? (int32_t)n : a->S;
        for (int64_t x = 0; x * tok < n; x++) {
            int32_t block = blocks[at2(block_table, b, x)];

            if (block < 0 || block >= io->k->shape[0])
                return cuda_fail(err, LOCI_E_ARG, "block_table[%lld,%lld] is %d, k has %lld blocks", (long long)b,
                                 (long long)x, block, (long long)io->k->shape[0]);
        }
    }
    most = (a->S + tok - 1) / tok;
    if (!(to = reserve(s, a->B * most, &a->block_table)))
        return cuda_fail(err, LOCI_E_ARG, "host_scratch is too small for the block table: plan with PAGED");
    for (int64_t b = 0; b < a->B; b++)
        for (int64_t x = 0; x < most; x++)
            to[b * most + x] = x * tok < len[at2(d->k_len, b, 0)] ? blocks[at2(block_table, b, x)] : 0;
    a->blocks = (int32_t)most;
    a->block_tok = (int32_t)tok;
    return LOCI_OK;
}

/* ---- the descriptor ---- */

static attn_pairs pairs_of(const loci_tensor *t)
{
    attn_pairs p = {0};

    if (t)
        p = (attn_pairs){loci_ptr(t), t->shape[0] > 1 ? t->strides[0] : 0, t->shape[1] > 1 ? t->strides[1] : 0,
                         t->shape[2] > 1 ? t->strides[2] : 0, t->shape[3] > 1 ? t->strides[3] : 0};
    return p;
}

static attn_heads heads_of(const loci_tensor *t)
{
    attn_heads h = {0};

    if (t && t->ndim == 1)
        h = (attn_heads){loci_ptr(t), 0, t->strides[0]};
    else if (t)
        h = (attn_heads){loci_ptr(t), t->strides[0], t->strides[1]};
    return h;
}

static int32_t window_of(int64_t w)
{
    return w < 0 || w >= INT32_MAX ? ATTN_NO_WINDOW : (int32_t)w;
}

static loci_status read_numbers(attn_args *a, const loci_attn_desc *d, loci_error *err)
{
    if (d->prefix < 0 || d->offset > INT32_MAX - a->T || d->offset < -(int64_t)INT32_MAX)
        return cuda_fail(err, LOCI_E_ARG, "prefix %lld is negative, or offset %lld with %d queries exceeds 2^31-1",
                         (long long)d->prefix, (long long)d->offset, a->T);
    if (!d->q_seg != !d->k_seg)
        return cuda_fail(err, LOCI_E_ARG, "q_seg and k_seg go together");
    if (!(d->dropout >= 0 && d->dropout < 1))
        return cuda_fail(err, LOCI_E_ARG, "dropout %g lies outside [0, 1)", d->dropout);
    for (int64_t b = 0; b < a->B; b++) {
        int64_t q = d->q_len ? ((const int32_t *)loci_ptr(d->q_len))[at2(d->q_len, b, 0)] : 0;
        int64_t k = d->k_len ? ((const int32_t *)loci_ptr(d->k_len))[at2(d->k_len, b, 0)] : 0;

        if (q < 0 || q > a->T || k < 0 || k > a->S)
            return cuda_fail(err, LOCI_E_ARG, "row %lld has lengths %lld and %lld, limits are %d and %d", (long long)b,
                             (long long)q, (long long)k, a->T, a->S);
    }
    a->scale = (float)d->scale;
    a->softcap = (float)d->softcap;
    a->causal = d->causal != 0;
    a->window_left = window_of(d->window_left);
    a->window_right = window_of(d->window_right);
    a->prefix = d->prefix > INT32_MAX ? INT32_MAX : (int32_t)d->prefix;
    a->offset = (int32_t)d->offset;
    return LOCI_OK;
}

static loci_status read_dropout(attn_args *a, const loci_exec *exec, const loci_attn_desc *d, stage *s, loci_error *err)
{
    const int32_t *device;
    int32_t *to = reserve(s, 2 * (int64_t)a->B, &device);

    if (!to)
        return cuda_fail(err, LOCI_E_ARG, "host_scratch is too small for the keys of the dropout");
    for (int64_t b = 0; b < a->B; b++) {
        uint64_t id = d->ids ? (uint64_t)((const int64_t *)loci_ptr(d->ids))[at2(d->ids, b, 0)] : 0;
        uint64_t key = loci_random_key(exec->seed, exec->step, id, d->rng_stream);
        uint32_t words[2] = {(uint32_t)key, (uint32_t)(key >> 32)};

        memcpy(to + 2 * b, words, sizeof words);
    }
    a->keys = (const uint32_t *)device;
    a->keep_above = (uint32_t)(ceil(d->dropout * 0x1p32) - 1); /* kept when the draw >= dropout 2^32 */
    a->keep_scale = (float)(1 / (1 - d->dropout));
    return LOCI_OK;
}

static loci_status read_desc(attn_args *a, const loci_exec *exec, const loci_attn_io *io, stage *s, loci_error *err)
{
    const loci_attn_desc *d = io->desc;
    uint32_t longer = d->block_table ? AT_LEAST : 0;
    loci_status status;

    if (d->blocks)
        return cuda_fail(err, LOCI_E_UNSUPPORTED, "block lists are not served: give a mask, or use attention cpu");
    if (d->block_table)
        LOCI_RETURN_IF(read_blocks(a, io, s, err));
    CHECK(d->q_pos, i32, ONE_TOO, a->B, a->T);
    CHECK(d->k_pos, i32, ONE_TOO | longer << 1, a->B, a->S);
    CHECK(d->q_seg, i32, ONE_TOO, a->B, a->T);
    CHECK(d->k_seg, i32, ONE_TOO | longer << 1, a->B, a->S);
    CHECK(d->q_len, i32, 0, a->B);
    CHECK(d->k_len, i32, 0, a->B);
    CHECK(d->mask, u8, ONE_TOO | ONE_TOO << 1 | longer << 3, a->B, a->H, a->T, a->S);
    CHECK(d->bias, f32, ONE_TOO | ONE_TOO << 1 | longer << 3, a->B, a->H, a->T, a->S);
    CHECK(d->slopes, f32, 0, a->H);
    CHECK(d->table, f32, AT_LEAST, 1, a->H);
    CHECK(d->sink, f32, 0, a->H);
    CHECK(d->ids, i64, 0, a->B);
    LOCI_RETURN_IF(read_numbers(a, d, err));
    if (too_small(s, d->q_pos, a->B, a->T, &a->q_pos) || too_small(s, d->q_seg, a->B, a->T, &a->q_seg) ||
        too_small(s, d->k_seg, a->B, a->S, &a->k_seg) || too_small(s, d->q_len, a->B, 1, &a->q_len) ||
        too_small(s, d->k_len, a->B, 1, &a->k_len))
        return cuda_fail(err, LOCI_E_ARG, "host_scratch holds %lld numbers, positions, segments and lengths are more: "
                         "plan with the features of the call", (long long)s->room);
    if (d->k_pos) {
        a->k_pos = (const int32_t *)loci_ptr(d->k_pos);
        a->k_pos_b = d->k_pos->shape[0] > 1 ? d->k_pos->strides[0] : 0;
        a->k_pos_j = d->k_pos->shape[1] > 1 ? d->k_pos->strides[1] : 0;
    }
    a->mask = pairs_of(d->mask);
    a->bias = pairs_of(d->bias);
    a->slopes = heads_of(d->slopes);
    a->table = heads_of(d->table);
    a->sink = heads_of(d->sink);
    if (d->table && (status = read_table(a, d, s, err)))
        return status;
    return exec->flags & LOCI_X_TRAIN && d->dropout > 0 ? read_dropout(a, exec, d, s, err) : LOCI_OK;
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
    a->dbias = pairs_of(io->dbias);
    a->dslopes = heads_of(io->dslopes);
    a->dtable = heads_of(io->dtable);
    a->dsink = heads_of(io->dsink);
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
        return cuda_fail(err, LOCI_E_ARG, "scratch holds %llu bytes, this backward needs %llu: plan for its sizes with "
                         "SAVE", (unsigned long long)exec->scratch_bytes, (unsigned long long)bytes);
    a->shift = (float *)(void *)(at + from);
    a->slope_part = io->dslopes ? (float *)(void *)(at + from + queries) : NULL;
    a->table_part = io->dtable ? (float *)(void *)(at + from + 2 * queries) : NULL;
    a->table_tiles = attn_cuda_tiles(a->type, width, a->T);
    return LOCI_OK;
}

static loci_status read_sizes(attn_args *a, const loci_attn_io *io, loci_error *err)
{
    const loci_tensor *q = io->q, *k = io->k, *v = io->v;
    int64_t most = INT32_MAX - 1024;

    if (!q || !k || !v || !io->o || q->ndim != 4 || k->ndim != 4 || v->ndim != 4)
        return cuda_fail(err, LOCI_E_ARG, "q, k, v and o are needed, with four axes each");
    for (int32_t i = 0; i < 4; i++)
        if (q->shape[i] > most || k->shape[i] > most || v->shape[i] > most)
            return cuda_fail(err, LOCI_E_UNSUPPORTED, "axis %d of q, k or v exceeds %lld", i, (long long)most);
    if (q->shape[3] > ATTN_WIDEST || v->shape[3] > ATTN_WIDEST)
        return cuda_fail(err, LOCI_E_UNSUPPORTED, "heads are %lld and %lld wide, the widest served is %d",
                         (long long)q->shape[3], (long long)v->shape[3], ATTN_WIDEST);
    if ((uint64_t)q->shape[0] * (uint64_t)q->shape[2] > (uint64_t)most / (uint64_t)(q->shape[1] / 16 + 1))
        return cuda_fail(err, LOCI_E_UNSUPPORTED, "%lld rows of %lld heads and %lld queries are more tiles than a launch "
                         "has blocks", (long long)q->shape[0], (long long)q->shape[2], (long long)q->shape[1]);
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
    stage s = {.host = exec->host_scratch, .device = exec->scratch, .room = (int64_t)(room / 4)};
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
    LOCI_RETURN_IF(read_desc(a, exec, io, &s, err));
    if (backward) {
        LOCI_RETURN_IF(read_back(a, io, type, err));
        LOCI_RETURN_IF(place_parts(a, exec, io, rounded((uint64_t)s.used * 4), err));
    }
    if (s.used && (e = attn_cuda_stage(s.device, s.host, (size_t)s.used * 4, exec->stream)))
        return cuda_fail(err, LOCI_E_DEVICE, "lists for the kernels: %s", attn_cuda_error(e));
    return LOCI_OK;
}
