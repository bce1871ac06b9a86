/* SPDX-License-Identifier: Apache-2.0
 *
 * core/device/ops: what the files of loci.ops/1 on the CPU (ops_*.c, gemm.c) share.
 *
 *  (1) A function checks everything first, then cuts its work by sizes alone, then cannot fail.
 *  (2) Work that writes separate elements is cut into pieces of about LOCI_OPS_GRAIN elements. Sums over rows are cut
 *      by columns, and each column adds its rows in order; where columns are few, rows are cut into at most 32 shards
 *      of fixed size whose sums are added in order.
 *  (3) Nothing is allocated.
 */
#ifndef LOCI_CORE_DEVICE_OPS_H
#define LOCI_CORE_DEVICE_OPS_H

#include "core/base/base.h"
#include "core/device/cpu.h"
#include "core/device/kern.h"
#include "core/device/walk.h"
#include <loci/author_ops.h>

#define LOCI_OPS_GRAIN 16384

/* The kernels for t's type; NULL, with the reason in err, for a type other than f32 and f64. */
const loci_kern *loci_ops_kern(const loci_exec *x, const char *op, const loci_tensor *t, loci_error *err);
/* What the device of the call uses. */
const loci_kern_set *loci_ops_kern_set(const loci_exec *x);

static inline loci_status loci_ops_for(const loci_exec *x, int64_t n, int64_t grain, loci_task_fn fn, void *arg)
{
    return n > 0 ? x->host->parallel_for(x, n, grain < 1 ? 1 : grain, fn, arg) : LOCI_OK;
}

/* Column sums: out[c] = beta out[c] + the sum over the walk's rows, in order, of what `add` adds to an accumulator of
 * the columns [begin, begin + n). `rows` counts the items; the columns are `n` wide. */
typedef void (*loci_ops_add_fn)(void *arg, void *acc, int64_t row_begin, int64_t row_end, int64_t begin, int64_t n);
loci_status loci_ops_columns(const loci_exec *x, const loci_kern *k, int64_t rows, int64_t n, loci_ops_add_fn add,
                             void *arg, void *out, double beta);
/* The same with begin 0 and all n columns at once, n <= LOCI_OPS_WHOLE: `add` may do what else a row needs. */
#define LOCI_OPS_WHOLE 2048
loci_status loci_ops_whole_rows(const loci_exec *x, const loci_kern *k, int64_t rows, int64_t n, loci_ops_add_fn add,
                                void *arg, void *out, double beta);

loci_status loci_op_gemm(const loci_exec *, const loci_gemm *, loci_error *);
loci_status loci_op_fill(const loci_exec *, const loci_tensor *out, double value, loci_error *);
loci_status loci_op_map1(const loci_exec *, int32_t f, const loci_tensor *out, const loci_tensor *a, double alpha,
                         double beta, loci_error *);
loci_status loci_op_map2(const loci_exec *, int32_t f, const loci_tensor *out, const loci_tensor *a,
                         const loci_tensor *b, double alpha, double beta, loci_error *);
loci_status loci_op_sum_rows(const loci_exec *, const loci_tensor *out, const loci_tensor *a, double beta,
                             loci_error *);
loci_status loci_op_norm(const loci_exec *, int32_t kind, const loci_tensor *y, const loci_tensor *x,
                         const loci_tensor *gain, const loci_tensor *stat, double eps, loci_error *);
loci_status loci_op_norm_back(const loci_exec *, int32_t kind, const loci_tensor *dx, const loci_tensor *dgain,
                              const loci_tensor *x, const loci_tensor *gain, const loci_tensor *stat,
                              const loci_tensor *dy, loci_error *);
loci_status loci_op_conv(const loci_exec *, const loci_batch *, const loci_tensor *y, const loci_tensor *x,
                         const loci_tensor *w, const loci_tensor *tail_in, const loci_tensor *tail_out, loci_error *);
loci_status loci_op_conv_back(const loci_exec *, const loci_batch *, const loci_tensor *dx, const loci_tensor *dw,
                              const loci_tensor *tail_grad, const loci_tensor *x, const loci_tensor *w,
                              const loci_tensor *tail_in, const loci_tensor *dy, loci_error *);
loci_status loci_op_take(const loci_exec *, const loci_tensor *out, const loci_tensor *a, const loci_tensor *rows,
                         double beta, loci_error *);
loci_status loci_op_put(const loci_exec *, const loci_tensor *out, const loci_tensor *a, const loci_tensor *rows,
                        loci_error *);
loci_status loci_op_rope(const loci_exec *, const loci_tensor *y, const loci_tensor *x, const loci_tensor *pos,
                         int64_t rot, double base, double dir, loci_error *);
loci_status loci_op_xent(const loci_exec *, const loci_tensor *loss, const loci_tensor *dlogits,
                         const loci_tensor *logits, const loci_tensor *target, double scale, loci_error *);
loci_status loci_op_sumsq(const loci_exec *, const loci_tensor *a, double *out, loci_error *);
loci_status loci_op_adamw(const loci_exec *, const loci_tensor *p, const loci_tensor *g, const loci_tensor *m,
                          const loci_tensor *v, const loci_adamw *, loci_error *);
loci_status loci_op_dot(const loci_exec *, const loci_tensor *out, const loci_tensor *a, const loci_tensor *b,
                        double alpha, double beta, loci_error *);

#endif
