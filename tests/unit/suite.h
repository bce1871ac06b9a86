/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/unit/suite.h: what every memory rule must pass, written once. A program names its subjects and is done:
 *
 *     #include "tests/unit/suite.h"
 *     static const subject subjects[] = {{.name = "exact", .id = "delta", .keys = {"mode", "exact", NULL}, ...}};
 *     SUITE_SUBJECTS(subjects)
 *     #define TESTS(X) SUITE(X) X(a_test_of_its_own)
 *     CK_MAIN("delta", TESTS)
 *
 *  (1) The formula is the oracle: plain loops in double. Outputs and states are held against it, gradients against its
 *      central differences, so an adjoint is never held against an adjoint.
 *  (2) Distances are relative (root mean square): f64 1e-12 for values and 1e-6 for differences; f32 1e-5 for outputs
 * and states, 1e-4 for gradients. (3) A test that does not fit a subject is left out with the subject's own reason, or
 * fails for want of one. (4) Faults are planted: zeros, a decay of the wrong sign and a lost momentum must be seen by
 * the same comparison.
 */
#ifndef LOCI_TESTS_SUITE_H
#define LOCI_TESTS_SUITE_H

#include "core/tensor/file.h"
#include "tests/unit/trial.h"
#include <unistd.h>

/* The program's list; NULL behind its end. */
static const subject *suite_at(size_t i);
#define SUITE_SUBJECTS(list) \
    static const subject *suite_at(size_t i) \
    { \
        return i < sizeof(list) / sizeof *(list) ? &(list)[i] : NULL; \
    }
