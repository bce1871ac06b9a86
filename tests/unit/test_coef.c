/* SPDX-License-Identifier: Apache-2.0
 *
 * The scalar tables of a chunk, coef and coef_back of loci.scan/1: against the recurrence as loci/scan.h defines it,
 * source by source, and against central differences.
 */
#include "tests/unit/ops_tools.h"

#include <loci/scan.h>

enum { ALPHA, ETA, THETA, BETA, F, MO, G, N, TABLES = 8 };

/* One problem: gates [B,n,H] or [B,n,H,w], strided, and contiguous tables. */
struct coef {
    int64_t B, n, H, w; /* w 0: no such axis */
    double c;
    bool given[3];
    struct ck_t x[TABLES], d[TABLES]; /* d of a table: its cotangent, of mo and N at time n; of a gate: its gradient */
};

static struct ck_t gate_new(const struct coef *p, int skew)
{
    const int64_t w = p->w ? p->w : 1, row = p->H * w + 3;
    const int64_t shape[4] = {p->B, p->n, p->H, w}, strides[4] = {p->n * row + 5, row, w, 1};

    return ck_new(rig.bits, skew, p->w ? 4 : 3, shape, strides);
}

static struct ck_t table_new(const struct coef *p, int64_t rows, int64_t cols)
{
    int64_t shape[5] = {p->B, p->H};
    int rank = 2;

    if (p->w)
        shape[rank++] = p->w;
    shape[rank++] = rows;
    if (cols)
        shape[rank++] = cols;
    return ck_new(rig.bits, 0, rank, shape, NULL);
}

static struct coef coef_new(int64_t B, int64_t n, int64_t H, int64_t w, double c, unsigned given)
{
    struct coef p = {.B = B, .n = n, .H = H, .w = w, .c = c};

    for (int i = 0; i < 3; i++) {
        p.given[i] = given & (1u << i);
        p.x[i] = gate_new(&p, i);
        p.d[i] = gate_new(&p, 0);
        for (int64_t j = 0; j < p.x[i].n; j++)
            ck_set(&p.x[i], j, j % 11 == 3 ? 0 : j % 13 == 5 ? 1 : ck_rand());
        ck_const(&p.d[i], 0.5);
    }
    for (int i = BETA; i <= N; i++) {
        p.x[i] = table_new(&p, n + 1, i >= G ? n : 0);
        p.d[i] = i == MO ? table_new(&p, 1, 0) : i == N ? table_new(&p, n, 0) : table_new(&p, n + 1, i == G ? n : 0);
        ck_fill(&p.d[i], 1);
    }
    return p;
}

static void coef_free(struct coef *p)
{
    for (int i = 0; i < TABLES; i++) {
        ck_drop(&p->x[i]);
        ck_drop(&p->d[i]);
    }
}

static loci_status coef_run(struct coef *p, bool back)
{
    const loci_scan *scan = (const loci_scan *)rig.h.host.get_ext(&rig.h.host, rig.x.device, LOCI_EXT_SCAN);
    loci_coef c = {.struct_size = sizeof c, .loss_scale = p->c};

    for (int i = 0; i < TABLES; i++) {
        T(&p->x[i]);
        T(&p->d[i]);
    }
    c.alpha = p->given[0] ? &p->x[ALPHA].t : NULL;
    c.eta = p->given[1] ? &p->x[ETA].t : NULL;
    c.theta = p->given[2] ? &p->x[THETA].t : NULL;
    c.beta = &p->x[BETA].t, c.f = &p->x[F].t, c.m = &p->x[MO].t, c.G = &p->x[G].t, c.N = &p->x[N].t;
    if (!back)
        return scan->coef(&rig.x, &c, &ck_err);
    c.dbeta = &p->d[BETA].t, c.df = &p->d[F].t, c.dm = &p->d[MO].t, c.dG = &p->d[G].t, c.dN = &p->d[N].t;
    c.dalpha = &p->d[ALPHA].t, c.deta = &p->d[ETA].t, c.dtheta = &p->d[THETA].t;
    return scan->coef_back(&rig.x, &c, &ck_err);
}

/* p and s of one source at times 0 .. n, into ps[0..n], ss[0..n]; source -1: W_0, -2: S_0, j: token j. */
static void source(const struct coef *p, int64_t item, int64_t from, double *ps, double *ss)
{
    const int64_t lanes = p->H * (p->w ? p->w : 1), b = item / lanes, lane = item % lanes;

    ps[0] = from == -1;
    ss[0] = from == -2;
    for (int64_t t = 1; t <= p->n; t++) {
        const int64_t at = (b * p->n + t - 1) * lanes + lane;
        const double alpha = p->given[0] ? ck_get(&p->x[ALPHA], at) : 0, eta = p->given[1] ? ck_get(&p->x[ETA], at) : 0;
        const double theta = p->given[2] ? ck_get(&p->x[THETA], at) : 1;

        ss[t] = eta * ss[t - 1] + (t - 1 == from ? p->c * theta : 0);
        ps[t] = (1 - alpha) * ps[t - 1] + ss[t];
    }
}

