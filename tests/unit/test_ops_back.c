/* SPDX-License-Identifier: Apache-2.0
 *
 * Norms, cross-entropy, AdamW and sums of squares: values against plain float64 loops, gradients against central
 * differences in float64.
 */
#include "tests/unit/ops_tools.h"

static const int64_t lengths[] = {1, 2, 7, 8, 9, 15, 16, 17, 31, 33, 64, 100, 300, 2049};
#define N_LENGTHS (sizeof lengths / sizeof *lengths)

/* ---- norms ------------------------------------------------------------------------------------------------------ */

struct norm_case {
    struct ck_t x, y, dy, dx, gain, dgain, stat;
    bool has_gain;
    int32_t kind;
    double eps;
};

/* form 0: [7,3,n] with [n]; 1: the same with a gain per [3,n], in gaps; 2: no gain; 3: [n] alone */
static struct norm_case norm_new(int form, int32_t kind, int64_t n, int64_t m)
{
    struct norm_case c = {.kind = kind, .eps = 1e-3, .has_gain = form != 2};
    int nd = form == 3 ? 1 : 3;
    int64_t shape[3] = {m, 3, n}, st[3] = {3 * n + 12, n + 3, 1}, *strides = form == 1 ? st : NULL;
    const int64_t *sh = form == 3 ? &shape[2] : shape;

    c.x = ck_new(rig.bits, form == 1, nd, sh, strides);
    c.y = ck_new(rig.bits, 0, nd, sh, strides);
    c.dy = ck_new(rig.bits, 0, nd, sh, NULL);
    c.dx = ck_new(rig.bits, form == 1, nd, sh, strides);
    c.gain = form == 1 ? ck_new(rig.bits, 0, 2, SHAPE(3, n), SHAPE(n + 1, 1)) : ck_new(rig.bits, 0, 1, SHAPE(n), NULL);
    c.dgain = form == 1 ? ck_new(rig.bits, 0, 2, SHAPE(3, n), SHAPE(n + 4, 1)) : ck_new(rig.bits, 0, 1, SHAPE(n), NULL);
    c.stat = form == 3 ? ck_new(rig.bits, 0, 1, SHAPE(1), NULL) : ck_new(rig.bits, 0, 2, SHAPE(m, 3), NULL);
    ck_fill(&c.x, 1);
    ck_fill(&c.dy, 1);
    ck_fill(&c.dx, 1);
    ck_fill(&c.gain, 1);
    ck_fill(&c.dgain, 1);
    return c;
}

static void norm_drop(struct norm_case *c)
{
    struct ck_t *all[] = {&c->x, &c->y, &c->dy, &c->dx, &c->gain, &c->dgain, &c->stat};

    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        ck_drop(all[i]);
}

static int64_t norm_gain_at(const struct norm_case *c, int64_t i)
{
    int64_t n = c->x.shape[c->x.t.ndim - 1];

    return c->gain.t.ndim == 2 ? i / n % 3 * n + i % n : i % n;
}

static void norm_oracle(const struct norm_case *c, double *y, double *dx, double *dgain, double *stat)
{
    int64_t n = c->x.shape[c->x.t.ndim - 1];

    for (int64_t row = 0; n && row < c->x.n / n; row++) {
        double sum = 0, back = 0, m = c->kind == LOCI_NORM_RMS ? (double)n : 1, r;
        for (int64_t i = row * n; i < row * n + n; i++) {
            double g = c->has_gain ? ck_get(&c->gain, norm_gain_at(c, i)) : 1;
            sum += ck_get(&c->x, i) * ck_get(&c->x, i);
            back += ck_get(&c->x, i) * ck_get(&c->dy, i) * g;
        }
        r = 1 / sqrt(sum / m + c->eps);
        stat[row] = r;
        for (int64_t i = row * n; i < row * n + n; i++) {
            double x = ck_get(&c->x, i), g = c->has_gain ? ck_get(&c->gain, norm_gain_at(c, i)) : 1;
            y[i] = x * r * g;
            dx[i] += r * g * ck_get(&c->dy, i) - x * r * r * r / m * back;
            if (c->has_gain)
                dgain[norm_gain_at(c, i)] += x * r * ck_get(&c->dy, i);
        }
    }
}

