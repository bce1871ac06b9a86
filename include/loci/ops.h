/* SPDX-License-Identifier: Apache-2.0
 *
 * loci/ops.h: the device services of elementwise and dense steps, loci.ops/1.
 *
 * Get the table with host->get_ext(host, device, LOCI_EXT_OPS). A component written against it runs on every device.
 *
 *  - Results go to `out` as  out = f(...) + beta out;  beta 0 overwrites without reading.
 *  - Operands broadcast through zero strides and must have out's rank and sizes; at most 5 dimensions.
 *  - dtype is f32 or f64 and the same for all operands of a call, but for i32 indices and positions.
 *  - out may be exactly the storage of an input of the same strides (in place) in map1, map2 and xent, nowhere else.
 *  - Functions fail only for shapes and types that break these rules (LOCI_E_ARG).
 *  - Index and position tensors (take, put, rope, xent) are i32 in host memory.
 *  - The bits of a result do not depend on the number of threads.
 */
#ifndef LOCI_OPS_H
#define LOCI_OPS_H

#include <loci/plugin.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LOCI_EXT_OPS "loci.ops/1"

/* C = alpha op(A) op(B) + beta C over the last two axes; leading axes are batch and broadcast through stride 0 in A
 * and B. op(A) is M x K, op(B) is K x N, C is M x N. Rows of A, B and C may have any stride. */
#define LOCI_GEMM_TA 1u /* A is stored K x M */
#define LOCI_GEMM_TB 2u /* B is stored N x K */
/* A, as stored, is square and lower triangular: what lies above its diagonal counts as 0 and is not read, so that what
 * a later token left there, NaN too, does not reach an earlier one. */
#define LOCI_GEMM_LOWER 4u
typedef struct loci_gemm {
    uint32_t struct_size, flags;
    double alpha, beta;
    const loci_tensor *a, *b, *c;
} loci_gemm;

/* map1: out = alpha f(a) + beta out */
#define LOCI_MAP_COPY 0
#define LOCI_MAP_SIGMOID 1
#define LOCI_MAP_SILU 2
#define LOCI_MAP_GELU 3     /* x Phi(x) with the tanh form of Hendrycks and Gimpel 2016 */
#define LOCI_MAP_SOFTPLUS 4
#define LOCI_MAP_EXP 5

/* map2: out = alpha f(a, b) + beta out. The BACK forms are f'(a) b at the input a, the derivative of map1's f;
 * SIGMOID_BACK_Y takes a = sigmoid(x) instead: a (1 - a) b. The BACK2 forms are f''(a) b. */
#define LOCI_MAP_ADD 0
#define LOCI_MAP_MUL 1
#define LOCI_MAP_SILU_BACK 2
#define LOCI_MAP_GELU_BACK 3
#define LOCI_MAP_SOFTPLUS_BACK 4
#define LOCI_MAP_SIGMOID_BACK 5
#define LOCI_MAP_SIGMOID_BACK_Y 6
#define LOCI_MAP_SILU_MUL 7 /* silu(a) b */
#define LOCI_MAP_SILU_BACK2 8
#define LOCI_MAP_GELU_BACK2 9

/* norms over the last axis, n wide:  y = x r gain
 *   RMS  r = 1 / sqrt(mean x^2 + eps)      L2  r = 1 / sqrt(sum x^2 + eps)  */
#define LOCI_NORM_RMS 0
#define LOCI_NORM_L2 1

/* One AdamW step (Loshchilov and Hutter 2019, eq. 12, decoupled decay), with c1 = 1 - beta1^t, c2 = 1 - beta2^t:
 *   g' = g scale;  m = beta1 m + (1 - beta1) g';  v = beta2 v + (1 - beta2) g'^2
 *   p -= lr ( (m / c1) / (sqrt(v / c2) + eps) + decay p )                                                  */
typedef struct loci_adamw {
    uint32_t struct_size, reserved0;
    double lr, beta1, beta2, eps, decay, c1, c2, scale;
} loci_adamw;

