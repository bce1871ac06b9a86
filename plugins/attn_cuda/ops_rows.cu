/* SPDX-License-Identifier: Apache-2.0
 *
 * plugins/attn_cuda/ops_rows: take and put of rows by index, and rotary positions.
 *
 * The indices are the host's (ADR 0006), which is why they can be checked, and sorted: put gets its rows grouped by
 * where they go, so that a thread adds up one element of one row in the order of i, and no two threads meet.
 */
#include "number.h"

#define THREADS 256

struct rows_args {
    cuda_walk w; /* of one row; operands: out, a */
    int64_t m;   /* rows that are listed; put: rows that are written */
    int64_t out_row, a_row;
    double beta;
    void *out;
    const void *a;
    const int32_t *rows;           /* take */
    const int32_t *first, *source; /* put: row g gets source[first[g]] .. source[first[g + 1]], all of rows[g] */
};

template <typename R> __global__ void take_kernel(rows_args j)
{
    const R beta = (R)j.beta;

    for (int64_t i = thread_number(); i < j.m * j.w.count; i += thread_count()) {
        const int64_t m = i / j.w.count, row = j.rows[m];
        int64_t at[2];
        R value, *out;

        walk_at<2>(j.w, i % j.w.count, at);
        value = row < 0 ? 0 : ((const R *)j.a)[row * j.a_row + at[1]];
        out = (R *)j.out + m * j.out_row + at[0];
        *out = beta == 0 ? value : value + beta * *out;
    }
}

template <typename R> __global__ void put_kernel(rows_args j)
{
    for (int64_t i = thread_number(); i < j.m * j.w.count; i += thread_count()) {
        const int64_t g = i / j.w.count, last = j.first[g + 1];
        int64_t at[2];
        R *out, sum;

        walk_at<2>(j.w, i % j.w.count, at);
        out = (R *)j.out + j.rows[g] * j.out_row + at[0];
        sum = *out;
        for (int64_t s = j.first[g]; s < last; s++)
            sum += ((const R *)j.a)[j.source[s] * j.a_row + at[1]];
        *out = sum;
    }
}

static loci_status rows_init(rows_args *j, const char *op, const loci_tensor *out, const loci_tensor *a,
                             const loci_tensor *rows, const loci_tensor *picked, const loci_tensor *whole,
                             loci_error *err)
{
    const int32_t *list;
    int64_t step;

    CUDA_TRY(loci_ops_check(op, "out", out, out->dtype, 1, 1, err));
    CUDA_TRY(loci_ops_check(op, "a", a, out->dtype, 1, 0, err));
    CUDA_TRY(loci_ops_check_i32(op, "rows", rows, 1, picked->shape, err));
    for (int i = 0; i < out->ndim; i++)
        if (out->ndim != a->ndim || (i && out->shape[i] != a->shape[i]))
            return cuda_refuse(err, LOCI_E_ARG, "%s: rows of out and a differ in shape", op);
    j->m = rows->shape[0];
    list = (const int32_t *)loci_ptr(rows);
    step = j->m > 1 ? rows->strides[0] : 1;
    for (int64_t i = 0; i < j->m; i++)
        if (list[i * step] < -1 || list[i * step] >= whole->shape[0])
            return cuda_refuse(err, LOCI_E_ARG, "%s: rows[%lld] is %d; the matrix has %lld rows", op, (long long)i,
                               list[i * step], (long long)whole->shape[0]);
    cuda_walk_init(&j->w, out->ndim - 1, out->shape + 1);
    cuda_walk_add(&j->w, out->strides + 1);
    cuda_walk_add(&j->w, a->strides + 1);
    cuda_walk_merge(&j->w);
    j->out = loci_ptr(out);
    j->a = loci_ptr(a);
    j->out_row = out->strides[0];
    j->a_row = a->strides[0];
    return LOCI_OK;
}