static void norm__and_its_adjoint_match_the_formula(void)
{
    EACH_RIG(which, 2)
    for (size_t k = 0; k < N_LENGTHS; k++)
        for (int form = 0; form < 8; form++) {
            int64_t n = lengths[k];
            struct norm_case c = norm_new(form % 4, form / 4, n, form == 0 ? 90 : 7);
            double *y = ck_read(&c.y), *dx = ck_read(&c.dx), *dgain = ck_read(&c.dgain), *stat = ck_read(&c.stat);
            const loci_tensor *gain = c.has_gain ? T(&c.gain) : NULL, *dg = c.has_gain ? T(&c.dgain) : NULL;
            norm_oracle(&c, y, dx, dgain, stat);
            rig.floor = 1;
            CK_TRUE(rig.ops->norm(&rig.x, c.kind, T(&c.y), T(&c.x), gain, T(&c.stat), c.eps, &ck_err) == 0, "%s",
                    ck_err.msg);
            judge("norm", n * 10 + form, &c.y, y);
            judge("norm stat", n * 10 + form, &c.stat, stat);
            CK_TRUE(rig.ops->norm_back(&rig.x, c.kind, T(&c.dx), dg, T(&c.x), gain, T(&c.stat), T(&c.dy), &ck_err) == 0,
                    "%s", ck_err.msg);
            rig.floor = 4; /* r may be large and its products cancel */
            judge("norm dx", n * 10 + form, &c.dx, dx);
            judge("norm dgain", n * 10 + form, &c.dgain, dgain);
            CU_ASSERT_EQUAL(rig.ops->norm(&rig.x, c.kind, T(&c.y), T(&c.x), gain, NULL, c.eps, &ck_err), 0);
            judge("norm without stat", n * 10 + form, &c.y, y);
            free(y);
            free(dx);
            free(dgain);
            free(stat);
            norm_drop(&c);
        }
}

/* sum of dy y, whose gradient norm_back computes */
static double norm_loss(struct norm_case *c)
{
    double loss = 0;

    rig.ops->norm(&rig.x, c->kind, T(&c->y), T(&c->x), c->has_gain ? T(&c->gain) : NULL, T(&c->stat), c->eps, &ck_err);
    for (int64_t i = 0; i < c->y.n; i++)
        loss += ck_get(&c->y, i) * ck_get(&c->dy, i);
    return loss;
}

static double norm_loss_of(void *arg)
{
    return norm_loss(arg);
}

static void norm_back__is_the_gradient_of_norm(void)
{
    CU_ASSERT_TRUE_FATAL(rig_open(0, 1));
    for (int form = 0; form < 8; form++) {
        struct norm_case c = norm_new(form % 4, form / 4, 5, 2);
        double worst = 0;
        ck_const(&c.dx, 0);
        ck_const(&c.dgain, 0);
        norm_loss(&c);
        CU_ASSERT_EQUAL(rig.ops->norm_back(&rig.x, c.kind, T(&c.dx), c.has_gain ? T(&c.dgain) : NULL, T(&c.x),
                                           c.has_gain ? T(&c.gain) : NULL, T(&c.stat), T(&c.dy), &ck_err),
                        0);
        for (int64_t i = 0; i < c.x.n; i++)
            worst = fmax(worst, fabs(difference(&c.x, i, norm_loss_of, &c) - ck_get(&c.dx, i)));
        for (int64_t i = 0; c.has_gain && i < c.gain.n; i++)
            worst = fmax(worst, fabs(difference(&c.gain, i, norm_loss_of, &c) - ck_get(&c.dgain, i)));
        CK_TRUE(worst < 1e-8, "form %d: %g", form, worst);
        norm_drop(&c);
    }
    ck_host_close(&rig.h);
}

