/* SPDX-License-Identifier: Apache-2.0
 *
 * loci_draw: frequencies against exact probabilities, the cuts and their edges, and what is refused.
 */
#include "core/tensor/file.h"
#include "tests/ck.h"
#include <loci/loci.h>

static loci_error ck_err = LOCI_ERROR_INIT;

static int32_t draw(const double *logits, int64_t n, const loci_sampling *how, uint64_t position)
{
    loci_view v;
    int32_t token = -1;

    loci_view_set(&v, (void *)(uintptr_t)logits, (loci_device){LOCI_CPU, 0}, loci_f64, 1, &n);
    ck_err.code = LOCI_OK;
    return loci_draw(&token, &v.t, how, position, &ck_err) == LOCI_OK ? token : -1;
}

static loci_sampling sampling(double temperature, int32_t top_k, double top_p, uint64_t seed)
{
    return (loci_sampling){sizeof(loci_sampling), top_k, temperature, top_p, seed};
}

#define DRAWS 40000

/* Pearson's statistic of DRAWS draws against p; tokens of p 0 must not come at all. */
static double chi2(const double *logits, const double *p, int64_t n, const loci_sampling *how)
{
    int64_t seen[16] = {0};
    double x = 0;

    for (uint64_t i = 0; i < DRAWS; i++) {
        int32_t t = draw(logits, n, how, i);
        if (t < 0)
            return INFINITY;
        seen[t]++;
    }
    for (int64_t i = 0; i < n; i++) {
        double want = p[i] * DRAWS, d = (double)seen[i] - want;
        if (want > 0)
            x += d * d / want;
        else if (seen[i])
            return INFINITY;
    }
    return x;
}

/* The 99.99 % quantiles of chi-square with 1 .. 5 degrees of freedom. */
static const double limit[] = {0, 15.14, 18.42, 21.11, 23.51, 25.75};

static void draw__follows_the_softmax_at_several_temperatures(void)
{
    const double l[] = {0.3, -1.2, 2.0, 0.3, -0.5};

    for (double t = 0.5; t <= 2; t *= 2) {
        loci_sampling how = sampling(t, 0, 0, 7);
        double p[5], sum = 0, x;
        for (int i = 0; i < 5; i++)
            sum += p[i] = exp(l[i] / t);
        for (int i = 0; i < 5; i++)
            p[i] /= sum;
        x = chi2(l, p, 5, &how);
        CK_TRUE(x < limit[4], "temperature %g: chi-square %g", t, x);
        for (int i = 0; i < 5; i++)
            p[i] = 0.2;
        x = chi2(l, p, 5, &how);
        CK_TRUE(x > limit[4], "the test cannot tell this from uniform: %g", x);
    }
}

static void draw__keeps_the_top_k_and_renormalises(void)
{
    const double l[] = {log(1), log(4), log(2), log(3)}, p[] = {0, 4 / 7., 0, 3 / 7.};
    loci_sampling how = sampling(1, 2, 0, 3);
    double x = chi2(l, p, 4, &how);

    CK_TRUE(x < limit[1], "chi-square %g", x);
}

static void draw__keeps_the_fewest_that_reach_top_p(void)
{
    const double l[] = {log(1), log(4), log(2), log(3)};
    const double three[] = {0, 4 / 9., 2 / 9., 3 / 9.}, two[] = {0, 4 / 7., 0, 3 / 7.}, one[] = {0, 1, 0, 0};
    loci_sampling how = sampling(1, 0, 0.75, 11);
    double x = chi2(l, three, 4, &how);

    CK_TRUE(x < limit[2], "top_p 0.75: chi-square %g", x);
    how.top_p = 0.65; /* 0.4 + 0.3 reach it */
    x = chi2(l, two, 4, &how);
    CK_TRUE(x < limit[1], "top_p 0.65: chi-square %g", x);
    how.top_p = 1e-9; /* at least one */
    CK_TRUE(chi2(l, one, 4, &how) == 0, "top_p 1e-9 keeps more than the largest");
    how = sampling(1, 3, 0.75, 11); /* of the top 3, 4/9 + 3/9 reach it */
    x = chi2(l, two, 4, &how);
    CK_TRUE(x < limit[1], "top_k 3 and top_p 0.75: chi-square %g", x);
}

static void draw__breaks_ties_by_number(void)
{
    const double l[] = {1, 2, 2, 2, 0}, p[] = {0, 0.5, 0.5, 0, 0};
    loci_sampling how = sampling(0, 0, 0, 1);
    double x;

    CK_TRUE(draw(l, 5, &how, 0) == 1, "temperature 0 gives %d", draw(l, 5, &how, 0));
    how = sampling(1, 1, 0, 1);
    for (uint64_t i = 0; i < 50; i++)
        CK_TRUE(draw(l, 5, &how, i) == 1, "top_k 1 is the largest");
    how = sampling(1, 2, 0, 1);
    x = chi2(l, p, 5, &how);
    CK_TRUE(x < limit[1], "chi-square %g", x);
}

