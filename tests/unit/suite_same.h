/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/unit/suite_same.h: the part of suite.h in which a rule is held against itself: what must make no difference.
 */

/* Tokens [0, cut) and [cut, T) of the one run of `whole` as two calls, gradients chained through the states; the
 * largest distance from `whole`. */
static inline double cut_apart(const trial *whole, rule *r, int64_t cut)
{
    trial a = trial_copy(whole), b = trial_copy(whole);
    double off;

    a.runs[0].len = (int32_t)cut;
    b.runs[0].begin = (int32_t)cut;
    b.runs[0].len = (int32_t)(whole->T - cut);
    b.runs[0].pos += cut;
    trial_run(r, &a, false);
    for (int i = 0; i < RULE_MOST; i++)
        memcpy(b.x[PART_STATE + i], a.out[i], (size_t)a.n[PART_STATE + i] * sizeof(double));
    trial_run(r, &b, true);
    for (int i = 0; i < RULE_MOST; i++)
        memcpy(a.dout[i], b.dx[PART_STATE + i], (size_t)a.n[PART_STATE + i] * sizeof(double));
    trial_run(r, &a, true);
    for (int64_t i = 0; i < a.n_y; i++)
        a.y[i] = a.y[i] == SENTINEL ? b.y[i] : a.y[i];
    for (int p = 0; p < PARTS; p++)
        for (int64_t j = 0; j < a.n[p] && (p < PART_STATE || p >= PART_WEIGHT); j++)
            a.dx[p][j] += b.dx[p][j];
    for (int i = 0; i < RULE_MOST; i++)
        memcpy(a.out[i], b.out[i], (size_t)a.n[PART_STATE + i] * sizeof(double));
    off = farther(results_apart(&a, whole), gradients_apart(&a, whole));
    trial_free(&a);
    trial_free(&b);
    return off;
}

/* Every cut, at the bounds of chunks and within them. */
static void any_cut_gives_the_outputs_and_gradients_of_the_whole(void)
{
    SUITE_EACH(s)
    {
        trial t = trial_new(s, 1, 23, 2, 4, 5);
        rule r;

        t.runs[0].pos = 3;
        trial_fill(&t);
        if (subject_open(s, &r, 64, t.H, t.dk, t.dv, 1, NULL)) {
            trial_run(&r, &t, true);
            for (int64_t cut = 0; cut <= t.T; cut++) {
                const double off = cut_apart(&t, &r, cut);

                CK_TRUE(off < 1e-11, "%s cut at %d: %g", s->name, (int)cut, off);
            }
            rule_close(&r);
        }
        trial_free(&t);
    }
}

/* One token of one row; the next begins with the states it leaves. */
static inline void decode(rule *r, const trial *t, int64_t at, double *const state[RULE_MOST], double *y)
{
    const loci_run run = {0, 0, 1, 0, t->runs[0].pos + at, t->runs[0].id};
    rule_call c = {.op = LOCI_OP_STEP, .B = 1, .T = 1, .states = 1, .runs = &run, .n_runs = 1};

    c.q = t->x[PART_Q] + at * t->H * t->dk, c.k = t->x[PART_K] + at * t->H * t->dk;
    c.v = t->x[PART_V] + at * t->H * t->dv, c.y = y;
    for (int i = 0; i < RULE_MOST; i++) {
        c.gate[i] = t->x[PART_GATE + i] + at * t->H * t->wide[PART_GATE + i];
        c.weight[i] = t->x[PART_WEIGHT + i];
        c.state[i] = c.out[i] = state[i];
    }
    CK_TRUE(rule_run(r, &c, false) == LOCI_OK, "%s: %s", t->s->name, ck_err.msg);
}

static inline void first_states(const trial *t, double *state[RULE_MOST])
{
    for (int i = 0; i < RULE_MOST; i++)
        state[i] = copied(t->x[PART_STATE + i], t->n[PART_STATE + i]);
}

static inline void free_states(double *const state[RULE_MOST])
{
    for (int i = 0; i < RULE_MOST; i++)
        free(state[i]);
}

