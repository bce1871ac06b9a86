/* SPDX-License-Identifier: Apache-2.0
 *
 * core/check: gradients against differences.
 *
 *     loss = sum of outputs and of ends of states, each times its cotangent
 *
 *  (1) Every tensor by itself: along a random direction w over all its elements, the slope of the loss must be g.w. So
 * a gradient that is missing, or wrong in a part, is named by its tensor. On failure single elements are tried, and the
 * message tells the worst. (2) Relative to the larger of the slope itself and |g|, the size that g.w has along most
 * directions. (3) In float64 the limit is 1e-6. Without float64, 2e-2, which finds a gradient that is missing or has
 * the wrong sign, and no more: the test says so. A state of a memory behind a norm bends the loss within 3e-3, so
 * the steps go on to where rounding shows. (4) Cotangents of outputs and of ends are tested apart, so that a
 * failure says which way a gradient is lost.
 */
#include "core/check/slope.h"
#include "core/check/subject.h"
#include "core/device/rng.h"

#include <math.h>
#include <string.h>

enum { OF_OUTPUTS = 1, OF_ENDS = 2 };
enum { DIRECTIONS = 2, ELEMENTS = 24 };

struct line {
    loci_subject *s;
    loci_port *p;
    const double *at, *way; /* values, and the direction */
    int32_t op;
    int of;
};

static void add_terms(const double *x, const double *by, uint64_t n, double *sum, double *size)
{
    for (uint64_t i = 0; x && i < n; i++)
        if (by[i] != 0 && !isinf(x[i])) { /* the lse of a row that sees nothing has no gradient */
            *sum += x[i] * by[i];
            *size += fabs(x[i] * by[i]);
        }
}

static void loss_of(const loci_subject *s, int of, double *sum, double *size)
{
    *sum = *size = 0;
    for (uint32_t i = 0; i < loci_trial_n_ports(s->t); i++) {
        const loci_port *p = loci_trial_port(s->t, i);
        if (p->role == LOCI_PORT_OUTPUT && (of & OF_OUTPUTS))
            add_terms(p->value, p->grad, p->elements, sum, size);
        if (p->real && (of & OF_ENDS) && loci_port_ends(s, p))
            add_terms(p->end, p->end_grad, p->elements, sum, size);
    }
}

static loci_status along(void *arg, double at, double *value, double *size, loci_error *err)
{
    struct line *l = arg;
    loci_status status;

    for (uint64_t i = 0; i < l->p->elements; i++)
        l->p->value[i] = l->at[i] + at * l->way[i];
    status = loci_subject_run(l->s, &(loci_trial_how){.op = l->op}, err, "with %s moved by %.0e", l->p->name, at);
    memcpy(l->p->value, l->at, l->p->elements * sizeof *l->at);
    loss_of(l->s, l->of, value, size);
    return status;
}

static loci_status slope(struct line *l, const double *g, double *got, double *want, double *allowed, loci_error *err)
{
    static const double fine[] = {1e-3, 1e-4, 1e-5, 1e-2}, coarse[] = {3e-2, 1e-2, 1e-1, 3e-3, 1e-3, 3e-4};
    const bool exact = l->s->exact;
    const double limit = exact ? 1e-6 : 2e-2, eps = exact ? 0x1p-52 : 0x1p-23;
    double size = 0;
    loci_slope found;
    loci_status status;

    *got = 0;
    for (uint64_t i = 0; i < l->p->elements; i++) {
        *got += g[i] * l->way[i];
        size += g[i] * g[i] * l->way[i] * l->way[i];
    }
    size = sqrt(size); /* (2) */
    status = loci_slope_of(&found, along, l, exact ? fine : coarse, exact ? 4 : 6, eps, *got,
                           limit * fmax(size, fabs(*got)) * 0.5, err);
    *want = found.value;
    *allowed = limit * fmax(size, fabs(*want)) + 8 * found.rounding;
    return status;
}

/* Gates move within their range, weights and inputs by their size. */
static double reach(const loci_port *p)
{
    return isfinite(p->lo) && isfinite(p->hi) ? 0.3 * (p->hi - p->lo) : 1;
}

/* (1): which element is worst? */
static loci_status worst_of(struct line *l, const double *g, double *way, char *to, size_t n, loci_error *err)
{
    const uint64_t key = loci_random_name_key(l->s->c->seed, "elements");
    double most = 0;
    loci_status status = LOCI_OK;
    char at[80];

    to[0] = '\0';
    for (uint64_t k = 0; k < ELEMENTS && k < l->p->elements; k++) {
        const uint64_t i = loci_random_shuffled(key, k, l->p->elements);
        double got, want, allowed;
        memset(way, 0, l->p->elements * sizeof *way);
        way[i] = reach(l->p);
        LOCI_TRY(slope(l, g, &got, &want, &allowed, err));
        if (fabs(got - want) <= allowed || fabs(got - want) / way[i] <= most)
            continue;
        most = fabs(got - want) / way[i];
        snprintf(to, n, "; at %s: differences %.6e, backward %.6e", loci_place(at, l->p, i), want / way[i], g[i]);
    }
out:
    return status;
}

