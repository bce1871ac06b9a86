/* SPDX-License-Identifier: Apache-2.0
 *
 * core/device/gemm: C = alpha op(A) op(B) + beta C.
 *
 *  (1) C is cut into blocks whose sizes depend on M, N, K and the batch alone; a block is one single-threaded product
 *      over the whole of K. So the bits do not depend on the number of threads, whatever library computes a block.
 *  (2) Batch axes along which B does not move become more rows of one product, where the strides of A and C allow it:
 *      [B,T,D] times a weight is one product of B T rows. A triangular product is left whole: one block per item.
 *  (3) float32 goes to oneDNN, else to a CBLAS; blocks of few rows or of less work than the kernels say of themselves,
 *      rows the libraries cannot address, float64, and everything at level ref go to our own kernels (kern_gemm.tmpl).
 *  (4) Where the device was told to round operands to bfloat16, products go to tiles of AMX (gemm_tile.h) or, without
 *      them, to oneDNN (gemm_bf16.c). Small ones do not, and tiles leave out those of few rows or columns, too.
 */
#include "core/device/gemm.h"
#include "core/device/gemm_tile.h"
#include "core/device/ops.h"

#define SMALL (20 * 20 * 20)     /* multiplications: below, a library's overhead shows */
#define ROWS_LEAST 8             /* rows; */
#define ROWS_MOST 32             /* up to so many our tiles win whatever the work is */
#define LEAST (INT64_C(1) << 17) /* of a block: below, a task's overhead shows */
#define MOST (INT64_C(1) << 28)  /* of a block: some milliseconds */
#define SQUARE \
    (INT64_C(1) << 17) /* elements of a block of C below which MOST does not cut it: it would be packed too often */
#define WANTED 8       /* blocks, where they stay above LEAST */
#define EDGE 64

#define TILED 8 /* rows and columns from which on tiles win, though they are padded to 32 */

typedef struct gemm_job {
    const loci_kern *k;
    int64_t M, N, K;
    int64_t a_row, a_col, b_row, b_col, c_row; /* elements along M, K; K, N; M */
    loci_walk batch;                           /* operands A, B, C */
    int64_t mb, nb, m_blocks, n_blocks;
    const char *a, *b;
    char *c;
    double alpha, beta;
    bool library, ta, tb, lower;
    loci_rooms *bf16; /* not NULL: operands are rounded */
} gemm_job;

/* ---- one block -------------------------------------------------------------------------------------------------- */

/* LOWER: beside the square on the diagonal, rows r .. r + h of op(A) are full from 0 to r, or with TA from r + h on. */
static void lower_item(const gemm_job *j, const char *a, const char *b, char *c)
{
    const int64_t size = j->k->size, N = j->N;

    for (int64_t r = 0; r < j->M; r += LOCI_KERN_LOWER) {
        const int64_t h = j->M - r < LOCI_KERN_LOWER ? j->M - r : LOCI_KERN_LOWER, from = j->ta ? r + h : 0;
        const int64_t full = j->ta ? j->K - from : r;
        char *to = c + r * j->c_row * size;

        if (full > 0)
            j->k->gemm(h, N, full, j->alpha, a + (r * j->a_row + from * j->a_col) * size, j->a_row, j->a_col,
                       b + from * j->b_row * size, j->b_row, j->b_col, j->beta, to, j->c_row);
        j->k->lower(h, N, j->ta, j->alpha, a + r * (j->a_row + j->a_col) * size, j->a_row, j->a_col,
                    b + r * j->b_row * size, j->b_row, j->b_col, full > 0 ? 1 : j->beta, to, j->c_row);
    }
}

/* Is a block of M x N ours (3)? What was measured to win. A corner of a product is rounded as the rest is. */
static bool ours(const gemm_job *j, int64_t M, int64_t N)
{
    const double work = (double)M * (double)N * (double)j->K;

    if (!j->library || j->lower || (j->bf16 ? (double)j->M * (double)j->N * (double)j->K : work) < SMALL)
        return true;
    return !j->bf16 && M >= ROWS_LEAST && (M <= ROWS_MOST || work <= j->k->gemm_most);
}