/* ---- cross-entropy and AdamW ------------------------------------------------------------------------------------ */

static void xent__matches_the_formula_on_every_family(void)
{
    enum { FLAT, NORMAL, PEAKED, HUGE_ONE, MASKED, FAMILIES };
    const int64_t N = 6;

    EACH_RIG(which, 2)
    for (size_t k = 0; k < N_LENGTHS; k++)
        for (int form = 0; form < 2 * FAMILIES; form++) {
            int64_t V = lengths[k];
            int family = form / 2;
            struct ck_t z = ck_new(rig.bits, form % 2, 2, SHAPE(N, V), SHAPE(V + 3, 1));
            struct ck_t d = ck_new(rig.bits, 0, 2, SHAPE(N, V), SHAPE(V + 3, 1));
            struct ck_t loss = ck_new(rig.bits, 0, 1, SHAPE(N), NULL), t = ck_new(-32, 0, 1, SHAPE(N), NULL);
            double *want = ck_read(&loss), *wd = ck_read(&d), scale = 0.25;
            ck_fill(&z, family == FLAT ? 0 : family == PEAKED ? 30 : 2);
            for (int64_t i = 0; i < N; i++) {
                double top = -INFINITY, sum = 0;
                ck_set(&t, i, i == 4 ? -1 : (double)(ck_bits() % (uint64_t)V));
                if (family == HUGE_ONE)
                    ck_set(&z, i * V + (int64_t)(ck_bits() % (uint64_t)V), 1e4);
                if (family == MASKED && V > 2)
                    for (int64_t v = 0; v < V; v += 2)
                        if (v != (int64_t)ck_get(&t, i))
                            ck_set(&z, i * V + v, -INFINITY);
                for (int64_t v = 0; v < V; v++)
                    top = fmax(top, ck_get(&z, i * V + v));
                for (int64_t v = 0; v < V; v++)
                    sum += exp(ck_get(&z, i * V + v) - top);
                want[i] = i == 4 ? 0 : log(sum) + top - ck_get(&z, i * V + (int64_t)ck_get(&t, i));
                for (int64_t v = 0; v < V; v++)
                    wd[i * V + v] =
                        i == 4 ? 0 : scale * (exp(ck_get(&z, i * V + v) - top) / sum - (v == (int64_t)ck_get(&t, i)));
            }
            rig.floor = 0.1;
            CK_TRUE(rig.ops->xent(&rig.x, T(&loss), NULL, T(&z), T(&t), scale, &ck_err) == 0, "%s", ck_err.msg);
            judge("xent without gradient", V * 100 + form, &loss, want);
            CU_ASSERT_EQUAL(rig.ops->xent(&rig.x, T(&loss), T(&d), T(&z), T(&t), scale, &ck_err), 0);
            judge("xent", V * 100 + form, &loss, want);
            judge("xent gradient", V * 100 + form, &d, wd);
            CU_ASSERT_EQUAL(rig.ops->xent(&rig.x, T(&loss), T(&z), T(&z), T(&t), scale, &ck_err), 0);
            judge("xent gradient in place", V * 100 + form, &z, wd);
            free(want);
            free(wd);
            ck_drop(&z);
            ck_drop(&d);
            ck_drop(&loss);
            ck_drop(&t);
        }
}

