/* SPDX-License-Identifier: Apache-2.0
 *
 * core/compare: the statistics of stats.h, where the formulas are.
 *
 *  (1) The incomplete beta function is a continued fraction, evaluated by Lentz's method as modified by Thompson and
 *      Barnett. It converges fast for x < (a + 1)/(a + b + 2); on the other side I_x(a,b) = 1 - I_{1-x}(b,a) is used.
 * Where both x and 1 - x are known exactly they are handed over as such, so that nothing cancels in the tails. What is
 * left is the cancellation in log gamma: a relative 1e-14 for tens of degrees of freedom, 1e-9 for a million. (2) P(|T|
 * >= t) = I_{df/(df+t^2)}(df/2, 1/2). (3) The quantile is found by bisection on p, which cannot fail, down to
 * neighbouring numbers. (4) Power: T'^2 is non-central F, a Poisson mixture of central ones, so with lambda = delta^2/2
 *
 *          P(|T'| > c) = sum over j of  e^-lambda lambda^j / j!  I_{df/(df+c^2)}(df/2, j + 1/2)
 *
 *      All terms are positive; those further than 9 standard deviations from lambda do not count, and where
 *      there are thousands every few-th is taken: they follow a smooth curve, and the weights are normalised by their
 * sum.
 */
#include "core/compare/stats.h"

#include <math.h>
#include <stdlib.h>

enum { ARMS_MAX = 1000, FRACTION_MAX = 10000 };

/* ---- one sample -------------------------------------------------------------------------------------------------- */

loci_sample loci_sample_of(const double *values, size_t n)
{
    loci_sample s = {.mean = NAN, .sd = NAN, .se = NAN};
    double sum = 0, squares = 0;
    for (size_t i = 0; i < n; i++)
        if (isfinite(values[i])) {
            sum += values[i];
            s.n++;
        } else {
            s.missing++;
        }
    if (s.n > 0)
        s.mean = sum / s.n;
    for (size_t i = 0; i < n; i++)
        if (isfinite(values[i]))
            squares += (values[i] - s.mean) * (values[i] - s.mean);
    if (s.n > 1) {
        s.sd = sqrt(squares / (s.n - 1));
        s.se = s.sd / sqrt(s.n);
    }
    return s;
}

/* ---- distributions ------------------------------------------------------------------------------------------------
 */

/* The continued fraction of I_x(a, b) (A&S 26.5.8), for x on its fast side. */
static double fraction(double a, double b, double x)
{
    const double tiny = 1e-300;
    double c = 1, d = 1 - (a + b) * x / (a + 1), f;
    d = 1 / (fabs(d) < tiny ? tiny : d);
    f = d;
    for (int m = 1; m <= FRACTION_MAX; m++) {
        double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
        double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)), step;
        d = 1 + even * d;
        c = 1 + even / c;
        d = 1 / (fabs(d) < tiny ? tiny : d);
        c = fabs(c) < tiny ? tiny : c;
        f *= d * c;
        d = 1 + odd * d;
        c = 1 + odd / c;
        d = 1 / (fabs(d) < tiny ? tiny : d);
        c = fabs(c) < tiny ? tiny : c;
        step = d * c;
        f *= step;
        if (fabs(step - 1) < 1e-16)
            break;
    }
    return f;
}

static double log_gamma(double x)
{
    int sign;
    return lgamma_r(x, &sign); /* lgamma writes a global */
}

/* I_x(a, b) with y = 1 - x. (1) */
static double beta_inc(double a, double b, double x, double y)
{
    double front;
    if (x <= 0 || y <= 0)
        return x <= 0 ? 0 : 1;
    front = exp(log_gamma(a + b) - log_gamma(a) - log_gamma(b) + a * (y < 0.5 ? log1p(-y) : log(x)) +
                b * (x < 0.5 ? log1p(-x) : log(y)));
    if (x < (a + 1) / (a + b + 2))
        return front * fraction(a, b, x) / a;
    return 1 - front * fraction(b, a, y) / b;
}

