/* SPDX-License-Identifier: Apache-2.0
 *
 * Numbers for a test. Queries and keys of a rule have length 1, as the front end makes them, so that its updates do not
 * explode; weights are what a model has plus noise that keeps the size of a sum; gates lie well inside their range.
 */
#include "core/trial/impl.h"
#include "core/device/rng.h"
#include <math.h>
#include <string.h>

/* Rows of length 1. */
static void directions(double *x, uint64_t n, uint64_t width)
{
    for (uint64_t i = 0; i + width <= n && width; i += width) {
        double sum = 0;
        for (uint64_t j = 0; j < width; j++)
            sum += x[i + j] * x[i + j];
        for (uint64_t j = 0; j < width && sum > 0; j++)
            x[i + j] /= sqrt(sum);
    }
}

static void inside(loci_port *p, uint64_t key)
{
    loci_random_fill_uniform(p->value, p->elements, key);
    for (uint64_t i = 0; i < p->elements; i++) {
        const double u = 0.05 + 0.9 * p->value[i];
        p->value[i] = p->lo + (isinf(p->hi) ? u : (p->hi - p->lo) * u);
    }
}

static void normal(double *x, uint64_t n, uint64_t key, double scale)
{
    loci_random_fill_normal(x, n, key);
    for (uint64_t i = 0; i < n; i++)
        x[i] *= scale;
}

static double size_of(const loci_port *p)
{
    const int64_t last = p->ndim > 1 ? p->shape[p->ndim - 1] : 0;

    return last > 0 ? 1 / sqrt((double)last) : 0.2;
}

static void weight(const struct trial_port *p, uint64_t key)
{
    const loci_port *q = &p->p;

    loci_random_fill_normal(q->value, q->elements, key);
    for (uint64_t i = 0; i < q->elements; i++)
        q->value[i] = p->start[i] + size_of(q) * q->value[i];
}

/* The integers beside the rows of a cache: row r is at position r. */
static void count(loci_port *p)
{
    for (uint64_t i = 0; i < p->elements; i++)
        p->value[i] = (double)(i % (uint64_t)p->shape[1]);
}

static void rounded(double *x, uint64_t n, loci_dtype d)
{
    for (uint64_t i = 0; x && i < n; i++)
        x[i] = loci__round(d, x[i]);
}

void loci_trial_fill(loci_trial *t, uint64_t seed)
{
    const bool rule = t->kind == LOCI_IS_MEMORY && t->form == LOCI_TRIAL_AS_IS;

    for (uint32_t i = 0; i < t->n; i++) {
        struct trial_port *tp = &t->ports[i];
        loci_port *p = &tp->p;
        const uint64_t key = loci_random_name_key(seed, p->name);

        if (!p->real) {
            if (p->cache && p->ndim == 2)
                count(p);
            continue;
        }
        if (p->role == LOCI_PORT_GATE)
            inside(p, key);
        else if (p->role == LOCI_PORT_WEIGHT)
            weight(tp, key);
        else if (p->role != LOCI_PORT_OUTPUT)
            normal(p->value, p->elements, key, p->role == LOCI_PORT_STATE ? size_of(p) : 1);
        if (rule && (tp->place == PLACE_Q || tp->place == PLACE_K))
            directions(p->value, p->elements, (uint64_t)p->shape[3]);
        if (p->role == LOCI_PORT_OUTPUT)
            normal(p->grad, p->elements, loci_mix64(key), 1), rounded(p->grad, p->elements, t->size.dtype);
        if (p->role == LOCI_PORT_STATE && (!p->cache || tp->top))
            normal(p->end_grad, p->elements, loci_mix64(key), 1), rounded(p->end_grad, p->elements, t->size.dtype);
        if (p->role != LOCI_PORT_OUTPUT)
            rounded(p->value, p->elements, t->size.dtype);
    }
}
