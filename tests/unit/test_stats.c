/* SPDX-License-Identifier: Apache-2.0
 *
 * core/compare: statistics against values computed independently to 18 digits (incomplete beta and quadrature with 30
 * digits), against closed forms, and against the properties that a verdict promises.
 */
#include "tests/ck.h"
#include "core/compare/stats.h"

static loci_error ck_err = LOCI_ERROR_INIT;

#define NEAR(got, want, tol) \
    CK_TRUE(fabs((got) - (want)) <= (tol)*fabs((double)(want)), "%s = %.17g, wanted %.17g", #got, (double)(got), \
            (double)(want))

static void sample__has_mean_sd_and_se(void)
{
    const double v[] = {2, 4, NAN, 4, 4, 5, INFINITY, 5, 7, 9};
    loci_sample s = loci_sample_of(v, 10);
    CU_ASSERT_TRUE(s.n == 8 && s.missing == 2);
    NEAR(s.mean, 5, 1e-15);
    NEAR(s.sd, sqrt(32.0 / 7), 1e-15);
    NEAR(s.se, sqrt(32.0 / 7 / 8), 1e-15);
    s = loci_sample_of(v, 1);
    CU_ASSERT_TRUE(s.mean == 2 && isnan(s.sd) && isnan(s.se));
    s = loci_sample_of(v, 0);
    CU_ASSERT_TRUE(s.n == 0 && isnan(s.mean));
    s = loci_sample_of((const double[]){1e9 + 4, 1e9 + 7, 1e9 + 13, 1e9 + 16}, 4); /* no cancellation */
    NEAR(s.sd, sqrt(30), 1e-12);
}

static void beta_inc__matches_closed_forms(void)
{
    for (double x = 0.05; x < 1; x += 0.05) {
        NEAR(loci_beta_inc(1, 1, x), x, 1e-14);
        NEAR(loci_beta_inc(3, 1, x), x * x * x, 1e-13);
        NEAR(loci_beta_inc(1, 4, x), 1 - pow(1 - x, 4), 1e-13);
        NEAR(loci_beta_inc(0.5, 0.5, x), 2 / 3.14159265358979324 * asin(sqrt(x)), 1e-13);
        NEAR(loci_beta_inc(2, 3, x) + loci_beta_inc(3, 2, 1 - x), 1.0, 1e-14);
    }
    CU_ASSERT_TRUE(loci_beta_inc(2, 3, 0) == 0 && loci_beta_inc(2, 3, 1) == 1);
    CU_ASSERT_TRUE(isnan(loci_beta_inc(0, 1, 0.5)) && isnan(loci_beta_inc(1, 1, 1.5)) &&
                   isnan(loci_beta_inc(1, 1, NAN)));
}

static void t_p__matches_known_values(void)
{
    static const double table[][3] = {
        {1, 1, 0.5},
        {2, 2, 0.183503419072273967},
        {2.5, 4, 0.066766544811988145},
        {12.5, 3, 0.00110363133109605846},
        {50, 9, 2.56895291087479819e-12},
        {0.001, 5, 0.999240786772197651},
        {3, 2.5, 0.0725760955490318439},
        {1.96, 1000, 0.0502731849557487143},
        {40, 60, 5.75548048662738271e-45},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        NEAR(loci_t_p(table[i][0], table[i][1]), table[i][2], 1e-11);
        NEAR(loci_t_p(-table[i][0], table[i][1]), table[i][2], 1e-11);
    }
    CU_ASSERT_TRUE(loci_t_p(0, 3) == 1 && loci_t_p(INFINITY, 3) == 0 && isnan(loci_t_p(NAN, 3)) &&
                   isnan(loci_t_p(1, 0)));
    NEAR(loci_t_cdf(1, 1), 0.75, 1e-14);
    NEAR(loci_t_cdf(-1, 1), 0.25, 1e-14);
}

