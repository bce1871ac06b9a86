/* SPDX-License-Identifier: Apache-2.0
 *
 * Convolution over runs: values against plain float64 loops, gradients against central differences in float64,
 * streaming against the whole, tails, padding, and runs at position 0.
 */
#include "tests/unit/ops_tools.h"

static const int64_t lengths[] = {1, 2, 7, 8, 9, 15, 16, 17, 31, 33, 64, 100, 300};
#define N_LENGTHS (sizeof lengths / sizeof *lengths)

#define ROWS 2
#define TOK 23
#define STATES 5

struct conv_case {
    struct ck_t x, y, w, tail, out, dy, dx, dw, grad;
    loci_batch batch;
    loci_run runs[4];
    int64_t N, K;
};

static void conv_new(struct conv_case *c, int64_t N, int64_t K, int skew)
{
    int64_t xs[3] = {TOK * (N + 2) + 5, N + 2, 1}, ts[3] = {(K - 1) * (N + 1) + 3, N + 1, 1};

    memset(c, 0, sizeof *c);
    c->N = N;
    c->K = K;
    c->x = ck_new(rig.bits, skew, 3, SHAPE(ROWS, TOK, N), xs);
    c->y = ck_new(rig.bits, skew, 3, SHAPE(ROWS, TOK, N), NULL);
    c->dy = ck_new(rig.bits, 0, 3, SHAPE(ROWS, TOK, N), xs);
    c->dx = ck_new(rig.bits, 0, 3, SHAPE(ROWS, TOK, N), NULL);
    c->w = ck_new(rig.bits, 0, 2, SHAPE(N, K), SHAPE(K + 1, 1));
    c->dw = ck_new(rig.bits, 0, 2, SHAPE(N, K), NULL);
    c->tail = ck_new(rig.bits, skew, 3, SHAPE(STATES, K - 1, N), ts);
    c->out = ck_new(rig.bits, 0, 3, SHAPE(STATES, K - 1, N), NULL);
    c->grad = ck_new(rig.bits, 0, 3, SHAPE(STATES, K - 1, N), ts);
    ck_fill(&c->x, 1);
    ck_fill(&c->w, 1);
    ck_fill(&c->tail, 1);
    ck_fill(&c->dy, 1);
    ck_fill(&c->dx, 1);
    ck_fill(&c->dw, 1);
    ck_fill(&c->grad, 1);
    ck_const(&c->y, 7); /* padding must keep it */
    ck_const(&c->out, 7);
    /* a fresh run, a run shorter than a tail, padding, a run that goes on; state row 2 belongs to nobody */
    c->runs[0] = (loci_run){0, 0, 11, 3, 0, 1};
    c->runs[1] = (loci_run){0, 11, 2, 0, 5, 2};
    c->runs[2] = (loci_run){0, 15, 8, 4, 9, 3};
    c->runs[3] = (loci_run){1, 1, 1, 1, 0, 4};
    c->batch = (loci_batch){sizeof(loci_batch), 4, c->runs, NULL};
}

static void conv_drop(struct conv_case *c)
{
    struct ck_t *all[] = {&c->x, &c->y, &c->w, &c->tail, &c->out, &c->dy, &c->dx, &c->dw, &c->grad};

    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        ck_drop(all[i]);
}

static double conv_in(const struct conv_case *c, const loci_run *r, int64_t t, int64_t ch)
{
    if (t >= 0)
        return ck_get(&c->x, ((int64_t)r->row * TOK + r->begin + t) * c->N + ch);
    return r->pos ? ck_get(&c->tail, ((int64_t)r->state * (c->K - 1) + t + c->K - 1) * c->N + ch) : 0;
}

static void conv_oracle(struct conv_case *c, double *y, double *out)
{
    for (const loci_run *r = c->runs; r < c->runs + c->batch.n_runs; r++)
        for (int64_t ch = 0; ch < c->N; ch++) {
            for (int64_t t = 0; t < r->len; t++) {
                double sum = 0;
                for (int64_t l = 0; l < c->K; l++)
                    sum += ck_get(&c->w, ch * c->K + l) * conv_in(c, r, t - l, ch);
                y[((int64_t)r->row * TOK + r->begin + t) * c->N + ch] = sum;
            }
            for (int64_t k = 0; k < c->K - 1; k++)
                out[((int64_t)r->state * (c->K - 1) + k) * c->N + ch] = conv_in(c, r, r->len - (c->K - 1) + k, ch);
        }
}

