/* SPDX-License-Identifier: Apache-2.0
 *
 * A tensor of one call, and the numbers that go in and out of it.
 *
 *  (1) Rows are padded by a prime number of elements where strides are asked for, so that no stride is a multiple of
 *      another; what lies between is 0xff and must stay so.
 *  (2) A misaligned tensor begins that many bytes behind a 64-byte boundary, or (guarded) ends at the page.
 */
#include "core/trial/impl.h"
#include <math.h>
#include <string.h>

#define GAP 3 /* elements */

static float of_bf16(uint16_t half)
{
    const uint32_t bits = (uint32_t)half << 16;
    float f;

    memcpy(&f, &bits, sizeof f);
    return f;
}

/* To nearest, ties to even. */
static uint16_t to_bf16(float f)
{
    uint32_t bits;

    memcpy(&bits, &f, sizeof bits);
    return isnan(f) ? UINT16_C(0x7fc0) : (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

void loci__put(void *at, loci_dtype d, double value)
{
    const float f = (float)value;
    uint16_t half;

    if (d.code == LOCI_FLOAT && d.bits == 64)
        memcpy(at, &value, 8);
    else if (d.code == LOCI_FLOAT)
        memcpy(at, &f, 4);
    else if (d.code == LOCI_BFLOAT)
        half = to_bf16(f), memcpy(at, &half, 2);
    else if (d.bits == 64)
        memcpy(at, &(int64_t){(int64_t)value}, 8);
    else if (d.bits == 32)
        memcpy(at, &(int32_t){(int32_t)value}, 4);
    else
        *(uint8_t *)at = (uint8_t)value;
}

double loci__get(const void *at, loci_dtype d)
{
    double wide;
    float f;
    int64_t i64;
    int32_t i32;
    uint16_t half;

    if (d.code == LOCI_FLOAT && d.bits == 64)
        return memcpy(&wide, at, 8), wide;
    if (d.code == LOCI_FLOAT)
        return memcpy(&f, at, 4), (double)f;
    if (d.code == LOCI_BFLOAT)
        return memcpy(&half, at, 2), (double)of_bf16(half);
    if (d.bits == 64)
        return memcpy(&i64, at, 8), (double)i64;
    if (d.bits == 32)
        return memcpy(&i32, at, 4), (double)i32;
    return *(const uint8_t *)at;
}

double loci__round(loci_dtype d, double value)
{
    return d.code == LOCI_BFLOAT ? (double)of_bf16(to_bf16((float)value)) : (double)(float)value;
}

loci_status loci__slab_new(struct slab *s, loci_context *cx, loci_dtype dtype, int32_t ndim, const int64_t *shape,
                           const loci_trial_how *how, loci_error *err)
{
    loci_status status = LOCI_OK;
    const uint64_t size = loci_dtype_bytes(dtype), shift = how->harsh ? 0 : how->misalign;
    uint64_t elements = 1;
    int64_t stride = 1;

    memset(s, 0, sizeof *s);
    loci_view_set(&s->v, NULL, (loci_device){LOCI_CPU, 0}, dtype, ndim, shape);
    for (int32_t i = ndim; i-- > 0;) {
        if (i < ndim - 1 && how->padded)
            stride += GAP;
        s->v.strides[i] = stride;
        stride *= shape[i] ? shape[i] : 1;
        elements = shape[i] ? elements + (uint64_t)((shape[i] - 1) * s->v.strides[i]) : elements;
    }
    for (int32_t i = 0; i < ndim; i++)
        elements = shape[i] ? elements : 0;
    LOCI_TRY(loci__arena_new(&s->mem, cx, elements * size + shift, how->harsh ? size : 64, how->harsh, err));
    s->v.t.data = s->mem.at;
    s->v.t.byte_offset = shift;
    if (how->padded)
        memset(s->mem.at, 0xff, s->mem.bytes);
    if (elements && !how->harsh)
        loci__slab_put(s, NULL, 0);
    loci_view_set(&s->given, loci__arena_given(&s->mem), cx ? cx->device : s->v.t.device, dtype, ndim, shape);
    s->given.t.byte_offset = shift;
    memcpy(s->given.strides, s->v.strides, (size_t)ndim * sizeof *s->v.strides);
out:
    return status;
}

void loci__slab_free(struct slab *s)
{
    loci__arena_free(&s->mem);
}

/* Element i over the axes from `axis` on, in elements from there. */
static int64_t within(const loci_view *v, int32_t axis, uint64_t i)
{
    int64_t at = 0;

    for (int32_t a = v->t.ndim; a-- > axis && i;) {
        at += (int64_t)(i % (uint64_t)v->shape[a]) * v->strides[a];
        i /= (uint64_t)v->shape[a];
    }
    return at;
}

char *loci__slab_at(const struct slab *s, int64_t row, int64_t token, uint64_t i)
{
    const loci_view *v = &s->v;
    const int64_t at = row * v->strides[0] + (v->t.ndim > 1 ? token * v->strides[1] : 0) + within(v, 2, i);

    return (char *)loci_ptr(&v->t) + (uint64_t)at * loci_dtype_bytes(v->t.dtype);
}

void loci__slab_put(const struct slab *s, const double *from, double all)
{
    const uint64_t n = (uint64_t)loci_elements(&s->v.t), size = loci_dtype_bytes(s->v.t.dtype);

    for (uint64_t i = 0; i < n; i++)
        loci__put((char *)loci_ptr(&s->v.t) + (uint64_t)within(&s->v, 0, i) * size, s->v.t.dtype, from ? from[i] : all);
}

void loci__slab_get(const struct slab *s, double *to, double minus, bool add)
{
    const uint64_t n = (uint64_t)loci_elements(&s->v.t), size = loci_dtype_bytes(s->v.t.dtype);

    for (uint64_t i = 0; i < n; i++) {
        const double x =
            loci__get((char *)loci_ptr(&s->v.t) + (uint64_t)within(&s->v, 0, i) * size, s->v.t.dtype) - minus;
        to[i] = add ? to[i] + x : x;
    }
}

/* The elements between rows: those of a flat index that no element of the tensor has. */
bool loci__slab_intact(const struct slab *s)
{
    const loci_view *v = &s->v;
    const uint64_t n = (uint64_t)loci_elements(&v->t), size = loci_dtype_bytes(v->t.dtype);
    const unsigned char *base = loci_ptr(&v->t);
    uint64_t next = 0;

    if (!loci__arena_intact(&s->mem))
        return false;
    for (uint64_t i = 0; i < n; i++) {
        const uint64_t at = (uint64_t)within(v, 0, i) * size;
        for (; next < at; next++)
            if (base[next] != 0xff)
                return false;
        next = at + size;
    }
    return true;
}

/* ---- the device's side ------------------------------------------------------------------------------------------- */

loci_status loci__tensor_put(loci_context *cx, const loci_tensor *t, const double *from, double all, loci_error *err)
{
    const uint64_t n = (uint64_t)loci_elements(t), size = loci_dtype_bytes(t->dtype);
    loci_status status = LOCI_OK;
    char *host = loci_alloc(n * size);

    if (!host)
        return loci_fail(err, LOCI_E_NOMEM, "out of memory: %llu numbers", (unsigned long long)n);
    for (uint64_t i = 0; i < n; i++)
        loci__put(host + i * size, t->dtype, from ? from[i] : all);
    if (n && cx->device_class->up(cx->device_module, NULL, loci_ptr(t), host, n * size) != LOCI_OK)
        status = loci_fail(err, LOCI_E_DEVICE, "device/%s: a copy up failed", cx->device_meta->id);
    loci_free(host);
    return status;
}

loci_status loci__tensor_get(loci_context *cx, const loci_tensor *t, double *to, double minus, loci_error *err)
{
    const uint64_t n = (uint64_t)loci_elements(t), size = loci_dtype_bytes(t->dtype);
    loci_status status = LOCI_OK;
    char *host = loci_alloc(n * size);

    if (!host)
        return loci_fail(err, LOCI_E_NOMEM, "out of memory: %llu numbers", (unsigned long long)n);
    if (n && cx->device_class->down(cx->device_module, NULL, host, loci_ptr(t), n * size) != LOCI_OK)
        status = loci_fail(err, LOCI_E_DEVICE, "device/%s: a copy down failed", cx->device_meta->id);
    for (uint64_t i = 0; i < n && status == LOCI_OK; i++)
        to[i] = loci__get(host + i * size, t->dtype) - minus;
    loci_free(host);
    return status;
}