static void xent__gradient_is_that_of_the_loss(void)
{
    struct ck_t z, d, loss, t;
    double worst = 0;

    CU_ASSERT_TRUE_FATAL(rig_open(0, 1));
    z = ck_new(64, 0, 2, SHAPE(4, 9), NULL);
    d = ck_new(64, 0, 2, SHAPE(4, 9), NULL);
    loss = ck_new(64, 0, 1, SHAPE(4), NULL);
    t = ck_new(-32, 0, 1, SHAPE(4), NULL);
    ck_fill(&z, 2);
    for (int64_t i = 0; i < 4; i++)
        ck_set(&t, i, (double)(3 * i) - 1);
    CU_ASSERT_EQUAL(rig.ops->xent(&rig.x, T(&loss), T(&d), T(&z), T(&t), 1, &ck_err), 0);
    for (int64_t i = 0; i < z.n; i++) {
        double x = ck_get(&z, i), up, h = 1e-5;
        ck_set(&z, i, x + h);
        rig.ops->xent(&rig.x, T(&loss), NULL, T(&z), T(&t), 1, &ck_err);
        up = ck_get(&loss, i / 9);
        ck_set(&z, i, x - h);
        rig.ops->xent(&rig.x, T(&loss), NULL, T(&z), T(&t), 1, &ck_err);
        worst = fmax(worst, fabs((up - ck_get(&loss, i / 9)) / (2 * h) - ck_get(&d, i)));
        ck_set(&z, i, x);
    }
    CK_TRUE(worst < 1e-9, "%g", worst);
    ck_set(&t, 1, 9);
    CU_ASSERT_EQUAL(rig.ops->xent(&rig.x, T(&loss), T(&d), T(&z), T(&t), 1, NULL), LOCI_E_ARG);
    ck_drop(&z);
    ck_drop(&d);
    ck_drop(&loss);
    ck_drop(&t);
    ck_host_close(&rig.h);
}

static void xent__passes_nan_on(void)
{
    EACH_RIG(which, 1)
    {
        struct ck_t z = ck_new(rig.bits, 0, 2, SHAPE(2, 40), NULL), loss = ck_new(rig.bits, 0, 1, SHAPE(2), NULL);
        struct ck_t t = ck_new(-32, 0, 1, SHAPE(2), NULL);
        ck_fill(&z, 1);
        ck_set(&z, 17, NAN);
        ck_const(&t, 3);
        CU_ASSERT_EQUAL(rig.ops->xent(&rig.x, T(&loss), T(&z), T(&z), T(&t), 1, &ck_err), 0);
        CU_ASSERT_TRUE(isnan(ck_get(&loss, 0)) && !isnan(ck_get(&loss, 1)));
        CU_ASSERT_TRUE(isnan(ck_get(&z, 0)) && !isnan(ck_get(&z, 40)));
        ck_drop(&z);
        ck_drop(&loss);
        ck_drop(&t);
    }
}

static void adamw__takes_the_steps_of_the_paper(void)
{
    EACH_RIG(which, 2)
    for (size_t k = 0; k < N_LENGTHS; k++) {
        int64_t n = lengths[k];
        struct ck_t p = ck_new(rig.bits, 1, 1, &n, NULL), g = ck_new(rig.bits, 0, 1, &n, NULL);
        struct ck_t m = ck_new(rig.bits, 0, 1, &n, NULL), v = ck_new(rig.bits, 0, 1, &n, NULL);
        double *wp, *wg, *wm, *wv;
        ck_fill(&p, 1);
        ck_const(&m, 0);
        ck_const(&v, 0);
        wp = ck_read(&p);
        wm = ck_read(&m);
        wv = ck_read(&v);
        for (int t = 1; t <= 3; t++) {
            loci_adamw s = {sizeof s, 0, 0.01, 0.9, 0.95, 1e-8, 0.1, 1 - pow(0.9, t), 1 - pow(0.95, t), 0.5};
            ck_fill(&g, 1);
            wg = ck_read(&g);
            for (int64_t i = 0; i < n; i++) {
                double d = wg[i] * s.scale;
                wm[i] = s.beta1 * wm[i] + (1 - s.beta1) * d;
                wv[i] = s.beta2 * wv[i] + (1 - s.beta2) * d * d;
                wp[i] -= s.lr * (wm[i] / s.c1 / (sqrt(wv[i] / s.c2) + s.eps) + s.decay * wp[i]);
            }
            CK_TRUE(rig.ops->adamw(&rig.x, T(&p), T(&g), T(&m), T(&v), &s, &ck_err) == 0, "%s", ck_err.msg);
            rig.floor = 0.1;
            judge("adamw p", n, &p, wp);
            judge("adamw m", n, &m, wm);
            judge("adamw v", n, &v, wv);
            judge("adamw g", n, &g, wg);
            free(wg);
        }
        free(wp);
        free(wm);
        free(wv);
        ck_drop(&p);
        ck_drop(&g);
        ck_drop(&m);
        ck_drop(&v);
    }
}

