/* SPDX-License-Identifier: Apache-2.0
 *
 * core/device/gemm_library: one product in one thread by the library that configure found.
 *
 * oneDNN 2.6's AVX-512 kernels use rsp as an ordinary pointer into their workspace: a signal handler that ran then
 * would write its frame over the heap. So no signal is taken while one runs.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif
#include "core/device/gemm.h"

#if LOCI_HAVE_ONEDNN

#include <dnnl.h>
#include <pthread.h>
#include <signal.h>

void omp_set_num_threads(int n); /* of libgomp, which oneDNN runs on; <omp.h> is not there with every compiler */
#if LOCI_HAVE_ONEDNN_BF16
/* In the library, but not in its header. */
dnnl_status_t dnnl_gemm_bf16bf16f32(char ta, char tb, dnnl_dim_t M, dnnl_dim_t N, dnnl_dim_t K, float alpha,
                                    const uint16_t *a, dnnl_dim_t lda, const uint16_t *b, dnnl_dim_t ldb, float beta,
                                    float *c, dnnl_dim_t ldc);
#endif

static void enter(sigset_t *was)
{
    static _Thread_local bool told;
    sigset_t all;

    if (!told) {
        omp_set_num_threads(1);
        told = true;
    }
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, was);
}

bool loci_library_f32(const loci_block *b)
{
    sigset_t was;
    bool ok;

    enter(&was);
    ok = dnnl_sgemm(b->ta ? 'T' : 'N', b->tb ? 'T' : 'N', b->M, b->N, b->K, b->alpha, b->a, b->lda, b->b, b->ldb,
                    b->beta, b->c, b->ldc) == dnnl_success;
    pthread_sigmask(SIG_SETMASK, &was, NULL);
    return ok;
}

#elif LOCI_HAVE_CBLAS

#include <cblas.h>

bool loci_library_f32(const loci_block *b)
{
    if (b->M > INT32_MAX || b->N > INT32_MAX || b->K > INT32_MAX || b->lda > INT32_MAX || b->ldb > INT32_MAX ||
        b->ldc > INT32_MAX)
        return false;
    cblas_sgemm(CblasRowMajor, b->ta ? CblasTrans : CblasNoTrans, b->tb ? CblasTrans : CblasNoTrans, (int)b->M,
                (int)b->N, (int)b->K, b->alpha, b->a, (int)b->lda, b->b, (int)b->ldb, b->beta, b->c, (int)b->ldc);
    return true;
}

#else

bool loci_library_f32(const loci_block *b)
{
    (void)b;
    return false;
}

#endif

#if LOCI_HAVE_ONEDNN && LOCI_HAVE_ONEDNN_BF16 && defined(__x86_64__)

bool loci_library_bf16(const loci_block *b)
{
    sigset_t was;
    bool ok;

    enter(&was);
    ok = dnnl_gemm_bf16bf16f32(b->ta ? 'T' : 'N', b->tb ? 'T' : 'N', b->M, b->N, b->K, b->alpha, b->a, b->lda, b->b,
                               b->ldb, b->beta, b->c, b->ldc) == dnnl_success;
    pthread_sigmask(SIG_SETMASK, &was, NULL);
    return ok;
}

/* The library may have been told to use less than the processor has, so it is asked for a product. */
bool loci_library_has_bf16(void)
{
    uint16_t ones[16];
    float c[16] = {0};
    const loci_block b = {
        .M = 4, .N = 4, .K = 4, .lda = 4, .ldb = 4, .ldc = 4, .alpha = 1, .a = ones, .b = ones, .c = c};

    for (int i = 0; i < 16; i++)
        ones[i] = 0x3f80; /* 1 */
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx512bf16") && loci_library_bf16(&b) && c[0] == 4 && c[15] == 4;
}

#else

bool loci_library_has_bf16(void)
{
    return false;
}

bool loci_library_bf16(const loci_block *b)
{
    (void)b;
    return false;
}

#endif