loci_status cuda_op_take(const loci_exec *x, const loci_tensor *out, const loci_tensor *a, const loci_tensor *rows,
                         double beta, loci_error *err)
{
    const int bits = loci_ops_bits("take", out, err);
    rows_args j = rows_args();

    if (!bits)
        return LOCI_E_ARG;
    if (!a)
        return cuda_refuse(err, LOCI_E_ARG, "take: a is missing");
    CUDA_TRY(rows_init(&j, "take", out, a, rows, out, a, err));
    if (j.m * j.w.count == 0)
        return LOCI_OK;
    j.beta = beta;
    CUDA_TRY(cuda_list_i32(x, "take", rows, &j.rows, err));
    return launched("take",
                    gpu_launch(bits == 32 ? take_kernel<float> : take_kernel<double>,
                               blocks_for(j.m * j.w.count, THREADS), THREADS, 0, x->stream, j),
                    err);
}

/* ---- put -------------------------------------------------------------------------------------------------------- */

/* Sort keys where they lie (heapsort, Williams 1964). */
static void sift(uint64_t *key, int64_t at, int64_t n)
{
    for (int64_t next = 2 * at + 1; next < n; at = next, next = 2 * at + 1) {
        const uint64_t own = key[at];

        if (next + 1 < n && key[next + 1] > key[next])
            next++;
        if (own >= key[next])
            return;
        key[at] = key[next];
        key[next] = own;
    }
}

static void sort(uint64_t *key, int64_t n)
{
    for (int64_t i = n / 2 - 1; i >= 0; i--)
        sift(key, i, n);
    for (int64_t i = n - 1; i > 0; i--) {
        const uint64_t top = key[0];

        key[0] = key[i];
        key[i] = top;
        sift(key, 0, i);
    }
}

/* Stage rows, first and source of j, grouped by row and in the order of i within one; j->m becomes the groups. */
static loci_status group(rows_args *j, const loci_exec *x, const loci_tensor *rows, loci_error *err)
{
    const int32_t *list = (const int32_t *)loci_ptr(rows);
    const int64_t m = j->m, step = m > 1 ? rows->strides[0] : 1;
    const uint64_t bytes = (uint64_t)(3 * m + 1) * sizeof(int32_t), keys = (uint64_t)m * sizeof(uint64_t);
    void *pinned, *device;
    uint64_t *key;
    int32_t *to, *first, *source;
    int64_t n = 0, groups = 0;

    CUDA_TRY(cuda_stage(x, "put", ((bytes + 7) & ~UINT64_C(7)) + keys, &pinned, &device, err));
    key = (uint64_t *)((char *)pinned + ((bytes + 7) & ~UINT64_C(7)));
    to = (int32_t *)pinned;
    first = to + m;
    source = first + m + 1;
    for (int64_t i = 0; i < m; i++)
        if (list[i * step] >= 0)
            key[n++] = (uint64_t)list[i * step] << 32 | (uint64_t)i;
    sort(key, n);
    for (int64_t i = 0; i < n; i++) {
        const int32_t row = (int32_t)(key[i] >> 32);

        if (groups == 0 || to[groups - 1] != row) {
            first[groups] = (int32_t)i;
            to[groups++] = row;
        }
        source[i] = (int32_t)(key[i] & UINT32_MAX);
    }
    first[groups] = (int32_t)n;
    j->m = groups;
    j->rows = (const int32_t *)device;
    j->first = j->rows + m;
    j->source = j->first + m + 1;
    return cuda_send(x, "put", pinned, bytes, err);
}

loci_status cuda_op_put(const loci_exec *x, const loci_tensor *out, const loci_tensor *a, const loci_tensor *rows,
                        loci_error *err)
{
    const int bits = loci_ops_bits("put", out, err);
    rows_args j = rows_args();

    if (!bits)
        return LOCI_E_ARG;
    if (!a)
        return cuda_refuse(err, LOCI_E_ARG, "put: a is missing");
    CUDA_TRY(rows_init(&j, "put", out, a, rows, a, out, err));
    if (j.m * j.w.count == 0)
        return LOCI_OK;
    CUDA_TRY(group(&j, x, rows, err));
    if (j.m == 0)
        return LOCI_OK;
    return launched("put",
                    gpu_launch(bits == 32 ? put_kernel<float> : put_kernel<double>,
                               blocks_for(j.m * j.w.count, THREADS), THREADS, 0, x->stream, j),
                    err);
}

