/* SPDX-License-Identifier: Apache-2.0
 *
 * plugins/attn_cuda/ops_map: fill, map1, map2 and adamw: a thread per element. `f` is a template argument, so a kernel
 * computes one function and decides nothing.
 */
#include "number.h"

#define THREADS 256
#define FILL (-1)

struct map_args {
    cuda_walk w; /* operands: out, a, b */
    void *out;
    const void *a, *b;
    double alpha, beta;
};

template <typename R, int F> GPU_FN R map1_of(R a)
{
    switch (F) {
    case LOCI_MAP_SIGMOID:
        return sigmoid_of(a);
    case LOCI_MAP_SILU:
        return a * sigmoid_of(a);
    case LOCI_MAP_GELU:
        return gelu_of(a);
    case LOCI_MAP_SOFTPLUS:
        return softplus_of(a);
    case LOCI_MAP_EXP:
        return exp_of(a);
    default:
        return a;
    }
}

template <typename R, int F> GPU_FN R map2_of(R a, R b)
{
    switch (F) {
    case LOCI_MAP_MUL:
        return a * b;
    case LOCI_MAP_SILU_BACK:
        return silu_back(a) * b;
    case LOCI_MAP_GELU_BACK:
        return gelu_back(a) * b;
    case LOCI_MAP_SOFTPLUS_BACK:
        return sigmoid_of(a) * b;
    case LOCI_MAP_SIGMOID_BACK:
        return sigmoid_back(a) * b;
    case LOCI_MAP_SIGMOID_BACK_Y:
        return a * (1 - a) * b;
    case LOCI_MAP_SILU_MUL:
        return a * sigmoid_of(a) * b;
    case LOCI_MAP_SILU_BACK2:
        return silu_back2(a) * b;
    case LOCI_MAP_GELU_BACK2:
        return gelu_back2(a) * b;
    default:
        return a + b;
    }
}

/* N operands: 1 fill, 2 map1, 3 map2. */
template <typename R, int N, int F> __global__ void map_kernel(map_args m)
{
    const R alpha = (R)m.alpha, beta = (R)m.beta;

    for (int64_t i = thread_number(); i < m.w.count; i += thread_count()) {
        int64_t at[N];
        R value = 1, *out;

        walk_at<N>(m.w, i, at);
        out = (R *)m.out + at[0];
        if (N == 2)
            value = map1_of<R, F>(((const R *)m.a)[at[1 % N]]);
        if (N == 3)
            value = map2_of<R, F>(((const R *)m.a)[at[1 % N]], ((const R *)m.b)[at[2 % N]]);
        value *= alpha;
        *out = beta == 0 ? value : value + beta * *out;
    }
}

template <typename R, int N, int F> static int map_launch(void *stream, const map_args &m)
{
    return gpu_launch(map_kernel<R, N, F>, blocks_for(m.w.count, THREADS), THREADS, 0, stream, m);
}

template <typename R> static int map1_launch(int f, void *stream, const map_args &m)
{
    static int (*const of[])(void *, const map_args &) = {
        map_launch<R, 2, LOCI_MAP_COPY>, map_launch<R, 2, LOCI_MAP_SIGMOID>,  map_launch<R, 2, LOCI_MAP_SILU>,
        map_launch<R, 2, LOCI_MAP_GELU>, map_launch<R, 2, LOCI_MAP_SOFTPLUS>, map_launch<R, 2, LOCI_MAP_EXP>};

    return of[f](stream, m);
}

template <typename R> static int map2_launch(int f, void *stream, const map_args &m)
{
    static int (*const of[])(void *, const map_args &) = {map_launch<R, 3, LOCI_MAP_ADD>,
                                                          map_launch<R, 3, LOCI_MAP_MUL>,
                                                          map_launch<R, 3, LOCI_MAP_SILU_BACK>,
                                                          map_launch<R, 3, LOCI_MAP_GELU_BACK>,
                                                          map_launch<R, 3, LOCI_MAP_SOFTPLUS_BACK>,
                                                          map_launch<R, 3, LOCI_MAP_SIGMOID_BACK>,
                                                          map_launch<R, 3, LOCI_MAP_SIGMOID_BACK_Y>,
                                                          map_launch<R, 3, LOCI_MAP_SILU_MUL>,
                                                          map_launch<R, 3, LOCI_MAP_SILU_BACK2>,
                                                          map_launch<R, 3, LOCI_MAP_GELU_BACK2>};

    return of[f](stream, m);
}

