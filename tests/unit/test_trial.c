/* SPDX-License-Identifier: Apache-2.0
 *
 * Trials: one component of every kind alone. Every cut of the same documents gives the same outputs, gradients and end
 * states; gradients are those of float64 differences; harsh memory changes nothing, and catches who leaves his own.
 *
 * It is long because every fact runs over the one table of subjects below, and shares its rig and its comparison.
 */
#include "core/trial/impl.h"
#include "tests/ck.h"
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

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

static void rig_close(struct rig *r)
{
    loci_trial_free(r->t);
    loci_context_free(r->cx);
    loci_conf_free(r->conf);
    memset(r, 0, sizeof *r);
    loci_error_clear(&ck_err);
}

static loci_status rig_open(struct rig *r, const char *kind, enum loci_trial_form form, const char *set,
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

static bool subject_open(struct rig *r, const struct subject *s, loci_dtype dtype)
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

static double *copied(const double *x, uint64_t n)
{
    double *to = x ? malloc((n + 1) * sizeof *to) : NULL;

    if (to)
        memcpy(to, x, n * sizeof *to);
    return to;
}

static void results_keep(struct results *r, loci_trial *t)
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

static void results_free(struct results *r)
{
    for (uint32_t i = 0; i < r->n; i++)
        free(r->out[i]), free(r->end[i]);
    free(r->out), free(r->end);
}

/* Is it NULL, or near? */
static void near(const char *who, const char *how, const char *what, const char *name, const double *got,
                 const double *want, uint64_t n, double most)
{
    const double e = got && n ? ck_rms(got, want, n) : 0;

    CK_TRUE(e <= most, "%s, %s: %s of %s differs by %g, more than %g", who, how, what, name, e, most);
}

static void results_same(const char *who, const char *how, loci_trial *t, const struct results *want, bool back,
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

static bool ran(const struct subject *s, const char *what, loci_trial *t, const loci_trial_how *how)
{
    const loci_status status = loci_trial_run(t, how, &ck_err);

    CK_TRUE(status == LOCI_OK, "%s, %s: %s", s->name, what, ck_err.msg);
    loci_error_clear(&ck_err);
    return status == LOCI_OK;
}

/* ---- cuts -------------------------------------------------------------------------------------------------------- */

enum { WHOLE, ONES, PIECES, PACKED, ALONE, SHUFFLED, CUTS };
static const char *const cut_names[] = {"whole", "one by one", "pieces 3, 1, 7", "packed", "alone", "shuffled"};

static loci_status cut_make(loci_cutting *c, int which, const loci_trial *t)
{
    static const int32_t pieces[] = {3, 1, 7}, one[] = {1}, order[] = {2, 0, 1};

    return which == WHOLE    ? loci_cut_whole(c, t, &ck_err)
           : which == ONES   ? loci_cut_pieces(c, t, one, 1, &ck_err)
           : which == PIECES ? loci_cut_pieces(c, t, pieces, 3, &ck_err)
           : which == PACKED ? loci_cut_packed(c, t, &ck_err)
           : which == ALONE  ? loci_cut_alone(c, t, &ck_err)
                             : loci_cut_shuffled(c, t, order, &ck_err);
}

static void all_cuts(const struct subject *s, struct rig *r, const char *more)
{
    struct results whole;
    char what[96];

    if (!ran(s, more, r->t, &(loci_trial_how){.back = true}))
        return;
    results_keep(&whole, r->t);
    for (int which = WHOLE; which < CUTS; which++)
        for (int harsh = 0; harsh < 2; harsh++) {
            loci_cutting cut;
            CK_OK(cut_make(&cut, which, r->t));
            snprintf(what, sizeof what, "%s%s%s", more, cut_names[which], harsh ? ", harsh" : "");
            if (ran(s, what, r->t, &(loci_trial_how){.cut = &cut, .back = true, .harsh = harsh, .from = harsh * 0.5}))
                results_same(s->name, what, r->t, &whole, true, 1e-10);
            if (ran(s, what, r->t, &(loci_trial_how){.cut = &cut, .harsh = harsh}))
                results_same(s->name, what, r->t, &whole, false, 1e-10);
            loci_cut_free(&cut);
        }
    if (ran(s, "in place", r->t, &(loci_trial_how){.inplace = true}))
        results_same(s->name, "in place", r->t, &whole, false, 1e-10);
    results_free(&whole);
}

static void every_cut__gives_the_same(void)
{
    NEED_PLUGINS;
    for (size_t i = 0; i < SUBJECTS; i++) {
        struct rig r;
        if (subject_open(&r, &subjects[i], loci_f64))
            all_cuts(&subjects[i], &r, "");
        rig_close(&r);
    }
}

/* Every state as filled, 5, 2 and 7 tokens into the document. */
static void give_states(loci_trial *t)
{
    static const int64_t before[] = {5, 2, 7};

    for (uint32_t i = 0; i < loci_trial_n_ports(t); i++)
        if (loci_trial_port(t, i)->role == LOCI_PORT_STATE)
            loci_trial_port(t, i)->given = true;
    for (int64_t d = 0; d < 3; d++)
        loci_trial_length(t, d, lengths[d], before[d]);
}

static void every_cut__gives_the_same_from_a_given_state(void)
{
    NEED_PLUGINS;
    for (size_t i = 0; i < SUBJECTS; i++) {
        struct rig r;
        if (!subjects[i].random_state)
            continue;
        if (subject_open(&r, &subjects[i], loci_f64)) {
            give_states(r.t);
            all_cuts(&subjects[i], &r, "given state, ");
        }
        rig_close(&r);
    }
}

/* The end of one run is the beginning of the next. */
static void a_stream__goes_on_where_it_ended(void)
{
    NEED_PLUGINS;
    for (size_t i = 0; i < SUBJECTS; i++) {
        const struct subject *s = &subjects[i];
        struct rig r;
        loci_port *y;
        double *want;
        if (!subject_open(&r, s, loci_f64) || !ran(s, "whole", r.t, NULL)) {
            rig_close(&r);
            continue;
        }
        y = loci_trial_find(r.t, "y");
        want = copied(y->value, y->elements);
        for (int64_t d = 0; d < 3; d++)
            loci_trial_length(r.t, d, 5, 0);
        ran(s, "the first five", r.t, NULL);
        for (uint32_t k = 0; k < loci_trial_n_ports(r.t); k++) {
            loci_port *p = loci_trial_port(r.t, k);
            const uint64_t row = p->elements / 33; /* of a token */
            if (p->role == LOCI_PORT_STATE) {
                memcpy(p->value, p->end, p->elements * sizeof *p->end);
                p->given = true;
            } else if (p->role == LOCI_PORT_INPUT || p->role == LOCI_PORT_GATE) {
                for (int64_t d = 0; d < 3; d++)
                    memmove(p->value + (uint64_t)d * 11 * row, p->value + ((uint64_t)d * 11 + 5) * row,
                            6 * row * sizeof *p->value);
            }
        }
        for (int64_t d = 0; d < 3; d++)
            loci_trial_length(r.t, d, lengths[d] - 5, 5);
        if (ran(s, "the others", r.t, NULL))
            for (int64_t d = 0; d < 3; d++) {
                const uint64_t row = y->elements / 33;
                near(s->name, "going on", "the value", "y", y->value + (uint64_t)d * 11 * row,
                     want + ((uint64_t)d * 11 + 5) * row, (uint64_t)(lengths[d] - 5) * row, 1e-10);
            }
        free(want);
        rig_close(&r);
    }
}

/* ---- gradients --------------------------------------------------------------------------------------------------- */

static double loss(loci_trial *t)
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
static void check_slope(const struct subject *s, loci_trial *t, loci_port *p, const double *grad)
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

static void check_gradients(const struct subject *s, loci_trial *t)
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

static void gradients__are_those_of_differences(void)
{
    NEED_PLUGINS;
    for (size_t i = 0; i < SUBJECTS; i++) {
        struct rig r;
        if (subject_open(&r, &subjects[i], loci_f64)) {
            check_gradients(&subjects[i], r.t);
            if (subjects[i].random_state) {
                give_states(r.t);
                check_gradients(&subjects[i], r.t);
            }
        }
        rig_close(&r);
    }
}

/* ---- operations of a memory, and what a run refuses -------------------------------------------------------------- */

/* A read answers and leaves the state, a write changes it and answers nothing; both have gradients. */
static void read_and_write__each_do_one_half(void)
{
    NEED_PLUGINS;
    for (size_t i = 0; i < SUBJECTS; i++) {
        const struct subject *s = &subjects[i];
        struct rig r;
        if (strcmp(s->kind, "memory") || !s->random_state)
            continue;
        if (subject_open(&r, s, loci_f64)) {
            const loci_port *y = loci_trial_find(r.t, "y");
            double size = 0;
            give_states(r.t);
            for (int op = LOCI_OP_READ; op <= LOCI_OP_WRITE; op++)
                for (int harsh = 0; harsh < 2; harsh++) {
                    double moved = 0;
                    if (!ran(s, "one half", r.t, &(loci_trial_how){.op = op, .back = true, .harsh = harsh}))
                        continue;
                    size = 0;
                    for (uint64_t j = 0; j < y->elements; j++)
                        size += fabs(y->value[j]);
                    for (uint32_t k = 0; k < loci_trial_n_ports(r.t); k++) {
                        const loci_port *p = loci_trial_port(r.t, k);
                        for (uint64_t j = 0; p->role == LOCI_PORT_STATE && !strchr(p->name + 6, '.') && j < p->elements;
                             j++)
                            moved += fabs(p->end[j] - p->value[j]);
                    }
                    CK_TRUE(op == LOCI_OP_READ ? moved == 0 : size == 0, "%s: op %d moved the state by %g, y is %g",
                            s->name, op, moved, size);
                    if (strcmp(s->name, "zero") && strcmp(s->name, "identity"))
                        CK_TRUE(op == LOCI_OP_READ ? size > 0 : moved > 0, "%s: op %d does nothing", s->name, op);
                }
        }
        rig_close(&r);
    }
}

static double norm_of(const double *x, uint64_t n)
{
    double sum = 0;

    for (uint64_t i = 0; i < n; i++)
        sum += x[i] * x[i];
    return sqrt(sum);
}

/* No comparison above is one of zeros. */
static void nothing__is_zero_by_accident(void)
{
    NEED_PLUGINS;
    for (size_t i = 0; i < SUBJECTS; i++) {
        const struct subject *s = &subjects[i];
        struct rig r;
        if (strcmp(s->name, "zero") && subject_open(&r, s, loci_f64)) {
            for (int given = 0; given < 1 + s->random_state; given++) {
                if (given)
                    give_states(r.t);
                if (!ran(s, "backward", r.t, &(loci_trial_how){.back = true}))
                    continue;
                for (uint32_t k = 0; k < loci_trial_n_ports(r.t); k++) {
                    const loci_port *p = loci_trial_port(r.t, k);
                    if (p->role == LOCI_PORT_OUTPUT)
                        CK_TRUE(norm_of(p->value, p->elements) > 0.1, "%s: %s is 0", s->name, p->name);
                    else if (p->real && (given ? p->role == LOCI_PORT_STATE : p->role != LOCI_PORT_STATE))
                        CK_TRUE(norm_of(p->grad, p->elements) > 1e-3, "%s: the gradient of %s is 0", s->name, p->name);
                }
            }
            rig_close(&r);
        }
    }
}

/* Strides with gaps and addresses that are only those of elements change nothing for a rule. */
static void odd_tensors__change_nothing(void)
{
    NEED_PLUGINS;
    for (size_t i = 0; i < SUBJECTS; i++) {
        const struct subject *s = &subjects[i];
        struct results want;
        struct rig r;
        if (subject_open(&r, s, loci_f64) && ran(s, "plain", r.t, &(loci_trial_how){.back = true})) {
            results_keep(&want, r.t);
            if (ran(s, "padded", r.t, &(loci_trial_how){.back = true, .padded = true}))
                results_same(s->name, "padded", r.t, &want, true, 1e-10);
            if (ran(s, "misaligned", r.t, &(loci_trial_how){.back = true, .misalign = 8}))
                results_same(s->name, "misaligned", r.t, &want, true, 1e-10);
            if (ran(s, "padded, harsh", r.t, &(loci_trial_how){.back = true, .padded = true, .harsh = true}))
                results_same(s->name, "padded, harsh", r.t, &want, true, 1e-10);
            results_free(&want);
        }
        rig_close(&r);
    }
}

/* A context of its own, and dropout that does not depend on the cut. */
static void a_mixer__takes_a_context_and_drops_the_same(void)
{
    const struct subject s = {"mha", "mixer", RULE, "mixer.backend=mha mixer.mha.heads=2", true};
    const struct subject drop = {"mha dropout", "mixer", RULE,
                                 "mixer.backend=mha mixer.mha.heads=2 mixer.mha.dropout=0.5", true};
    const loci_trial_size size = {.docs = 3, .seq = 11, .keys = 5, .dim = 8, .dtype = loci_f64};
    struct results dry, wet;
    struct rig r;
    double apart;

    NEED_PLUGINS;
    CK_OK(rig_open(&r, "mixer", RULE, s.set, &size));
    for (int64_t d = 0; d < 3; d++)
        loci_trial_length(r.t, d, lengths[d], 0);
    loci_trial_fill(r.t, 3);
    CK_TRUE(loci_trial_find(r.t, "context") != NULL, "there is no context");
    all_cuts(&s, &r, "context, ");
    check_gradients(&s, r.t);
    rig_close(&r);
    if (subject_open(&r, &drop, loci_f64) && ran(&drop, "dry", r.t, NULL)) {
        loci_cutting ones;
        results_keep(&dry, r.t);
        CK_OK(cut_make(&ones, ONES, r.t));
        ran(&drop, "dropout", r.t, &(loci_trial_how){.back = true, .train = true});
        results_keep(&wet, r.t);
        apart = ck_rms(wet.out[wet.n - 1], dry.out[dry.n - 1], loci_trial_find(r.t, "y")->elements);
        CK_TRUE(apart > 0.01, "dropout changed y by %g", apart);
        ran(&drop, "dropout one by one", r.t, &(loci_trial_how){.cut = &ones, .back = true, .train = true});
        results_same(drop.name, "dropout one by one", r.t, &wet, true, 1e-10);
        loci_cut_free(&ones);
        results_free(&dry);
        results_free(&wet);
    }
    rig_close(&r);
}

static void a_run__refuses_what_cannot_be(void)
{
    const struct subject s = {"mha", "mixer", RULE, "mixer.backend=mha mixer.mha.heads=2", true};
    struct rig r;

    NEED_PLUGINS;
    if (!subject_open(&r, &s, loci_f64))
        return;
    loci_trial_length(r.t, 0, 11, 5);
    CK_TRUE(loci_trial_run(r.t, NULL, &ck_err) == LOCI_E_ARG && strstr(ck_err.msg, "give state.k"), "%s", ck_err.msg);
    loci_error_clear(&ck_err);
    loci_trial_length(r.t, 0, 11, 20);
    CK_TRUE(loci_trial_run(r.t, NULL, &ck_err) == LOCI_E_ARG && strstr(ck_err.msg, "larger capacity"), "%s",
            ck_err.msg);
    loci_error_clear(&ck_err);
    loci_trial_length(r.t, 0, 11, 0);
    CK_TRUE(loci_trial_run(r.t, &(loci_trial_how){.back = true, .inplace = true}, &ck_err) == LOCI_E_ARG, "%s",
            ck_err.msg);
    rig_close(&r);
}

struct seen {
    char stages[200];
    uint32_t calls, states;
};

static void see(void *arg, const loci_exec *x, const loci_slots *slots)
{
    struct seen *s = arg;

    s->calls += x->scratch_bytes == 0 || x->scratch != NULL;
    s->states = slots->n_state;
}

static void hear(void *arg, const char *stage)
{
    struct seen *s = arg;

    snprintf(s->stages + strlen(s->stages), sizeof s->stages - strlen(s->stages), "%s ", stage);
}

/* Whoever runs a trial learns what is running, for a message after a crash, and sees what was handed over. */
static void a_run__says_what_it_does(void)
{
    struct seen s = {0};
    loci_cutting two;
    struct rig r;

    NEED_PLUGINS;
    if (!subject_open(&r, &subjects[0], loci_f64))
        return;
    CK_OK(loci_cut_pieces(&two, r.t, (const int32_t[]){8}, 1, &ck_err));
    CK_OK(loci_trial_run(r.t, &(loci_trial_how){.cut = &two, .back = true, .seen = see, .stage = hear, .arg = &s},
                         &ck_err));
    CK_TRUE(s.calls == 4 && s.states == 2, "%u calls were seen, with %u states", s.calls, s.states);
    CK_TRUE(!strcmp(s.stages, "plan state_init plan forward plan forward backward backward plan state_init_back "),
            "%s", s.stages);
    loci_cut_free(&two);
    rig_close(&r);
}

/* ---- attention --------------------------------------------------------------------------------------------------- */

#define B 2
#define T 5
#define S 7
#define H 4
struct tensors {
    loci_view mask, bias, slopes, table, sink, lengths, q_seg, blocks;
    uint8_t mask_data[B * H * T * S];
    int32_t lengths_data[B], seg_data[B * S], blocks_data[B * 3];
};

/* Nothing; everything that a descriptor can hold but pages; pages; what every backend has. */
static void describe(loci_attn_desc *d, struct tensors *n, int which)
{
    const loci_device cpu = {LOCI_CPU, 0};

    memset(n, 0, sizeof *n);
    *d = (loci_attn_desc){.struct_size = sizeof *d, .scale = 0.4, .window_left = -1, .window_right = -1};
    if (which == 0)
        return;
    if (which == 1) {
        for (int i = 0; i < B * H * T * S; i++)
            n->mask_data[i] = i % 5 != 0;
        d->causal = 1;
        d->offset = S - T;
        d->window_left = 4;
        d->window_right = 0;
        d->prefix = 1;
        d->softcap = 5;
        d->max_distance = 8;
        d->mask = loci_view_set(&n->mask, n->mask_data, cpu, loci_u8, 4, (int64_t[]){B, H, T, S});
        d->bias = loci_view_set(&n->bias, NULL, cpu, loci_f64, 4, (int64_t[]){1, H, T, S});
        d->slopes = loci_view_set(&n->slopes, NULL, cpu, loci_f64, 1, (int64_t[]){H});
        d->table = loci_view_set(&n->table, NULL, cpu, loci_f64, 2, (int64_t[]){8, H});
        d->sink = loci_view_set(&n->sink, NULL, cpu, loci_f64, 1, (int64_t[]){H});
    }
    if (which == 3) {
        d->causal = 1;
        d->offset = S - T;
        d->window_left = 4;
    }
    for (int i = 0; i < B; i++)
        n->lengths_data[i] = S - 3 * i;
    for (int i = 0; i < 3 * B; i++)
        n->blocks_data[i] = (5 * i + 2) % 6;
    d->k_len = loci_view_set(&n->lengths, n->lengths_data, cpu, loci_i32, 1, (int64_t[]){B});
    if (which == 2) {
        d->block_tok = 3;
        d->block_table = loci_view_set(&n->blocks, n->blocks_data, cpu, loci_i32, 2, (int64_t[]){B, 3});
    }
}

static void attention__is_the_same_however_its_tensors_lie(void)
{
    static const char *const backends[] = {"ref", "cpu"};

    NEED_PLUGINS;
    for (int backend = 0; backend < 2; backend++)
        for (int which = 0; which < 4; which++) {
            struct subject s = {backends[backend], "attention", RULE, NULL, false};
            struct tensors tensors;
            struct results want;
            loci_attn_desc desc;
            loci_trial_size size = {.docs = B,
                                    .seq = T,
                                    .keys = S,
                                    .blocks = 6,
                                    .heads = H,
                                    .k_heads = 2,
                                    .v_heads = 2,
                                    .dk = 4,
                                    .dv = 3,
                                    .dtype = loci_f64,
                                    .desc = &desc};
            char set[64], what[64];
            struct rig r;
            snprintf(set, sizeof set, "attention.backend=%s", backends[backend]);
            describe(&desc, &tensors, which);
            if (rig_open(&r, "attention", RULE, set, &size) == LOCI_E_PLUGIN) {
                CK_TRUE(backend == 1 && (which == 1 || which == 2), "%s",
                        ck_err.msg); /* cpu lacks some of it, and says so */
                rig_close(&r);
                continue;
            }
            CK_OK(ck_err.code);
            loci_trial_fill(r.t, 3);
            snprintf(what, sizeof what, "descriptor %d", which);
            if (ran(&s, what, r.t, &(loci_trial_how){.back = true})) {
                results_keep(&want, r.t);
                ran(&s, what, r.t, &(loci_trial_how){.back = true, .harsh = true, .padded = true, .from = 0.5});
                results_same(s.name, "harsh, padded", r.t, &want, true, 1e-10);
                ran(&s, what, r.t, &(loci_trial_how){.back = true, .misalign = 8});
                results_same(s.name, "misaligned", r.t, &want, true, 1e-10);
                results_free(&want);
                check_gradients(&s, r.t);
            }
            rig_close(&r);
        }
}

/* float32 and bf16 pass through. */
static void narrower_types__are_rounded_only_by_the_component(void)
{
    const loci_dtype dtypes[] = {loci_f64, loci_f32, loci_bf16};
    const double most[] = {0, 1e-5, 1e-2};
    struct results want = {0};

    NEED_PLUGINS;
    for (int i = 0; i < 3; i++) {
        struct subject s = {loci_dtype_name(dtypes[i]), "attention", RULE, NULL, false};
        loci_trial_size size = {.docs = B,
                                .seq = T,
                                .keys = S,
                                .heads = H,
                                .k_heads = 2,
                                .v_heads = 2,
                                .dk = 4,
                                .dv = 3,
                                .dtype = dtypes[i]};
        struct rig r;
        CK_OK(rig_open(&r, "attention", RULE, "attention.backend=ref", &size));
        loci_trial_fill(r.t, 3);
        for (uint32_t k = 0; k < loci_trial_n_ports(r.t); k++) { /* all that bf16 can hold */
            loci_port *p = loci_trial_port(r.t, k);
            for (uint64_t j = 0; j < p->elements; j++) {
                p->value[j] = loci__round(loci_bf16, p->value[j]);
                p->grad[j] = loci__round(loci_bf16, p->grad[j]);
            }
        }
        ran(&s, "narrow", r.t, &(loci_trial_how){.back = true, .harsh = true});
        if (i == 0)
            results_keep(&want, r.t);
        results_same(s.name, "narrow", r.t, &want, true, most[i]);
        rig_close(&r);
    }
    results_free(&want);
}

/* The n-th allocation fails, for every n: a status and its sentence, nothing lost. (Some are only for a
 * message, and missed by nobody.) */
static void want_of_memory__is_a_status(void)
{
    static const char *const names[] = {"titans exact", "titans with front end", "mha", "mag"};

    NEED_PLUGINS;
    for (size_t i = 0; i < SUBJECTS; i++) {
        const struct subject *s = &subjects[i];
        const loci_trial_size size = {.docs = 2, .seq = 4, .dim = 8, .heads = 2, .dk = 4, .dv = 4, .dtype = loci_f64};
        loci_status status = LOCI_E_NOMEM;
        long refused = 0;
        bool wanted = false;
        struct rig r;
        for (size_t k = 0; k < sizeof names / sizeof *names; k++)
            wanted |= !strcmp(s->name, names[k]);
        if (!wanted)
            continue;
        CK_OK(rig_open(&r, s->kind, s->form, s->set, &size));
        loci_trial_free(r.t);
        r.t = NULL;
        for (long n = 1; n < 1200; n++) {
            loci_memory_fail_at(n);
            status = loci_trial_open(&r.t, r.cx, s->kind, s->form, &size, &ck_err);
            if (status == LOCI_OK)
                status = loci_trial_run(r.t, &(loci_trial_how){.back = true}, &ck_err);
            loci_memory_fail_at(0);
            if (status != LOCI_OK)
                CK_TRUE(status == LOCI_E_NOMEM && ck_err.msg[0], "%s, allocation %ld: %d, %s", s->name, n, (int)status,
                        ck_err.msg);
            refused += status != LOCI_OK;
            loci_trial_free(r.t);
            r.t = NULL;
            loci_error_clear(&ck_err);
        }
        CK_TRUE(status == LOCI_OK && refused > 50, "%s: %ld refusals, and at last %d", s->name, refused, (int)status);
        rig_close(&r);
    }
}

/* ---- who leaves his own ------------------------------------------------------------------------------------------ */

/* What a child process that runs fn ends with. */
static int ending(void (*fn)(void *), void *arg)
{
    int status = 0;
    const pid_t pid = fork();

    if (pid == 0) {
        const struct rlimit none = {0, 0};
        setrlimit(RLIMIT_CORE, &none);
        signal(SIGSEGV, SIG_DFL);
        signal(SIGBUS, SIG_DFL);
        fn(arg);
        _exit(0);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        return -1;
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void touch(void *p)
{
    *(volatile char *)p = 1;
}

static void an_arena__ends_where_it_says(void)
{
    struct arena a;

    CK_OK(loci__arena_new(&a, 8, 8, true, &ck_err));
    CK_TRUE(ending(touch, (char *)a.at + 7) == 0, "the last byte");
    CK_TRUE(ending(touch, (char *)a.at + 8) == SIGSEGV, "the byte behind the last");
    loci__arena_free(&a);
    CK_OK(loci__arena_new(&a, 70, 64, true, &ck_err));
    CK_TRUE(((uintptr_t)a.at & 63) == 0, "64 bytes");
    CK_TRUE(loci__arena_intact(&a), "untouched");
    ((char *)a.at)[70] = 1;
    CK_TRUE(!loci__arena_intact(&a), "a byte behind the end");
    CK_TRUE(ending(touch, (char *)a.at + 128) == SIGSEGV, "the page behind the end");
    loci__arena_free(&a);
}

/* A rule that is right but for one thing. */
enum { BAD_SCRATCH, BAD_SAVED, BAD_PADDING, BADS };
static struct bad {
    const loci_memory *right;
    int way;
} bad;

static loci_status bad_forward(loci_module *m, const loci_exec *x, const loci_slots *s, const loci_rule_io *io,
                               loci_error *err)
{
    const loci_status status = bad.right->forward(m, x, s, io, err);

    if (bad.way == BAD_SCRATCH)
        ((char *)x->scratch)[x->scratch_bytes] = 1;
    if (bad.way == BAD_SAVED && x->saved)
        ((char *)x->saved)[x->saved_bytes] = 1;
    if (bad.way == BAD_PADDING)
        ((double *)loci_ptr(io->y))[0] = 1; /* a token of padding, in the packed cut */
    return status;
}

static void run_harshly(void *t)
{
    loci_trial_run(t, &(loci_trial_how){.back = true, .harsh = true}, NULL);
}

static void harsh_memory__catches_who_leaves_his_own(void)
{
    struct rig r;

    NEED_PLUGINS;
    for (bad.way = 0; bad.way < BADS; bad.way++) {
        loci_class cls;
        loci_memory iface;
        loci_cutting packed;
        loci_status status;
        int end;
        if (!subject_open(&r, &subjects[0], loci_f64))
            return;
        cls = *r.t->node->cls;
        bad.right = cls.iface;
        iface = *bad.right;
        iface.forward = bad_forward;
        cls.iface = &iface;
        r.t->node->cls = &cls;
        CK_OK(cut_make(&packed, PACKED, r.t));
        if (bad.way == BAD_PADDING) {
            status = loci_trial_run(r.t, &(loci_trial_how){.cut = &packed}, &ck_err);
            CK_TRUE(status == LOCI_E_PLUGIN && strstr(ck_err.msg, "which is in no run"), "%s", ck_err.msg);
        } else {
            end = ending(run_harshly, r.t);
            CK_TRUE(end == SIGSEGV, "way %d ended with %d", bad.way, end);
        }
        loci_cut_free(&packed);
        rig_close(&r);
    }
}

#define TESTS(X) \
    X(every_cut__gives_the_same) \
    X(every_cut__gives_the_same_from_a_given_state) \
    X(a_stream__goes_on_where_it_ended) \
    X(gradients__are_those_of_differences) \
    X(read_and_write__each_do_one_half) \
    X(nothing__is_zero_by_accident) \
    X(odd_tensors__change_nothing) \
    X(a_mixer__takes_a_context_and_drops_the_same) \
    X(a_run__refuses_what_cannot_be) \
    X(a_run__says_what_it_does) \
    X(attention__is_the_same_however_its_tensors_lie) \
    X(narrower_types__are_rounded_only_by_the_component) \
    X(want_of_memory__is_a_status) \
    X(an_arena__ends_where_it_says) \
    X(harsh_memory__catches_who_leaves_his_own)
CK_MAIN("trial", TESTS)