/* ---- rope ------------------------------------------------------------------------------------------------------- */

struct rope_args {
    int64_t T, H, d, rot, pairs, count; /* pairs: of a head, with the channels that are only copied */
    int64_t y[3], x[3];                 /* strides of row, token, head */
    double base, dir;
    const int32_t *pos; /* [B,T] */
    void *to;
    const void *from;
};

/* Item: row, token, head, then pair p: channels p and p + rot/2, or, past rot/2, one channel that is copied. Angles are
 * float64, so that positions of many thousands keep their digits. */
template <typename R> __global__ void rope_kernel(rope_args a)
{
    for (int64_t i = thread_number(); i < a.count; i += thread_count()) {
        const int64_t p = i % a.pairs, h = i / a.pairs % a.H, t = i / (a.pairs * a.H);
        const int64_t pos = a.pos[t], half = a.rot / 2, row = t / a.T, tok = t % a.T;
        R *y = (R *)a.to + row * a.y[0] + tok * a.y[1] + h * a.y[2];
        const R *x = (const R *)a.from + row * a.x[0] + tok * a.x[1] + h * a.x[2];

        if (p >= half) {
            y[p + half] = x[p + half];
        } else if (pos < 0) {
            const R u = x[p], v = x[p + half];

            y[p] = u;
            y[p + half] = v;
        } else {
            const double angle = (double)pos * pow(a.base, -2.0 * (double)p / (double)a.rot);
            const R c = (R)cos(angle), s = (R)(a.dir * sin(angle)), u = x[p], v = x[p + half];

            y[p] = u * c - v * s;
            y[p + half] = v * c + u * s;
        }
    }
}

loci_status cuda_op_rope(const loci_exec *x, const loci_tensor *y, const loci_tensor *in, const loci_tensor *pos,
                         int64_t rot, double base, double dir, loci_error *err)
{
    const int bits = loci_ops_bits("rope", y, err);
    rope_args a;

    if (!bits)
        return LOCI_E_ARG;
    CUDA_TRY(loci_ops_check("rope", "y", y, y->dtype, 4, 1, err));
    CUDA_TRY(loci_ops_check_like("rope", "x", in, y, 0, err));
    CUDA_TRY(loci_ops_check_i32("rope", "pos", pos, 2, y->shape, err));
    if (y->ndim != 4 || (y->shape[3] > 1 && in->strides[3] != 1))
        return cuda_refuse(err, LOCI_E_ARG, "rope: x and y must be [B,T,H,d] with contiguous d");
    if (rot < 0 || rot % 2 || rot > y->shape[3])
        return cuda_refuse(err, LOCI_E_ARG, "rope: rot is %lld; use an even number up to %lld", (long long)rot,
                           (long long)y->shape[3]);
    if (!(base > 0) || !isfinite(base) || (dir != 1 && dir != -1))
        return cuda_refuse(err, LOCI_E_ARG, "rope: base is %g and dir %g; use a base above 0 and a dir of 1 or -1",
                           base, dir);
    a.T = y->shape[1];
    a.H = y->shape[2];
    a.d = y->shape[3];
    a.rot = rot;
    a.pairs = a.d - rot / 2;
    a.count = y->shape[0] * a.T * a.H * a.pairs;
    for (int i = 0; i < 3; i++) {
        a.y[i] = y->strides[i];
        a.x[i] = in->strides[i];
    }
    a.base = base;
    a.dir = dir;
    a.to = loci_ptr(y);
    a.from = loci_ptr(in);
    if (a.count == 0)
        return LOCI_OK;
    CUDA_TRY(cuda_list_i32(x, "rope", pos, &a.pos, err));
    return launched("rope",
                    gpu_launch(bits == 32 ? rope_kernel<float> : rope_kernel<double>, blocks_for(a.count, THREADS),
                               THREADS, 0, x->stream, a),
                    err);
}
