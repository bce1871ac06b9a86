/* SPDX-License-Identifier: Apache-2.0
 *
 * core/device/ops_conv: depthwise causal convolution over runs, and its adjoint.
 *
 * Seen from a run of `len` tokens, the inputs form one line of K - 1 + len rows, the tail first:
 *
 *     time   -(K-1) ... -1 | 0 ... len-1          tail[j] is time j - (K-1)
 *     the new tail is the last K - 1 rows of that line: tail_out[j] is time len - (K-1) + j
 *
 *   y_t = sum_l w_l x_{t-l}          dx_s += sum_l w_l dy_{s+l} + d(tail_out) of time s, for s >= 0 and s < 0 alike
 *
 *  (1) Every output is a sum over taps of w_l times a row, and rows that do not exist are a row of zeros; so forward,
 *      dx and d(tail_in) share one kernel. Taps go to it LOCI_KERN_TAPS at a time, the first tap first.
 *  (2) Tails are written in a pass of their own, after everyone has read them: tail_out may be tail_in.
 *  (3) dw is cut by channels alone, and a task goes through the runs and tokens in order.
 */
#include "core/device/ops.h"

#include <string.h>

#define BLOCK_TOK 128 /* tokens of a task */

static const double zeros[LOCI_KERN_WIDE];

typedef struct conv_job {
    const loci_kern *k;
    const loci_run *runs;
    int64_t n_runs, blocks, strips; /* blocks: of the longest run */
    int64_t K, N;
    int64_t row, tok;     /* bytes from row to row and token to token, of x in forward, dy in backward */
    int64_t x_row, x_tok; /* of the other operand: y in forward, x in backward */
    int64_t dx_row, dx_tok;
    int64_t tail_state, tail_tok; /* of the tail that is read */
    int64_t grad_state, grad_tok; /* of the tail that is written: tail_out, tail_grad */
    int64_t w_row, dw_row;        /* elements */
    const char *src, *x, *w, *tail;
    char *out, *dw, *grad;
} conv_job;

/* Channels [at, at + n) of a strip. */
static int64_t strip_of(const conv_job *j, int64_t i, int64_t *at)
{
    *at = i % j->strips * LOCI_KERN_WIDE;
    return j->N - *at < LOCI_KERN_WIDE ? j->N - *at : LOCI_KERN_WIDE;
}

/* The row of time t of a run, channels from `at`: of x, of the tail, or zeros. */
static const void *input(const conv_job *j, const char *x, int64_t x_row, int64_t x_tok, const loci_run *r, int64_t t,
                         int64_t at)
{
    if (t >= 0)
        return x + r->row * x_row + (r->begin + t) * x_tok + at * j->k->size;
    if (r->pos == 0 || !j->tail)
        return zeros;
    return j->tail + r->state * j->tail_state + (t + j->K - 1) * j->tail_tok + at * j->k->size;
}

/* A block of one run. Forward: y := ..., sources go back in time from x. Backward: dx += ..., forth in time from dy. */
static void conv_block(const conv_job *j, const loci_run *r, int64_t t, int64_t end, int64_t at, int64_t n, bool back)
{
    double wt[LOCI_KERN_TAPS * LOCI_KERN_WIDE];
    const void *src[LOCI_KERN_TAPS];
    int64_t size = j->k->size;

    for (int64_t l = 0; l < j->K; l += LOCI_KERN_TAPS) {
        int64_t taps = j->K - l < LOCI_KERN_TAPS ? j->K - l : LOCI_KERN_TAPS;
        j->k->conv_weights(wt, j->w + (at * j->w_row + l) * size, j->w_row, taps, n);
        for (int64_t s = t; s < end; s++) {
            for (int64_t i = 0; i < taps; i++) {
                int64_t from = back ? s + l + i : s - l - i;
                src[i] = from < r->len ? input(j, j->src, j->row, j->tok, r, from, at) : zeros;
            }
            j->k->conv(j->out + r->row * j->dx_row + (r->begin + s) * j->dx_tok + at * size, wt, src, taps, n,
                       back || l > 0);
        }
    }
}