static void gemm_task(void *arg, int64_t begin, int64_t end, uint32_t worker)
{
    const gemm_job *j = arg;
    int64_t size = j->k->size, blocks = j->m_blocks * j->n_blocks;
    loci_step s;

    (void)worker;
    loci_walk_seek(&j->batch, &s, begin / blocks);
    for (int64_t i = begin; i < end; i++) {
        int64_t m = i % blocks / j->n_blocks * j->mb, n = i % j->n_blocks * j->nb;
        int64_t M = j->M - m < j->mb ? j->M - m : j->mb, N = j->N - n < j->nb ? j->N - n : j->nb;
        const char *a = j->a + s.at[0] + m * j->a_row * size, *b = j->b + s.at[1] + n * j->b_col * size;
        char *c = j->c + s.at[2] + (m * j->c_row + n) * size;
        bool done = !ours(j, M, N);

        if (done) {
            const loci_block block = {.ta = j->ta,
                                      .tb = j->tb,
                                      .M = M,
                                      .N = N,
                                      .K = j->K,
                                      .lda = j->ta ? j->a_col : j->a_row,
                                      .ldb = j->tb ? j->b_col : j->b_row,
                                      .ldc = j->c_row,
                                      .alpha = (float)j->alpha,
                                      .beta = (float)j->beta,
                                      .a = a,
                                      .b = b,
                                      .c = (float *)(void *)c};
            void *room = j->bf16 ? loci_room_take(j->bf16) : NULL;
            done = room ? loci_gemm_bf16(j->k, &block, room) : loci_library_f32(&block);
            if (room)
                loci_room_give(j->bf16, room);
        }
        if (j->lower && j->alpha != 0)
            lower_item(j, a, b, c);
        else if (!done)
            j->k->gemm(M, N, j->K, j->alpha, a, j->a_row, j->a_col, b, j->b_row, j->b_col, j->beta, c, j->c_row);
        if ((i + 1) % blocks == 0)
            loci_walk_next(&j->batch, &s);
    }
}

/* ---- shapes ----------------------------------------------------------------------------------------------------- */

static loci_status gemm_check(const loci_gemm *g, loci_error *err)
{
    const loci_tensor *a = g->a, *b = g->b, *c = g->c;
    int r;
    bool ta = g->flags & LOCI_GEMM_TA, tb = g->flags & LOCI_GEMM_TB;
    loci_status status;

    LOCI_TRY(loci_ops_check("gemm", "C", c, c->dtype, 2, true, err));
    LOCI_TRY(loci_ops_check("gemm", "A", a, c->dtype, 2, false, err));
    LOCI_TRY(loci_ops_check("gemm", "B", b, c->dtype, 2, false, err));
    r = c->ndim;
    if (a->ndim != r || b->ndim != r)
        return loci_fail(err, LOCI_E_ARG, "gemm: A, B and C have %d, %d and %d dimensions; give all the same", a->ndim,
                         b->ndim, r);
    for (int i = 0; i < r - 2; i++)
        if (a->shape[i] != c->shape[i] || b->shape[i] != c->shape[i])
            return loci_fail(err, LOCI_E_ARG, "gemm: axis %d is %lld in A, %lld in B, %lld in C; broadcast by stride 0",
                             i, (long long)a->shape[i], (long long)b->shape[i], (long long)c->shape[i]);
    a = g->a;
    if (a->shape[ta ? r - 1 : r - 2] != c->shape[r - 2] || b->shape[tb ? r - 2 : r - 1] != c->shape[r - 1] ||
        a->shape[ta ? r - 2 : r - 1] != b->shape[tb ? r - 1 : r - 2])
        return loci_fail(err, LOCI_E_ARG, "gemm: op(A) is %lld x %lld, op(B) %lld x %lld, C %lld x %lld",
                         (long long)a->shape[ta ? r - 1 : r - 2], (long long)a->shape[ta ? r - 2 : r - 1],
                         (long long)b->shape[tb ? r - 1 : r - 2], (long long)b->shape[tb ? r - 2 : r - 1],
                         (long long)c->shape[r - 2], (long long)c->shape[r - 1]);
    if ((g->flags & LOCI_GEMM_LOWER) && a->shape[r - 2] != a->shape[r - 1])
        return loci_fail(err, LOCI_E_ARG, "gemm: A is %lld x %lld; with LOWER it must be square",
                         (long long)a->shape[r - 2], (long long)a->shape[r - 1]);
out:
    return status;
}

/* (2), from the innermost batch axis outwards. */
static void merge_rows(gemm_job *j)
{
    loci_walk *w = &j->batch;
    int64_t size = j->k->size;

    while (w->n_dims > 0) {
        int i = w->n_dims - 1;
        bool one = j->M == 1 && w->stride[2][i] >= j->N * size;
        bool next = w->stride[0][i] == j->M * j->a_row * size && w->stride[2][i] == j->M * j->c_row * size;
        if (w->shape[i] > 1 && (w->stride[1][i] != 0 || !(one || next)))
            return;
        if (w->shape[i] > 1 && j->M == 1) {
            j->a_row = w->stride[0][i] / size;
            j->c_row = w->stride[2][i] / size;
        }
        j->M *= w->shape[i];
        loci_walk_pop(w);
    }
}

/* (1) */
static void cut(gemm_job *j)
{
    int64_t batch = j->batch.count;

    j->mb = j->M;
    j->nb = j->N;
    if (j->bf16) {
        j->mb = j->mb < LOCI_BF16_EDGE ? j->mb : LOCI_BF16_EDGE;
        j->nb = j->nb < LOCI_BF16_EDGE ? j->nb : LOCI_BF16_EDGE;
    }
    while (!j->lower) {
        int64_t blocks = (j->M + j->mb - 1) / j->mb * ((j->N + j->nb - 1) / j->nb) * batch;
        double work = (double)j->mb * (double)j->nb * (double)j->K;
        bool rows = j->mb >= j->nb;
        int64_t *edge = rows ? &j->mb : &j->nb, half = (*edge / 2 + EDGE - 1) / EDGE * EDGE;
        if (work <= 2.0 * LEAST || (blocks >= WANTED && (work <= MOST || j->mb * j->nb <= SQUARE)) || half >= *edge)
            break;
        *edge = half;
    }
    j->m_blocks = (j->M + j->mb - 1) / j->mb;
    j->n_blocks = (j->N + j->nb - 1) / j->nb;
}