/* All five tables by definition, in the order of the tensors' elements. */
static void by_definition(const struct coef *p, double *want[TABLES])
{
    const int64_t items = p->B * p->H * (p->w ? p->w : 1), n = p->n;
    double ps[80], ss[80];

    for (int64_t item = 0; item < items; item++)
        for (int64_t from = -2; from < n; from++) {
            source(p, item, from, ps, ss);
            for (int64_t t = 0; t <= n; t++) {
                const int64_t at = item * (n + 1) + t;

                if (from == -1)
                    want[BETA][at] = ps[t];
                if (from == -2)
                    want[F][at] = ps[t], want[MO][at] = ss[t];
                if (from >= 0)
                    want[G][at * n + from] = ps[t], want[N][at * n + from] = ss[t];
            }
        }
}

static const int64_t shapes[][4] = {{1, 1, 1, 0}, {2, 7, 3, 0}, {2, 16, 2, 3}, {1, 64, 2, 1}, {3, 5, 1, 2}};

static void coef__is_the_recurrence_source_by_source(void)
{
    EACH_RIG(which, 2)
    for (int k = 0; k < 5; k++)
        for (unsigned given = 0; given < 8; given++) {
            struct coef p = coef_new(shapes[k][0], shapes[k][1], shapes[k][2], shapes[k][3], 1.5, given);
            double *want[TABLES];

            for (int i = 0; i < TABLES; i++)
                want[i] = ck_read(&p.x[i]);
            by_definition(&p, want);
            CK_TRUE(coef_run(&p, false) == LOCI_OK, "%s", ck_err.msg);
            rig.floor = 0.1;
            for (int i = 0; i < TABLES; i++) {
                if (i >= BETA)
                    judge("coef", i * 10 + k, &p.x[i], want[i]);
                free(want[i]);
            }
            coef_free(&p);
        }
}

/* <tables, cotangents>, of mo and N at time n alone. */
static double coef_loss(struct coef *p, const double *const cot[TABLES])
{
    const int64_t n = p->n;
    double sum = 0;

    CK_TRUE(coef_run(p, false) == LOCI_OK, "%s", ck_err.msg);
    for (int i = BETA; i <= G; i++)
        for (int64_t j = 0; j < p->x[i].n && i != MO; j++)
            sum += ck_get(&p->x[i], j) * cot[i][j];
    for (int64_t j = 0; j < p->d[MO].n; j++)
        sum += ck_get(&p->x[MO], j * (n + 1) + n) * cot[MO][j];
    for (int64_t j = 0; j < p->d[N].n; j++)
        sum += ck_get(&p->x[N], (j / n * (n + 1) + n) * n + j % n) * cot[N][j];
    return sum;
}

static void coef_back__has_the_gradients_of_its_differences_and_adds(void)
{
    static const double at[4] = {-2, -1, 1, 2}, weight[4] = {1, -8, 8, -1}, h = 1e-3;

    CU_ASSERT_TRUE_FATAL(rig_open(0, 2));
    for (int k = 0; k < 5; k++)
        for (unsigned given = 1; given < 8; given++) {
            struct coef p =
                coef_new(shapes[k][0], shapes[k][1] > 16 ? 9 : shapes[k][1], shapes[k][2], shapes[k][3], 1.5, given);
            double *cot[TABLES], worst = 0;

            for (int i = 0; i < TABLES; i++)
                cot[i] = ck_read(&p.d[i]);
            CK_OK(coef_run(&p, false));
            CK_OK(coef_run(&p, true));
            for (int i = 0; i < 3; i++)
                for (int64_t j = 0; j < p.x[i].n; j++) {
                    const double x = ck_get(&p.x[i], j), got = ck_get(&p.d[i], j) - 0.5;
                    double want = 0;

                    for (int s = 0; s < 4 && p.given[i]; s++) {
                        ck_set(&p.x[i], j, x + at[s] * h);
                        want += weight[s] * coef_loss(&p, (const double *const *)cot) / (12 * h);
                    }
                    ck_set(&p.x[i], j, x);
                    worst = fmax(worst, fabs(got - want) / fmax(1, fabs(want)));
                }
            CK_TRUE(worst < 1e-8, "shape %d, gates %u: %g", k, given, worst);
            for (int i = 0; i < 3; i++)
                CU_ASSERT_TRUE(ck_intact(&p.d[i]));
            for (int i = 0; i < TABLES; i++)
                free(cot[i]);
            coef_free(&p);
        }
    ck_host_close(&rig.h);
}

/* f32 at every level against f64. */
static void coef_back__is_as_good_in_every_build(void)
{
    double *want[3] = {NULL};

    EACH_RIG(which, 2)
    {
        struct coef p = coef_new(2, 33, 2, 2, 1.5, 7);

        for (int i = 0; i < 3; i++)
            ck_const(&p.d[i], 0);
        CK_OK(coef_run(&p, false));
        CK_OK(coef_run(&p, true));
        for (int i = 0; i < 3; i++) {
            double *got = ck_read(&p.d[i]);

            if (!want[i]) {
                want[i] = got;
                continue;
            }
            CK_TRUE(ck_rms(got, want[i], (size_t)p.d[i].n) < 1e-5, "gate %d, %s: %g", i, rig.level,
                    ck_rms(got, want[i], (size_t)p.d[i].n));
            free(got);
        }
        coef_free(&p);
    }
    for (int i = 0; i < 3; i++)
        free(want[i]);
}

