/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/unit/trial.h: a memory rule that is being tested (a subject), and the numbers of one call of it (a trial).
 *
 * A subject says which class with which keys, and what it is held against: a formula, which is called for one run and
 * head at a time on plain doubles, or another class with the same gates and states. Everything else that a test needs
 * to know about a rule is here too, and where a test does not fit the rule the subject must say why.
 *
 * Keys and queries have length 1, as the front end makes them; values, states and cotangents are of order 1, gates all
 * over their range. Every number is an f32, so that both element types are given the same. Outputs begin as a sentinel:
 * what a call must not write shows.
 */
#ifndef LOCI_TESTS_TRIAL_H
#define LOCI_TESTS_TRIAL_H

#include "tests/unit/rule.h"

/* One run and head: rows of q, k, v, y and gates per token, states without the axes of rows and heads, weights whole. op is READ (q,
 * y), WRITE (k, v, gates) or STEP; state is updated in place; pos is the first token's position in its document. */
typedef struct head {
    int op;
    int64_t T, pos, dk, dv, h, H; /* h: of H heads */
    const double *q, *k, *v, *gate[RULE_MOST], *weight[RULE_MOST];
    double *y, *state[RULE_MOST];
} head;
typedef void formula_fn(const head *, const void *how);

/* Tests that do not fit every rule. */
enum { NOT_CHUNKED, NOT_FORGETTING, NOT_MOMENTUM, NOT_STORING, NOT_REPLACING, NOT_DIVERGING, NOT_STEADY, NOT_FITTING };

typedef struct subject {
    const char *name, *id;
    const char *keys[24]; /* pairs, NULL                                                                   */
    formula_fn *formula;  /* what it is held against; how is handed on                                     */
    const void *how;
    const loci_class *oracle; /* or this class with these keys                                                 */
    const char *oracle_keys[16];
    int64_t chunk;                 /* 0: none                                                                       */
    const char *recurrence[4];     /* keys that turn a chunked form into the recurrence it equals                    */
    const char *forget, *momentum; /* names of these gates                                                      */
    bool square;                   /* dv must be dk                                                                 */
    double top[RULE_MOST];         /* largest value that tests give a gate; 0: the end of its range                  */
    double scale[RULE_MOST];       /* size of the elements of a state; 0: 1                                          */
    double calm[RULE_MOST];        /* as top, for 2000 equal tokens; below 0: the gate rests at its lower end        */
    double bound;                  /* no output is larger then; 0: 10                                                */
    double storing[RULE_MOST];     /* gates with which a write makes M k = v for orthonormal keys                    */
    double diverging[RULE_MOST];   /* gates with which equal tokens diverge                                        */
    const char *why[NOT_FITTING];  /* why a test does not fit                                                     */
} subject;

/* The tensors of a call, each by its place. */
enum {
    PART_Q,
    PART_K,
    PART_V,
    PART_GATE,
    PART_STATE = PART_GATE + RULE_MOST,
    PART_WEIGHT = PART_STATE + RULE_MOST,
    PARTS = PART_WEIGHT + RULE_MOST
};

typedef struct trial {
    const subject *s;
    int op;
    int64_t B, T, H, dk, dv, states;
    loci_run runs[16];
    uint32_t n_runs;
    int64_t wide[PARTS]; /* elements of a token and head; of a state, of a row and head; of a weight, all */
    int64_t n[PARTS], n_y;
    double *x[PARTS], *dx[PARTS], *y, *dy, *out[RULE_MOST], *dout[RULE_MOST];
} trial;

#define SENTINEL 77.0

static inline double single(double x)
{
    return (double)(float)x;
}

/* Rows of length 1. */
static inline void directions(double *x, int64_t n, int64_t d)
{
    for (int64_t i = 0; i < n; i += d) {
        double sum = 0;

        for (int64_t c = 0; c < d; c++)
            sum += x[i + c] * x[i + c];
        for (int64_t c = 0; c < d; c++)
            x[i + c] = single(x[i + c] / sqrt(sum));
    }
}

static inline double gate_top(const subject *s, const rule *r, uint32_t i)
{
    return s->top[i] > 0 ? s->top[i] : r->gate[i].hi;
}