/* Each input of a run times its share of every output and of the new tail. */
static void conv_back_oracle(struct conv_case *c, double *dx, double *dw, double *grad)
{
    double *given = ck_read(&c->grad);

    for (const loci_run *r = c->runs; r < c->runs + c->batch.n_runs; r++)
        for (int64_t ch = 0; ch < c->N; ch++)
            for (int64_t s = -(c->K - 1); s < r->len; s++) {
                double d = 0;
                int64_t kept = s - (r->len - (c->K - 1)),
                        tail = ((int64_t)r->state * (c->K - 1) + s + c->K - 1) * c->N + ch;
                for (int64_t l = 0; l < c->K; l++)
                    if (s + l >= 0 && s + l < r->len) {
                        double dy = ck_get(&c->dy, ((int64_t)r->row * TOK + r->begin + s + l) * c->N + ch);
                        d += ck_get(&c->w, ch * c->K + l) * dy;
                        dw[ch * c->K + l] += conv_in(c, r, s, ch) * dy;
                    }
                if (kept >= 0)
                    d += given[((int64_t)r->state * (c->K - 1) + kept) * c->N + ch];
                if (s >= 0)
                    dx[((int64_t)r->row * TOK + r->begin + s) * c->N + ch] += d;
                else
                    grad[tail] = r->pos ? d : 0;
            }
    free(given);
}

static void conv__and_its_adjoint_match_the_formula(void)
{
    static const int64_t taps[] = {1, 2, 3, 4, 5, 8, 11};

    EACH_RIG(which, 2)
    for (size_t k = 0; k < N_LENGTHS; k++)
        for (size_t q = 0; q < sizeof taps / sizeof *taps; q++) {
            struct conv_case c;
            double *y, *out, *dx, *dw, *grad;
            int64_t what = lengths[k] * 100 + taps[q];
            conv_new(&c, lengths[k], taps[q], (int)(q % 2));
            y = ck_read(&c.y);
            out = ck_read(&c.out);
            dx = ck_read(&c.dx);
            dw = ck_read(&c.dw);
            grad = ck_read(&c.grad);
            conv_oracle(&c, y, out);
            conv_back_oracle(&c, dx, dw, grad);
            rig.floor = 1;
            CK_TRUE(rig.ops->conv(&rig.x, &c.batch, T(&c.y), T(&c.x), T(&c.w), T(&c.tail), T(&c.out), &ck_err) == 0,
                    "%s", ck_err.msg);
            judge("conv", what, &c.y, y);
            judge("conv tail", what, &c.out, out);
            CK_TRUE(rig.ops->conv_back(&rig.x, &c.batch, T(&c.dx), T(&c.dw), T(&c.grad), T(&c.x), T(&c.w), T(&c.tail),
                                       T(&c.dy), &ck_err) == 0,
                    "%s", ck_err.msg);
            judge("conv dx", what, &c.dx, dx);
            judge("conv dw", what, &c.dw, dw);
            judge("conv tail grad", what, &c.grad, grad);
            for (int64_t i = 0; i < c.tail.n; i++) /* in place, rows of no run keep what they had */
                if (i / ((c.K - 1) * c.N) == 2)
                    out[i] = ck_get(&c.tail, i);
            ck_const(&c.y, 7);
            CU_ASSERT_EQUAL(rig.ops->conv(&rig.x, &c.batch, T(&c.y), T(&c.x), T(&c.w), T(&c.tail), T(&c.tail), &ck_err),
                            0);
            judge("conv in place", what, &c.y, y);
            judge("conv tail in place", what, &c.tail, out);
            free(y);
            free(out);
            free(dx);
            free(dw);
            free(grad);
            conv_drop(&c);
        }
}

static double conv_loss(void *arg)
{
    struct conv_case *c = arg;
    double loss = 0;

    rig.ops->conv(&rig.x, &c->batch, T(&c->y), T(&c->x), T(&c->w), T(&c->tail), T(&c->out), &ck_err);
    for (const loci_run *r = c->runs; r < c->runs + c->batch.n_runs; r++) {
        for (int64_t i = 0; i < r->len * c->N; i++) {
            int64_t at = ((int64_t)r->row * TOK + r->begin) * c->N + i;
            loss += ck_get(&c->y, at) * ck_get(&c->dy, at);
        }
        for (int64_t i = 0; i < (c->K - 1) * c->N; i++) {
            int64_t at = r->state * (c->K - 1) * c->N + i;
            loss += ck_get(&c->out, at) * ck_get(&c->grad, at);
        }
    }
    return loss;
}

