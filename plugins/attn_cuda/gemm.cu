/* SPDX-License-Identifier: Apache-2.0
 *
 * plugins/attn_cuda/gemm: C = alpha op(A) op(B) + beta C: cuBLAS where it is there and can address the operands, else a
 * kernel that serves every stride and the triangular A.
 *
 *  (1) The kernel: a block computes a tile of TILE x TILE of C, each of 16 x 16 threads 4 x 4 of it; tiles of A and B
 * of DEEP along K pass through shared memory. Elements outside the matrices count as 0. (2) LOWER: what lies above the
 * diagonal of A as stored is never read, and K is cut to what is not 0 for the tile. (3) Batch axes along which B does
 * not move become more rows of one product, where the strides of A and C allow it: [B,T,D] times a weight is one
 * product of B T rows. (4) The order of a sum depends on K alone in the kernel; in cuBLAS it is the library's, the same
 * from call to call.
 */
#include "number.h"

#include <limits.h>

#define TILE 64
#define DEEP 16
#define EACH 4 /* rows and columns of a thread */

struct gemm_args {
    cuda_walk batch; /* operands: A, B, C */
    int64_t M, N, K;
    int64_t a_row, a_col, b_row, b_col, c_row; /* along M, K; K, N; M */
    double alpha, beta;
    const void *a, *b;
    void *c;
    int lower; /* 0; 1: zero for k > m; 2: zero for k < m */
};

template <typename R> __global__ void gemm_kernel(gemm_args g)
{
    GPU_SHARED(shared);
    R *const as = (R *)shared, *const bs = as + DEEP * TILE; /* [DEEP][TILE] */
    const int tx = threadIdx.x % 16, ty = threadIdx.x / 16;
    const int64_t m0 = (int64_t)blockIdx.x * TILE, n0 = (int64_t)blockIdx.y * TILE;
    const int64_t end = g.lower == 1 && m0 + TILE < g.K ? m0 + TILE : g.K;
    const R alpha = (R)g.alpha, beta = (R)g.beta;

    for (int64_t item = blockIdx.z; item < g.batch.count; item += gridDim.z) {
        R sum[EACH][EACH] = {};
        const R *a, *b;
        int64_t at[3];
        R *c;

        walk_at<3>(g.batch, item, at);
        a = (const R *)g.a + at[0];
        b = (const R *)g.b + at[1];
        c = (R *)g.c + at[2];
        for (int64_t k0 = g.lower == 2 ? m0 : 0; k0 < end; k0 += DEEP) {
            for (int i = threadIdx.x; i < DEEP * TILE; i += 256) {
                /* the fastest index is the one along which memory is contiguous */
                const int am = g.a_col == 1 ? i / DEEP : i % TILE, ak = g.a_col == 1 ? i % DEEP : i / TILE;
                const int bn = g.b_col == 1 ? i % TILE : i / DEEP, bk = g.b_col == 1 ? i / TILE : i % DEEP;
                const int64_t m = m0 + am, ka = k0 + ak, n = n0 + bn, kb = k0 + bk;
                const int there = m < g.M && ka < g.K && (g.lower != 1 || ka <= m) && (g.lower != 2 || ka >= m);

                as[ak * TILE + am] = there ? a[m * g.a_row + ka * g.a_col] : 0;
                bs[bk * TILE + bn] = n < g.N && kb < g.K ? b[kb * g.b_row + n * g.b_col] : 0;
            }
            __syncthreads();
            for (int k = 0; k < DEEP && k0 + k < end; k++) {
                R x[EACH], y[EACH];

                for (int i = 0; i < EACH; i++) {
                    x[i] = as[k * TILE + ty * EACH + i];
                    y[i] = bs[k * TILE + tx + 16 * i];
                }
                for (int i = 0; i < EACH; i++)
                    for (int j = 0; j < EACH; j++)
                        sum[i][j] += x[i] * y[j];
            }
            __syncthreads();
        }
        for (int i = 0; i < EACH; i++)
            for (int j = 0; j < EACH; j++) {
                const int64_t m = m0 + ty * EACH + i, n = n0 + tx + 16 * j;

                if (m < g.M && n < g.N) {
                    R *to = c + m * g.c_row + n;

                    *to = beta == 0 ? alpha * sum[i][j] : alpha * sum[i][j] + beta * *to;
                }
            }
    }
}

/* ---- shapes ----------------------------------------------------------------------------------------------------- */