static void t_quantile__matches_known_values(void)
{
    static const double table[][3] = {
        {0.975, 1, 12.7062047361747046},  {0.975, 2, 4.30265272974946385}, {0.975, 3, 3.18244630528370959},
        {0.975, 4, 2.77644510519779436},  {0.975, 9, 2.26215716279820554}, {0.975, 30, 2.04227245630123831},
        {0.995, 5, 4.03214298355522808},  {0.95, 10, 1.81246112281167641}, {0.9, 3, 1.63774435369621011},
        {0.9999, 7, 7.06343282815751401},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        NEAR(loci_t_quantile(table[i][0], table[i][1]), table[i][2], 1e-11);
        NEAR(loci_t_quantile(1 - table[i][0], table[i][1]), -table[i][2], 1e-11);
    }
    CU_ASSERT_EQUAL(loci_t_quantile(0.5, 3), 0);
    CU_ASSERT_TRUE(isnan(loci_t_quantile(0, 3)) && isnan(loci_t_quantile(1, 3)) && isnan(loci_t_quantile(0.5, 0)));
    for (int i = 0; i < 200; i++) {
        double p = 0.001 + 0.998 * ck_rand(), df = 1 + 50 * ck_rand();
        NEAR(loci_t_cdf(loci_t_quantile(p, df), df), p, 1e-12);
    }
}