/* Opens the subject in r; more: keys that win over its own. */
static inline bool subject_open(const subject *s, rule *r, int bits, int64_t H, int64_t dk, int64_t dv, int threads,
                                const char *const *more)
{
    const loci_status status = rule_open_class(r, rule_class(s->id), bits, H, dk, dv, threads, more, s->keys);

    CK_TRUE(status == LOCI_OK, "%s: %s", s->name, ck_err.msg);
    return status == LOCI_OK;
}

static inline trial trial_new(const subject *s, int64_t B, int64_t T, int64_t H, int64_t dk, int64_t dv)
{
    trial t = {.s = s, .op = LOCI_OP_STEP, .B = B, .T = T, .H = H, .dk = dk, .dv = s->square ? dk : dv, .states = B};

    for (int64_t b = 0; b < B; b++)
        t.runs[t.n_runs++] = (loci_run){(int32_t)b, 0, (int32_t)T, (int32_t)b, 0, (uint64_t)b};
    return t;
}

/* Sizes and runs are set: make the tensors. */
static inline void trial_fill(trial *t)
{
    const int64_t bth = t->B * t->T * t->H;
    rule r;

    if (!subject_open(t->s, &r, 64, t->H, t->dk, t->dv, 1, NULL))
        exit(1);
    t->wide[PART_Q] = t->wide[PART_K] = t->dk;
    t->wide[PART_V] = t->dv;
    for (uint32_t i = 0; i < r.n_gate; i++)
        t->wide[PART_GATE + i] = rule_gate_width(&r, i);
    for (uint32_t i = 0; i < r.n_state; i++)
        t->wide[PART_STATE + i] = rule_state_size(&r, i);
    for (uint32_t i = 0; i < r.n_weight; i++)
        t->wide[PART_WEIGHT + i] = rule_weight_size(&r, i);
    for (int p = 0; p < PARTS; p++) {
        const int i = p >= PART_STATE ? (p - PART_GATE) % RULE_MOST : p - PART_GATE;
        const double size = p >= PART_STATE && p < PART_WEIGHT && t->s->scale[i] > 0 ? t->s->scale[i] : 1;

        t->n[p] = p < PART_STATE ? bth * t->wide[p] : p < PART_WEIGHT ? t->states * t->H * t->wide[p] : t->wide[p];
        t->x[p] = numbers(t->n[p], size);
        t->dx[p] = numbers(t->n[p], 0);
        if (p < PART_V)
            directions(t->x[p], t->n[p], t->dk);
        for (int64_t j = 0; j < t->n[p]; j++) {
            if (p >= PART_GATE && p < PART_STATE)
                t->x[p][j] = r.gate[i].lo + (0.05 + 0.9 * ck_rand()) * (gate_top(t->s, &r, (uint32_t)i) - r.gate[i].lo);
            t->x[p][j] = single(t->x[p][j]);
        }
    }
    t->n_y = t->n[PART_V];
    t->y = numbers(t->n_y, 0);
    t->dy = numbers(t->n_y, 1);
    for (int i = 0; i < RULE_MOST; i++) {
        t->out[i] = numbers(t->n[PART_STATE + i], 0);
        t->dout[i] = numbers(t->n[PART_STATE + i], 1);
        for (int64_t j = 0; j < t->n[PART_STATE + i]; j++)
            t->dout[i][j] = single(t->dout[i][j]);
    }
    for (int64_t j = 0; j < t->n_y; j++)
        t->dy[j] = single(t->dy[j]);
    rule_close(&r);
}

static inline double *copied(const double *x, int64_t n)
{
    double *a = numbers(n, 0);

    memcpy(a, x, (size_t)n * sizeof *a);
    return a;
}

static inline trial trial_copy(const trial *t)
{
    trial c = *t;

    for (int p = 0; p < PARTS; p++) {
        c.x[p] = copied(t->x[p], t->n[p]);
        c.dx[p] = copied(t->dx[p], t->n[p]);
    }
    c.y = copied(t->y, t->n_y);
    c.dy = copied(t->dy, t->n_y);
    for (int i = 0; i < RULE_MOST; i++) {
        c.out[i] = copied(t->out[i], t->n[PART_STATE + i]);
        c.dout[i] = copied(t->dout[i], t->n[PART_STATE + i]);
    }
    return c;
}

