/* SPDX-License-Identifier: Apache-2.0
 *
 * plugins/attn_ref/attn_tensor.h: tensors for the tests of attention backends. A tensor lies in a block of 0xA5;
 * attn_intact says whether its other bytes survived. Numbers come and go as doubles in the order of the axes.
 * Nothing is freed before attn_done().
 */
#ifndef ATTN_TENSOR_H
#define ATTN_TENSOR_H

#include <loci/plugin.h>

#include "tests/ck.h"

/* ---- memory ---- */

static void *attn_kept[20000];
static int attn_n_kept;

static inline void *attn_keep(size_t bytes)
{
    if (attn_n_kept == 20000)
        abort();
    return attn_kept[attn_n_kept++] = calloc(bytes ? bytes : 1, 1);
}

static inline void attn_done(void)
{
    while (attn_n_kept)
        free(attn_kept[--attn_n_kept]);
}

static inline double *attn_real(int64_t n, double size)
{
    double *x = attn_keep((size_t)n * sizeof *x);

    for (int64_t i = 0; i < n; i++)
        x[i] = (float)(size * ck_norm()); /* exact in float */
    return x;
}

static inline int32_t *attn_ints(int64_t n, int32_t first, int32_t step)
{
    int32_t *x = attn_keep((size_t)n * sizeof *x);

    for (int64_t i = 0; i < n; i++)
        x[i] = first + (int32_t)i * step;
    return x;
}

/* ---- one tensor ---- */

typedef struct attn_tensor {
    loci_tensor t;
    int64_t shape[4], strides[4];
    uint8_t *block, *owned;
    size_t bytes;
} attn_tensor;

static inline loci_dtype attn_dtype(char c)
{
    switch (c) {
    case 'f':
        return (loci_dtype){LOCI_FLOAT, 32, 1};
    case 'd':
        return (loci_dtype){LOCI_FLOAT, 64, 1};
    case 'b':
        return (loci_dtype){LOCI_BFLOAT, 16, 1};
    case 'h':
        return (loci_dtype){LOCI_FLOAT, 16, 1};
    case 'i':
        return (loci_dtype){LOCI_INT, 32, 1};
    case 'l':
        return (loci_dtype){LOCI_INT, 64, 1};
    default:
        return (loci_dtype){LOCI_UINT, 8, 1};
    }
}

static inline void *attn_at(const attn_tensor *x, const int64_t *i)
{
    int64_t at = 0;

    for (int n = 0; n < x->t.ndim; n++)
        at += i[n] * x->strides[n];
    return (uint8_t *)loci_ptr(&x->t) + at * x->t.dtype.bits / 8;
}

#define ATTN_EACH(x, i) for (int64_t i[4] = {0}, n_ = 0; n_ < attn_count(x); n_++, attn_next(x, i))

static inline int64_t attn_count(const attn_tensor *x)
{
    int64_t n = 1;

    for (int i = 0; i < x->t.ndim; i++)
        n *= x->shape[i];
    return n;
}

static inline void attn_next(const attn_tensor *x, int64_t *i)
{
    for (int n = x->t.ndim - 1; n >= 0; n--) {
        if (++i[n] < x->shape[n])
            return;
        i[n] = 0;
    }
}

/* dims ends with -1. With odd, axes keep their meaning but memory has gaps and the offset is one element. */
static inline attn_tensor *attn_make(char dtype, int odd, const int64_t *dims)
{
    attn_tensor *x = attn_keep(sizeof *x);
    int64_t step = 1;
    size_t size;

    x->t.dtype = attn_dtype(dtype);
    size = x->t.dtype.bits / 8;
    x->t.device.type = LOCI_CPU;
    x->t.shape = x->shape;
    x->t.strides = x->strides;
    while (dims[x->t.ndim] >= 0) {
        x->shape[x->t.ndim] = dims[x->t.ndim];
        x->t.ndim++;
    }
    for (int n = x->t.ndim - 1; n >= 0; n--) {
        int axis = odd && x->t.ndim == 4 && (n == 1 || n == 2) ? 3 - n : n; /* [B,H,T,d] in memory */

        x->strides[axis] = step;
        step *= x->shape[axis];
        step += odd ? 3 : 0;
    }
    x->bytes = (size_t)(step + 16) * size;
    x->block = attn_keep(x->bytes);
    x->owned = attn_keep(x->bytes);
    memset(x->block, 0xA5, x->bytes);
    x->t.data = x->block;
    x->t.byte_offset = odd ? 9 * size : 8 * size;
    if (!odd) /* at once: a scratch has millions of bytes */
        memset(x->owned + x->t.byte_offset, 1, (size_t)attn_count(x) * size);
    else
        ATTN_EACH(x, i)
    memset(x->owned + ((uint8_t *)attn_at(x, i) - x->block), 1, size);
    return x;
}