double loci_beta_inc(double a, double b, double x)
{
    if (!(a > 0 && b > 0 && x >= 0 && x <= 1))
        return NAN;
    return beta_inc(a, b, x, 1 - x);
}

double loci_t_p(double t, double df)
{
    if (isnan(t) || !(df > 0))
        return NAN;
    if (isinf(t))
        return 0;
    return beta_inc(df / 2, 0.5, df / (df + t * t), t * t / (df + t * t)); /* (2) */
}

double loci_t_cdf(double t, double df)
{
    double tail = loci_t_p(t, df) / 2;
    return t > 0 ? 1 - tail : tail;
}

double loci_t_quantile(double p, double df)
{
    double low = 0, high = 1, tail = p < 0.5 ? p : 1 - p;
    if (!(p > 0 && p < 1 && df > 0))
        return NAN;
    while (loci_t_p(high, df) / 2 > tail && high < 1e300)
        high *= 2;
    for (;;) { /* (3) */
        double mid = low + (high - low) / 2;
        if (mid <= low || mid >= high)
            break;
        if (loci_t_p(mid, df) / 2 > tail)
            low = mid;
        else
            high = mid;
    }
    return p < 0.5 ? -high : p > 0.5 ? high : 0;
}

double loci_t_power(double crit, double df, double delta)
{
    double x = df / (df + crit * crit), y = crit * crit / (df + crit * crit), lambda = delta * delta / 2;
    double wide = 9 * sqrt(lambda) + 30, stride = fmax(1, floor(wide / 1000)), sum = 0, norm = 0;
    if (!(df >= 1) || !(crit >= 0) || isnan(delta))
        return NAN;
    if (fabs(delta) > crit * (1 + 12 / sqrt(2 * df)) + 12) /* even 12 standard deviations of both parts of T' off */
        return 1;
    for (double j = fmax(0, floor(lambda - wide)); j <= lambda + wide; j += stride) { /* (4) */
        double p = exp((lambda > 0 ? j * log(lambda) : j > 0 ? -INFINITY : 0) - lambda - log_gamma(j + 1));
        if (p > 0)
            sum += p * beta_inc(df / 2, j + 0.5, x, y);
        norm += p;
    }
    return sum / norm;
}

/* ---- pairs ------------------------------------------------------------------------------------------------------- */

/* The shift at which a two-sided t test with n seeds has power 0.8: false position (Illinois), which keeps a bracket.
 */
static double shift_for_power(double level, int n)
{
    double crit = loci_t_quantile(1 - level / 2, n - 1), low = 0, high = crit + 1;
    double at_low = level - 0.8, at_high = loci_t_power(crit, n - 1, high) - 0.8;
    while (at_high < 0) {
        low = high;
        at_low = at_high;
        high *= 2;
        at_high = loci_t_power(crit, n - 1, high) - 0.8;
    }
    for (int i = 0; i < 60 && at_high > 1e-12 && high - low > 1e-13 * high; i++) {
        double mid = (low * at_high - high * at_low) / (at_high - at_low), at = loci_t_power(crit, n - 1, mid) - 0.8;
        if (at < 0) {
            low = mid;
            at_low = at;
            at_high /= 2;
        } else {
            high = mid;
            at_high = at;
            at_low /= 2;
        }
    }
    return high;
}

static bool enough(double effect, double sd, double level, int n)
{
    double crit = loci_t_quantile(1 - level / 2, n - 1);
    return loci_t_power(crit, n - 1, effect * sqrt(n) / sd) >= 0.8;
}

static int32_t seeds_for(double effect, double sd, double level)
{
    int low = 3, high = 3;
    if (effect == 0)
        return 0;
    if (sd == 0)
        return 3;
    while (high < LOCI_MAX_SEEDS_NEEDED && !enough(effect, sd, level, high)) {
        low = high + 1;
        high = 2 * high < LOCI_MAX_SEEDS_NEEDED ? 2 * high : LOCI_MAX_SEEDS_NEEDED;
    }
    while (low < high) {
        int mid = low + (high - low) / 2;
        if (enough(effect, sd, level, mid))
            high = mid;
        else
            low = mid + 1;
    }
    return high;
}