static loci_status gemm_check(const loci_gemm *g, loci_error *err)
{
    const loci_tensor *a = g->a, *b = g->b, *c = g->c;
    const int ta = (g->flags & LOCI_GEMM_TA) != 0, tb = (g->flags & LOCI_GEMM_TB) != 0;
    int64_t m, k, kb, n;
    int r;

    CUDA_TRY(loci_ops_check("gemm", "C", c, c->dtype, 2, 1, err));
    CUDA_TRY(loci_ops_check("gemm", "A", a, c->dtype, 2, 0, err));
    CUDA_TRY(loci_ops_check("gemm", "B", b, c->dtype, 2, 0, err));
    r = c->ndim;
    if (a->ndim != r || b->ndim != r)
        return cuda_refuse(err, LOCI_E_ARG, "gemm: A, B and C have %d, %d and %d dimensions; give all the same",
                           a->ndim, b->ndim, r);
    for (int i = 0; i < r - 2; i++)
        if (a->shape[i] != c->shape[i] || b->shape[i] != c->shape[i])
            return cuda_refuse(err, LOCI_E_ARG,
                               "gemm: axis %d is %lld in A, %lld in B, %lld in C; broadcast by stride 0", i,
                               (long long)a->shape[i], (long long)b->shape[i], (long long)c->shape[i]);
    m = a->shape[ta ? r - 1 : r - 2];
    k = a->shape[ta ? r - 2 : r - 1];
    kb = b->shape[tb ? r - 1 : r - 2];
    n = b->shape[tb ? r - 2 : r - 1];
    if (m != c->shape[r - 2] || n != c->shape[r - 1] || k != kb)
        return cuda_refuse(err, LOCI_E_ARG, "gemm: op(A) is %lld x %lld, op(B) %lld x %lld, C %lld x %lld",
                           (long long)m, (long long)k, (long long)kb, (long long)n, (long long)c->shape[r - 2],
                           (long long)c->shape[r - 1]);
    if ((g->flags & LOCI_GEMM_LOWER) && m != k)
        return cuda_refuse(err, LOCI_E_ARG, "gemm: A is %lld x %lld; with LOWER it must be square", (long long)m,
                           (long long)k);
    return LOCI_OK;
}

/* (3), from the innermost batch axis outwards. */
static void merge_rows(gemm_args *g)
{
    cuda_walk *w = &g->batch;

    while (w->n_axes > 0) {
        const int i = w->n_axes - 1;
        const int64_t n = w->shape[i], a = w->stride[0][i], b = w->stride[1][i], c = w->stride[2][i];
        const int one = g->M == 1 && c >= g->N, next = a == g->M * g->a_row && c == g->M * g->c_row;

        if (n > 1 && (b != 0 || !(one || next)))
            return;
        if (n > 1 && g->M == 1) {
            g->a_row = a;
            g->c_row = c;
        }
        g->M *= n;
        w->count = n ? w->count / n : 0;
        w->n_axes--;
    }
}

/* Can cuBLAS address rows x cols elements with contiguous rows? Rewrites the stride of a single row. */
static int addressable(int64_t rows, int64_t cols, int64_t *row, int64_t col)
{
    if (rows == 1 && *row < cols)
        *row = cols;
    return *row >= cols && *row > 0 && *row <= INT_MAX && rows <= INT_MAX && cols <= INT_MAX && (col == 1 || cols == 1);
}

/* cuBLAS takes one batch axis; the axes before it are calls. */
static loci_status by_library(const loci_exec *x, gemm_args *g, int bits, int ta, int tb, loci_error *err)
{
    cuda_walk *w = &g->batch;
    const int last = w->n_axes - 1;
    const int64_t count = w->n_axes ? w->shape[last] : 1;
    cuda_product p = {};

    p.bits = bits;
    p.ta = ta;
    p.tb = tb;
    p.M = (int)g->M;
    p.N = (int)g->N;
    p.K = (int)g->K;
    p.lda = (int)(ta ? g->a_col : g->a_row);
    p.ldb = (int)(tb ? g->b_col : g->b_row);
    p.ldc = (int)g->c_row;
    p.count = (int)count;
    p.alpha = g->alpha;
    p.beta = g->beta;
    if (w->n_axes) {
        p.a_step = w->stride[0][last];
        p.b_step = w->stride[1][last];
        p.c_step = w->stride[2][last];
        w->n_axes = last;
        w->count /= count;
    }
    for (int64_t i = 0; i < w->count; i++) {
        int64_t at[3] = {0, 0, 0}, rest = i;
        int status;

        for (int axis = w->n_axes - 1; axis >= 0; axis--) {
            for (int k = 0; k < 3; k++)
                at[k] += rest % w->shape[axis] * w->stride[k][axis];
            rest /= w->shape[axis];
        }
        p.a = (const char *)g->a + at[0] * (bits / 8);
        p.b = (const char *)g->b + at[1] * (bits / 8);
        p.c = (char *)g->c + at[2] * (bits / 8);
        status = cuda_blas_run(&cuda_device(x)->blas, x->stream, &p);
        if (status)
            return cuda_refuse(err, LOCI_E_DEVICE, "gemm: cuBLAS fails with status %d", status);
    }
    return LOCI_OK;
}