static void conv_task(void *arg, int64_t begin, int64_t end, uint32_t worker)
{
    const conv_job *j = arg;

    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        const loci_run *r = &j->runs[i / (j->strips * j->blocks)];
        int64_t at, n = strip_of(j, i, &at), t = i / j->strips % j->blocks * BLOCK_TOK;
        if (t < r->len)
            conv_block(j, r, t, t + BLOCK_TOK < r->len ? t + BLOCK_TOK : r->len, at, n, false);
    }
}

/* tail_out, oldest row first, so that in place nothing is read after it is overwritten. */
static void tail_task(void *arg, int64_t begin, int64_t end, uint32_t worker)
{
    const conv_job *j = arg;

    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        const loci_run *r = &j->runs[i / j->strips];
        int64_t at, n = strip_of(j, i, &at);
        for (int64_t k = 0; k < j->K - 1; k++) {
            char *to = j->grad + r->state * j->grad_state + k * j->grad_tok + at * j->k->size;
            j->k->map1(LOCI_MAP_COPY, to, input(j, j->src, j->row, j->tok, r, r->len - (j->K - 1) + k, at), 1, n, 1, 0);
        }
    }
}

static void conv_back_task(void *arg, int64_t begin, int64_t end, uint32_t worker)
{
    const conv_job *j = arg;
    int64_t size = j->k->size;

    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        const loci_run *r = &j->runs[i / (j->strips * j->blocks)];
        int64_t at, n = strip_of(j, i, &at), t = i / j->strips % j->blocks * BLOCK_TOK;
        int64_t last = t + BLOCK_TOK < r->len ? t + BLOCK_TOK : r->len, kept = r->len - (j->K - 1);
        if (t >= r->len)
            continue;
        conv_block(j, r, t, last, at, n, true);
        for (int64_t s = t > kept ? t : kept; j->grad && s < last; s++)
            j->k->map1(LOCI_MAP_COPY, j->out + r->row * j->dx_row + (r->begin + s) * j->dx_tok + at * size,
                       j->grad + r->state * j->grad_state + (s - kept) * j->grad_tok + at * size, 1, n, 1, 1);
    }
}

/* d(tail_in): row k is time k - (K-1); newest first, since row k takes d(tail_out) from row k - len. */
static void tail_back_task(void *arg, int64_t begin, int64_t end, uint32_t worker)
{
    const conv_job *j = arg;
    int64_t size = j->k->size;
    double wt[LOCI_KERN_TAPS * LOCI_KERN_WIDE];
    const void *src[LOCI_KERN_TAPS];

    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        const loci_run *r = &j->runs[i / j->strips];
        int64_t at, n = strip_of(j, i, &at);
        char *rows = j->grad + r->state * j->grad_state + at * size;
        for (int64_t k = j->K - 2; k >= 0; k--) {
            const void *old = r->pos != 0 && k >= r->len ? rows + (k - r->len) * j->grad_tok : (const void *)zeros;
            j->k->map1(LOCI_MAP_COPY, rows + k * j->grad_tok, old, 1, n, 1, 0);
        }
        for (int64_t l = 0; r->pos != 0 && l < j->K; l += LOCI_KERN_TAPS) {
            int64_t taps = j->K - l < LOCI_KERN_TAPS ? j->K - l : LOCI_KERN_TAPS;
            j->k->conv_weights(wt, j->w + (at * j->w_row + l) * size, j->w_row, taps, n);
            for (int64_t k = 0; k < j->K - 1; k++) {
                for (int64_t m = 0; m < taps; m++) {
                    int64_t t = k - (j->K - 1) + l + m;
                    src[m] = t >= 0 && t < r->len ? input(j, j->src, j->row, j->tok, r, t, at) : zeros;
                }
                j->k->conv(rows + k * j->grad_tok, wt, src, taps, n, 1);
            }
        }
    }
}

