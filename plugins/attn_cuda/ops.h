/* SPDX-License-Identifier: Apache-2.0
 *
 * plugins/attn_cuda/ops: what the files of loci.ops/1 on the card share. Each ops_*.cu holds some kernels and, below
 * them, the entries of the table that launch them.
 *
 *  (1) An entry checks everything on the host, stages its lists, launches, and cannot fail after that but by the card.
 *  (2) A walk is several tensors of one shape, at most 5 axes; it travels to a kernel by value, and a thread finds the
 *      place of its item by divisions. Neighbouring axes are joined wherever every operand allows it, so that
 *      contiguous tensors have one.
 *  (3) A sum has one order, whatever the card and the schedule: threads take fixed parts and parts are added in order.
 */
#ifndef LOCI_ATTN_CUDA_OPS_H
#define LOCI_ATTN_CUDA_OPS_H

#include "device.h"

#include <loci/author_ops.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CUDA_AXES 5
#define CUDA_OPERANDS 5

typedef struct cuda_walk {
    int n_axes, n_operands;
    int64_t count; /* items */
    int64_t shape[CUDA_AXES];
    int64_t stride[CUDA_OPERANDS][CUDA_AXES]; /* elements */
} cuda_walk;

void cuda_walk_init(cuda_walk *w, int n_axes, const int64_t *shape);
/* strides NULL: the operand does not move. */
void cuda_walk_add(cuda_walk *w, const int64_t *strides);
void cuda_walk_merge(cuda_walk *w);

/* An i32 tensor of the host, packed row-major, on its way to the card: *device. */
loci_status cuda_list_i32(const loci_exec *x, const char *op, const loci_tensor *t, const int32_t **device,
                          loci_error *err);

loci_status cuda_op_gemm(const loci_exec *, const loci_gemm *, loci_error *);
loci_status cuda_op_fill(const loci_exec *, const loci_tensor *out, double value, loci_error *);
loci_status cuda_op_map1(const loci_exec *, int32_t f, const loci_tensor *out, const loci_tensor *a, double alpha,
                         double beta, loci_error *);
loci_status cuda_op_map2(const loci_exec *, int32_t f, const loci_tensor *out, const loci_tensor *a,
                         const loci_tensor *b, double alpha, double beta, loci_error *);
loci_status cuda_op_sum_rows(const loci_exec *, const loci_tensor *out, const loci_tensor *a, double beta,
                             loci_error *);
loci_status cuda_op_norm(const loci_exec *, int32_t kind, const loci_tensor *y, const loci_tensor *x,
                         const loci_tensor *gain, const loci_tensor *stat, double eps, loci_error *);
loci_status cuda_op_norm_back(const loci_exec *, int32_t kind, const loci_tensor *dx, const loci_tensor *dgain,
                              const loci_tensor *x, const loci_tensor *gain, const loci_tensor *stat,
                              const loci_tensor *dy, loci_error *);
loci_status cuda_op_conv(const loci_exec *, const loci_batch *, const loci_tensor *y, const loci_tensor *x,
                         const loci_tensor *w, const loci_tensor *tail_in, const loci_tensor *tail_out, loci_error *);
loci_status cuda_op_conv_back(const loci_exec *, const loci_batch *, const loci_tensor *dx, const loci_tensor *dw,
                              const loci_tensor *tail_grad, const loci_tensor *x, const loci_tensor *w,
                              const loci_tensor *tail_in, const loci_tensor *dy, loci_error *);
loci_status cuda_op_take(const loci_exec *, const loci_tensor *out, const loci_tensor *a, const loci_tensor *rows,
                         double beta, loci_error *);
loci_status cuda_op_put(const loci_exec *, const loci_tensor *out, const loci_tensor *a, const loci_tensor *rows,
                        loci_error *);
loci_status cuda_op_rope(const loci_exec *, const loci_tensor *y, const loci_tensor *x, const loci_tensor *pos,
                         int64_t rot, double base, double dir, loci_error *);
loci_status cuda_op_xent(const loci_exec *, const loci_tensor *loss, const loci_tensor *dlogits,
                         const loci_tensor *logits, const loci_tensor *target, double scale, loci_error *);
loci_status cuda_op_sumsq(const loci_exec *, const loci_tensor *a, double *out, loci_error *);
loci_status cuda_op_adamw(const loci_exec *, const loci_tensor *p, const loci_tensor *g, const loci_tensor *m,
                          const loci_tensor *v, const loci_adamw *, loci_error *);
loci_status cuda_op_dot(const loci_exec *, const loci_tensor *out, const loci_tensor *a, const loci_tensor *b,
                        double alpha, double beta, loci_error *);

#ifdef __cplusplus
}

/* Pass a failure on, in .cu files, which have no `out:` to jump to. */
#define CUDA_TRY(call) \
    do { \
        const loci_status status_ = (call); \
        if (status_ != LOCI_OK) \
            return status_; \
    } while (0)

#endif
#endif