static loci_status check_port(loci_subject *s, loci_port *p, const double *g, int32_t op, int of, const char *where,
                              double *worst, loci_error *err)
{
    const double limit = s->exact ? 1e-6 : 2e-2;
    double *at = loci_alloc(p->elements * sizeof *at), *way = loci_alloc(p->elements * sizeof *way);
    struct line l = {s, p, at, way, op, of};
    loci_status status = LOCI_OK;
    char more[256], from[64] = "";

    if (!at || !way) {
        status = loci_fail(err, LOCI_E_NOMEM, "out of memory for a direction");
        goto out;
    }
    memcpy(at, p->value, p->elements * sizeof *at);
    if (op)
        snprintf(from, sizeof from, "op %s, ", op == LOCI_OP_READ ? "read" : op == LOCI_OP_WRITE ? "write" : "step");
    for (uint64_t d = 0; d < DIRECTIONS; d++) {
        double got, want, allowed, relative;
        loci_random_fill_normal(way, p->elements, loci_mix64(loci_random_name_key(s->c->seed, p->name) + d));
        for (uint64_t i = 0; i < p->elements; i++)
            way[i] *= reach(p);
        LOCI_TRY(slope(&l, g, &got, &want, &allowed, err));
        relative = fabs(got - want) * limit / allowed;
        *worst = fmax(*worst, relative);
        if (fabs(got - want) <= allowed)
            continue;
        LOCI_TRY(worst_of(&l, g, way, more, sizeof more, err));
        status =
            loci_fail(err, LOCI_E_PLUGIN,
                      "%s%sgradient of %s%s: relative error %.2e along a random direction (differences %.6e, backward "
                      "%.6e; limit %.0e)%s",
                      from, where, p->name, got == 0 && want != 0 ? " is zero" : "", relative, want, got, limit, more);
        goto out;
    }
out:
    loci_free(at);
    loci_free(way);
    return status;
}

/* The gradients of all ports that `wanted` says, for the loss `of`. */
typedef bool wanted_fn(const loci_port *p);

static loci_status check_ports(loci_subject *s, wanted_fn *wanted, int32_t op, int of, const char *where, uint32_t *n,
                               double *worst, loci_error *err)
{
    loci_left left = {0};
    loci_status status = LOCI_OK;

    for (uint32_t i = 0; i < loci_trial_n_ports(s->t); i++) {
        loci_port *p = loci_trial_port(s->t, i);
        if (p->role == LOCI_PORT_OUTPUT && !(of & OF_OUTPUTS) && p->real)
            memset(p->grad, 0, p->elements * sizeof *p->grad);
        if (p->role == LOCI_PORT_STATE && !(of & OF_ENDS))
            memset(p->end_grad, 0, p->elements * sizeof *p->end_grad);
    }
    LOCI_TRY(loci_subject_run(s, &(loci_trial_how){.op = op, .back = true}, err, "plainly"));
    LOCI_TRY(loci_left_keep(&left, s, err));
    for (uint32_t i = 0; i < left.n; i++) {
        loci_port *p = loci_trial_port(s->t, i);
        if (!loci_port_slopes(p) || !wanted(p) || (p->role == LOCI_PORT_STATE && !p->given))
            continue;
        ++*n;
        LOCI_TRY(check_port(s, p, left.grad[i], op, of, where, worst, err));
    }
out:
    loci_left_free(&left);
    return status;
}

/* ---- the tests --------------------------------------------------------------------------------------------------- */

static bool is_input(const loci_port *p)
{
    return p->role == LOCI_PORT_INPUT;
}

static bool is_gate(const loci_port *p)
{
    return p->role == LOCI_PORT_GATE;
}

static bool is_weight(const loci_port *p)
{
    return p->role == LOCI_PORT_WEIGHT;
}

static bool is_state(const loci_port *p)
{
    return p->role == LOCI_PORT_STATE;
}

static bool is_any(const loci_port *p)
{
    (void)p;
    return true;
}

static loci_status say(loci_check *c, const loci_subject *s, uint32_t n, double worst, const char *none)
{
    if (n == 0)
        return loci_check_skip(c, "%s", none);
    loci_check_note(c, "%u tensors, worst %.1e%s", n, worst,
                    s->exact ? "" : "; in float32, since it has no float64: only gross errors show");
    return LOCI_OK;
}

static loci_status check(loci_check *c, wanted_fn *wanted, int64_t warm, int of, const char *where, const char *none,
                         loci_error *err)
{
    loci_scene scene = {0};
    loci_subject s = {0};
    uint32_t n = 0;
    double worst = 0;
    loci_status status;

    if (warm)
        scene.capacity = 96;
    LOCI_TRY(loci_subject_open(&s, c, &scene, err));
    if (warm)
        LOCI_TRY(loci_subject_warm(&s, warm, err));
    LOCI_TRY(check_ports(&s, wanted, 0, of, where, &n, &worst, err));
    status = say(c, &s, n, worst, none);
out:
    loci_subject_close(&s);
    return status;
}