static inline void trial_free(trial *t)
{
    for (int p = 0; p < PARTS; p++)
        free(t->x[p]), free(t->dx[p]);
    for (int i = 0; i < RULE_MOST; i++)
        free(t->out[i]), free(t->dout[i]);
    free(t->y), free(t->dy);
}

static inline int64_t trial_at(const trial *t, const loci_run *r, int64_t i, int64_t h)
{
    return (r->row * t->T + r->begin + i) * t->H + h;
}

static inline void sentinels(trial *t)
{
    for (int64_t i = 0; i < t->n_y; i++)
        t->y[i] = SENTINEL;
    for (int i = 0; i < RULE_MOST; i++)
        for (int64_t j = 0; j < t->n[PART_STATE + i]; j++)
            t->out[i][j] = SENTINEL;
}

/* dy as a host has it: 0 outside the runs. */
static inline double *trial_dy(const trial *t)
{
    double *dy = numbers(t->n_y, 0);

    for (uint32_t i = 0; i < t->n_runs; i++) {
        const int64_t at = trial_at(t, &t->runs[i], 0, 0) * t->dv;

        memcpy(dy + at, t->dy + at, (size_t)(t->runs[i].len * t->H * t->dv) * sizeof *dy);
    }
    return dy;
}

/* ---- what the call gives: by a rule, and by the formula ---- */

static inline bool trial_run(rule *r, trial *t, bool back)
{
    rule_call c = {.op = t->op, .B = t->B, .T = t->T, .states = t->states, .runs = t->runs, .n_runs = t->n_runs};
    double *dy = trial_dy(t);
    loci_status status;

    sentinels(t);
    c.q = t->x[PART_Q], c.k = t->x[PART_K], c.v = t->x[PART_V], c.y = t->y, c.dy = dy;
    c.dq = t->dx[PART_Q], c.dk = t->dx[PART_K], c.dv = t->dx[PART_V];
    for (int i = 0; i < RULE_MOST; i++) {
        c.gate[i] = t->x[PART_GATE + i], c.dgate[i] = t->dx[PART_GATE + i];
        c.state[i] = t->x[PART_STATE + i], c.din[i] = back ? t->dx[PART_STATE + i] : NULL;
        c.weight[i] = t->x[PART_WEIGHT + i], c.dweight[i] = t->dx[PART_WEIGHT + i];
        c.out[i] = t->out[i], c.dstate[i] = t->dout[i];
    }
    status = rule_run(r, &c, back);
    CK_TRUE(status == LOCI_OK, "%s: %s", t->s->name, ck_err.msg);
    free(dy);
    return status == LOCI_OK;
}

/* Opens the subject, runs, closes. */
static inline bool trial_once(trial *t, int bits, const char *const *more, bool back)
{
    rule r;
    bool good = subject_open(t->s, &r, bits, t->H, t->dk, t->dv, 2, more);

    good = good && trial_run(&r, t, back);
    rule_close(&r);
    return good;
}

static inline double *gathered(const trial *t, int part, const loci_run *r, int64_t h)
{
    const int64_t w = t->wide[part];
    double *to = numbers(r->len * w, 0);

    for (int64_t i = 0; i < r->len && w; i++)
        memcpy(to + i * w, t->x[part] + trial_at(t, r, i, h) * w, (size_t)w * sizeof *to);
    return to;
}