/* Everything that needs only this pair; *sd is NaN below 2 seeds. */
static loci_pair pair_alone(double *sd, const double *a, const double *b, double *d, uint32_t n_seeds)
{
    loci_pair pair = {.lo = NAN, .hi = NAN, .p = 1, .p_holm = 1, .mde = NAN, .verdict = LOCI_VERDICT_UNDECIDED};
    loci_sample s;
    for (uint32_t i = 0; i < n_seeds; i++)
        d[i] = isfinite(a[i]) && isfinite(b[i]) ? a[i] - b[i] : NAN;
    s = loci_sample_of(d, n_seeds);
    pair.n = (int32_t)s.n;
    pair.missing = (int32_t)s.missing;
    pair.diff = s.mean;
    *sd = s.sd;
    if (s.n > 1) {
        double half = loci_t_quantile(0.975, s.n - 1) * s.se;
        pair.lo = pair.diff - half;
        pair.hi = pair.diff + half;
        pair.p = s.se > 0 ? loci_t_p(pair.diff / s.se, s.n - 1) : pair.diff == 0 ? 1 : 0;
    }
    return pair;
}

static int by_p(const void *a, const void *b)
{
    const loci_pair *const *p = a, *const *q = b;
    return (*p)->p < (*q)->p ? -1 : (*p)->p > (*q)->p;
}

static char verdict_of(const loci_pair *p, bool lower_is_better)
{
    if (p->n < 3 || !(p->lo > 0 || p->hi < 0) || !(p->p_holm < 0.05))
        return LOCI_VERDICT_UNDECIDED;
    return (p->diff < 0) == lower_is_better ? LOCI_VERDICT_A : LOCI_VERDICT_B;
}

loci_status loci_compare_pairs(loci_pair *out, uint32_t n_arms, uint32_t n_seeds, const double *values,
                               bool lower_is_better, loci_error *err)
{
    uint32_t n = loci_pairs_n(n_arms), at = 0, m = 0;
    double *d = NULL, *sd = NULL, high = 0;
    loci_pair **tested = NULL;
    loci_status status = LOCI_OK;

    if (n_arms > ARMS_MAX)
        return loci_fail(err, LOCI_E_ARG, "%u arms, the limit is %d", n_arms, ARMS_MAX);
    d = loci_alloc(n_seeds * sizeof *d);
    sd = loci_alloc(n * sizeof *sd);
    tested = loci_alloc(n * sizeof *tested);
    if (!d || !sd || !tested) {
        status = loci_fail(err, LOCI_E_NOMEM, "no memory to compare %u arms", n_arms);
        goto out;
    }
    for (uint32_t a = 0; a < n_arms; a++)
        for (uint32_t b = a + 1; b < n_arms; b++, at++) {
            out[at] = pair_alone(&sd[at], values + (size_t)a * n_seeds, values + (size_t)b * n_seeds, d, n_seeds);
            out[at].a = a;
            out[at].b = b;
            if (out[at].n > 1)
                tested[m++] = &out[at];
        }
    qsort(tested, m, sizeof *tested, by_p);
    for (uint32_t i = 0; i < m; i++) { /* Holm */
        high = fmax(high, fmin(1, (m - i) * tested[i]->p));
        tested[i]->p_holm = high;
    }
    for (uint32_t i = 0; i < n; i++) {
        loci_pair *p = &out[i];
        p->verdict = verdict_of(p, lower_is_better);
        if (p->n > 1) {
            p->mde = shift_for_power(0.05 / m, p->n) * sd[i] / sqrt(p->n);
            p->seeds_needed = seeds_for(fabs(p->diff), sd[i], 0.05 / m);
        }
    }
out:
    loci_free(d);
    loci_free(sd);
    loci_free(tested);
    return status;
}

const char *loci_verdict_name(char verdict)
{
    return verdict == LOCI_VERDICT_A ? "a" : verdict == LOCI_VERDICT_B ? "b" : "undecided";
}