static void conv_back__is_the_gradient_of_conv(void)
{
    CU_ASSERT_TRUE_FATAL(rig_open(0, 1));
    for (int64_t K = 1; K <= 9; K += 4) {
        struct conv_case c;
        double *dx, *dw, *dt, worst = 0;
        conv_new(&c, 3, K, 0);
        dx = ck_read(&c.x);
        dw = ck_read(&c.w);
        dt = ck_read(&c.tail);
        for (int64_t i = 0; i < c.x.n; i++)
            dx[i] = difference(&c.x, i, conv_loss, &c);
        for (int64_t i = 0; i < c.w.n; i++)
            dw[i] = difference(&c.w, i, conv_loss, &c);
        for (int64_t i = 0; i < c.tail.n; i++)
            dt[i] = difference(&c.tail, i, conv_loss, &c);
        ck_const(&c.dx, 0);
        ck_const(&c.dw, 0);
        CU_ASSERT_EQUAL(rig.ops->conv_back(&rig.x, &c.batch, T(&c.dx), T(&c.dw), T(&c.grad), T(&c.x), T(&c.w),
                                           T(&c.tail), T(&c.dy), &ck_err),
                        0);
        for (int64_t i = 0; i < c.x.n; i++)
            worst = fmax(worst, fabs(dx[i] - ck_get(&c.dx, i)));
        for (int64_t i = 0; i < c.w.n; i++)
            worst = fmax(worst, fabs(dw[i] - ck_get(&c.dw, i)));
        for (int64_t i = 0; i < c.tail.n; i++)
            if (i / ((K - 1) * c.N) != 2)
                worst = fmax(worst, fabs(dt[i] - ck_get(&c.grad, i)));
        CK_TRUE(worst < 1e-8, "K %d: %g", (int)K, worst);
        free(dx);
        free(dw);
        free(dt);
        conv_drop(&c);
    }
    ck_host_close(&rig.h);
}

/* One document of TOK tokens, whole, and cut in three at any two places: outputs, tails and gradients agree. */
static void conv__split_anywhere_equals_the_whole(void)
{
    EACH_RIG(which, 1)
    {
        struct conv_case c;
        struct ck_t y = ck_new(rig.bits, 0, 3, SHAPE(ROWS, TOK, 5), NULL),
                    tail = ck_new(rig.bits, 0, 3, SHAPE(STATES, 3, 5), NULL);
        struct ck_t mid[3], dx = ck_new(rig.bits, 0, 3, SHAPE(ROWS, TOK, 5), NULL),
                            dw = ck_new(rig.bits, 0, 2, SHAPE(5, 4), NULL);
        struct ck_t grad = ck_new(rig.bits, 0, 3, SHAPE(STATES, 3, 5), NULL);
        loci_run *r = c.runs;
        double *want_y, *want_dx, *want_dw, *want_tail, *given;
        conv_new(&c, 5, 4, 0);
        given = ck_read(&c.grad);
        for (int i = 0; i < 3; i++) {
            mid[i] = ck_new(rig.bits, 0, 3, SHAPE(STATES, 3, 5), NULL);
            ck_const(&mid[i], 0);
        }
        c.batch.n_runs = 1;
        r[0] = (loci_run){1, 0, TOK, 2, 0, 1};
        ck_const(&y, 0);
        ck_const(&c.y, 0);
        ck_const(&tail, 0);
        ck_const(&c.dx, 0);
        ck_const(&c.dw, 0);
        CU_ASSERT_EQUAL(rig.ops->conv(&rig.x, &c.batch, T(&c.y), T(&c.x), T(&c.w), T(&c.tail), T(&tail), &ck_err), 0);
        CU_ASSERT_EQUAL(rig.ops->conv_back(&rig.x, &c.batch, T(&c.dx), T(&c.dw), T(&c.grad), T(&c.x), T(&c.w),
                                           T(&c.tail), T(&c.dy), &ck_err),
                        0);
        want_y = ck_read(&c.y);
        want_dx = ck_read(&c.dx);
        want_dw = ck_read(&c.dw);
        want_tail = ck_read(&tail);
        for (int first = 0; first <= TOK; first += 3)
            for (int second = first; second <= TOK; second += 2) {
                const int cut[4] = {0, first, second, TOK};
                for (int i = 0; i < 3; i++) {
                    r[0] = (loci_run){1, cut[i], cut[i + 1] - cut[i], 2, cut[i], 1};
                    CU_ASSERT_EQUAL(rig.ops->conv(&rig.x, &c.batch, T(&y), T(&c.x), T(&c.w), T(&mid[i ? i - 1 : 0]),
                                                  T(&mid[i]), &ck_err),
                                    0);
                }
                rig.floor = 1;
                judge("split conv", first * 100 + second, &y, want_y);
                judge("split tail", first * 100 + second, &mid[2], want_tail);
                ck_const(&dx, 0);
                ck_const(&dw, 0);
                for (int64_t i = 0; i < grad.n; i++)
                    ck_set(&grad, i, given[i]);
                for (int i = 2; i >= 0; i--) {
                    r[0] = (loci_run){1, cut[i], cut[i + 1] - cut[i], 2, cut[i], 1};
                    CU_ASSERT_EQUAL(rig.ops->conv_back(&rig.x, &c.batch, T(&dx), T(&dw), T(&grad), T(&c.x), T(&c.w),
                                                       T(&mid[i ? i - 1 : 0]), T(&c.dy), &ck_err),
                                    0);
                }
                judge("split dx", first * 100 + second, &dx, want_dx);
                judge("split dw", first * 100 + second, &dw, want_dw);
            }
        free(want_y);
        free(want_dx);
        free(want_dw);
        free(want_tail);
        free(given);
        for (int i = 0; i < 3; i++)
            ck_drop(&mid[i]);
        ck_drop(&y);
        ck_drop(&tail);
        ck_drop(&dx);
        ck_drop(&dw);
        ck_drop(&grad);
        conv_drop(&c);
    }
}