/* 16-bit numbers: to nearest, ties to even. fp16 in units of its last place, subnormals below 2^-14. */
static inline uint16_t attn_to_16(loci_dtype type, float f)
{
    uint32_t bits;
    int e;

    memcpy(&bits, &f, 4);
    if (isnan(f))
        return 0x7fc0;
    if (type.code == LOCI_BFLOAT)
        return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
    frexpf(f, &e);
    e = f == 0 || e < -13 ? -14 : e - 1;
    return (uint16_t)((bits >> 16 & 0x8000) |
                      (fabsf(f) >= 65520 ? 0x7c00u
                                         : (uint32_t)((e + 14) * 1024 + (int)nearbyintf(ldexpf(fabsf(f), 10 - e)))));
}

static inline float attn_from_16(loci_dtype type, uint16_t x)
{
    uint32_t bits = (uint32_t)x << 16;
    int e = x >> 10 & 31, m = x & 1023;
    float f;

    memcpy(&f, &bits, 4);
    if (type.code == LOCI_FLOAT) {
        f = e == 31 ? (m ? NAN : INFINITY) : ldexpf((float)(e ? 1024 + m : m), (e ? e : 1) - 25);
        f = x & 0x8000 ? -f : f;
    }
    return f;
}

static inline void attn_put(attn_tensor *x, const double *from, double all)
{
    double value;

    ATTN_EACH(x, i)
    {
        void *at = attn_at(x, i);

        value = from ? from[n_] : all;
        if (x->t.dtype.bits == 64)
            memcpy(at, &value, 8);
        else {
            float f = (float)value;

            if (x->t.dtype.bits == 32)
                memcpy(at, &f, 4);
            else {
                uint16_t half = attn_to_16(x->t.dtype, f);

                memcpy(at, &half, 2);
            }
        }
    }
}

static inline void attn_get(const attn_tensor *x, double *to)
{
    ATTN_EACH(x, i)
    {
        const void *at = attn_at(x, i);
        uint16_t half;
        float f;

        if (x->t.dtype.bits == 64) {
            memcpy(to + n_, at, 8);
            continue;
        }
        if (x->t.dtype.bits == 16) {
            memcpy(&half, at, 2);
            f = attn_from_16(x->t.dtype, half);
        } else
            memcpy(&f, at, 4);
        to[n_] = (double)f;
    }
}

#define ATTN_ONES 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1

static inline int attn_intact(const attn_tensor *x)
{
    static const uint8_t owned[64] = {ATTN_ONES, ATTN_ONES, ATTN_ONES, ATTN_ONES};

    for (size_t i = 0; x && i < x->bytes; i++) {
        while (i + sizeof owned < x->bytes && memcmp(x->owned + i, owned, sizeof owned) == 0)
            i += sizeof owned;
        if (!x->owned[i] && x->block[i] != 0xA5)
            return 0;
    }
    return 1;
}

#define ATTN_DIMS(...) \
    (const int64_t[]) \
    { \
        __VA_ARGS__, -1 \
    }

static inline const loci_tensor *attn_raw(char dtype, int odd, const int64_t *dims, const void *from)
{
    attn_tensor *x;
    size_t size;

    if (!from)
        return NULL;
    x = attn_make(dtype, odd, dims);
    size = x->t.dtype.bits / 8;
    ATTN_EACH(x, i)
    memcpy(attn_at(x, i), (const uint8_t *)from + (size_t)n_ * size, size);
    return &x->t;
}

static inline attn_tensor *attn_filled(char dtype, int odd, const int64_t *dims, const double *from, double all)
{
    attn_tensor *x = attn_make(dtype, odd, dims);

    attn_put(x, from, all);
    return x;
}

#endif