static bool is_fed(const loci_port *p)
{
    return p->role == LOCI_PORT_INPUT || p->role == LOCI_PORT_GATE;
}

loci_status loci_gradients_check(loci_subject *s, const char *where, loci_error *err)
{
    loci_port *lse = loci_trial_find(s->t, "lse");
    uint32_t n = 0;
    double worst = 0;

    if (lse)
        memset(lse->grad, 0, lse->elements * sizeof *lse->grad);
    return check_ports(s, is_fed, 0, OF_OUTPUTS, where, &n, &worst, err);
}

loci_status loci_check_grad_inputs(loci_check *c, loci_error *err)
{
    return check(c, is_input, 0, OF_OUTPUTS, "", "it has no inputs", err);
}

loci_status loci_check_grad_gates(loci_check *c, loci_error *err)
{
    return check(c, is_gate, 0, OF_OUTPUTS, "", "it has no gates", err);
}

loci_status loci_check_grad_weights(loci_check *c, loci_error *err)
{
    return check(c, is_weight, 0, OF_OUTPUTS, "", "it has no weights", err);
}

loci_status loci_check_grad_state(loci_check *c, loci_error *err)
{
    return check(c, is_state, 6, OF_OUTPUTS, "", "it has no state", err);
}

/* Five rows of a context of its own: the gradients of both, and of the weights on the way. */
loci_status loci_check_grad_context(loci_check *c, loci_error *err)
{
    static const char *const where[] = {"with a context of 5 rows, ", "with a context of 5 rows, causal, "};
    loci_subject s = {0};
    uint32_t n = 0;
    double worst = 0;
    loci_status status = LOCI_OK;

    for (int way = 0; way < 2; way++) {
        LOCI_TRY(loci_subject_open_context(&s, c, way, err));
        if (s.t)
            LOCI_TRY(check_ports(&s, is_any, 0, OF_OUTPUTS, where[way], &n, &worst, err));
        if (way == 0)
            loci_subject_close(&s);
    }
    status = say(c, &s, n, worst, "it has no tensors");
out:
    loci_subject_close(&s);
    return status;
}

loci_status loci_check_grad_end(loci_check *c, loci_error *err)
{
    loci_scene scene = {.capacity = 96};
    loci_subject s = {0};
    uint32_t n = 0, states = 0;
    double worst = 0;
    loci_status status;

    LOCI_TRY(loci_subject_open(&s, c, &scene, err));
    for (uint32_t i = 0; i < loci_trial_n_ports(s.t); i++)
        states += is_state(loci_trial_port(s.t, i)) && loci_port_ends(&s, loci_trial_port(s.t, i));
    if (!states) {
        status = loci_check_skip(c, "it has no state");
        goto out;
    }
    if (c->caps & LOCI_CAP_STREAMING)
        LOCI_TRY(loci_subject_warm(&s, 6, err));
    LOCI_TRY(check_ports(&s, is_any, 0, OF_ENDS, "from the end of the states, ", &n, &worst, err));
    status = say(c, &s, n, worst, "it has no state");
out:
    loci_subject_close(&s);
    return status;
}

loci_status loci_check_grad_ops(loci_check *c, loci_error *err)
{
    uint32_t n = 0;
    double worst = 0;
    loci_subject s = {0};
    loci_status status = LOCI_OK;

    for (int32_t op = LOCI_OP_READ; op <= LOCI_OP_WRITE; op++) {
        loci_subject_close(&s);
        LOCI_TRY(loci_subject_open(&s, c, &(loci_scene){.capacity = 96}, err));
        if (c->caps & LOCI_CAP_STREAMING)
            LOCI_TRY(loci_subject_warm(&s, 6, err));
        LOCI_TRY(check_ports(&s, is_any, op, OF_OUTPUTS | OF_ENDS, "", &n, &worst, err));
    }
    status = say(c, &s, n, worst, "it has no tensors");
out:
    loci_subject_close(&s);
    return status;
}

/* From 0 and from 0.5, which is taken away again: the same but for one rounding. */
loci_status loci_check_grad_add(loci_check *c, loci_error *err)
{
    loci_left want = {0};
    loci_subject s = {0};
    loci_status status;

    LOCI_TRY(loci_subject_open(&s, c, &(loci_scene){0}, err));
    LOCI_TRY(loci_subject_run(&s, &(loci_trial_how){.back = true}, err, "onto zeros"));
    LOCI_TRY(loci_left_keep(&want, &s, err));
    LOCI_TRY(loci_subject_run(&s, &(loci_trial_how){.back = true, .from = 0.5}, err,
                              "onto gradients of 0.5, which are taken away again"));
    LOCI_TRY(loci_left_same(&want, &s, true, s.exact ? 1e-10 : 1e-3, "onto zeros", err));
out:
    loci_left_free(&want);
    loci_subject_close(&s);
    return status;
}
