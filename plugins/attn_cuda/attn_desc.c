/* SPDX-License-Identifier: Apache-2.0
 *
 * Reads the descriptor of a call. What the host holds is checked number by number and staged: written one after another
 * into host_scratch, to be copied to the device at once; a points at where the numbers will be there. Nothing is
 * addressed by what the host cannot see (k_pos).
 */
#include <loci/random.h>
#include <math.h>
#include <string.h>

#include "attn_call.h"

static const loci_dtype f32 = {LOCI_FLOAT, 32, 1}, i32 = {LOCI_INT, 32, 1}, i64 = {LOCI_INT, 64, 1},
                        u8 = {LOCI_UINT, 8, 1};

static int64_t at2(const loci_tensor *t, int64_t a, int64_t b)
{
    int64_t at = t->shape[0] == 1 ? 0 : a * t->strides[0];

    return t->ndim > 1 && t->shape[1] != 1 ? at + b * t->strides[1] : at;
}

/* n numbers: where the host writes them, and in *device where the kernels will find them. NULL: no room. */
static int32_t *reserve(attn_stage *s, int64_t n, const int32_t **device)
{
    int32_t *at = s->host + s->used;

    if (s->used + n > s->room)
        return NULL;
    *device = s->device + s->used;
    s->used += n;
    return at;
}

static int too_small(attn_stage *s, const loci_tensor *t, int64_t n, int64_t m, const int32_t **device)
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

static loci_status read_table(attn_args *a, const loci_attn_desc *d, attn_stage *s, loci_error *err)
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
static loci_status read_blocks(attn_args *a, const loci_attn_io *io, attn_stage *s, loci_error *err)
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

attn_pairs cuda_pairs(const loci_tensor *t)
{
    attn_pairs p = {0};

    if (t)
        p = (attn_pairs){loci_ptr(t), t->shape[0] > 1 ? t->strides[0] : 0, t->shape[1] > 1 ? t->strides[1] : 0,
                         t->shape[2] > 1 ? t->strides[2] : 0, t->shape[3] > 1 ? t->strides[3] : 0};
    return p;
}

attn_heads cuda_heads(const loci_tensor *t)
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

static loci_status read_dropout(attn_args *a, const loci_exec *exec, const loci_attn_desc *d, attn_stage *s,
                                loci_error *err)
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

loci_status cuda_desc_read(attn_args *a, const loci_exec *exec, const loci_attn_io *io, attn_stage *s, loci_error *err)
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
        return cuda_fail(err, LOCI_E_ARG,
                         "host_scratch holds %lld numbers, positions, segments and lengths are more: "
                         "plan with the features of the call",
                         (long long)s->room);
    if (d->k_pos) {
        a->k_pos = (const int32_t *)loci_ptr(d->k_pos);
        a->k_pos_b = d->k_pos->shape[0] > 1 ? d->k_pos->strides[0] : 0;
        a->k_pos_j = d->k_pos->shape[1] > 1 ? d->k_pos->strides[1] : 0;
    }
    a->mask = cuda_pairs(d->mask);
    a->bias = cuda_pairs(d->bias);
    a->slopes = cuda_heads(d->slopes);
    a->table = cuda_heads(d->table);
    a->sink = cuda_heads(d->sink);
    if (d->table && (status = read_table(a, d, s, err)))
        return status;
    return exec->flags & LOCI_X_TRAIN && d->dropout > 0 ? read_dropout(a, exec, d, s, err) : LOCI_OK;
}