static void single_tokens_equal_one_call(void)
{
    SUITE_EACH(s)
    for (int bits = 32; bits <= 64; bits += 32) {
        trial t = trial_new(s, 1, 40, 2, 7, 6);
        double *state[RULE_MOST], *y, off;
        rule r;

        t.runs[0].pos = 2;
        trial_fill(&t);
        y = numbers(t.n_y, 0);
        first_states(&t, state);
        if (subject_open(s, &r, bits, t.H, t.dk, t.dv, 1, NULL)) {
            trial_run(&r, &t, false);
            for (int64_t at = 0; at < t.T; at++)
                decode(&r, &t, at, state, y + at * t.H * t.dv);
            off = apart(y, t.y, t.n_y);
            for (int i = 0; i < RULE_MOST; i++)
                off = farther(off, apart(state[i], t.out[i], t.n[PART_STATE + i]));
            CK_TRUE(off < (bits == 64 ? 1e-12 : 1e-5), "%s, f%d: %g", s->name, bits, off);
            rule_close(&r);
        }
        free_states(state);
        free(y);
        trial_free(&t);
    }
}

/* NaN in every later token leaves each bit of the earlier outputs, and another row alone; no gradient of an output
 * reaches a later input. */
static void the_future_and_other_documents_reach_nothing(void)
{
    SUITE_EACH(s)
    for (int64_t last = 0; last < 20; last += 6) {
        trial t = trial_new(s, 2, 20, 2, 6, 5), u;
        const int64_t from = (last + 1) * t.H, to = 20 * t.H;
        rule r;

        trial_fill(&t);
        u = trial_copy(&t);
        if (subject_open(s, &r, 64, t.H, t.dk, t.dv, 2, NULL)) {
            trial_run(&r, &t, false);
            for (int p = 0; p < PART_STATE; p++)
                for (int64_t j = from * t.wide[p]; j < to * t.wide[p]; j++)
                    u.x[p][j] = NAN;
            trial_run(&r, &u, false);
            CU_ASSERT(memcmp(t.y, u.y, (size_t)(from * t.dv) * sizeof(double)) == 0);
            CU_ASSERT(memcmp(t.y + to * t.dv, u.y + to * t.dv, (size_t)(to * t.dv) * sizeof(double)) == 0);
            CU_ASSERT(last > 18 || isnan(u.y[from * t.dv]) || isnan(u.y[(to - 1) * t.dv]));
            memset(t.dy + from * t.dv, 0, (size_t)((to - from) * t.dv) * sizeof(double));
            for (int i = 0; i < RULE_MOST; i++)
                memset(t.dout[i], 0, (size_t)t.n[PART_STATE + i] * sizeof(double));
            trial_run(&r, &t, true);
            for (int p = 0; p < PART_STATE; p++)
                for (int64_t j = from * t.wide[p]; j < to * t.wide[p]; j++)
                    if (t.dx[p][j] != 0) {
                        CK_TRUE(false, "%s: part %d of a later token has a gradient", s->name, p);
                        j = to * t.wide[p];
                    }
            rule_close(&r);
        }
        trial_free(&t);
        trial_free(&u);
    }
}

/* Row b and head h of t alone. */
static inline trial alone(const trial *t, int64_t b, int64_t h)
{
    trial a = trial_new(t->s, 1, t->T, 1, t->dk, t->dv);

    a.runs[0].pos = t->runs[b].pos;
    trial_fill(&a);
    for (int p = 0; p < PART_STATE; p++) {
        free(a.x[p]);
        a.x[p] = gathered(t, p, &t->runs[b], h);
    }
    for (int64_t i = 0; i < t->T; i++)
        memcpy(a.dy + i * t->dv, t->dy + trial_at(t, &t->runs[b], i, h) * t->dv, (size_t)t->dv * sizeof(double));
    for (int i = 0; i < RULE_MOST; i++) {
        const int64_t n = t->wide[PART_STATE + i], at = (t->runs[b].state * t->H + h) * n;

        memcpy(a.x[PART_STATE + i], t->x[PART_STATE + i] + at, (size_t)n * sizeof(double));
        memcpy(a.dout[i], t->dout[i] + at, (size_t)n * sizeof(double));
        for (int64_t j = 0; j < a.n[PART_WEIGHT + i]; j++) /* [H, ...] */
            a.x[PART_WEIGHT + i][j] = t->x[PART_WEIGHT + i][h * a.n[PART_WEIGHT + i] + j];
    }
    return a;
}