static void conv__refuses_runs_outside_the_tensors(void)
{
    static const loci_run bad[] = {{0, 20, 4, 0, 0, 0}, {2, 0, 1, 0, 0, 0}, {0, -1, 1, 0, 0, 0}, {0, 0, 1, 5, 0, 0}};
    struct conv_case c;

    CU_ASSERT_TRUE_FATAL(rig_open(0, 1));
    conv_new(&c, 3, 4, 0);
    c.batch.n_runs = 1;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        c.runs[0] = bad[i];
        CU_ASSERT_EQUAL(rig.ops->conv(&rig.x, &c.batch, T(&c.y), T(&c.x), T(&c.w), T(&c.tail), T(&c.out), NULL),
                        LOCI_E_ARG);
    }
    c.runs[0] = (loci_run){0, 0, 1, 0, 1, 0};
    CU_ASSERT_EQUAL(rig.ops->conv(&rig.x, &c.batch, T(&c.y), T(&c.x), T(&c.w), NULL, NULL, NULL), LOCI_E_ARG);
    c.runs[0].pos = 0;
    CU_ASSERT_EQUAL(rig.ops->conv(&rig.x, &c.batch, T(&c.y), T(&c.x), T(&c.w), NULL, NULL, NULL), LOCI_OK);
    conv_drop(&c);
    ck_host_close(&rig.h);
}

static uint64_t conv_hash(int which, int threads)
{
    struct conv_case c;
    uint64_t h;

    if (!rig_open(which, threads))
        return 0;
    conv_new(&c, 300, 4, 0);
    conv_loss(&c);
    CU_ASSERT_EQUAL(rig.ops->conv_back(&rig.x, &c.batch, T(&c.dx), T(&c.dw), T(&c.grad), T(&c.x), T(&c.w), T(&c.tail),
                                       T(&c.dy), &ck_err),
                    0);
    h = ck_hash(&c.y, ck_hash(&c.out, ck_hash(&c.dx, ck_hash(&c.dw, ck_hash(&c.grad, 1)))));
    conv_drop(&c);
    ck_host_close(&rig.h);
    return h;
}

static void conv__gives_the_same_bits_for_any_number_of_threads(void)
{
    for (int which = 0; which < 4; which++) {
        uint64_t one = conv_hash(which, 1);
        CU_ASSERT_EQUAL(one, conv_hash(which, 2));
        CU_ASSERT_EQUAL(one, conv_hash(which, 4));
    }
}

#define TESTS(X) \
    X(conv__and_its_adjoint_match_the_formula) \
    X(conv_back__is_the_gradient_of_conv) \
    X(conv__split_anywhere_equals_the_whole) \
    X(conv__refuses_runs_outside_the_tensors) \
    X(conv__gives_the_same_bits_for_any_number_of_threads)
CK_MAIN("conv", TESTS)
