/* SPDX-License-Identifier: Apache-2.0
 *
 * loci/author_ops.h: for authors of devices: what every implementation of loci.ops/1 asks of the tensors of a call, once,
 * with its sentences. Header only, optional, links to nothing. op is the operation's name, name the tensor's in it.
 */
#ifndef LOCI_AUTHOR_OPS_H
#define LOCI_AUTHOR_OPS_H

#include <loci/author.h>
#include <loci/ops.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LOCI_OPS_DIMS 5 /* of a tensor, at most */

static inline int loci_ops_same_type(loci_dtype a, loci_dtype b)
{
    return a.code == b.code && a.bits == b.bits && a.lanes == b.lanes;
}

static inline int64_t loci_ops_elements(const loci_tensor *t)
{
    int64_t n = 1;
    int i;

    for (i = 0; i < t->ndim; i++)
        n *= t->shape[i];
    return n;
}

/* Row-major without gaps? Axes of size 1 may have any stride. */
static inline int loci_ops_contiguous(const loci_tensor *t)
{
    int64_t want = 1;
    int i;

    for (i = t->ndim - 1; i >= 0; i--) {
        if (t->shape[i] != 1 && t->strides[i] != want)
            return 0;
        want *= t->shape[i];
    }
    return 1;
}

/* 32 or 64: the float type of t; 0, with the reason in err, for another. */
static inline int loci_ops_bits(const char *op, const loci_tensor *t, loci_error *err)
{
    if (!t)
        loci_refuse(err, LOCI_E_ARG, NULL, "%s: an operand is missing", op);
    else if (t->dtype.code == LOCI_FLOAT && t->dtype.lanes == 1 && (t->dtype.bits == 32 || t->dtype.bits == 64))
        return t->dtype.bits;
    else
        loci_refuse(err, LOCI_E_ARG, NULL, "%s: type of code %d and %d bits; use f32 or f64", op, t->dtype.code,
                    t->dtype.bits);
    return 0;
}

/* Is t what `op` can use: not NULL, least to 5 dimensions, of the type, its last axis contiguous or, unless `out`,
 * broadcast? */
static inline loci_status loci_ops_check(const char *op, const char *name, const loci_tensor *t, loci_dtype type,
                                         int least, int out, loci_error *err)
{
    int i;

    if (!t)
        return loci_refuse(err, LOCI_E_ARG, NULL, "%s: %s is missing", op, name);
    if (t->ndim < least || t->ndim > LOCI_OPS_DIMS)
        return loci_refuse(err, LOCI_E_ARG, NULL, "%s: %s has %d dimensions; give %d to %d", op, name, (int)t->ndim,
                           least, LOCI_OPS_DIMS);
    if (!loci_ops_same_type(t->dtype, type))
        return loci_refuse(err, LOCI_E_ARG, NULL, "%s: %s has type code %d of %d bits, the others code %d of %d bits",
                           op, name, t->dtype.code, t->dtype.bits, type.code, type.bits);
    if (loci_ops_elements(t) == 0)
        return LOCI_OK;
    for (i = 0; i < t->ndim; i++) {
        const int64_t step = t->strides[i];

        if (t->shape[i] < 2)
            continue;
        if (i == t->ndim - 1 && step != 1 && (out || step != 0))
            return loci_refuse(err, LOCI_E_ARG, NULL, "%s: the last axis of %s has stride %lld; it must be %s", op, name,
                               (long long)step, out ? "1" : "1 or 0");
        if (step < 0 || (out && step == 0))
            return loci_refuse(err, LOCI_E_ARG, NULL, "%s: axis %d of %s has stride %lld, %s", op, i, name,
                               (long long)step, step ? "which is negative" : "so it cannot be written");
    }
    if (!t->data)
        return loci_refuse(err, LOCI_E_ARG, NULL, "%s: %s has no data", op, name);
    return LOCI_OK;
}

static inline const char *loci_ops_shape_text(char *to, size_t size, int ndim, const int64_t *shape)
{
    size_t len = 0;
    int i;

    to[len++] = '[';
    for (i = 0; i < ndim && len + 24 < size; i++)
        len += (size_t)snprintf(to + len, size - len, "%s%lld", i ? "," : "", (long long)shape[i]);
    snprintf(to + len, size - len, "]");
    return to;
}

/* The same, and of exactly this shape. */
static inline loci_status loci_ops_check_shape(const char *op, const char *name, const loci_tensor *t, loci_dtype type,
                                               int ndim, const int64_t *shape, int out, loci_error *err)
{
    const loci_status status = loci_ops_check(op, name, t, type, 1, out, err);
    char has[160], want[160];

    if (status != LOCI_OK)
        return status;
    if (t->ndim == ndim && memcmp(t->shape, shape, (size_t)ndim * sizeof *shape) == 0)
        return LOCI_OK;
    return loci_refuse(err, LOCI_E_ARG, NULL, "%s: %s has shape %s; it must be %s", op, name,
                       loci_ops_shape_text(has, sizeof has, t->ndim, t->shape),
                       loci_ops_shape_text(want, sizeof want, ndim, shape));
}

/* Of the type and shape of `like`. */
static inline loci_status loci_ops_check_like(const char *op, const char *name, const loci_tensor *t,
                                              const loci_tensor *like, int out, loci_error *err)
{
    return loci_ops_check_shape(op, name, t, like->dtype, like->ndim, like->shape, out, err);
}

/* i32 of this shape. */
static inline loci_status loci_ops_check_i32(const char *op, const char *name, const loci_tensor *t, int ndim,
                                             const int64_t *shape, loci_error *err)
{
    static const loci_dtype i32 = {LOCI_INT, 32, 1};

    return loci_ops_check_shape(op, name, t, i32, ndim, shape, 0, err);
}

#ifdef __cplusplus
}
#endif
#endif
