/* SPDX-License-Identifier: Apache-2.0
 *
 * Trials: one component of every kind alone. Every cut of the same documents gives the same outputs, gradients and end
 * states; gradients are those of float64 differences.
 */
#include "tests/unit/trial_rig.h"

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
    X(a_run__says_what_it_does)
CK_MAIN("trial", TESTS)