static void draw__never_gives_what_has_no_chance(void)
{
    const double l[] = {-INFINITY, 0, -INFINITY, -800}, none[] = {-INFINITY, -INFINITY}, p[] = {0, 1, 0, 0};
    loci_sampling how = sampling(1, 0, 0, 1);

    CK_TRUE(chi2(l, p, 4, &how) == 0, "a token without a chance was drawn");
    how.temperature = 1e-300;
    CK_TRUE(chi2(l, p, 4, &how) == 0, "a tiny temperature is not the largest");
    how.temperature = 1e300;
    CK_TRUE(draw(l, 4, &how, 5) == 1 || draw(l, 4, &how, 5) == 3, "a huge temperature reaches what has no chance");
    CK_TRUE(draw(none, 2, &how, 0) == -1 && ck_err.code == LOCI_E_NUMERIC, "all -infinity is drawn from");
    how.temperature = 0;
    CK_TRUE(draw(none, 2, &how, 0) == -1 && ck_err.code == LOCI_E_NUMERIC, "all -infinity has a largest");
}

static void draw__refuses_what_is_no_number(void)
{
    const double nan[] = {0, NAN, 1}, infinite[] = {0, 1, INFINITY};

    for (int t = 0; t < 2; t++) {
        loci_sampling how = sampling(t, 0, 0, 1);
        CK_TRUE(draw(nan, 3, &how, 0) == -1 && ck_err.code == LOCI_E_NUMERIC, "NaN is drawn from");
        CK_TRUE(strstr(ck_err.msg, "token 1") != NULL, "the message does not name the token: %s", ck_err.msg);
        CK_TRUE(draw(infinite, 3, &how, 0) == -1 && ck_err.code == LOCI_E_NUMERIC, "infinity is drawn from");
    }
}

static void draw__refuses_options_out_of_range(void)
{
    const double l[] = {0, 1};
    const loci_sampling wrong[] = {sampling(-1, 0, 0, 1), sampling(NAN, 0, 0, 1),  sampling(INFINITY, 0, 0, 1),
                                   sampling(1, -1, 0, 1), sampling(1, 0, -0.1, 1), sampling(1, 0, 1.5, 1),
                                   sampling(1, 0, NAN, 1)};
    loci_view v;

    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        CK_TRUE(draw(l, 2, &wrong[i], 0) == -1 && ck_err.code == LOCI_E_ARG, "options %zu are taken", i);
    loci_view_set(&v, (void *)(uintptr_t)l, (loci_device){LOCI_CUDA, 0}, loci_f64, 1, (int64_t[]){2});
    ck_err.code = LOCI_OK;
    CK_TRUE(loci_draw(&(int32_t){0}, &v.t, NULL, 0, &ck_err) == LOCI_E_ARG, "memory of a device is read");
}

static void draw__follows_from_seed_and_position(void)
{
    const double l[] = {0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7};
    int same_seed = 0, other_seed = 0, last = 0;

    for (uint64_t i = 0; i < 400; i++) {
        loci_sampling a = sampling(1, 0, 0, 5), b = sampling(1, 0, 0, 6);
        int32_t t = draw(l, 8, &a, i);
        same_seed += t == draw(l, 8, &a, i);
        other_seed += t == draw(l, 8, &b, i);
        last += t == draw(l, 8, &a, i + 1);
    }
    CK_TRUE(same_seed == 400, "%d of 400 draws repeat", same_seed);
    CK_TRUE(other_seed < 120 && last < 120, "seeds agree in %d, neighbours in %d of 400", other_seed, last);
}

static void draw__reads_the_last_row_and_float32(void)
{
    float rows[] = {9, 0, 0, 0, 9, 0};
    loci_sampling how = sampling(0, 0, 0, 0);
    loci_view v;
    int32_t token;

    loci_view_set(&v, rows, (loci_device){LOCI_CPU, 0}, loci_f32, 2, (int64_t[]){2, 3});
    CK_OK(loci_draw(&token, &v.t, &how, 0, &ck_err));
    CK_TRUE(token == 1, "token %d", token);
    CK_OK(loci_draw(&token, &v.t, NULL, 0, &ck_err));
}

#define TESTS(X) \
    X(draw__follows_the_softmax_at_several_temperatures) \
    X(draw__keeps_the_top_k_and_renormalises) X(draw__keeps_the_fewest_that_reach_top_p) \
        X(draw__breaks_ties_by_number) X(draw__never_gives_what_has_no_chance) X(draw__refuses_what_is_no_number) \
            X(draw__refuses_options_out_of_range) X(draw__follows_from_seed_and_position) \
                X(draw__reads_the_last_row_and_float32)
CK_MAIN("draw", TESTS)