static void conv_dw_task(void *arg, int64_t begin, int64_t end, uint32_t worker)
{
    const conv_job *j = arg;
    int64_t size = j->k->size;
    double acc[LOCI_KERN_TAPS * LOCI_KERN_WIDE];
    const void *src[LOCI_KERN_TAPS];

    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        int64_t at, n = strip_of(j, i, &at);
        for (int64_t l = 0; l < j->K; l += LOCI_KERN_TAPS) {
            int64_t taps = j->K - l < LOCI_KERN_TAPS ? j->K - l : LOCI_KERN_TAPS;
            memset(acc, 0, sizeof acc);
            for (const loci_run *r = j->runs; r < j->runs + j->n_runs; r++)
                for (int64_t t = 0; t < r->len; t++) {
                    for (int64_t m = 0; m < taps; m++)
                        src[m] = input(j, j->x, j->x_row, j->x_tok, r, t - l - m, at);
                    j->k->conv_dw(acc, input(j, j->src, j->row, j->tok, r, t, at), src, taps, n);
                }
            j->k->conv_dw_add(j->dw + (at * j->dw_row + l) * size, j->dw_row, acc, taps, n);
        }
    }
}

/* ---- checks ----------------------------------------------------------------------------------------------------- */

static loci_status check_tail(const char *op, const char *name, const loci_tensor *tail, const conv_job *j,
                              const loci_tensor *x, bool out, loci_error *err)
{
    loci_status status = loci_ops_check(op, name, tail, x->dtype, 3, out, err);

    if (status != LOCI_OK)
        return status;
    if (tail->ndim != 3 || tail->shape[1] != j->K - 1 || tail->shape[2] != j->N || (j->N > 1 && tail->strides[2] != 1))
        return loci_fail(err, LOCI_E_ARG, "%s: %s must be [states,%lld,%lld], the last axis contiguous", op, name,
                         (long long)(j->K - 1), (long long)j->N);
    for (int64_t i = 0; i < j->n_runs; i++)
        if (j->runs[i].state < 0 || j->runs[i].state >= tail->shape[0])
            return loci_fail(err, LOCI_E_ARG, "%s: run %lld has state row %d; %s has %lld rows", op, (long long)i,
                             j->runs[i].state, name, (long long)tail->shape[0]);
    return LOCI_OK;
}

/* x: [B,T,N] that both functions have. */
static loci_status conv_init(conv_job *j, const char *op, const loci_batch *batch, const loci_tensor *x,
                             const loci_tensor *w, const loci_tensor *tail, loci_error *err)
{
    int64_t longest = 0;
    loci_status status;

    if (!batch)
        return loci_fail(err, LOCI_E_ARG, "%s: batch is missing", op);
    LOCI_TRY(loci_ops_check(op, "x", x, x->dtype, 3, true, err));
    LOCI_TRY(loci_ops_check(op, "w", w, x->dtype, 2, true, err));
    if (x->ndim != 3 || w->ndim != 2 || w->shape[0] != x->shape[2] || w->shape[1] < 1)
        return loci_fail(err, LOCI_E_ARG, "%s: x must be [B,T,N] and w [N,K] with K of at least 1", op);
    j->runs = batch->runs;
    j->n_runs = batch->n_runs;
    j->N = w->shape[0];
    j->K = w->shape[1];
    for (int64_t i = 0; i < j->n_runs; i++) {
        const loci_run *r = &j->runs[i];
        if (r->row < 0 || r->row >= x->shape[0] || r->begin < 0 || r->len < 0 ||
            (int64_t)r->begin + r->len > x->shape[1])
            return loci_fail(err, LOCI_E_ARG, "%s: run %lld covers tokens %d to %lld of row %d; x is [%lld,%lld,...]",
                             op, (long long)i, r->begin, (long long)r->begin + r->len, r->row, (long long)x->shape[0],
                             (long long)x->shape[1]);
        if (!tail && j->K > 1 && r->pos != 0)
            return loci_fail(err, LOCI_E_ARG, "%s: run %lld goes on at pos %lld, but there is no tail_in", op,
                             (long long)i, (long long)r->pos);
        longest = r->len > longest ? r->len : longest;
    }
    if (tail && j->K > 1) {
        LOCI_TRY(check_tail(op, "tail_in", tail, j, x, false, err));
        j->tail = loci_ptr(tail);
        j->tail_state = tail->strides[0] * j->k->size;
        j->tail_tok = tail->strides[1] * j->k->size;
    }
    j->strips = (j->N + LOCI_KERN_WIDE - 1) / LOCI_KERN_WIDE;
    j->blocks = (longest + BLOCK_TOK - 1) / BLOCK_TOK;
    j->w = loci_ptr(w);
    j->w_row = w->strides[0];
out:
    return status;
}

