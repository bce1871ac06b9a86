/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/unit/trial_rig.h: what the tests of core/trial share. A rig is a config, its context and a trial; subjects are
 * components of every kind that have rigs; results are what a run gave, kept to hold others against.
 */
#ifndef LOCI_TESTS_TRIAL_RIG_H
#define LOCI_TESTS_TRIAL_RIG_H

#include "core/trial/impl.h"
#include "tests/ck.h"

static loci_error ck_err = LOCI_ERROR_INIT;

#define NEED_PLUGINS \
    if (!getenv("LOCI_TEST_PLUGINS")) \
    CK_SKIP("LOCI_TEST_PLUGINS does not say where the plugins are")

/* ---- the components ---------------------------------------------------------------------------------------------- */

struct subject {
    const char *name, *kind;
    enum loci_trial_form form;
    const char *set;   /* "section.key=value ..." */
    bool random_state; /* may begin at any state: not where phases and caches of children must agree */
};

#define RULE LOCI_TRIAL_AS_IS
static const struct subject subjects[] = {
    {"titans exact", "memory", RULE, "memory.backend=titans memory.titans.chunk=4", true},
    {"titans frozen", "memory", RULE, "memory.backend=titans memory.titans.mode=frozen memory.titans.chunk=4", false},
    {"titans sequential", "memory", RULE, "memory.backend=titans memory.titans.mode=sequential", true},
    {"titans deep", "memory", RULE,
     "memory.backend=titans memory.titans.depth=2 memory.titans.mode=frozen memory.titans.chunk=4", false},
    {"titans deep sequential", "memory", RULE,
     "memory.backend=titans memory.titans.depth=2 memory.titans.mode=sequential", true},
    {"delta", "memory", RULE, "memory.backend=delta", true},
    {"hebbian", "memory", RULE, "memory.backend=hebbian", true},
    {"identity", "memory", RULE, "memory.backend=identity", true},
    {"zero", "memory", RULE, "memory.backend=zero", true},
    {"titans with front end", "memory", LOCI_TRIAL_LAYER, "memory.backend=titans memory.heads=2", true},
    {"delta with front end", "memory", LOCI_TRIAL_LAYER, "memory.backend=delta memory.heads=2", true},
    {"mha", "mixer", RULE, "mixer.backend=mha mixer.mha.heads=2", true},
    {"mha cpu", "mixer", RULE, "mixer.backend=mha mixer.mha.heads=2 attention.backend=cpu", true},
    {"mha window, conv", "mixer", RULE, "mixer.backend=mha mixer.mha.heads=2 mixer.mha.window_tok=4 mixer.mha.conv=3",
     true},
    {"gla", "mixer", RULE, "mixer.backend=gla mixer.gla.heads=2", true},
    {"plain", "compose", RULE, "compose.backend=plain mixer.mha.heads=2", false},
    {"lmm", "compose", RULE, "compose.backend=lmm memory.backend=titans memory.heads=2", false},
    {"mac", "compose", RULE,
     "compose.backend=mac compose.mac.segment_tok=4 memory.backend=titans memory.heads=2 mixer.mha.heads=2", false},
    {"mag", "compose", RULE, "compose.backend=mag memory.backend=titans memory.heads=2 mixer.mha.heads=2", false},
    {"mal", "compose", RULE, "compose.backend=mal memory.backend=delta memory.heads=2 mixer.mha.heads=2", false},
};
#define SUBJECTS (sizeof subjects / sizeof *subjects)

struct rig {
    loci_conf *conf;
    loci_context *cx;
    loci_trial *t;
};

static inline void rig_close(struct rig *r)
{
    loci_trial_free(r->t);
    loci_context_free(r->cx);
    loci_conf_free(r->conf);
    memset(r, 0, sizeof *r);
    loci_error_clear(&ck_err);
}

static inline loci_status rig_open(struct rig *r, const char *kind, enum loci_trial_form form, const char *set,
                                   const loci_trial_size *size)
{
    loci_status status = LOCI_OK;
    char text[512], *save = NULL;

    memset(r, 0, sizeof *r);
    LOCI_TRY(loci_conf_new(&r->conf, &ck_err));
    snprintf(text, sizeof text, "plugins.ownership=off attention.backend=ref run.threads=2 run.seed=7 %s", set);
    for (char *word = strtok_r(text, " ", &save); word; word = strtok_r(NULL, " ", &save))
        LOCI_TRY(loci_conf_set(r->conf, word, "--set", &ck_err));
    LOCI_TRY(loci_context_new(&r->cx, r->conf, getenv("LOCI_TEST_PLUGINS"), false, &ck_err));
    status = loci_trial_open(&r->t, r->cx, kind, form, size, &ck_err);
out:
    return status;
}

static const int64_t lengths[] = {11, 6, 9};

static inline bool subject_open(struct rig *r, const struct subject *s, loci_dtype dtype)
{
    const loci_trial_size size = {
        .docs = 3, .seq = 11, .dim = 8, .heads = 2, .dk = 4, .dv = 4, .capacity = 24, .dtype = dtype};
    const loci_status status = rig_open(r, s->kind, s->form, s->set, &size);

    CK_TRUE(status == LOCI_OK, "%s: %s", s->name, ck_err.msg);
    for (int64_t d = 0; status == LOCI_OK && d < 3; d++)
        loci_trial_length(r->t, d, lengths[d], 0);
    if (status == LOCI_OK)
        loci_trial_fill(r->t, 3);
    return status == LOCI_OK;
}