/* Leaves y and out of the formula in the trial. */
static inline void trial_formula(trial *t)
{
    sentinels(t);
    for (int64_t item = 0; item < (int64_t)t->n_runs * t->H; item++) {
        const loci_run *r = &t->runs[item / t->H];
        const int64_t h = item % t->H;
        double *own[PART_STATE], *y = numbers(r->len * t->dv, 0);
        head a = {.op = t->op, .T = r->len, .pos = r->pos, .dk = t->dk, .dv = t->dv, .h = h, .H = t->H, .y = y};

        for (int p = 0; p < PART_STATE; p++)
            own[p] = gathered(t, p, r, h);
        a.q = own[PART_Q], a.k = own[PART_K], a.v = own[PART_V];
        for (int i = 0; i < RULE_MOST; i++) {
            const int64_t n = t->wide[PART_STATE + i];

            a.gate[i] = own[PART_GATE + i];
            a.weight[i] = t->x[PART_WEIGHT + i];
            a.state[i] = t->out[i] + (r->state * t->H + h) * n;
            memcpy(a.state[i], t->x[PART_STATE + i] + (r->state * t->H + h) * n, (size_t)n * sizeof(double));
        }
        t->s->formula(&a, t->s->how);
        for (int64_t i = 0; i < r->len && t->op != LOCI_OP_WRITE; i++)
            memcpy(t->y + trial_at(t, r, i, h) * t->dv, y + i * t->dv, (size_t)t->dv * sizeof *y);
        for (int p = 0; p < PART_STATE; p++)
            free(own[p]);
        free(y);
    }
}

/* What the subject is held against. */
static inline void trial_oracle(trial *t, rule *oracle)
{
    if (t->s->oracle)
        trial_run(oracle, t, false);
    else
        trial_formula(t);
}

static inline bool oracle_open(const trial *t, rule *r)
{
    return !t->s->oracle ||
           rule_open_class(r, t->s->oracle, 64, t->H, t->dk, t->dv, 1, t->s->oracle_keys, NULL) == LOCI_OK;
}

static inline void oracle_close(const trial *t, rule *r)
{
    if (t->s->oracle)
        rule_close(r);
}

/* ---- distances ---- */

/* Relative RMS over what should have been written; infinite where a sentinel should have stayed and did not. */
static inline double apart(const double *got, const double *want, int64_t n)
{
    double d = 0, w = 0;

    for (int64_t i = 0; i < n; i++) {
        if (want[i] == SENTINEL) {
            if (got[i] != SENTINEL)
                return INFINITY;
            continue;
        }
        d += (got[i] - want[i]) * (got[i] - want[i]);
        w += want[i] * want[i];
    }
    return w > 0 ? sqrt(d / w) : sqrt(d);
}

/* NaN counts as infinitely far. */
static inline double farther(double a, double b)
{
    return isnan(a) || isnan(b) ? INFINITY : fmax(a, b);
}

static inline double results_apart(const trial *got, const trial *want)
{
    double worst = got->op == LOCI_OP_WRITE ? 0 : apart(got->y, want->y, got->n_y);

    for (int i = 0; i < RULE_MOST; i++)
        worst = farther(worst, apart(got->out[i], want->out[i], got->n[PART_STATE + i]));
    return worst;
}

/* A gate's gradient counts relative to the largest of the call, as it is a difference of large sums. */
static inline double gradients_apart(const trial *got, const trial *want)
{
    double worst = 0;

    for (int p = 0; p < PARTS; p++) {
        double top = 0, off = 0;

        if (p < PART_GATE || p >= PART_STATE) {
            worst = farther(worst, apart(got->dx[p], want->dx[p], got->n[p]));
            continue;
        }
        for (int64_t j = 0; j < got->n[p]; j++) {
            top = farther(top, fabs(want->dx[p][j]));
            off = farther(off, fabs(got->dx[p][j] - want->dx[p][j]));
        }
        worst = farther(worst, off == 0 ? 0 : off / top);
    }
    return worst;
}

/* <y, dy> + <out, dout> over what the call writes. */
static inline double trial_loss(const trial *t)
{
    double sum = 0;

    for (int64_t i = 0; i < t->n_y && t->op != LOCI_OP_WRITE; i++)
        sum += t->y[i] == SENTINEL ? 0 : t->y[i] * t->dy[i];
    for (int i = 0; i < RULE_MOST; i++)
        for (int64_t j = 0; j < t->n[PART_STATE + i]; j++)
            sum += t->out[i][j] == SENTINEL ? 0 : t->out[i][j] * t->dout[i][j];
    return sum;
}

#endif