typedef struct loci_ops {
    uint32_t struct_size, reserved0;

    loci_status (*gemm)(const loci_exec *, const loci_gemm *, loci_error *);
    loci_status (*fill)(const loci_exec *, const loci_tensor *out, double value, loci_error *);
    loci_status (*map1)(const loci_exec *, int32_t f, const loci_tensor *out, const loci_tensor *a, double alpha,
                        double beta, loci_error *);
    loci_status (*map2)(const loci_exec *, int32_t f, const loci_tensor *out, const loci_tensor *a,
                        const loci_tensor *b, double alpha, double beta, loci_error *);
    /* out [n] = sum of the rows of a [..., n] + beta out. */
    loci_status (*sum_rows)(const loci_exec *, const loci_tensor *out, const loci_tensor *a, double beta,
                            loci_error *);

    /* gain [n] (or, for [..., H, n], [H, n]) or NULL; stat [...] of x's leading axes, contiguous, in acc: r, written by
     * norm and read by norm_back; NULL in norm when no backward follows. norm_back adds to dx and, unless NULL, dgain
     * (whose rank may be 1 or 2, as gain's). */
    loci_status (*norm)(const loci_exec *, int32_t kind, const loci_tensor *y, const loci_tensor *x,
                        const loci_tensor *gain, const loci_tensor *stat, double eps, loci_error *);
    loci_status (*norm_back)(const loci_exec *, int32_t kind, const loci_tensor *dx, const loci_tensor *dgain,
                             const loci_tensor *x, const loci_tensor *gain, const loci_tensor *stat,
                             const loci_tensor *dy, loci_error *);

    /* Depthwise causal convolution over the runs: y_t[c] = sum over l of w[c, l] x_{t-l}[c], l = 0 .. K-1, where
     * tokens before the run come from the tail. x, y [B,T,N]; w [N,K]; tail [states, K-1, N], oldest first, row
     * run.state; a run with pos 0 has a zero tail whatever tail_in holds. tail_out (may be NULL) gets the last K-1
     * inputs of each run. tail_out may be tail_in. */
    loci_status (*conv)(const loci_exec *, const loci_batch *, const loci_tensor *y, const loci_tensor *x,
                        const loci_tensor *w, const loci_tensor *tail_in, const loci_tensor *tail_out, loci_error *);
    /* Adds to dx and dw. tail_grad (may be NULL): d(tail_out) in, d(tail_in) out (0 for a run with pos 0). */
    loci_status (*conv_back)(const loci_exec *, const loci_batch *, const loci_tensor *dx, const loci_tensor *dw,
                             const loci_tensor *tail_grad, const loci_tensor *x, const loci_tensor *w,
                             const loci_tensor *tail_in, const loci_tensor *dy, loci_error *);

    /* Rows of matrices: take: out[i] = a[rows[i]] + beta out[i], where -1 counts as a row of zeros;
     * put: out[rows[i]] += a[i] in the order of i, -1 skipped. a, out [..., n] with rows [m] i32 over the leading axis
     * (axes after it are one row). */
    loci_status (*take)(const loci_exec *, const loci_tensor *out, const loci_tensor *a, const loci_tensor *rows,
                        double beta, loci_error *);
    loci_status (*put)(const loci_exec *, const loci_tensor *out, const loci_tensor *a, const loci_tensor *rows,
                       loci_error *);

    /* Rotary positions (Su et al. 2021), halves rotated against each other (the NeoX layout) in the first `rot`
     * channels: x, y [B,T,H,d], pos i32 [B,T]; angle pos base^(-2i/rot) times dir (1, or -1 for the adjoint); a token
     * at position < 0 is copied. y may be x. */
    loci_status (*rope)(const loci_exec *, const loci_tensor *y, const loci_tensor *x, const loci_tensor *pos,
                        int64_t rot, double base, double dir, loci_error *);

    /* Softmax cross-entropy: loss[i] = lse(logits[i]) - logits[i, target[i]] in nats; dlogits[i] = scale (softmax -
     * one hot), unless dlogits is NULL; it may be the storage of logits. target i32 [N], -1: loss 0, gradient 0.
     * loss [N] in acc; logits [N,V]. */
    loci_status (*xent)(const loci_exec *, const loci_tensor *loss, const loci_tensor *dlogits,
                        const loci_tensor *logits, const loci_tensor *target, double scale, loci_error *);

    /* *out = sum of squares, in float64, pieces of fixed size added in order. a contiguous. */
    loci_status (*sumsq)(const loci_exec *, const loci_tensor *a, double *out, loci_error *);
    /* p, g, m, v of equal size, contiguous; g is left as it is. */
    loci_status (*adamw)(const loci_exec *, const loci_tensor *p, const loci_tensor *g, const loci_tensor *m,
                         const loci_tensor *v, const loci_adamw *, loci_error *);

    /* out [...] = alpha (sum of a b over the last axis) + beta out; a, b [..., n] of one shape, out without that axis. */
    loci_status (*dot)(const loci_exec *, const loci_tensor *out, const loci_tensor *a, const loci_tensor *b,
                       double alpha, double beta, loci_error *);
} loci_ops;

#ifdef __cplusplus
}
#endif
#endif
