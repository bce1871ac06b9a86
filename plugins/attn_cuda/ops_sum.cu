/* SPDX-License-Identifier: Apache-2.0
 *
 * plugins/attn_cuda/ops_sum: sums over rows: sum_rows, and the gradient of a norm's gain.
 *
 * A block has 32 columns, threads side by side along a row, and 8 threads per column; thread (c, r) adds rows r, r + 8,
 * ... of the block's part, then the 8 are added in order. Long sums are cut into parts of fixed size (at least PART
 * rows, at most MOST_PARTS of them), whose sums lie in the device's room and are added in order by a second pass.
 */
#include "ops_norm.h"

#define COLS 32
#define DEEP 8
#define PART 512
#define MOST_PARTS 64

struct sum_args {
    norm_args norm; /* w: rows; sum_rows uses operand NORM_X alone */
    int64_t step;   /* between columns of x: 1 or 0 */
    int64_t part;   /* rows of a part */
    double beta;
    void *to; /* row p, columns ..: part p's sums */
    int64_t to_row;
};

/* One element of the sum. */
template <typename R, int GAIN> GPU_FN R sum_of(const sum_args &s, int64_t row, int64_t c)
{
    const norm_args &a = s.norm;
    int64_t at[5];

    walk_at<5>(a.w, row, at);
    if (!GAIN)
        return ((const R *)a.x)[at[NORM_X] + c * s.step];
    return ((const R *)a.dy)[at[NORM_DY] + c] * (((const R *)a.x)[at[NORM_X] + c] * ((const R *)a.stat)[at[NORM_STAT]]);
}

template <typename R, int GAIN> __global__ void sum_kernel(sum_args s)
{
    GPU_SHARED(shared);
    R *const sums = (R *)shared;
    const int lane = threadIdx.x % COLS, deep = threadIdx.x / COLS;
    const int64_t c = (int64_t)blockIdx.x * COLS + lane, first = (int64_t)blockIdx.y * s.part;
    const int64_t last = first + s.part < s.norm.w.count ? first + s.part : s.norm.w.count;
    R sum = 0;

    if (c < s.norm.n)
        for (int64_t row = first + deep; row < last; row += DEEP)
            sum += sum_of<R, GAIN>(s, row, c);
    sums[deep * COLS + lane] = sum;
    __syncthreads();
    if (deep == 0 && c < s.norm.n) {
        R *to = (R *)s.to + (int64_t)blockIdx.y * s.to_row + c;

        for (int i = 1; i < DEEP; i++)
            sum += sums[i * COLS + lane];
        *to = s.beta == 0 ? sum : sum + (R)s.beta * *to;
    }
}

template <typename R, int GAIN> static int sum_launch(void *stream, const sum_args &s, int64_t parts)
{
    const dim3 grid((unsigned)((s.norm.n + COLS - 1) / COLS), (unsigned)parts);

    return gpu_launch(sum_kernel<R, GAIN>, grid, COLS * DEEP, COLS * DEEP * sizeof(R), stream, s);
}

/* s: norm.w, norm.n, the operands, step. out += or, beta 0, := the sum. */
template <typename R, int GAIN>
static loci_status sum_run(const char *op, const loci_exec *x, sum_args s, void *out, double beta, loci_error *err)
{
    const int64_t rows = s.norm.w.count, n = s.norm.n;
    int64_t parts = (rows + PART - 1) / PART;

    if (n == 0)
        return LOCI_OK;
    if (parts > MOST_PARTS)
        parts = MOST_PARTS;
    if ((uint64_t)(parts * n) * sizeof(R) > CUDA_ROOM_BYTES || parts < 1)
        parts = 1;
    s.part = (rows + parts - 1) / parts;
    s.to = out;
    s.to_row = 0;
    s.beta = beta;
    if (parts > 1) {
        s.to = cuda_device(x)->room;
        s.to_row = n;
        s.beta = 0;
    }
    CUDA_TRY(launched(op, sum_launch<R, GAIN>(x->stream, s, parts), err));
    if (parts > 1) { /* the parts are the rows of a matrix */
        sum_args all = s;

        all.norm.w = cuda_walk();
        cuda_walk_init(&all.norm.w, 1, &parts);
        for (int i = 0; i < 5; i++)
            cuda_walk_add(&all.norm.w, i == NORM_X ? &n : NULL);
        all.norm.x = s.to;
        all.step = 1;
        all.part = parts;
        all.to = out;
        all.to_row = 0;
        all.beta = beta;
        CUDA_TRY(launched(op, sum_launch<R, 0>(x->stream, all, 1), err));
    }
    return LOCI_OK;
}

loci_status cuda_op_sum_rows(const loci_exec *x, const loci_tensor *out, const loci_tensor *a, double beta,
                             loci_error *err)
{
    const int bits = loci_ops_bits("sum_rows", out, err);
    sum_args s = sum_args();

    if (!bits)
        return LOCI_E_ARG;
    CUDA_TRY(loci_ops_check("sum_rows", "out", out, out->dtype, 1, 1, err));
    CUDA_TRY(loci_ops_check("sum_rows", "a", a, out->dtype, 1, 0, err));
    if (out->ndim != 1 || out->shape[0] != a->shape[a->ndim - 1])
        return cuda_refuse(err, LOCI_E_ARG, "sum_rows: a has rows of %lld; out must have that one axis",
                           (long long)a->shape[a->ndim - 1]);
    cuda_walk_init(&s.norm.w, a->ndim - 1, a->shape);
    for (int i = 0; i < 5; i++)
        cuda_walk_add(&s.norm.w, i == NORM_X ? a->strides : NULL);
    cuda_walk_merge(&s.norm.w);
    s.norm.n = out->shape[0];
    s.norm.x = loci_ptr(a);
    s.step = a->strides[a->ndim - 1] != 0;
    return bits == 32 ? sum_run<float, 0>("sum_rows", x, s, loci_ptr(out), beta, err)
                      : sum_run<double, 0>("sum_rows", x, s, loci_ptr(out), beta, err);
}

/* A gain per head sums over the other axes, head by head. */
loci_status cuda_norm_dgain(const loci_exec *x, int bits, const norm_args *a, const loci_tensor *dgain, loci_error *err)
{
    const int size = bits / 8, last = a->w.n_axes - 1;
    const int64_t heads = dgain->ndim == 2 ? a->w.shape[last] : 1;
    int64_t step[5] = {0};
    sum_args s = sum_args();

    s.norm = *a;
    s.step = 1;
    if (dgain->ndim == 2) { /* the last axis of the walk is the heads': taken out */
        for (int k = 0; k < 5; k++)
            step[k] = a->w.stride[k][last];
        s.norm.w.n_axes = last;
        s.norm.w.count /= heads;
    }
    cuda_walk_merge(&s.norm.w);
    for (int64_t h = 0; h < heads; h++) {
        char *out = (char *)loci_ptr(dgain) + (dgain->ndim == 2 ? h * dgain->strides[0] * size : 0);

        s.norm.x = (const char *)a->x + h * step[NORM_X] * size;
        s.norm.dy = (const char *)a->dy + h * step[NORM_DY] * size;
        s.norm.stat = (char *)a->stat + h * step[NORM_STAT] * size;
        CUDA_TRY(bits == 32 ? (sum_run<float, 1>("norm_back", x, s, out, 1, err))
                            : (sum_run<double, 1>("norm_back", x, s, out, 1, err)));
    }
    return LOCI_OK;
}