static void set_grad(conv_job *j, const loci_tensor *tail)
{
    j->grad = loci_ptr(tail);
    j->grad_state = tail->strides[0] * j->k->size;
    j->grad_tok = tail->strides[1] * j->k->size;
}

loci_status loci_op_conv(const loci_exec *x, const loci_batch *batch, const loci_tensor *y, const loci_tensor *in,
                         const loci_tensor *w, const loci_tensor *tail_in, const loci_tensor *tail_out, loci_error *err)
{
    conv_job j = {.n_runs = 0};
    loci_status status;

    if (!(j.k = loci_ops_kern(x, "conv", in, err)))
        return LOCI_E_ARG;
    LOCI_TRY(conv_init(&j, "conv", batch, in, w, tail_in, err));
    LOCI_TRY(loci_ops_check_like("conv", "y", y, in, true, err));
    if (tail_out && j.K > 1) {
        LOCI_TRY(check_tail("conv", "tail_out", tail_out, &j, in, true, err));
        set_grad(&j, tail_out);
    }
    j.src = loci_ptr(in);
    j.row = in->strides[0] * j.k->size;
    j.tok = in->strides[1] * j.k->size;
    j.out = loci_ptr(y);
    j.dx_row = y->strides[0] * j.k->size;
    j.dx_tok = y->strides[1] * j.k->size;
    LOCI_TRY(loci_ops_for(x, j.n_runs * j.blocks * j.strips, 1, conv_task, &j));
    if (j.grad)
        LOCI_TRY(loci_ops_for(x, j.n_runs * j.strips, 1, tail_task, &j));
out:
    return status;
}

loci_status loci_op_conv_back(const loci_exec *x, const loci_batch *batch, const loci_tensor *dx, const loci_tensor *dw,
                              const loci_tensor *tail_grad, const loci_tensor *in, const loci_tensor *w,
                              const loci_tensor *tail_in, const loci_tensor *dy, loci_error *err)
{
    conv_job j = {.n_runs = 0};
    loci_status status;

    if (!(j.k = loci_ops_kern(x, "conv_back", in, err)))
        return LOCI_E_ARG;
    LOCI_TRY(conv_init(&j, "conv_back", batch, in, w, tail_in, err));
    LOCI_TRY(loci_ops_check_like("conv_back", "dy", dy, in, false, err));
    if (dy->shape[2] > 1 && dy->strides[2] != 1)
        return loci_fail(err, LOCI_E_ARG, "conv_back: the last axis of dy must have stride 1");
    if (dx)
        LOCI_TRY(loci_ops_check_like("conv_back", "dx", dx, in, true, err));
    if (dw)
        LOCI_TRY(loci_ops_check_like("conv_back", "dw", dw, w, true, err));
    if (tail_grad && j.K > 1) {
        LOCI_TRY(check_tail("conv_back", "tail_grad", tail_grad, &j, in, true, err));
        set_grad(&j, tail_grad);
    }
    j.src = loci_ptr(dy);
    j.row = dy->strides[0] * j.k->size;
    j.tok = dy->strides[1] * j.k->size;
    if (dx) {
        j.out = loci_ptr(dx);
        j.dx_row = dx->strides[0] * j.k->size;
        j.dx_tok = dx->strides[1] * j.k->size;
        LOCI_TRY(loci_ops_for(x, j.n_runs * j.blocks * j.strips, 1, conv_back_task, &j));
    }
    if (dw) {
        j.x = loci_ptr(in);
        j.x_row = in->strides[0] * j.k->size;
        j.x_tok = in->strides[1] * j.k->size;
        j.dw = loci_ptr(dw);
        j.dw_row = dw->strides[0];
        LOCI_TRY(loci_ops_for(x, j.strips, 1, conv_dw_task, &j));
    }
    if (j.grad)
        LOCI_TRY(loci_ops_for(x, j.n_runs * j.strips, 1, tail_back_task, &j));
out:
    return status;
}
