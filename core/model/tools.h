/* SPDX-License-Identifier: Apache-2.0
 *
 * Short hands for the steps a model is made of: buffers cut from one piece of memory, and linear layers over
 * contiguous [rows, width] matrices.
 */
#ifndef LOCI_CORE_MODEL_TOOLS_H
#define LOCI_CORE_MODEL_TOOLS_H

#include "core/model/node.h"

/* A row-major view of up to 4 dimensions; a dimension of -1 ends the list. */
static inline loci_tensor *loci_view4(loci_view *v, const loci_exec *x, loci_dtype dtype, const void *data, int64_t a,
                                      int64_t b, int64_t c, int64_t d)
{
    int64_t shape[4] = {a, b, c, d};
    int32_t n = 0;
    while (n < 4 && shape[n] >= 0)
        n++;
    return loci_view_set(v, (void *)(uintptr_t)data, x->device, dtype, n, shape);
}

/* y [n, out] = x [n, in] w' + beta y, with w [out, in]. */
loci_status loci_linear(const loci_exec *x, loci_dtype dtype, void *y, const void *in, const loci_weight *w, int64_t n,
                        double beta, loci_error *err);
/* dx [n, in] = dy w + beta dx. */
loci_status loci_linear_dx(const loci_exec *x, loci_dtype dtype, void *dx, const loci_weight *w, const void *dy, int64_t n,
                           double beta, loci_error *err);
/* The same, unless dx is NULL, and dw += dy' x. */
loci_status loci_linear_back(const loci_exec *x, loci_dtype dtype, void *dx, const void *in, const loci_weight *w,
                             const void *dy, int64_t n, double beta, loci_error *err);
/* out = alpha f(a) + beta out over n elements; likewise f(a, b). */
loci_status loci_map1(const loci_exec *x, loci_dtype dtype, int32_t f, void *out, const void *a, int64_t n, double alpha,
                      double beta, loci_error *err);
loci_status loci_map2(const loci_exec *x, loci_dtype dtype, int32_t f, void *out, const void *a, const void *b,
                      int64_t n, double alpha, double beta, loci_error *err);
/* RMS norm of n rows of width w->elements with gain w (NULL: none, width given). */
loci_status loci_rms(const loci_exec *x, loci_dtype dtype, void *y, const void *in, const loci_weight *gain, void *stat,
                     int64_t n, double eps, loci_error *err);
loci_status loci_rms_back(const loci_exec *x, loci_dtype dtype, void *dx, const void *in, const loci_weight *gain,
                          const void *stat, const void *dy, int64_t n, loci_error *err);
/* u = a + b, y = rms(u) o gain, in one pass where the device can (core/device/fused.h). u may be a or b. */
loci_status loci_add_rms(const loci_exec *x, loci_dtype dtype, void *u, void *y, const void *a, const void *b,
                         const loci_weight *gain, void *stat, int64_t n, double eps, loci_error *err);
loci_status loci_zero(const loci_exec *x, void *p, uint64_t bytes);
/* Do the runs cover every token of [rows, seq]? */
bool loci_covers(const loci_batch *b, int64_t rows, int64_t seq);

#endif
