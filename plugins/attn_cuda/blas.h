/* SPDX-License-Identifier: Apache-2.0
 *
 * plugins/attn_cuda/blas: cuBLAS, opened at run time.
 *
 *  (1) Nothing of cuBLAS is linked or included: libcublas is looked for by its name when the device is opened, and the
 *      few functions used are declared in blas.c. Without it the device says so once and computes products by gemm.cu.
 *  (2) Products are full float32: the handle keeps its default math mode, in which TF32 is off.
 */
#ifndef LOCI_ATTN_CUDA_BLAS_H
#define LOCI_ATTN_CUDA_BLAS_H

#include <loci/plugin.h>

#ifdef __cplusplus
extern "C" {
#endif

struct cuda_blas;

/* NULL, told in the host's log, where there is none. */
struct cuda_blas *cuda_blas_open(const loci_host *host);
void cuda_blas_close(struct cuda_blas *blas, const loci_host *host);

/* A batch of products of row-major matrices, C = alpha op(A) op(B) + beta C with C M x N; steps are elements from one
 * item to the next. Nonzero: cuBLAS's status. */
typedef struct cuda_product {
    int bits, ta, tb;
    int M, N, K, lda, ldb, ldc, count;
    double alpha, beta;
    const void *a, *b;
    void *c;
    int64_t a_step, b_step, c_step;
} cuda_product;
int cuda_blas_run(struct cuda_blas *blas, void *stream, const cuda_product *p);

#ifdef __cplusplus
}
#endif
#endif
