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

#ifndef CUDA_BLAS /* tests have a library of their own */
#define CUDA_BLAS "libcublas.so.13", "libcublas.so.12"
#endif

static void say(const loci_host *host, int32_t level, const char *text)
{
    host->log(host, level, "cuda", text);
}

void cuda_blas_open(cuda_blas *blas, const loci_host *host)
{
    static const char *const names[] = {CUDA_BLAS};
    cublas_create *create;
    void *library = NULL;
    char text[200];
    int status;

    *blas = (cuda_blas){0};
    for (size_t i = 0; i < sizeof names / sizeof *names && !library; i++)
        library = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        say(host, LOCI_LOG_INFO,
            "cuBLAS of CUDA 13 or 12 (libcublas.so) is not here: products of matrices by a slower kernel of loci's");
        return;
    }
    create = (cublas_create *)dlsym(library, "cublasCreate_v2");
    blas->destroy = (cublas_destroy *)dlsym(library, "cublasDestroy_v2");
    blas->stream = (cublas_stream *)dlsym(library, "cublasSetStream_v2");
    blas->sgemm = (cublas_sgemm *)dlsym(library, "cublasSgemmStridedBatched");
    blas->dgemm = (cublas_dgemm *)dlsym(library, "cublasDgemmStridedBatched");
    if (!create || !blas->destroy || !blas->stream || !blas->sgemm || !blas->dgemm) {
        say(host, LOCI_LOG_WARN, "libcublas lacks a function: products of matrices by a slower kernel of loci's");
        return;
    }
    if ((status = create(&blas->handle)) != 0) {
        blas->handle = NULL;
        snprintf(text, sizeof text,
                 "cublasCreate fails with status %d: products of matrices by a slower kernel of loci's", status);
        say(host, LOCI_LOG_WARN, text);
    }
}

/* The library stays: nothing that was opened is ever unloaded. */
void cuda_blas_close(cuda_blas *blas)
{
    if (blas->handle)
        (void)blas->destroy(blas->handle);
}

int cuda_blas_run(const cuda_blas *blas, void *stream, const cuda_product *p)
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
