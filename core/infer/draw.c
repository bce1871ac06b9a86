/* SPDX-License-Identifier: Apache-2.0
 *
 * Drawing a token from logits; see loci_draw in loci/loci.h.
 *
 *  (1) Candidates stand by falling logit, equal ones by number; k and p cut that list, and the draw walks along it. So
 * one number u decides alike whatever was cut, and temperature near 0 tends to the largest. (2) Everything is float64:
 * with 10^5 candidates the sum is good to 1e-11.
 */
#include "core/base/base.h"
#include "core/device/rng.h"
#include <loci/loci.h>
#include <math.h>
#include <stdlib.h>

struct candidate {
    double logit, p;
    int64_t token;
};

static int by_logit_down(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;

    if (x->logit != y->logit)
        return x->logit < y->logit ? 1 : -1;
    return x->token < y->token ? -1 : x->token > y->token;
}

static loci_status check(const loci_tensor *t, const loci_sampling *how, loci_error *err)
{
    if (!t || (t->ndim != 1 && t->ndim != 2) || t->shape[t->ndim - 1] < 1 || t->shape[0] < 1 ||
        t->shape[t->ndim - 1] > INT32_MAX || t->device.type != LOCI_CPU || t->dtype.code != LOCI_FLOAT ||
        t->dtype.lanes != 1 || (t->dtype.bits != 32 && t->dtype.bits != 64))
        return loci_fail(err, LOCI_E_ARG, "logits are a tensor [vocab] or [n, vocab] of f32 or f64 in host memory");
    if (!(how->temperature >= 0) || !isfinite(how->temperature))
        return loci_fail(err, LOCI_E_ARG, "a temperature of %g: it is 0 or more", how->temperature);
    if (!(how->top_p >= 0 && how->top_p <= 1))
        return loci_fail(err, LOCI_E_ARG, "top_p of %g: it lies in 0 to 1", how->top_p);
    if (how->top_k < 0)
        return loci_fail(err, LOCI_E_ARG, "top_k of %d: it is 0, for all, or more", (int)how->top_k);
    return LOCI_OK;
}

static double logit_at(const loci_tensor *t, int64_t i)
{
    int64_t at = t->ndim == 2 ? (t->shape[0] - 1) * t->strides[0] + i * t->strides[1] : i * t->strides[0];

    return t->dtype.bits == 64 ? ((const double *)loci_ptr(t))[at] : (double)((const float *)loci_ptr(t))[at];
}

/* The largest, the first of equals; LOCI_E_NUMERIC when there is none. */
static loci_status largest(int64_t *out, const loci_tensor *t, int64_t n, loci_error *err)
{
    double most = -INFINITY;

    *out = -1;
    for (int64_t i = 0; i < n; i++) {
        double l = logit_at(t, i);
        if (isnan(l) || l == (double)INFINITY)
            return loci_fail(err, LOCI_E_NUMERIC, "the logit of token %lld is %s: the weights or the state are damaged",
                             (long long)i, isnan(l) ? "not a number" : "infinite");
        if (l > most) {
            most = l;
            *out = i;
        }
    }
    return *out >= 0 ? LOCI_OK : loci_fail(err, LOCI_E_NUMERIC, "every logit is -infinity: no token can follow");
}

/* Cut c[0 .. n), which is sorted and has p, to the fewest that reach top_p of the whole. */
static int64_t nucleus(const struct candidate *c, int64_t n, double total, double top_p)
{
    double sum = 0;

    for (int64_t i = 0; i < n; i++) {
        sum += c[i].p;
        if (sum >= top_p * total)
            return i + 1;
    }
    return n;
}

loci_status loci_draw(int32_t *token, const loci_tensor *logits, const loci_sampling *how, uint64_t position,
                      loci_error *err)
{
    static const loci_sampling usual = {sizeof usual, 0, 1, 1, 0};
    loci_status status = LOCI_OK;
    struct candidate *c = NULL;
    int64_t n, best;
    double total = 0, sum = 0, u;

    how = how ? how : &usual;
    LOCI_TRY(check(logits, how, err));
    n = logits->shape[logits->ndim - 1];
    LOCI_TRY(largest(&best, logits, n, err));
    *token = (int32_t)best;
    if (how->temperature == 0 || how->top_k == 1)
        return LOCI_OK;
    c = loci_alloc((size_t)n * sizeof *c);
    if (!c)
        return loci_fail(err, LOCI_E_NOMEM, "out of memory for %lld candidates", (long long)n);
    for (int64_t i = 0; i < n; i++)
        c[i] = (struct candidate){logit_at(logits, i), 0, i};
    qsort(c, (size_t)n, sizeof *c, by_logit_down);
    n = how->top_k > 0 && how->top_k < n ? how->top_k : n;
    for (int64_t i = 0; i < n; i++)
        total += c[i].p = exp((c[i].logit - c[0].logit) / how->temperature);
    if (how->top_p > 0 && how->top_p < 1) {
        n = nucleus(c, n, total, how->top_p);
        total = 0;
        for (int64_t i = 0; i < n; i++)
            total += c[i].p;
    }
    u = loci_random_unit(loci_random_name_key(how->seed, "draw"), position) * total;
    for (int64_t i = 0; i < n && sum <= u; i++) {
        sum += c[i].p;
        if (c[i].p > 0)
            *token = (int32_t)c[i].token;
    }
out:
    loci_free(c);
    return status;
}
