/* SPDX-License-Identifier: Apache-2.0
 *
 * plugins/attn_cuda/blas: cuBLAS, opened at run time.
 *
 *  (1) Nothing of cuBLAS is linked or included: libcublas is looked for by its name when the device is opened, and the
 *      few functions used are declared here. Without it the device says so once and computes products by gemm.cu.
 *  (2) Products are full float32: the handle keeps its default math mode, in which TF32 is off.
 */
#ifndef LOCI_ATTN_CUDA_BLAS_H
#define LOCI_ATTN_CUDA_BLAS_H

#include <loci/plugin.h>

#ifdef __cplusplus
extern "C" {
#endif

/* From cublas_api.h of CUDA 12 and 13, whose enums are ints: CUBLAS_OP_N is 0, CUBLAS_OP_T 1, success 0. */
typedef int cublas_create(void **handle);
typedef int cublas_destroy(void *handle);
typedef int cublas_stream(void *handle, void *stream);
typedef int cublas_sgemm(void *handle, int ta, int tb, int m, int n, int k, const float *alpha, const float *a, int lda,
                         long long a_step, const float *b, int ldb, long long b_step, const float *beta, float *c,
                         int ldc, long long c_step, int count);
typedef int cublas_dgemm(void *handle, int ta, int tb, int m, int n, int k, const double *alpha, const double *a,
                         int lda, long long a_step, const double *b, int ldb, long long b_step, const double *beta,
                         double *c, int ldc, long long c_step, int count);

typedef struct cuda_blas {
    void *handle; /* NULL: there is none */
    cublas_destroy *destroy;
    cublas_stream *stream;
    cublas_sgemm *sgemm;
    cublas_dgemm *dgemm;
} cuda_blas;

/* Without one, the handle is NULL and the host's log says why. */
void cuda_blas_open(cuda_blas *blas, const loci_host *host);
void cuda_blas_close(cuda_blas *blas);

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
int cuda_blas_run(const cuda_blas *blas, void *stream, const cuda_product *p);

#ifdef __cplusplus
}
#endif
#endif