#define SUITE_EACH(s) \
    const subject *s = suite_at(0); \
    for (size_t s##_i = 0; (s = suite_at(s##_i)) != NULL; s##_i++)

/* Is there a reason not to? */
static inline bool left_out(const subject *s, int which)
{
    if (s->why[which])
        printf("\n    not for %s: %s ", s->name, s->why[which]);
    return s->why[which] != NULL;
}

/* Two packed documents, padding and an empty run; states permuted, one unnamed, positions inside chunks. */
static inline trial ragged(const subject *s, int op, int64_t H, int64_t dk, int64_t dv)
{
    static const loci_run runs[] = {
        {0, 0, 4, 3, 0, 1}, {0, 4, 3, 0, 5, 2}, {1, 1, 5, 4, 8, 3}, {2, 0, 0, 2, 2, 4}, {2, 6, 1, 1, 1, 5}};
    trial t = trial_new(s, 3, 7, H, dk, dv);

    t.op = op;
    t.states = 6;
    t.n_runs = sizeof runs / sizeof *runs;
    memcpy(t.runs, runs, sizeof runs);
    trial_fill(&t);
    return t;
}

/* ---- against the formula ---- */

/* The oracle's loss as element j of part p is x. */
static inline double loss_at(trial *t, rule *oracle, int p, int64_t j, double x)
{
    const double old = t->x[p][j];

    t->x[p][j] = x;
    trial_oracle(t, oracle);
    t->x[p][j] = old;
    return trial_loss(t);
}

/* Fourth order differences of the oracle, element by element, against the gradients in t. An element counts as at least
 * a thousandth of its tensor's root mean square, which is what differences can tell from 0. */
static inline double off_differences(const trial *t)
{
    static const double at[4] = {-2, -1, 1, 2};
    trial o = trial_copy(t);
    double worst = 0;
    rule oracle;

    CK_TRUE(oracle_open(t, &oracle), "%s", ck_err.msg);
    trial_oracle(&o, &oracle);
    for (int p = 0; p < PARTS; p++) {
        const double *out = p >= PART_STATE && p < PART_WEIGHT ? o.out[p - PART_STATE] : NULL;
        double *want = numbers(t->n[p], 0), mean = 0;

        for (int64_t j = 0; j < t->n[p]; j++) {
            const double x = t->x[p][j], step = 1e-3;
            double f[4];

            for (int i = 0; i < 4; i++)
                f[i] = loss_at(&o, &oracle, p, j, x + at[i] * step);
            want[j] = (8 * (f[2] - f[1]) - (f[3] - f[0])) / (12 * step);
            if (out && out[j] == SENTINEL) /* a row that no run names keeps its gradient */
                want[j] = t->dout[p - PART_STATE][j];
            mean += want[j] * want[j] / (double)t->n[p];
        }
        for (int64_t j = 0; j < t->n[p]; j++) {
            const double off = fabs(t->dx[p][j] - want[j]);

            worst = farther(worst, off == 0 ? 0 : off / fmax(fabs(want[j]), 1e-3 * sqrt(mean)));
        }
        free(want);
    }
    oracle_close(t, &oracle);
    trial_free(&o);
    return worst;
}

static inline double off_oracle(trial *t, rule *r)
{
    trial o = trial_copy(t);
    double off = INFINITY;
    rule oracle;

    CK_TRUE(oracle_open(t, &oracle), "%s", ck_err.msg);
    trial_oracle(&o, &oracle);
    if (trial_run(r, t, false))
        off = results_apart(t, &o);
    oracle_close(t, &oracle);
    trial_free(&o);
    return off;
}

static void gradients_are_those_of_central_differences(void)
{
    SUITE_EACH(s)
    for (int op = LOCI_OP_READ; op <= LOCI_OP_STEP; op++) {
        trial t = ragged(s, op, 2, 3, 2);
        double off;

        if (trial_once(&t, 64, NULL, true)) {
            off = off_differences(&t);
            CK_TRUE(off < 1e-6, "%s, op %d: %g", s->name, op, off);
        }
        trial_free(&t);
    }
}

/* Each gate in turn rests at an end of its range for every second token. */
static void gates_at_their_limits_are_ordinary(void)
{
    SUITE_EACH(s)
    for (int g = 0; g < 2 * RULE_MOST; g++) {
        trial t = trial_new(s, 1, 6, 1, 3, 3);
        double *gate;
        rule r;

        trial_fill(&t);
        gate = t.x[PART_GATE + g / 2];
        if (t.n[PART_GATE + g / 2] && subject_open(s, &r, 64, t.H, t.dk, t.dv, 1, NULL)) {
            const double lo = r.gate[g / 2].lo, hi = gate_top(s, &r, (uint32_t)(g / 2));
            double off;

            for (int64_t j = 0; j < t.n[PART_GATE + g / 2]; j += 2)
                gate[j] = g % 2 ? hi : lo;
            off = off_oracle(&t, &r);
            CK_TRUE(off < 1e-12, "%s, gate %d at limit %d: %g", s->name, g / 2, g % 2, off);
            if (trial_run(&r, &t, true)) {
                off = off_differences(&t);
                CK_TRUE(off < 1e-6, "%s, gradients, gate %d at limit %d: %g", s->name, g / 2, g % 2, off);
            }
            rule_close(&r);
        }
        trial_free(&t);
    }
}

/* Odd widths, every op; f64 against the formula, and f32 against f64. */
static void outputs_states_and_gradients_follow_the_formula(void)
{
    static const int widths[][2] = {{1, 1}, {1, 3}, {17, 5}, {33, 65}};

    SUITE_EACH(s)
    for (int i = 0; i < 4; i++)
        for (int op = LOCI_OP_READ; op <= LOCI_OP_STEP; op++) {
            trial t = ragged(s, op, 2, widths[i][0], widths[i][1]), f = trial_copy(&t);
            double off;
            rule r;

            if (subject_open(s, &r, 64, t.H, t.dk, t.dv, 2, NULL)) {
                off = off_oracle(&t, &r);
                CK_TRUE(off < 1e-12, "%s, op %d, widths %d: %g", s->name, op, i, off);
                trial_run(&r, &t, true);
                rule_close(&r);
            }
            if (trial_once(&f, 32, NULL, true)) {
                off = results_apart(&f, &t);
                CK_TRUE(off < 1e-5, "%s in f32, op %d, widths %d: %g", s->name, op, i, off);
                off = gradients_apart(&f, &t);
                CK_TRUE(off < 1e-4, "%s in f32, gradients, op %d, widths %d: %g", s->name, op, i, off);
            }
            trial_free(&t);
            trial_free(&f);
        }
}

/* The derivative of a write along one direction of everything, by the rule itself at full width: what second
 * derivatives an inner gradient has are in it. */
static void a_writes_adjoint_is_that_of_its_differences(void)
{
    SUITE_EACH(s)
    {
        static const double at[4] = {-2, -1, 1, 2}, step = 1e-4;
        trial t = trial_new(s, 2, 19, 2, 16, 12), u, moved;
        double f[4], along = 0, want;
        rule r;

        t.op = LOCI_OP_WRITE;
        trial_fill(&t);
        u = trial_copy(&t);
        for (int p = 0; p < PARTS; p++)
            for (int64_t j = 0; j < u.n[p]; j++)
                u.x[p][j] = 0.1 * ck_norm();
        if (subject_open(s, &r, 64, t.H, t.dk, t.dv, 2, NULL)) {
            for (int i = 0; i < 4; i++) {
                moved = trial_copy(&t);
                for (int p = 0; p < PARTS; p++)
                    for (int64_t j = 0; j < t.n[p]; j++)
                        moved.x[p][j] += at[i] * step * u.x[p][j];
                trial_run(&r, &moved, false);
                f[i] = trial_loss(&moved);
                trial_free(&moved);
            }
            want = (8 * (f[2] - f[1]) - (f[3] - f[0])) / (12 * step);
            trial_run(&r, &t, true);
            for (int p = PART_K; p < PARTS; p++)
                for (int64_t j = 0; j < t.n[p]; j++)
                    along += t.dx[p][j] * u.x[p][j];
            CK_TRUE(fabs(along - want) < 1e-7 * (1 + fabs(want)), "%s: %g instead of %g", s->name, along, want);
            rule_close(&r);
        }
        trial_free(&u);
        trial_free(&t);
    }
}

static void gradients_add_to_what_is_there(void)
{
    SUITE_EACH(s)
    {
        trial t = ragged(s, LOCI_OP_STEP, 2, 5, 4), u = trial_copy(&t);
        rule r;

        if (subject_open(s, &r, 64, t.H, t.dk, t.dv, 2, NULL)) {
            trial_run(&r, &t, true);
            r.gradients_from = 3;
            trial_run(&r, &u, true);
            CU_ASSERT(gradients_apart(&u, &t) < 1e-13);
            rule_close(&r);
        }
        trial_free(&t);
        trial_free(&u);
    }
}

/* ---- planted faults ---- */

static inline void fault_is_seen(const subject *s, rule_fault fault, const char *what)
{
    trial t = ragged(s, LOCI_OP_STEP, 2, 6, 5), o = trial_copy(&t);
    double results = 0, gradients = 0, rms = 0;
    rule r;

    if (subject_open(s, &r, 64, t.H, t.dk, t.dv, 1, NULL)) {
        int64_t n = 0;

        trial_run(&r, &o, true);
        for (int64_t i = 0; i < o.n_y; i++)
            if (o.y[i] != SENTINEL)
                rms += o.y[i] * o.y[i], n++;
        CK_TRUE(sqrt(rms / (double)n) > 0.1, "%s: outputs too small to tell", s->name);
        r.fault = fault;
        results = off_oracle(&t, &r);
        trial_run(&r, &t, true);
        gradients = gradients_apart(&t, &o);
        rule_close(&r);
    }
    CK_TRUE(results > 1e-3 && gradients > 1e-3, "%s does not see %s: %g, %g", s->name, what, results, gradients);
    for (int p = 0; p < PARTS && fault.zero; p++) /* one by one: no tensor may be so small that zeros would do */
        CK_TRUE(o.n[p] == 0 || apart(t.dx[p], o.dx[p], o.n[p]) > 0.9 || p >= PART_WEIGHT, "%s: zeros in part %d",
                s->name, p);
    trial_free(&t);
    trial_free(&o);
}

static void zeros_a_wrong_decay_and_a_lost_momentum_are_seen(void)
{
    SUITE_EACH(s)
    {
        fault_is_seen(s, (rule_fault){.zero = true}, "zeros");
        if (!left_out(s, NOT_FORGETTING))
            fault_is_seen(s, (rule_fault){.gate = s->forget, .factor = -1}, "a decay of the wrong sign");
        if (!left_out(s, NOT_MOMENTUM))
            fault_is_seen(s, (rule_fault){.gate = s->momentum, .factor = 0}, "a lost momentum");
    }
}

/* ---- chunks, and short calls ---- */

static void any_chunk_equals_the_recurrence(void)
{
    static const char *const chunks[] = {"1", "2", "3", "7", "16", "64", "100"};

    SUITE_EACH(s)
    if (!left_out(s, NOT_CHUNKED)) {
        trial t = trial_new(s, 2, 100, 2, 24, 20);

        CK_TRUE(s->recurrence[0] != NULL, "%s names no recurrence", s->name);
        trial_fill(&t);
        trial_once(&t, 64, s->recurrence, true);
        for (int i = 0; i < 7; i++)
            for (int bits = 32; bits <= 64; bits += 32) {
                const char *const more[] = {"chunk", chunks[i], NULL};
                trial c = trial_copy(&t);

                if (trial_once(&c, bits, more, true)) {
                    const double off = results_apart(&c, &t), grad = gradients_apart(&c, &t);

                    CK_TRUE(off < (bits == 64 ? 1e-12 : 1e-5) && grad < (bits == 64 ? 1e-11 : 1e-4),
                            "%s, chunk %s, f%d: %g, gradients %g", s->name, chunks[i], bits, off, grad);
                }
                trial_free(&c);
            }
        trial_free(&t);
    }
}

/* No token, one, fewer and more than a chunk: the formula, and what no token touched is passed on. */
static void any_length_follows_the_formula(void)
{
    SUITE_EACH(s)
    for (int64_t T = 0; T <= s->chunk + 2; T += T < 2 || s->chunk < 4 ? 1 : s->chunk / 2) {
        trial t = trial_new(s, 1, T, 2, 5, 4);
        rule r;

        t.runs[0].pos = 1;
        trial_fill(&t);
        if (subject_open(s, &r, 64, t.H, t.dk, t.dv, 1, NULL)) {
            double off = off_oracle(&t, &r);

            CK_TRUE(off < 1e-12, "%s, %d tokens: %g", s->name, (int)T, off);
            trial_run(&r, &t, true);
            for (int i = 0; i < RULE_MOST && T == 0; i++) {
                const size_t bytes = (size_t)t.n[PART_STATE + i] * sizeof(double);

                CU_ASSERT(memcmp(t.dx[PART_STATE + i], t.dout[i], bytes) == 0);
                CU_ASSERT(memcmp(t.x[PART_STATE + i], t.out[i], bytes) == 0);
            }
            rule_close(&r);
        }
        trial_free(&t);
    }
}

#include "tests/unit/suite_same.h"
#include "tests/unit/suite_use.h"

#define SUITE(X) \
    X(gradients_are_those_of_central_differences) \
    X(gates_at_their_limits_are_ordinary) \
    X(outputs_states_and_gradients_follow_the_formula) \
    X(a_writes_adjoint_is_that_of_its_differences) \
    X(gradients_add_to_what_is_there) \
    X(zeros_a_wrong_decay_and_a_lost_momentum_are_seen) \
    X(any_chunk_equals_the_recurrence) \
    X(any_length_follows_the_formula) \
    SUITE_SAME(X) \
    SUITE_USE(X)

#endif
