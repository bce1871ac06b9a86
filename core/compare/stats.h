/* SPDX-License-Identifier: Apache-2.0
 *
 * core/compare: is one arm better than another, and how sure is that?
 *
 * Arms run with the same seeds: seed s gives both arms the same data order and equal weights for equal names. So the
 * difference per seed, d_s = a_s - b_s, is what is tested: what the seed does to both cancels.
 *
 *     diff  = mean of d                                  n seeds that both arms have
 *     sd    = sqrt(sum (d_s - diff)^2 / (n - 1))         se = sd / sqrt(n)
 *     t     = diff / se                                  Student's t with n - 1 degrees of freedom, if d is normal
 *     [lo, hi] = diff -+ t_{0.975, n-1} se               the 95 % interval, of this pair alone
 *     p     = P(|T| >= |t|)                              two-sided, of this pair alone
 *     p_holm: the p of all pairs together, in rising order p_(1) <= ... <= p_(m):
 *             max over j <= i of min(1, (m - j + 1) p_(j))
 *
 * The verdict names the better arm when n >= 3, the interval excludes 0 and p_holm < 0.05; else it is undecided, which
 * does not say that the arms are equal. Holm's adjustment keeps the chance of any wrong verdict among all pairs below 5
 * %.
 *
 * Two numbers say what the experiment could have found. Both use the non-central t distribution (not its normal
 * approximation) at level 0.05 / m, Holm's strictest step, so that they hold whatever the other pairs do, and the sd
 * that was observed as if it were the true one:
 *
 *     power(e, n) = P(|T'| > t_{1 - 0.025/m, n-1}),  T' non-central t, n - 1 degrees of freedom, shift e sqrt(n) / sd
 *     mde          the e with power(e, n) = 0.8: an effect this large is decided four times in five
 *     seeds_needed the smallest n >= 3 with power(|diff|, n) >= 0.8: if the effect is as large as it looks
 *
 * Sources: Student 1908; Holm 1979; Abramowitz and Stegun 26.5 and 26.7; Lentz 1976 for the continued fraction.
 */
#ifndef LOCI_CORE_COMPARE_STATS_H
#define LOCI_CORE_COMPARE_STATS_H

#include "core/base/base.h"

#define LOCI_MAX_SEEDS_NEEDED 1000000

/* ---- one sample: non-finite values are left out ------------------------------------------------------------------ */

typedef struct loci_sample {
    double mean, sd, se; /* NaN where n is too small: 1 for the mean, 2 for the others */
    uint32_t n, missing;
} loci_sample;
loci_sample loci_sample_of(const double *values, size_t n);

/* ---- distributions; NaN for arguments outside their domain ------------------------------------------------------- */

double loci_beta_inc(double a, double b, double x); /* regularised incomplete beta I_x(a, b); a, b > 0, 0 <= x <= 1 */
double loci_t_cdf(double t, double df);             /* P(T <= t), df > 0                                            */
double loci_t_p(double t, double df);               /* P(|T| >= |t|), exact far into the tail                       */
double loci_t_quantile(double p, double df);        /* t with P(T <= t) = p, 0 < p < 1                              */
/* P(|T'| > crit) for a T' with df degrees of freedom and shift delta: the power of a two-sided t test. df >= 1. */
double loci_t_power(double crit, double df, double delta);

/* ---- pairs ------------------------------------------------------------------------------------------------------- */

#define LOCI_VERDICT_A 'a'
#define LOCI_VERDICT_B 'b'
#define LOCI_VERDICT_UNDECIDED 'u'

typedef struct loci_pair {
    uint32_t a, b;        /* arms, a < b                                                                            */
    double diff;          /* mean of a - b; NaN without a common seed                                               */
    double lo, hi;        /* NaN below 2 seeds                                                                      */
    double p, p_holm;     /* 1 below 2 seeds                                                                        */
    double mde;           /* NaN below 2 seeds                                                                      */
    int32_t n, missing;   /* seeds both arms have, seeds left out                                                   */
    int32_t seeds_needed; /* 0: cannot be said (below 2 seeds, or diff is 0); at most LOCI_MAX_SEEDS_NEEDED         */
    char verdict;         /* LOCI_VERDICT_*                                                                         */
} loci_pair;

static inline uint32_t loci_pairs_n(uint32_t n_arms)
{
    return n_arms * (n_arms - (n_arms > 0)) / 2;
}
/* values: [n_arms][n_seeds], the metric, NaN where a run is missing (any value that is not finite counts as missing;
 * whoever calls says so to the user, since arms that diverge are not missing at random). out: loci_pairs_n(n_arms)
 * pairs in the order (0,1) (0,2) ... (1,2) .... Equal differences for all seeds give se 0: p is 0 then, or 1 if they
 * are 0. Errors: LOCI_E_ARG above 1000 arms, LOCI_E_NOMEM. */
loci_status loci_compare_pairs(loci_pair *out, uint32_t n_arms, uint32_t n_seeds, const double *values,
                               bool lower_is_better, loci_error *err);
const char *loci_verdict_name(char verdict); /* "a", "b", "undecided" */

#endif
