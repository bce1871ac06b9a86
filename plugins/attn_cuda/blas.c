/* SPDX-License-Identifier: Apache-2.0
 *
 * plugins/attn_cuda/blas: see blas.h.
 *
 * cuBLAS is column-major: a row-major matrix is its own transpose there, so C' = op(B)' op(A)' is asked for, with A and
 * B in each other's place and their flags as they are.
 */
#include "blas.h"

#include <dlfcn.h>
#include <stdio.h>

/* From cublas_api.h of CUDA 12 and 13, whose enums are ints: CUBLAS_OP_N is 0, CUBLAS_OP_T 1, success 0. */
typedef int create_fn(void **handle);
typedef int destroy_fn(void *handle);
typedef int stream_fn(void *handle, void *stream);
typedef int sgemm_fn(void *handle, int ta, int tb, int m, int n, int k, const float *alpha, const float *a, int lda,
                     long long a_step, const float *b, int ldb, long long b_step, const float *beta, float *c, int ldc,
                     long long c_step, int count);
typedef int dgemm_fn(void *handle, int ta, int tb, int m, int n, int k, const double *alpha, const double *a, int lda,
                     long long a_step, const double *b, int ldb, long long b_step, const double *beta, double *c,
                     int ldc, long long c_step, int count);

struct cuda_blas {
    void *handle;
    destroy_fn *destroy;
    stream_fn *stream;
    sgemm_fn *sgemm;
    dgemm_fn *dgemm;
};

static void say(const loci_host *host, int32_t level, const char *text)
{
    host->log(host, level, "cuda", text);
}

struct cuda_blas *cuda_blas_open(const loci_host *host)
{
    static const char *const names[] = {"libcublas.so.13", "libcublas.so.12"};
    struct cuda_blas *blas;
    create_fn *create;
    void *library = NULL;
    char text[200];

    for (size_t i = 0; i < sizeof names / sizeof *names && !library; i++)
        library = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        say(host, LOCI_LOG_INFO,
            "no libcublas.so.13 or libcublas.so.12 here: products of matrices by a slower kernel of loci's");
        return NULL;
    }
    blas = host->alloc(host, sizeof *blas);
    if (!blas)
        return NULL;
    create = (create_fn *)dlsym(library, "cublasCreate_v2");
    blas->destroy = (destroy_fn *)dlsym(library, "cublasDestroy_v2");
    blas->stream = (stream_fn *)dlsym(library, "cublasSetStream_v2");
    blas->sgemm = (sgemm_fn *)dlsym(library, "cublasSgemmStridedBatched");
    blas->dgemm = (dgemm_fn *)dlsym(library, "cublasDgemmStridedBatched");
    if (create && blas->destroy && blas->stream && blas->sgemm && blas->dgemm) {
        int status = create(&blas->handle);
        if (status == 0)
            return blas;
        snprintf(text, sizeof text, "cublasCreate fails with status %d: products of matrices by a slower kernel",
                 status);
    } else {
        snprintf(text, sizeof text, "libcublas lacks a function: products of matrices by a slower kernel");
    }
    say(host, LOCI_LOG_WARN, text);
    host->free(host, blas);
    return NULL;
}

/* The library stays: nothing that was opened is ever unloaded. */
void cuda_blas_close(struct cuda_blas *blas, const loci_host *host)
{
    if (!blas)
        return;
    (void)blas->destroy(blas->handle);
    host->free(host, blas);
}

int cuda_blas_run(struct cuda_blas *blas, void *stream, const cuda_product *p)
{
    const float alpha = (float)p->alpha, beta = (float)p->beta;
    int status = blas->stream(blas->handle, stream);

    if (status != 0)
        return status;
    if (p->bits == 32)
        return blas->sgemm(blas->handle, p->tb, p->ta, p->N, p->M, p->K, &alpha, p->b, p->ldb, p->b_step, p->a, p->lda,
                           p->a_step, &beta, p->c, p->ldc, p->c_step, p->count);
    return blas->dgemm(blas->handle, p->tb, p->ta, p->N, p->M, p->K, &p->alpha, p->b, p->ldb, p->b_step, p->a, p->lda,
                       p->a_step, &p->beta, p->c, p->ldc, p->c_step, p->count);
}