/* What `alone` computed, and the same of t. */
static inline double alone_apart(const trial *a, const trial *t, int64_t b, int64_t h)
{
    double worst = 0;

    for (int p = 0; p < PART_STATE; p++)
        for (int64_t i = 0; i < t->T; i++)
            worst = farther(worst, apart(a->dx[p] + i * a->wide[p],
                                         t->dx[p] + trial_at(t, &t->runs[b], i, h) * a->wide[p], a->wide[p]));
    for (int64_t i = 0; i < t->T; i++)
        worst = farther(worst, apart(a->y + i * t->dv, t->y + trial_at(t, &t->runs[b], i, h) * t->dv, t->dv));
    for (int i = 0; i < RULE_MOST; i++) {
        const int64_t n = a->wide[PART_STATE + i], at = (t->runs[b].state * t->H + h) * n;

        worst = farther(worst, apart(a->out[i], t->out[i] + at, n));
        worst = farther(worst, apart(a->dx[PART_STATE + i], t->dx[PART_STATE + i] + at, n));
    }
    return worst;
}

static void rows_and_heads_are_alone(void)
{
    static const int order[] = {2, 0, 1};

    SUITE_EACH(s)
    {
        trial t = trial_new(s, 3, 11, 2, 6, 5);

        for (int b = 0; b < 3; b++) {
            t.runs[b].state = order[b];
            t.runs[b].pos = 2 * b;
        }
        trial_fill(&t);
        trial_once(&t, 64, NULL, true);
        for (int64_t b = 0; b < 3; b++)
            for (int64_t h = 0; h < 2; h++) {
                trial a = alone(&t, b, h);
                double off;

                trial_once(&a, 64, NULL, true);
                off = alone_apart(&a, &t, b, h);
                CK_TRUE(off < 1e-12, "%s, row %d, head %d: %g", s->name, (int)b, (int)h, off);
                trial_free(&a);
            }
        trial_free(&t);
    }
}

static void the_bits_do_not_depend_on_threads(void)
{
    SUITE_EACH(s)
    for (int bits = 32; bits <= 64; bits += 32) {
        trial t = trial_new(s, 3, 70, 3, 17, 19);
        rule r;

        trial_fill(&t);
        trial_once(&t, bits, NULL, true);
        for (int threads = 1; threads <= 4; threads *= 2) {
            trial u = trial_copy(&t);
            bool same;

            if (subject_open(s, &r, bits, t.H, t.dk, t.dv, threads, NULL)) {
                same = trial_run(&r, &u, true) && memcmp(t.y, u.y, (size_t)t.n_y * sizeof(double)) == 0;
                for (int p = 0; p < PARTS; p++)
                    same = same && memcmp(t.dx[p], u.dx[p], (size_t)t.n[p] * sizeof(double)) == 0;
                for (int i = 0; i < RULE_MOST; i++)
                    same = same && memcmp(t.out[i], u.out[i], (size_t)t.n[PART_STATE + i] * sizeof(double)) == 0;
                CK_TRUE(same, "%s, f%d, %d threads", s->name, bits, threads);
                rule_close(&r);
            }
            trial_free(&u);
        }
        trial_free(&t);
    }
}

#define SUITE_SAME(X) \
    X(any_cut_gives_the_outputs_and_gradients_of_the_whole) \
    X(single_tokens_equal_one_call) \
    X(the_future_and_other_documents_reach_nothing) \
    X(rows_and_heads_are_alone) \
    X(the_bits_do_not_depend_on_threads)