/* What is known after t tokens does not see later gates, be they NaN. */
static void coef__looks_at_no_later_token(void)
{
    EACH_RIG(which, 1)
    {
        const int64_t n = 9, know = 4;
        struct coef p = coef_new(1, n, 1, 0, 1, 7);
        double *before[TABLES];

        CK_OK(coef_run(&p, false));
        for (int i = 0; i < TABLES; i++)
            before[i] = ck_read(&p.x[i]);
        for (int i = 0; i < 3; i++)
            for (int64_t t = know; t < n; t++)
                ck_set(&p.x[i], t, NAN);
        CK_OK(coef_run(&p, false));
        for (int i = BETA; i <= N; i++)
            for (int64_t j = 0; j < (know + 1) * (i >= G ? n : 1); j++)
                CU_ASSERT_EQUAL(ck_get(&p.x[i], j), before[i][j]);
        CU_ASSERT_TRUE(isnan(ck_get(&p.x[BETA], know + 1)));
        for (int i = 0; i < TABLES; i++)
            free(before[i]);
        coef_free(&p);
    }
}

static uint64_t coef_hash(int which, int threads)
{
    struct coef p;
    uint64_t h = 1;

    if (!rig_open(which, threads))
        return 0;
    p = coef_new(5, 40, 3, 2, 1, 7);
    CK_TRUE(coef_run(&p, false) == LOCI_OK, "%s", ck_err.msg);
    for (int i = BETA; i <= N; i++)
        h = ck_hash(&p.x[i], h);
    CK_TRUE(coef_run(&p, true) == LOCI_OK, "%s", ck_err.msg);
    for (int i = 0; i < 3; i++)
        h = ck_hash(&p.d[i], h);
    coef_free(&p);
    ck_host_close(&rig.h);
    return h;
}

static void coef__gives_the_same_bits_for_any_number_of_threads(void)
{
    for (int which = 0; which < 4; which++) {
        const uint64_t one = coef_hash(which, 1);

        CU_ASSERT_EQUAL(one, coef_hash(which, 2));
        CU_ASSERT_EQUAL(one, coef_hash(which, 4));
    }
}

static void refused(struct coef *p, bool back, const char *says)
{
    loci_error_clear(&ck_err);
    CU_ASSERT_EQUAL(coef_run(p, back), LOCI_E_ARG);
    CK_TRUE(strstr(ck_err.msg, says) != NULL, "%s", ck_err.msg);
    loci_error_clear(&ck_err);
}

static void coef__refuses_what_does_not_fit(void)
{
    struct coef p, q;

    CU_ASSERT_TRUE_FATAL(rig_open(0, 1));
    p = coef_new(2, 6, 2, 0, 1, 7);
    q = coef_new(2, 5, 2, 0, 1, 7);
    struct ck_t good = p.x[ETA];
    p.x[ETA] = q.x[ETA];
    refused(&p, false, "axis 1 of eta has 5 entries instead of 6");
    p.x[ETA] = good;
    good = p.x[G];
    p.x[G] = q.x[G];
    refused(&p, false, "axis 2 of G has 6 entries instead of 7");
    p.x[G] = good;
    good = p.d[N];
    p.d[N] = p.d[MO];
    refused(&p, true, "axis 2 of dN has 1 entries instead of 6");
    p.d[N] = good;
    good = p.x[THETA];
    p.x[THETA] = p.x[G];
    refused(&p, false, "theta has 4 axes instead of 3");
    p.x[THETA] = good;
    p.x[F].strides[2] = 1;
    p.x[G].strides[2] = 7;
    refused(&p, false, "rows of G are 7 apart instead of 6");
    p.x[G].strides[2] = 6;
    p.x[BETA].t.ndim = 2;
    refused(&p, false, "beta must be there");
    p.x[BETA].t.ndim = 3;
    p.x[BETA].shape[2] = LOCI_COEF_TOK + 2;
    refused(&p, false, "a chunk of 513 tokens: at most 512");
    p.x[BETA].shape[2] = 7;
    CK_OK(coef_run(&p, false));
    coef_free(&p);
    coef_free(&q);
    ck_host_close(&rig.h);
}

#define TESTS(X) \
    X(coef__is_the_recurrence_source_by_source) \
    X(coef_back__has_the_gradients_of_its_differences_and_adds) \
    X(coef_back__is_as_good_in_every_build) \
    X(coef__looks_at_no_later_token) \
    X(coef__gives_the_same_bits_for_any_number_of_threads) \
    X(coef__refuses_what_does_not_fit)
CK_MAIN("coef", TESTS)