static loci_status map_run(const char *op, const loci_exec *x, int f, const loci_tensor *out, const loci_tensor *a,
                           const loci_tensor *b, double alpha, double beta, loci_error *err)
{
    const int bits = loci_ops_bits(op, out, err);
    map_args m;
    int e;

    if (!bits)
        return LOCI_E_ARG;
    CUDA_TRY(loci_ops_check(op, "out", out, out->dtype, 1, 1, err));
    if (f != FILL)
        CUDA_TRY(loci_ops_check_like(op, "a", a, out, 0, err));
    if (b)
        CUDA_TRY(loci_ops_check_like(op, "b", b, out, 0, err));
    cuda_walk_init(&m.w, out->ndim, out->shape);
    cuda_walk_add(&m.w, out->strides);
    if (a)
        cuda_walk_add(&m.w, a->strides);
    if (b)
        cuda_walk_add(&m.w, b->strides);
    cuda_walk_merge(&m.w);
    if (m.w.count == 0)
        return LOCI_OK;
    m.out = loci_ptr(out);
    m.a = a ? loci_ptr(a) : NULL;
    m.b = b ? loci_ptr(b) : NULL;
    m.alpha = alpha;
    m.beta = beta;
    if (f == FILL)
        e = bits == 32 ? map_launch<float, 1, FILL>(x->stream, m) : map_launch<double, 1, FILL>(x->stream, m);
    else if (!b)
        e = bits == 32 ? map1_launch<float>(f, x->stream, m) : map1_launch<double>(f, x->stream, m);
    else
        e = bits == 32 ? map2_launch<float>(f, x->stream, m) : map2_launch<double>(f, x->stream, m);
    return launched(op, e, err);
}

loci_status cuda_op_fill(const loci_exec *x, const loci_tensor *out, double value, loci_error *err)
{
    return map_run("fill", x, FILL, out, NULL, NULL, value, 0, err);
}

loci_status cuda_op_map1(const loci_exec *x, int32_t f, const loci_tensor *out, const loci_tensor *a, double alpha,
                         double beta, loci_error *err)
{
    if (f < LOCI_MAP_COPY || f > LOCI_MAP_EXP)
        return cuda_refuse(err, LOCI_E_ARG, "map1: function %d is unknown; the last is %d", f, LOCI_MAP_EXP);
    if (!a)
        return cuda_refuse(err, LOCI_E_ARG, "map1: a is missing");
    return map_run("map1", x, f, out, a, NULL, alpha, beta, err);
}

loci_status cuda_op_map2(const loci_exec *x, int32_t f, const loci_tensor *out, const loci_tensor *a,
                         const loci_tensor *b, double alpha, double beta, loci_error *err)
{
    if (f < LOCI_MAP_ADD || f > LOCI_MAP_GELU_BACK2)
        return cuda_refuse(err, LOCI_E_ARG, "map2: function %d is unknown; the last is %d", f, LOCI_MAP_GELU_BACK2);
    if (!a || !b)
        return cuda_refuse(err, LOCI_E_ARG, "map2: %s is missing", a ? "b" : "a");
    return map_run("map2", x, f, out, a, b, alpha, beta, err);
}

/* ---- adamw ------------------------------------------------------------------------------------------------------ */

struct adamw_args {
    void *p, *m, *v;
    const void *g;
    int64_t n;
    loci_adamw step;
};

template <typename R> __global__ void adamw_kernel(adamw_args a)
{
    const R b1 = (R)a.step.beta1, b2 = (R)a.step.beta2, a1 = (R)(1 - a.step.beta1), a2 = (R)(1 - a.step.beta2);
    const R i1 = (R)(1 / a.step.c1), i2 = (R)(1 / a.step.c2), eps = (R)a.step.eps, scale = (R)a.step.scale;
    const R lr = (R)a.step.lr, shrink = (R)(a.step.lr * a.step.decay);
    R *p = (R *)a.p, *m = (R *)a.m, *v = (R *)a.v;

    for (int64_t i = thread_number(); i < a.n; i += thread_count()) {
        const R d = ((const R *)a.g)[i] * scale;
        const R mi = b1 * m[i] + a1 * d, vi = b2 * v[i] + a2 * d * d;

        m[i] = mi;
        v[i] = vi;
        p[i] -= lr * (mi * i1 / (sqrt_of(vi * i2) + eps)) + shrink * p[i];
    }
}

loci_status cuda_op_adamw(const loci_exec *x, const loci_tensor *p, const loci_tensor *g, const loci_tensor *m,
                          const loci_tensor *v, const loci_adamw *step, loci_error *err)
{
    const loci_tensor *const all[4] = {p, g, m, v};
    static const char *const names[4] = {"p", "g", "m", "v"};
    const int bits = loci_ops_bits("adamw", p, err);
    adamw_args a;

    if (!bits)
        return LOCI_E_ARG;
    for (int i = 0; i < 4; i++) {
        CUDA_TRY(loci_ops_check("adamw", names[i], all[i], p->dtype, 1, 1, err));
        if (!loci_ops_contiguous(all[i]) || loci_ops_elements(all[i]) != loci_ops_elements(p))
            return cuda_refuse(err, LOCI_E_ARG, "adamw: %s must be contiguous and of p's size", names[i]);
    }
    if (!step || !(step->c1 > 0) || !(step->c2 > 0))
        return cuda_refuse(err, LOCI_E_ARG, "adamw: c1 and c2 must be above 0; they are 1 - beta^t with t from 1");
    a.p = loci_ptr(p);
    a.g = loci_ptr(g);
    a.m = loci_ptr(m);
    a.v = loci_ptr(v);
    a.n = loci_ops_elements(p);
    a.step = *step;
    if (a.n == 0)
        return LOCI_OK;
    return launched("adamw",
                    gpu_launch(bits == 32 ? adamw_kernel<float> : adamw_kernel<double>, blocks_for(a.n, THREADS),
                               THREADS, 0, x->stream, a),
                    err);
}