static int library_can(const loci_exec *x, gemm_args *g, int ta, int tb)
{
    return cuda_device(x)->blas.handle && !g->lower && g->K > 0 &&
           (ta ? addressable(g->K, g->M, &g->a_col, g->a_row) : addressable(g->M, g->K, &g->a_row, g->a_col)) &&
           (tb ? addressable(g->N, g->K, &g->b_col, g->b_row) : addressable(g->K, g->N, &g->b_row, g->b_col)) &&
           addressable(g->M, g->N, &g->c_row, 1) &&
           (!g->batch.n_axes || g->batch.shape[g->batch.n_axes - 1] <= INT_MAX);
}

loci_status cuda_op_gemm(const loci_exec *x, const loci_gemm *g, loci_error *err)
{
    int bits, r, ta, tb;
    gemm_args j;

    if (!g || !g->a || !g->b)
        return cuda_refuse(err, LOCI_E_ARG, "gemm: an operand is missing");
    if (!(bits = loci_ops_bits("gemm", g->c, err)))
        return LOCI_E_ARG;
    CUDA_TRY(gemm_check(g, err));
    ta = (g->flags & LOCI_GEMM_TA) != 0;
    tb = (g->flags & LOCI_GEMM_TB) != 0;
    r = g->c->ndim;
    j.M = g->c->shape[r - 2];
    j.N = g->c->shape[r - 1];
    j.K = g->a->shape[ta ? r - 2 : r - 1];
    j.a_row = g->a->strides[ta ? r - 1 : r - 2];
    j.a_col = g->a->strides[ta ? r - 2 : r - 1];
    j.b_row = g->b->strides[tb ? r - 1 : r - 2];
    j.b_col = g->b->strides[tb ? r - 2 : r - 1];
    j.c_row = g->c->strides[r - 2];
    j.a = loci_ptr(g->a);
    j.b = loci_ptr(g->b);
    j.c = loci_ptr(g->c);
    j.alpha = g->alpha;
    j.beta = g->beta;
    j.lower = !(g->flags & LOCI_GEMM_LOWER) ? 0 : ta ? 2 : 1;
    if (loci_ops_elements(g->c) == 0)
        return LOCI_OK;
    cuda_walk_init(&j.batch, r - 2, g->c->shape);
    cuda_walk_add(&j.batch, g->a->strides);
    cuda_walk_add(&j.batch, g->b->strides);
    cuda_walk_add(&j.batch, g->c->strides);
    if (!j.lower)
        merge_rows(&j);
    cuda_walk_merge(&j.batch);
    if (library_can(x, &j, ta, tb))
        return by_library(x, &j, bits, ta, tb, err);
    {
        const int64_t m_tiles = (j.M + TILE - 1) / TILE, n_tiles = (j.N + TILE - 1) / TILE;
        const int64_t items = j.batch.count < 65535 ? j.batch.count : 65535;
        const dim3 grid((unsigned)m_tiles, (unsigned)n_tiles, (unsigned)items);

        if (m_tiles > INT_MAX || n_tiles > 65535)
            return cuda_refuse(err, LOCI_E_UNSUPPORTED,
                               "gemm: C is %lld x %lld; without cuBLAS the cuda device takes at most %d columns",
                               (long long)j.M, (long long)j.N, 65535 * TILE);
        return launched("gemm",
                        gpu_launch(bits == 32 ? gemm_kernel<float> : gemm_kernel<double>, grid, 256,
                                   2 * DEEP * TILE * (size_t)(bits / 8), x->stream, j),
                        err);
    }
}