static void sumsq__adds_in_float64(void)
{
    EACH_RIG(which, 2)
    for (int64_t n = 0; n < 50000; n = 2 * n + 1 + n / 3) {
        struct ck_t a = ck_new(rig.bits, 1, 1, &n, NULL);
        double want = 0, got = -1;
        ck_fill(&a, 1);
        for (int64_t i = 0; i < n; i++)
            want += ck_get(&a, i) * ck_get(&a, i);
        CK_TRUE(rig.ops->sumsq(&rig.x, T(&a), &got, &ck_err) == 0, "%s", ck_err.msg);
        CK_TRUE(fabs(got - want) <= 1e-13 * want, "n %d, %s: %.17g, not %.17g", (int)n, rig.level, got, want);
        ck_drop(&a);
    }
}

/* ---- threads ---------------------------------------------------------------------------------------------------- */

static uint64_t all_hash(int which, int threads)
{
    struct norm_case n;
    struct ck_t z, loss, t;
    uint64_t h = 1, bits;
    double sum = 0;

    if (!rig_open(which, threads))
        return 0;
    for (int form = 0; form < 2; form++) {
        n = norm_new(form, LOCI_NORM_RMS, 300, 150);
        norm_loss(&n);
        CU_ASSERT_EQUAL(rig.ops->norm_back(&rig.x, n.kind, T(&n.dx), T(&n.dgain), T(&n.x), T(&n.gain), T(&n.stat),
                                           T(&n.dy), &ck_err),
                        0);
        CU_ASSERT_EQUAL(rig.ops->sumsq(&rig.x, T(&n.dy), &sum, &ck_err), 0);
        memcpy(&bits, &sum, sizeof bits);
        h = ck_hash(&n.y, ck_hash(&n.dx, ck_hash(&n.dgain, h ^ bits)));
        norm_drop(&n);
    }
    z = ck_new(rig.bits, 0, 2, SHAPE(50, 300), NULL);
    loss = ck_new(rig.bits, 0, 1, SHAPE(50), NULL);
    t = ck_new(-32, 0, 1, SHAPE(50), NULL);
    ck_fill(&z, 1);
    ck_const(&t, 7);
    CU_ASSERT_EQUAL(rig.ops->xent(&rig.x, T(&loss), T(&z), T(&z), T(&t), 1, &ck_err), 0);
    h = ck_hash(&z, ck_hash(&loss, h));
    ck_drop(&z);
    ck_drop(&loss);
    ck_drop(&t);
    ck_host_close(&rig.h);
    return h;
}

static void ops__give_the_same_bits_for_any_number_of_threads(void)
{
    for (int which = 0; which < 4; which++) {
        uint64_t one = all_hash(which, 1);
        CU_ASSERT_EQUAL(one, all_hash(which, 2));
        CU_ASSERT_EQUAL(one, all_hash(which, 4));
    }
}

#define TESTS(X) \
    X(norm__and_its_adjoint_match_the_formula) \
    X(norm_back__is_the_gradient_of_norm) \
    X(xent__matches_the_formula_on_every_family) \
    X(xent__gradient_is_that_of_the_loss) \
    X(xent__passes_nan_on) \
    X(adamw__takes_the_steps_of_the_paper) \
    X(sumsq__adds_in_float64) \
    X(ops__give_the_same_bits_for_any_number_of_threads)
CK_MAIN("ops_back", TESTS)