/* Can a library address a matrix of `cols` contiguous elements per row? Rewrites the stride of a single row. */
static bool addressable(int64_t rows, int64_t cols, int64_t *row, int64_t col)
{
    if (rows == 1 && *row < cols)
        *row = cols;
    return *row >= cols && *row > 0 && (col == 1 || cols == 1);
}

static bool library_can(gemm_job *j)
{
    bool a = j->ta ? addressable(j->K, j->M, &j->a_col, j->a_row) : addressable(j->M, j->K, &j->a_row, j->a_col);
    bool b = j->tb ? addressable(j->N, j->K, &j->b_col, j->b_row) : addressable(j->K, j->N, &j->b_row, j->b_col);

    return a && b && addressable(j->M, j->N, &j->c_row, 1);
}

/* (4) */
static bool tiled(const gemm_job *j)
{
    return j->k->size == sizeof(float) && !j->lower && j->alpha != 0 && j->M >= TILED && j->N >= TILED &&
           (double)j->M * (double)j->N * (double)j->K >= SMALL && (j->a_row == 1 || j->a_col == 1) &&
           (j->b_row == 1 || j->b_col == 1);
}

static loci_status by_tiles(const loci_exec *x, const gemm_job *j, const loci_kern_set *set)
{
    const loci_tile_product product = {.M = j->M,
                                       .N = j->N,
                                       .K = j->K,
                                       .a_row = j->a_row,
                                       .a_col = j->a_col,
                                       .b_row = j->b_row,
                                       .b_col = j->b_col,
                                       .c_row = j->c_row,
                                       .batch = &j->batch,
                                       .a = j->a,
                                       .b = j->b,
                                       .c = j->c,
                                       .alpha = (float)j->alpha,
                                       .beta = (float)j->beta};

    return loci_gemm_tiles(x, set->tiles, set->bf16, &product);
}

loci_status loci_op_gemm(const loci_exec *x, const loci_gemm *g, loci_error *err)
{
    const loci_kern_set *set = loci_ops_kern_set(x);
    gemm_job j;
    int r;
    double work;
    loci_status status;

    if (!g || !g->a || !g->b)
        return loci_fail(err, LOCI_E_ARG, "gemm: an operand is missing");
    if (!(j.k = loci_ops_kern(x, "gemm", g->c, err)))
        return LOCI_E_ARG;
    LOCI_TRY(gemm_check(g, err));
    r = g->c->ndim;
    j.ta = g->flags & LOCI_GEMM_TA;
    j.tb = g->flags & LOCI_GEMM_TB;
    j.M = g->c->shape[r - 2];
    j.N = g->c->shape[r - 1];
    j.K = g->a->shape[j.ta ? r - 2 : r - 1];
    j.a_row = g->a->strides[j.ta ? r - 1 : r - 2];
    j.a_col = g->a->strides[j.ta ? r - 2 : r - 1];
    j.b_row = g->b->strides[j.tb ? r - 1 : r - 2];
    j.b_col = g->b->strides[j.tb ? r - 2 : r - 1];
    j.c_row = g->c->strides[r - 2];
    j.a = loci_ptr(g->a);
    j.b = loci_ptr(g->b);
    j.c = loci_ptr(g->c);
    j.alpha = g->alpha;
    j.beta = g->beta;
    if (loci_ops_elements(g->c) == 0)
        return LOCI_OK;
    loci_walk_init(&j.batch, r - 2, g->c->shape);
    loci_walk_add(&j.batch, g->a->strides, j.k->size);
    loci_walk_add(&j.batch, g->b->strides, j.k->size);
    loci_walk_add(&j.batch, g->c->strides, j.k->size);
    j.lower = g->flags & LOCI_GEMM_LOWER;
    if (!j.lower)
        merge_rows(&j);
    if (set->tiles && tiled(&j))
        return by_tiles(x, &j, set);
    j.bf16 = j.k->size == sizeof(float) && !j.lower && !set->tiles ? set->bf16 : NULL;
    cut(&j);
    j.library = j.k->size == sizeof(float) && j.K > 0 && set->level > LOCI_CPU_REF && library_can(&j);
    work = (double)j.mb * (double)j.nb * (double)j.K;
    status = loci_ops_for(x, j.batch.count * j.m_blocks * j.n_blocks, work > LEAST ? 1 : (int64_t)(LEAST / (work + 1)),
                          gemm_task, &j);
out:
    return status;
}