static void t_power__matches_quadrature(void)
{
    static const double table[][4] = {
        {12.7062047361747, 1, 5, 0.305160102735156},
        {4.30265272974946, 2, 4, 0.564514289260038},
        {2.77644510519779, 4, 3, 0.619261459402332},
        {2.2621571628, 9, 2.8, 0.703300009283679},
        {2.0, 50, 1, 0.167479670638857},
        {3.1824463052842, 3, 0, 0.0499999999999812},
        {573, 1, 700, 0.778155685884402},
        {573, 1, 2000, 0.999517694852255},
        {200, 4, 180, 0.481501562546064},
        {40000, 1, 50000, 0.788700452523595},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        NEAR(loci_t_power(table[i][0], table[i][1], table[i][2]), table[i][3], table[i][2] < 100 ? 1e-10 : 1e-6);
    for (int df = 1; df < 40; df += 3) /* without an effect, the level */
        NEAR(loci_t_power(loci_t_quantile(0.975, df), df, 0), 0.05, 1e-12);
    NEAR(loci_t_power(1.959963984540054, 1e6, 2.8), 0.79958, 1e-4); /* the normal limit */
}

/* Differences 1, 2, 3, 4, 5: mean 3, sd sqrt(2.5), se sqrt(0.5), t = 4.2426, df 4. */
static void pair__is_computed_as_by_hand(void)
{
    const double v[2][5] = {{11, 22, 33, 44, 55}, {10, 20, 30, 40, 50}};
    loci_pair p;
    CK_OK(loci_compare_pairs(&p, 2, 5, v[0], true, &ck_err));
    CU_ASSERT_TRUE(p.a == 0 && p.b == 1 && p.n == 5 && p.missing == 0);
    NEAR(p.diff, 3, 1e-15);
    NEAR(p.lo, 3 - 2.77644510519779436 * sqrt(0.5), 1e-11);
    NEAR(p.hi, 3 + 2.77644510519779436 * sqrt(0.5), 1e-11);
    NEAR(p.p, 0.013235599563681886, 1e-10); /* df 4 has a closed form: 1 - s (3 - s^2) / 2, s = t / sqrt(4 + t^2) */
    CU_ASSERT_EQUAL(p.p_holm, p.p);
    CU_ASSERT_EQUAL(p.verdict, 'b');
    CK_OK(loci_compare_pairs(&p, 2, 5, v[0], false, &ck_err));
    CU_ASSERT_EQUAL(p.verdict, 'a');
    CU_ASSERT_STRING_EQUAL(loci_verdict_name(p.verdict), "a");
    CU_ASSERT_STRING_EQUAL(loci_verdict_name(LOCI_VERDICT_UNDECIDED), "undecided");
}

/* What the seed does to both arms cancels: noise of 10 between seeds hides nothing. */
static void pair__uses_the_pairing(void)
{
    double v[2][6];
    loci_pair p;
    for (int s = 0; s < 6; s++) {
        v[0][s] = 10 * ck_norm();
        v[1][s] = v[0][s] + 0.1 + 0.01 * ck_norm();
    }
    CK_OK(loci_compare_pairs(&p, 2, 6, v[0], true, &ck_err));
    CU_ASSERT_EQUAL(p.verdict, 'a');
}

static void verdict__never_below_three_seeds(void)
{
    const double v[2][3] = {{1, 1.0001, NAN}, {2, 2, 2}};
    loci_pair p;
    CK_OK(loci_compare_pairs(&p, 2, 3, v[0], true, &ck_err));
    CU_ASSERT_TRUE(p.n == 2 && p.missing == 1 && p.p_holm < 0.05 && p.hi < 0);
    CU_ASSERT_EQUAL(p.verdict, LOCI_VERDICT_UNDECIDED);
    CK_OK(loci_compare_pairs(&p, 2, 1, (const double[]){1, 2}, true, &ck_err));
    CU_ASSERT_TRUE(p.n == 1 && p.diff == -1 && isnan(p.lo) && isnan(p.hi) && p.p == 1 && isnan(p.mde) &&
                   !p.seeds_needed);
    CU_ASSERT_EQUAL(p.verdict, LOCI_VERDICT_UNDECIDED);
    CK_OK(loci_compare_pairs(&p, 2, 1, (const double[]){1, NAN}, true, &ck_err));
    CU_ASSERT_TRUE(p.n == 0 && isnan(p.diff) && p.verdict == LOCI_VERDICT_UNDECIDED);
}

static void verdict__is_undecided_for_equal_arms_and_decided_for_a_constant_difference(void)
{
    const double v[3][3] = {{1, 2, 3}, {1, 2, 3}, {2, 3, 4}};
    loci_pair p[3];
    CK_OK(loci_compare_pairs(p, 3, 3, v[0], true, &ck_err));
    CU_ASSERT_TRUE(p[0].diff == 0 && p[0].p == 1 && p[0].verdict == LOCI_VERDICT_UNDECIDED && p[0].seeds_needed == 0);
    CU_ASSERT_TRUE(p[1].diff == -1 && p[1].p == 0 && p[1].verdict == 'a' && p[1].seeds_needed == 3);
    CU_ASSERT_TRUE(p[2].a == 1 && p[2].b == 2 && p[2].verdict == 'a');
}

/* p of 0.03 alone decides; among three pairs it does not. */
static void holm__adjusts_over_all_pairs(void)
{
    double v[3][4] = {{0, 0, 0, 0}, {0, 0, 0, 0}, {0, 0, 0, 0}};
    loci_pair p[3], alone;
    double sorted[3];
    for (int s = 0; s < 4; s++) {
        v[1][s] = 1 + 0.45 * (s - 1.5);
        v[2][s] = 0.2 * (s % 2) - 0.1;
    }
    CK_OK(loci_compare_pairs(&alone, 2, 4, v[0], true, &ck_err));
    CU_ASSERT_TRUE(alone.p > 0.025 && alone.p < 0.05 && alone.verdict == 'a');
    CK_OK(loci_compare_pairs(p, 3, 4, v[0], true, &ck_err));
    CU_ASSERT_EQUAL(p[0].p, alone.p);
    CU_ASSERT_TRUE(p[0].p_holm > 0.05 && p[0].verdict == LOCI_VERDICT_UNDECIDED);
    CU_ASSERT_TRUE(p[0].mde > alone.mde);
    for (int i = 0; i < 3; i++)
        sorted[i] = p[i].p;
    for (int i = 0; i < 3; i++)
        for (int j = i + 1; j < 3; j++)
            if (sorted[j] < sorted[i]) {
                double t = sorted[i];
                sorted[i] = sorted[j];
                sorted[j] = t;
            }
    for (int i = 0; i < 3; i++) {
        double first = fmin(1, 3 * sorted[0]), second = fmax(first, fmin(1, 2 * sorted[1]));
        double want = p[i].p == sorted[0] ? first : p[i].p == sorted[1] ? second : fmax(second, sorted[2]);
        NEAR(p[i].p_holm, want, 1e-14);
    }
}

static void mde__has_power_of_80_percent(void)
{
    const double v[2][5] = {{1.1, 0.9, 1.4, 0.7, 1.2}, {0, 0, 0, 0, 0}};
    loci_sample s = loci_sample_of(v[0], 5);
    double crit = loci_t_quantile(0.975, 4);
    loci_pair p;
    CK_OK(loci_compare_pairs(&p, 2, 5, v[0], true, &ck_err));
    NEAR(loci_t_power(crit, 4, p.mde / s.se), 0.8, 1e-9);
}

static void seeds_needed__is_the_smallest_that_reaches_80_percent(void)
{
    double v[2][6] = {{0.31, -0.25, 0.42, 0.09, -0.11, 0.21}, {0}};
    loci_sample s = loci_sample_of(v[0], 6);
    loci_pair p;
    int n;
    CK_OK(loci_compare_pairs(&p, 2, 6, v[0], true, &ck_err));
    n = p.seeds_needed;
    CU_ASSERT_TRUE_FATAL(n > 6 && n < 1000);
    CU_ASSERT_TRUE(loci_t_power(loci_t_quantile(0.975, n - 1), n - 1, s.mean * sqrt(n) / s.sd) >= 0.8);
    CU_ASSERT_TRUE(loci_t_power(loci_t_quantile(0.975, n - 2), n - 2, s.mean * sqrt(n - 1) / s.sd) < 0.8);
    for (int i = 0; i < 6; i++) /* a difference far below the noise: the cap */
        v[0][i] = (i % 2 ? 1 : -1) + 1e-6;
    CK_OK(loci_compare_pairs(&p, 2, 6, v[0], true, &ck_err));
    CU_ASSERT_EQUAL(p.seeds_needed, LOCI_MAX_SEEDS_NEEDED);
}

/* The promise itself: without any effect a wrong verdict comes in 5 % of experiments at most, and the interval holds
 * the true difference in 95 %. 4000 experiments: 3 standard deviations are 1 %. */
static void verdict__is_wrong_in_one_of_twenty_experiments_at_most(void)
{
    enum { N = 4000, SEEDS = 4 };
    int wrong = 0, covered = 0;
    for (int e = 0; e < N; e++) {
        double v[3][SEEDS];
        loci_pair p[3];
        for (int a = 0; a < 3; a++)
            for (int s = 0; s < SEEDS; s++)
                v[a][s] = ck_norm();
        if (e % 4) { /* mde and seeds_needed are dear: most rounds test the intervals of one pair only */
            loci_sample d;
            double diff[SEEDS], half;
            for (int s = 0; s < SEEDS; s++)
                diff[s] = v[0][s] - v[1][s];
            d = loci_sample_of(diff, SEEDS);
            half = 3.18244630528370959 * d.se;
            covered += fabs(d.mean) < half;
            continue;
        }
        CK_OK(loci_compare_pairs(p, 3, SEEDS, v[0], true, &ck_err));
        covered += p[0].lo < 0 && p[0].hi > 0;
        wrong += p[0].verdict != 'u' || p[1].verdict != 'u' || p[2].verdict != 'u';
    }
    CK_TRUE(covered > 0.94 * N && covered < 0.96 * N, "covered %d of %d", covered, N);
    CK_TRUE(wrong > 5 && wrong <= 71, "wrong %d of %d", wrong, N / 4); /* at most 50 expected, sd 7 */
}

static void pairs__say_when_memory_runs_out(void)
{
    const double v[2][3] = {{1, 2, 3}, {1, 2, 4}};
    loci_pair p;
    for (long n = 1; n <= 3; n++) {
        loci_error err = LOCI_ERROR_INIT;
        loci_memory_fail_at(n);
        CU_ASSERT_EQUAL(loci_compare_pairs(&p, 2, 3, v[0], true, &err), LOCI_E_NOMEM);
        CU_ASSERT_NOT_EQUAL(err.msg[0], '\0');
    }
    loci_memory_fail_at(0);
    CU_ASSERT_EQUAL(loci_compare_pairs(&p, 1001, 3, v[0], true, NULL), LOCI_E_ARG);
    CK_OK(loci_compare_pairs(NULL, 1, 3, v[0], true, &ck_err));
    CK_OK(loci_compare_pairs(NULL, 0, 0, NULL, true, &ck_err));
    CU_ASSERT_TRUE(loci_pairs_n(0) == 0 && loci_pairs_n(1) == 0 && loci_pairs_n(4) == 6);
    CU_ASSERT_EQUAL(loci_memory_held(), 0);
}

#define TESTS(X) \
    X(sample__has_mean_sd_and_se) \
    X(beta_inc__matches_closed_forms) \
    X(t_p__matches_known_values) \
    X(t_quantile__matches_known_values) \
    X(t_power__matches_quadrature) \
    X(pair__is_computed_as_by_hand) \
    X(pair__uses_the_pairing) \
    X(verdict__never_below_three_seeds) \
    X(verdict__is_undecided_for_equal_arms_and_decided_for_a_constant_difference) \
    X(holm__adjusts_over_all_pairs) \
    X(mde__has_power_of_80_percent) \
    X(seeds_needed__is_the_smallest_that_reaches_80_percent) \
    X(verdict__is_wrong_in_one_of_twenty_experiments_at_most) \
    X(pairs__say_when_memory_runs_out)

CK_MAIN("stats", TESTS)
