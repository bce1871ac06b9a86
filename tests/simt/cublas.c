/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/simt/cublas: a library with the five functions of cuBLAS that plugins/attn_cuda/blas.c calls, in plain loops,
 * as its manual has them: matrices are column-major, and a leading dimension that is too small is refused with
 * status 7.
 */
#include <stdint.h>
#include <stdlib.h>

#define EXPORT __attribute__((visibility("default")))
#define INVALID 7

EXPORT int cublasCreate_v2(void **handle);
EXPORT int cublasDestroy_v2(void *handle);
EXPORT int cublasSetStream_v2(void *handle, void *stream);
EXPORT long cublas_products(void);

static long products; /* since the program began */

int cublasCreate_v2(void **handle)
{
    *handle = malloc(1);
    return *handle ? 0 : 3;
}

int cublasDestroy_v2(void *handle)
{
    free(handle);
    return 0;
}

int cublasSetStream_v2(void *handle, void *stream)
{
    (void)stream;
    return handle ? 0 : 1;
}

long cublas_products(void)
{
    return products;
}

/* op(A)[i][l] is A[i + l lda], or transposed A[l + i lda]. */
#define GEMM(name, real) \
    EXPORT int name(void *handle, int ta, int tb, int m, int n, int k, const real *alpha, const real *a, int lda, \
                    long long a_step, const real *b, int ldb, long long b_step, const real *beta, real *c, int ldc, \
                    long long c_step, int count); \
    int name(void *handle, int ta, int tb, int m, int n, int k, const real *alpha, const real *a, int lda, \
             long long a_step, const real *b, int ldb, long long b_step, const real *beta, real *c, int ldc, \
             long long c_step, int count) \
    { \
        if (!handle || m < 0 || n < 0 || k < 0 || lda < (ta ? k : m) || ldb < (tb ? n : k) || ldc < m || lda < 1 || \
            ldb < 1 || ldc < 1) \
            return INVALID; \
        products++; \
        for (int z = 0; z < count; z++, a += a_step, b += b_step, c += c_step) \
            for (int i = 0; i < m; i++) \
                for (int j = 0; j < n; j++) { \
                    real sum = 0, *to = c + i + (int64_t)j * ldc; \
                    for (int l = 0; l < k; l++) \
                        sum += a[ta ? l + (int64_t)i * lda : i + (int64_t)l * lda] * \
                               b[tb ? j + (int64_t)l * ldb : l + (int64_t)j * ldb]; \
                    *to = *beta == 0 ? *alpha * sum : *alpha * sum + *beta * *to; \
                } \
        return 0; \
    }

GEMM(cublasSgemmStridedBatched, float)
GEMM(cublasDgemmStridedBatched, double)
