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

static const loci_dtype f32 = {LOCI_FLOAT, 32, 1};

int32_t cuda_type(loci_dtype t)
{
    if (t.lanes == 1 && t.code == LOCI_FLOAT && t.bits == 32)
        return ATTN_F32;
    if (t.lanes == 1 && t.code == LOCI_BFLOAT && t.bits == 16)
        return ATTN_BF16;
    if (t.lanes == 1 && t.code == LOCI_FLOAT && t.bits == 16)
        return ATTN_FP16;
    return -1;
}

int32_t *cuda_reserve(attn_stage *s, int64_t n, const int32_t **device)
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
    to = cuda_reserve(s, n * m, device);
    for (int64_t a = 0; to && a < n; a++)
        for (int64_t b = 0; b < m; b++)
            to[a * m + b] = loci_attn_i32(t, a, b);
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

    if (buckets > CUDA_BUCKETS || !(to = cuda_reserve(s, n - exact, &a->bounds)))
        return cuda_fail(err, LOCI_E_UNSUPPORTED, "a table of %lld buckets: the most is %d, planned for", //
                         (long long)buckets, CUDA_BUCKETS);
    write_bounds(to, n, exact, d->max_distance);
    a->buckets = (int32_t)buckets;
    a->bidirectional = d->bidirectional != 0;
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

/* What int32 has to hold in the kernels beyond what every backend asks. */
static loci_status read_numbers(attn_args *a, const loci_attn_desc *d, loci_error *err)
{
    if (d->offset > INT32_MAX - a->T || d->offset < -(int64_t)INT32_MAX)
        return cuda_fail(err, LOCI_E_ARG, "offset %lld with %d queries exceeds 2^31-1", (long long)d->offset, a->T);
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
    int32_t *to = cuda_reserve(s, 2 * (int64_t)a->B, &device);

    if (!to)
        return cuda_fail(err, LOCI_E_ARG, "host_scratch is too small for the keys of the dropout");
    for (int64_t b = 0; b < a->B; b++) {
        uint64_t id = d->ids ? (uint64_t)((const int64_t *)loci_ptr(d->ids))[b * d->ids->strides[0]] : 0;
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
    int64_t S;

    LOCI_RETURN_IF(loci_attn_check_desc("attention/cuda", io, f32, &S, err));
    a->S = (int32_t)S;
    LOCI_RETURN_IF(read_numbers(a, d, err));
    if (too_small(s, d->q_pos, a->B, a->T, &a->q_pos) || too_small(s, d->q_seg, a->B, a->T, &a->q_seg) ||
        too_small(s, d->k_seg, a->B, a->S, &a->k_seg) || too_small(s, d->q_len, a->B, 1, &a->q_len) ||
        too_small(s, d->k_len, a->B, 1, &a->k_len))
        return cuda_fail(err, LOCI_E_ARG,
                         "host_scratch holds %lld numbers, positions, segments and lengths are more: "
                         "plan with the features of the call",
                         (long long)s->room);
    if (d->block_table)
        LOCI_RETURN_IF(cuda_stage_table(a, d, s, err));
    if (d->blocks)
        LOCI_RETURN_IF(cuda_stage_list(a, d->blocks, s, err));
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
    if (d->table)
        LOCI_RETURN_IF(read_table(a, d, s, err));
    return exec->flags & LOCI_X_TRAIN && d->dropout > 0 ? read_dropout(a, exec, d, s, err) : LOCI_OK;
}
