/* SPDX-License-Identifier: Apache-2.0
 *
 * core/check: see subject.h: what a run left, against another.
 *
 * Errors are relative: the root of the mean square of the differences over that of what was expected, tensor by tensor.
 * The place that a message names is that of the largest difference, or of the first one that is no number.
 */
#include "core/check/subject.h"

#include <math.h>
#include <string.h>

const char *loci_place(char to[80], const loci_port *p, uint64_t i)
{
    uint64_t at[LOCI_MAX_DIM];
    size_t n = 0;

    for (int32_t a = p->ndim; a-- > 0;) {
        at[a] = i % (uint64_t)p->shape[a];
        i /= (uint64_t)p->shape[a];
    }
    to[0] = '\0';
    for (int32_t a = 0; a < p->ndim && n < 60; a++)
        n += (size_t)snprintf(to + n, 80 - n, "%c%llu", a ? ',' : '[', (unsigned long long)at[a]);
    if (p->ndim)
        snprintf(to + n, 80 - n, "]");
    return to;
}

bool loci_port_ends(const loci_subject *s, const loci_port *p)
{
    return p->role == LOCI_PORT_STATE && (!p->cache || loci_trial_rows(s->t, p, 0) > 0);
}

bool loci_port_slopes(const loci_port *p)
{
    return p->real && p->role != LOCI_PORT_OUTPUT && (!p->cache || p->given);
}

uint64_t loci_port_token(const loci_subject *s, const loci_port *p)
{
    const uint64_t tokens = (uint64_t)(s->size.docs * s->size.seq);
    const bool of_tokens = p->role == LOCI_PORT_INPUT || p->role == LOCI_PORT_GATE || p->role == LOCI_PORT_OUTPUT;

    return of_tokens && tokens && p->ndim >= 2 && p->shape[1] == s->size.seq ? p->elements / tokens : 0;
}

/* ---- keeping ----------------------------------------------------------------------------------------------------- */

static loci_status copied(double **to, const double *from, uint64_t n, loci_error *err)
{
    if (!from)
        return LOCI_OK;
    if (!(*to = loci_alloc(n * sizeof **to)))
        return loci_fail(err, LOCI_E_NOMEM, "out of memory for the results of a run");
    memcpy(*to, from, n * sizeof **to);
    return LOCI_OK;
}

loci_status loci_left_keep(loci_left *to, const loci_subject *s, loci_error *err)
{
    const uint32_t n = loci_trial_n_ports(s->t);
    loci_status status = LOCI_OK;

    *to = (loci_left){.n = n};
    to->value = loci_alloc(n * sizeof *to->value);
    to->end = loci_alloc(n * sizeof *to->end);
    to->grad = loci_alloc(n * sizeof *to->grad);
    if (!to->value || !to->end || !to->grad)
        return loci_fail(err, LOCI_E_NOMEM, "out of memory for the results of a run");
    for (uint32_t i = 0; i < n; i++) {
        const loci_port *p = loci_trial_port(s->t, i);
        LOCI_TRY(copied(&to->value[i], p->value, p->elements, err));
        LOCI_TRY(copied(&to->end[i], p->end, p->elements, err));
        LOCI_TRY(copied(&to->grad[i], p->grad, p->elements, err));
    }
out:
    return status;
}

void loci_left_free(loci_left *l)
{
    for (uint32_t i = 0; i < l->n; i++) {
        if (l->value)
            loci_free(l->value[i]);
        if (l->end)
            loci_free(l->end[i]);
        if (l->grad)
            loci_free(l->grad[i]);
    }
    loci_free(l->value);
    loci_free(l->end);
    loci_free(l->grad);
    memset(l, 0, sizeof *l);
}

/* ---- comparing --------------------------------------------------------------------------------------------------- */

static bool one(double a, double b)
{
    return a == b || (isnan(a) && isnan(b));
}

double loci_numbers_apart(const double *a, const double *b, uint64_t n)
{
    double off = 0, size = 0;

    for (uint64_t i = 0; a && i < n; i++)
        if (a[i] != b[i]) {
            off += (a[i] - b[i]) * (a[i] - b[i]);
            size += b[i] * b[i];
        } else if (isfinite(b[i])) {
            size += b[i] * b[i];
        }
    return size > 0 ? sqrt(off / size) : sqrt(off);
}

loci_status loci_numbers_same(const double *got, const double *want, uint64_t n, double limit, const char *what,
                              const char *name, const loci_port *p, uint64_t first, const char *then, loci_error *err)
{
    double off = 0, size = 0, most = -1, relative;
    uint64_t worst = 0;
    char at[80];

    for (uint64_t i = 0; i < n; i++) {
        const double d = fabs(got[i] - want[i]);
        if (one(got[i], want[i])) {
            size += isfinite(want[i]) ? want[i] * want[i] : 0;
            continue;
        }
        if (!isfinite(d))
            return loci_fail(err, LOCI_E_PLUGIN, "%s: %s at %s is %.7g; %s it is %.7g", what, name,
                             loci_place(at, p, first + i), got[i], then, want[i]);
        off += d * d;
        size += want[i] * want[i];
        if (d > most)
            most = d, worst = i;
    }
    if (most < 0)
        return LOCI_OK;
    relative = size > 0 ? sqrt(off / size) : sqrt(off);
    if (limit > 0 && relative <= limit)
        return LOCI_OK;
    if (limit > 0)
        return loci_fail(err, LOCI_E_PLUGIN,
                         "%s: %s differs by %.2e (relative RMS, limit %.0e), most at %s: %.10g; %s it is %.10g", what,
                         name, relative, limit, loci_place(at, p, first + worst), got[worst], then, want[worst]);
    return loci_fail(err, LOCI_E_PLUGIN,
                     "%s: %s differs by %.2e where the same bits are due, most at %s: %.17g; %s it is %.17g", what,
                     name, relative, loci_place(at, p, first + worst), got[worst], then, want[worst]);
}

loci_status loci_left_same(const loci_left *want, loci_subject *s, bool grads, double limit, const char *then,
                           loci_error *err)
{
    loci_status status = LOCI_OK;
    char name[160];

    for (uint32_t i = 0; i < want->n; i++) {
        const loci_port *p = loci_trial_port(s->t, i);
        if (p->role == LOCI_PORT_OUTPUT)
            LOCI_TRY(
                loci_numbers_same(p->value, want->value[i], p->elements, limit, s->what, p->name, p, 0, then, err));
        snprintf(name, sizeof name, "the end of %s", p->name);
        if (loci_port_ends(s, p))
            LOCI_TRY(loci_numbers_same(p->end, want->end[i], p->elements, limit, s->what, name, p, 0, then, err));
        snprintf(name, sizeof name, "the gradient of %s", p->name);
        if (grads && loci_port_slopes(p))
            LOCI_TRY(loci_numbers_same(p->grad, want->grad[i], p->elements, limit, s->what, name, p, 0, then, err));
    }
out:
    return status;
}
