/* SPDX-License-Identifier: Apache-2.0
 *
 * loci/author.h: what nearly every plugin writes again, once. Header only, optional, links to nothing: a failure with its
 * sentence, views of memory as tensors, and cutting one buffer into pieces.
 */
#ifndef LOCI_AUTHOR_H
#define LOCI_AUTHOR_H

#include <loci/plugin.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LOCI_MAX_DIM 8

/* Leave the sentence in err (NULL is allowed; the first failure stays) and return code. where: a literal, or NULL.
 *     return loci_refuse(err, LOCI_E_ARG, "mixer/mine", "width %d: a multiple of 16 wanted", width); */
#if defined(__GNUC__)
__attribute__((format(printf, 4, 5), unused))
#endif
static loci_status loci_refuse(loci_error *err, loci_status code, const char *where, const char *format, ...)
{
    va_list args;

    if (err && err->code == LOCI_OK) {
        err->code = code;
        err->where = where;
        va_start(args, format);
        vsnprintf(err->msg, sizeof err->msg, format, args);
        va_end(args);
    }
    return code;
}

/* Pass a failure up: for functions that own nothing and just return. */
#define LOCI_RETURN_IF(call) \
    do { \
        loci_status loci_status_ = (call); \
        if (loci_status_ != LOCI_OK) \
            return loci_status_; \
    } while (0)

/* *to becomes a copy of *from, structs that begin with struct_size, when the other side wrote *from: what both versions
 * know is copied, the rest is zero, and struct_size is that of the copy. `own = *x` would read past the end of a shorter
 * struct, or keep the size of a longer one and so promise members that the copy lacks.
 *     loci_exec own;
 *     LOCI_COPY(&own, x); */
#define LOCI_COPY(to, from) loci_copy(to, (uint32_t)sizeof *(1 ? (from) : (to)), from)
static inline void loci_copy(void *to, uint32_t size, const void *from)
{
    uint32_t held;

    memcpy(&held, from, sizeof held);
    if (held < size)
        memset((char *)to + held, 0, size - held);
    memcpy(to, from, held < size ? held : size);
    memcpy(to, &size, sizeof size);
}

/* A tensor with its own shape and strides, so that views can stand on the stack. t points into the struct: do not copy
 * it, set it again. */
typedef struct loci_view {
    loci_tensor t;
    int64_t shape[LOCI_MAX_DIM], strides[LOCI_MAX_DIM];
} loci_view;

/* Row-major view of data with at most LOCI_MAX_DIM dimensions; returns &v->t. */
static inline loci_tensor *loci_view_set(loci_view *v, void *data, loci_device device, loci_dtype dtype, int32_t ndim,
                                         const int64_t *shape)
{
    int64_t stride = 1;
    int32_t i;

    for (i = ndim; i-- > 0;) {
        v->shape[i] = shape[i];
        v->strides[i] = stride;
        stride *= shape[i] ? shape[i] : 1;
    }
    v->t.data = data;
    v->t.device = device;
    v->t.ndim = ndim;
    v->t.dtype = dtype;
    v->t.shape = v->shape;
    v->t.strides = v->strides;
    v->t.byte_offset = 0;
    return &v->t;
}

/* Cuts 64-byte aligned pieces off a buffer in a fixed order. With base NULL it only counts: one function that cuts then
 * serves plan, forward and backward, and they cannot disagree. */
typedef struct loci_cursor {
    char *base;
    uint64_t at;
} loci_cursor;

static inline void *loci_cut(loci_cursor *c, uint64_t bytes)
{
    const uint64_t most = ~UINT64_C(63); /* where the count stays when a sum does not fit: nobody has that much */
    void *p = c->base ? c->base + c->at : NULL;

    c->at = bytes > most - c->at ? most : c->at + ((bytes + 63) & ~UINT64_C(63));
    return p;
}

/* The first line of a plan. Rows, tokens, runs and states of a call are counted in 32 bits (loci_run), and so are the
 * tokens of all rows together by whoever lists them; larger limits are refused, and no product of sizes wraps around
 * unseen.      LOCI_RETURN_IF(loci_countable(shape, "mixer/mine", err)); */
#if defined(__GNUC__)
__attribute__((unused))
#endif
static loci_status loci_countable(const loci_shape *s, const char *where, loci_error *err)
{
    const int64_t most = INT32_MAX, longest = s->seq > s->ctx ? s->seq : s->ctx;

    if (s->rows > most || longest > most || s->runs > most || s->states > most || s->rows < 0 || s->seq < 0 ||
        s->ctx < 0 || s->runs < 0 || s->states < 0 || (longest > 0 && s->rows > most / longest))
        return loci_refuse(err, LOCI_E_UNSUPPORTED, where,
                           "%lld rows of %lld tokens and %lld of context, %lld runs, %lld states: a call counts to "
                           "2^31 - 1, plan for less at once",
                           (long long)s->rows, (long long)s->seq, (long long)s->ctx, (long long)s->runs,
                           (long long)s->states);
    return LOCI_OK;
}

#ifdef __cplusplus
}
#endif
#endif