/* ---- results ----------------------------------------------------------------------------------------------------- */

struct results {
    uint32_t n;
    double **out, **end;
};

static inline double *copied(const double *x, uint64_t n)
{
    double *to = x ? malloc((n + 1) * sizeof *to) : NULL;

    if (to)
        memcpy(to, x, n * sizeof *to);
    return to;
}

static inline void results_keep(struct results *r, loci_trial *t)
{
    *r = (struct results){.n = loci_trial_n_ports(t)};
    r->out = calloc(r->n, sizeof *r->out);
    r->end = calloc(r->n, sizeof *r->end);
    for (uint32_t i = 0; i < r->n; i++) {
        const loci_port *p = loci_trial_port(t, i);
        r->out[i] = copied(p->role == LOCI_PORT_OUTPUT ? p->value : p->grad, p->elements);
        r->end[i] = copied(p->end, p->elements);
    }
}

static inline void results_free(struct results *r)
{
    for (uint32_t i = 0; i < r->n; i++)
        free(r->out[i]), free(r->end[i]);
    free(r->out), free(r->end);
}

/* Is it NULL, or near? */
static inline void near(const char *who, const char *how, const char *what, const char *name, const double *got,
                        const double *want, uint64_t n, double most)
{
    const double e = got && n ? ck_rms(got, want, n) : 0;

    CK_TRUE(e <= most, "%s, %s: %s of %s differs by %g, more than %g", who, how, what, name, e, most);
}

static inline void results_same(const char *who, const char *how, loci_trial *t, const struct results *want, bool back,
                                double most)
{
    for (uint32_t i = 0; i < want->n; i++) {
        const loci_port *p = loci_trial_port(t, i);
        const bool output = p->role == LOCI_PORT_OUTPUT;
        if (p->role == LOCI_PORT_STATE && (!p->cache || loci_trial_rows(t, p, 0) > 0))
            near(who, how, "the end", p->name, p->end, want->end[i], p->elements, most);
        if (output)
            near(who, how, "the value", p->name, p->value, want->out[i], p->elements, most);
        else if (back && (!p->cache || p->given))
            near(who, how, "the gradient", p->name, p->grad, want->out[i], p->elements, most);
    }
}

static inline bool ran(const struct subject *s, const char *what, loci_trial *t, const loci_trial_how *how)
{
    const loci_status status = loci_trial_run(t, how, &ck_err);

    CK_TRUE(status == LOCI_OK, "%s, %s: %s", s->name, what, ck_err.msg);
    loci_error_clear(&ck_err);
    return status == LOCI_OK;
}

/* ---- gradients --------------------------------------------------------------------------------------------------- */

static inline double loss(loci_trial *t)
{
    double sum = 0;

    for (uint32_t i = 0; i < loci_trial_n_ports(t); i++) {
        const loci_port *p = loci_trial_port(t, i);
        for (uint64_t j = 0; p->role == LOCI_PORT_OUTPUT && j < p->elements; j++)
            sum += isfinite(p->value[j]) ? p->value[j] * p->grad[j] : 0;
        if (p->role != LOCI_PORT_STATE || !p->real || (p->cache && loci_trial_rows(t, p, 0) == 0))
            continue;
        for (uint64_t j = 0; j < p->elements; j++)
            sum += p->end[j] * p->end_grad[j];
    }
    return sum;
}

/* The slope along a random direction of port p, by four points, against the gradient. */
static inline void check_slope(const struct subject *s, loci_trial *t, loci_port *p, const double *grad)
{
    const double h = 1e-5;
    double *at = copied(p->value, p->elements), *way = malloc((p->elements + 1) * sizeof *way);
    double want = 0, got = 0, size = 0;

    for (uint64_t j = 0; j < p->elements; j++) {
        way[j] = ck_norm();
        got += grad[j] * way[j];
        size += grad[j] * grad[j];
    }
    for (int k = -2; k <= 2; k++) {
        static const double by[] = {1, -8, 0, 8, -1};
        if (k == 0)
            continue;
        for (uint64_t j = 0; j < p->elements; j++)
            p->value[j] = at[j] + k * h * way[j];
        if (!ran(s, p->name, t, NULL))
            break;
        want += by[k + 2] * loss(t) / (12 * h);
    }
    memcpy(p->value, at, p->elements * sizeof *at);
    CK_TRUE(fabs(got - want) <= 1e-6 * (sqrt(size) + 1), "%s: the gradient of %s: %.9g, and by differences %.9g",
            s->name, p->name, got, want);
    free(at), free(way);
}

static inline void check_gradients(const struct subject *s, loci_trial *t)
{
    struct results r;
    const bool op = ran(s, "backward", t, &(loci_trial_how){.back = true});

    if (!op)
        return;
    results_keep(&r, t);
    ck_seed = 5;
    for (uint32_t i = 0; i < r.n; i++) {
        loci_port *p = loci_trial_port(t, i);
        if (p->real && p->role != LOCI_PORT_OUTPUT && (p->role != LOCI_PORT_STATE || p->given))
            check_slope(s, t, p, r.out[i]);
    }
    results_free(&r);
}

#endif
