/* SPDX-License-Identifier: Apache-2.0
 *
 * The deep memory of mem_titans: the rest of its choices through the suite of memory rules, what it equals, its second
 * order, and what its class declares and refuses.
 */
#include "plugins/mem_titans/deep_formula.h"
#include "plugins/mem_titans/titans.h"
#include "tests/unit/suite.h"

static const struct deep_how lone = {.depth = 1, .expansion = 2, .frozen = 5, .residual = true};
static const struct deep_how layers = {
    .depth = 3, .expansion = 1, .frozen = 4, .before = true, .gelu = true, .per_layer = true, .c = 1.5};
static const struct deep_how bare = {.depth = 2, .expansion = 2, .no_momentum = true, .no_forget = true};
static const struct deep_how distant = {.depth = 2, .expansion = 1, .frozen = 100, .residual = true};

#define OWN .id = "titans", .formula = deep_formula
#define APART "an MLP has no exact chunk form"
#define NETWORK "what an MLP is told it approaches, never holds exactly"
#define NOISE "told noise, its weights decay to 0 and stay there, or jump about; learning is tested apart"
#define WEIGHTS "how large a step may be depends on the weights"
#define WHY [NOT_CHUNKED] = APART, [NOT_STORING] = NETWORK, [NOT_STEADY] = NOISE

static const subject subjects[] = {
    {OWN, .name = "depth 1 with residual", .how = &lone, .chunk = 5, .square = true, .forget = "alpha",
     .momentum = "eta", .top = {0.3, 0.7, 0.2}, .calm = {0, -1, 0.1}, .diverging = {0, 0.9, 1},
     .keys = {"residual", "yes", "chunk", "5", "theta_max", "1", NULL}, .why = {WHY}},
    {OWN, .name = "depth 3, frozen, gates per layer", .how = &layers, .chunk = 4, .forget = "alpha", .momentum = "eta",
     .top = {0.05, 0.6, 0.2}, .scale = {0.5, 0.5, 0.5, 0.1, 0.1, 0.1, 0.5, 0.5, 0.5}, .calm = {0, -1, 0.05},
     .keys = {"depth", "3", "expansion", "1", "chunk", "4", "read_order", "before_write", "gates", "per_layer",
              "activation", "gelu", "loss_scale", "1.5", "theta_max", "1", NULL},
     .why = {WHY, [NOT_DIVERGING] = WEIGHTS}},
    {OWN, .name = "without momentum and forgetting", .how = &bare, .top = {0.3}, .scale = {0.4, 0.4}, .calm = {0.1},
     .keys = {"mode", "sequential", "depth", "2", "expansion", "2", "momentum", "no", "forget", "no", "theta_max", "1",
              NULL},
     .why = {WHY, [NOT_FORGETTING] = "forget = no", [NOT_MOMENTUM] = "momentum = no", [NOT_DIVERGING] = WEIGHTS}},
    {OWN, .name = "chunks of 100", .how = &distant, .chunk = 100, .square = true, .forget = "alpha", .momentum = "eta",
     .top = {0.05, 0.5, 0.02}, .scale = {0.4, 0.4, 0.1, 0.1, 0.4, 0.4}, .calm = {0, -1, 0.002},
     .diverging = {0, 0.9, 1},
     .keys = {"depth", "2", "expansion", "1", "residual", "yes", "chunk", "100", "theta_max", "1", NULL}, .why = {WHY}},
};
SUITE_SUBJECTS(subjects)

/* ---- sizes that are used ---- */

/* Heads as wide as models have them: products in whole tiles and beside them, f32 against f64 and f64 against the
 * formula. */
static void wide_heads_follow_the_formula(void)
{
    static const struct deep_how how = {.depth = 2, .expansion = 4, .frozen = 16};
    static const subject wide[] = {{OWN, .name = "wide", .how = &how, .chunk = 16, .keys = {"depth", "2", NULL},
                                    .scale = {0.12, 0.06, 0.02, 0.02, 0.12, 0.06}}};

    for (int form = 0; form < 2; form++) {
        trial t = trial_new(wide, 1, 37, 2, form ? 64 : 37, form ? 64 : 21), u;
        rule r;

        t.runs[0].pos = 5;
        trial_fill(&t);
        u = trial_copy(&t);
        if (subject_open(wide, &r, 64, t.H, t.dk, t.dv, 2, NULL))
            CK_TRUE(off_oracle(&t, &r) < 1e-12, "%g", off_oracle(&t, &r));
        rule_close(&r);
        CU_ASSERT(trial_once(&t, 64, NULL, true) && trial_once(&u, 32, NULL, true));
        CK_TRUE(results_apart(&u, &t) < 1e-5 && gradients_apart(&u, &t) < 1e-4, "%g and %g", results_apart(&u, &t),
                gradients_apart(&u, &t));
        trial_free(&t);
        trial_free(&u);
    }
}

/* ---- what it equals ---- */

/* With depth 1 a residual path is a change of variables: M(x) + x told v is M told v - k. So the deep code and the
 * device's scan compute one function, gradients included. */
static void one_layer_with_residual_is_the_matrix_told_what_is_missing(void)
{
    static const subject matrix = {
        .name = "matrix", .id = "titans", .square = true, .keys = {"mode", "frozen", "chunk", "5", NULL}};
    trial t = ragged(&subjects[0], LOCI_OP_STEP, 2, 6, 6), m = trial_copy(&t);

    m.s = &matrix;
    for (int64_t j = 0; j < t.n[PART_V]; j++)
        m.x[PART_V][j] -= t.x[PART_K][j];
    CU_ASSERT(trial_once(&t, 64, NULL, true) && trial_once(&m, 64, NULL, true));
    for (int64_t j = 0; j < t.n_y; j++) {
        const bool read = m.y[j] != SENTINEL;

        m.y[j] += read ? t.x[PART_Q][j] : 0;
        m.dx[PART_Q][j] += read ? t.dy[j] : 0;
        m.dx[PART_K][j] -= m.dx[PART_V][j];
    }
    CU_ASSERT(results_apart(&t, &m) < 1e-12 && gradients_apart(&t, &m) < 1e-12);
    trial_free(&t);
    trial_free(&m);
}

static void chunks_of_one_token_are_the_sequence(void)
{
    static const subject sequential = {.name = "sequential",
                                       .id = "titans",
                                       .keys = {"depth", "2", "mode", "sequential", "theta_max", "0.2", NULL}},
                         frozen = {.name = "frozen",
                                   .id = "titans",
                                   .keys = {"depth", "2", "chunk", "1", "theta_max", "0.2", NULL}};
    trial t = trial_new(&frozen, 2, 40, 2, 5, 4), one;

    trial_fill(&t);
    one = trial_copy(&t);
    one.s = &sequential;
    for (int i = 4; i < 6; i++) /* the memory of a chunk that is over reaches nothing, and nothing reaches it */
        memset(t.dout[i], 0, (size_t)t.n[PART_STATE + i] * sizeof(double));
    CU_ASSERT(trial_once(&t, 64, NULL, true) && trial_once(&one, 64, NULL, true));
    CU_ASSERT(apart(t.y, one.y, t.n_y) < 1e-13);
    for (int i = 0; i < 4; i++)
        CU_ASSERT(apart(t.out[i], one.out[i], t.n[PART_STATE + i]) < 1e-13);
    for (int p = 0; p < PART_STATE + 4; p++)
        CU_ASSERT(apart(t.dx[p], one.dx[p], t.n[p]) < 1e-12);
    trial_free(&t);
    trial_free(&one);
}

/* Other devices walk all heads of many runs at once, the CPU one head of one run by each thread: one function. Runs
 * that go together, and runs that do not, in every operation. */
static void heads_walked_together_equal_heads_walked_apart(void)
{
    SUITE_EACH(s)
    for (int form = 0; form < 4; form++) {
        trial t = form ? ragged(s, form == 2 ? LOCI_OP_WRITE : LOCI_OP_STEP, 3, 6, 5) : trial_new(s, 3, 23, 2, 4, 5);
        trial u;
        rule r;

        if (form == 0)
            trial_fill(&t);
        if (form == 3)
            t.op = LOCI_OP_READ;
        u = trial_copy(&t);
        if (subject_open(s, &r, 64, t.H, t.dk, t.dv, 2, NULL)) {
            CU_ASSERT(trial_run(&r, &t, true) && r.m->resident);
            r.m->resident = 0;
            CU_ASSERT(trial_run(&r, &u, true));
            CK_TRUE(results_apart(&t, &u) < 1e-12 && gradients_apart(&t, &u) < 1e-11, "%s, form %d: %g and %g", s->name,
                    form, results_apart(&t, &u), gradients_apart(&t, &u));
            CU_ASSERT(t.dx[PART_Q][0] != 0 || form == 2);
        }
        rule_close(&r);
        trial_free(&t);
        trial_free(&u);
    }
}

/* A chunk of 100 is two segments, and a run that begins inside one finds its memory in the state; some states are kept
 * and others computed again. The derivative along one direction of everything, and every tenth cut. */
static void long_runs_are_cut_into_segments_and_put_together(void)
{
    for (int which = 1; which < 4; which++) {
        static const double at[4] = {-2, -1, 1, 2}, step = 1e-4;
        trial t = trial_new(&subjects[which], 1, 230, 2, 4, 4), u;
        double f[4], along = 0, want, off;
        rule r;

        t.runs[0].pos = 37;
        trial_fill(&t);
        u = trial_copy(&t);
        for (int p = 0; p < PARTS; p++)
            for (int64_t j = 0; j < u.n[p]; j++)
                u.x[p][j] = 0.1 * ck_norm() * (p >= PART_GATE && p < PART_STATE ? 0.1 : 1);
        if (subject_open(t.s, &r, 64, t.H, t.dk, t.dv, 2, NULL)) {
            off = off_oracle(&t, &r);
            CK_TRUE(off < 1e-10, "%s: %g", t.s->name, off);
            for (int i = 0; i < 4; i++) {
                trial moved = trial_copy(&t);

                for (int p = 0; p < PARTS; p++)
                    for (int64_t j = 0; j < t.n[p]; j++)
                        moved.x[p][j] += at[i] * step * u.x[p][j];
                trial_run(&r, &moved, false);
                f[i] = trial_loss(&moved);
                trial_free(&moved);
            }
            want = (8 * (f[2] - f[1]) - (f[3] - f[0])) / (12 * step);
            trial_run(&r, &t, true);
            for (int p = 0; p < PART_WEIGHT; p++)
                for (int64_t j = 0; j < t.n[p]; j++)
                    along += t.dx[p][j] * u.x[p][j];
            CK_TRUE(fabs(along - want) < 1e-6 * (1 + fabs(want)), "%s: %g instead of %g", t.s->name, along, want);
            for (int64_t cut = 3; cut < t.T; cut += 10) {
                off = cut_apart(&t, &r, cut);
                CK_TRUE(off < 1e-9, "%s cut at %d: %g", t.s->name, (int)cut, off);
            }
            rule_close(&r);
        }
        trial_free(&u);
        trial_free(&t);
    }
}

/* ---- the second order ---- */

/* One write with eta = alpha = 0, theta = 1 leaves W - g(W, k, v). Its adjoint of a cotangent U is U minus the
 * derivative of the inner gradient along U, which differences of inner gradients give. */
static void a_writes_adjoint_is_the_inner_gradients_derivative(void)
{
    static const subject one[] = {
        {.name = "silu", .id = "titans", .keys = {"depth", "3", "expansion", "2", "theta_max", "1", NULL}},
        {.name = "gelu",
         .id = "titans",
         .keys = {"depth", "3", "expansion", "2", "theta_max", "1", "activation", "gelu", NULL}}};

    for (int which = 0; which < 2; which++) {
        const struct deep_how how = {.depth = 3, .expansion = 2, .gelu = which == 1};
        const double h = 1e-4;
        trial t = trial_new(&one[which], 1, 1, 1, 5, 4);
        double *W, *U, *g[4], *got, dx[4][8], *want, first[8] = {0}, want_k[8];
        int64_t n = 0;

        trial_fill(&t);
        t.op = LOCI_OP_WRITE;
        for (int i = 0; i < 3; i++) {
            t.x[PART_GATE + i][0] = i == 2;
            n += t.n[PART_STATE + i];
            for (int s = 3; s < 9; s += 3) /* of S and C nothing is asked */
                memset(t.dout[s + i], 0, (size_t)t.n[PART_STATE + s + i] * sizeof(double));
        }
        CU_ASSERT(trial_once(&t, 64, NULL, true));
        W = numbers(n, 0), U = numbers(n, 0), got = numbers(n, 0), want = numbers(n, 0);
        for (int64_t i = 0, at = 0; i < 3; at += t.n[PART_STATE + i], i++) {
            const size_t bytes = (size_t)t.n[PART_STATE + i] * sizeof *W;

            memcpy(W + at, t.x[PART_STATE + i], bytes);
            memcpy(U + at, t.dout[i], bytes);
            memcpy(got + at, t.dx[PART_STATE + i], bytes);
        }
        for (int i = 0; i < 4; i++) {
            double *moved = numbers(n, 0);

            g[i] = numbers(n, 0);
            for (int64_t j = 0; j < n; j++)
                moved[j] = W[j] + (i < 2 ? i - 2 : i - 1) * h * U[j];
            deep_gradient(&how, moved, t.x[PART_K], t.x[PART_V], 5, 4, n, g[i], dx[i]);
            free(moved);
        }
        for (int64_t j = 0; j < n; j++)
            want[j] = U[j] - (8 * (g[2][j] - g[1][j]) - (g[3][j] - g[0][j])) / (12 * h);
        for (int j = 0; j < 5; j++)
            want_k[j] = -(8 * (dx[2][j] - dx[1][j]) - (dx[3][j] - dx[0][j])) / (12 * h);
        CU_ASSERT(apart(got, want, n) < 1e-8 && apart(t.dx[PART_K], want_k, 5) < 1e-8);
        CU_ASSERT(apart(U, want, n) > 0.1); /* and it is not that of a gradient taken as given */
        deep_gradient(&how, W, t.x[PART_K], t.x[PART_V], 5, 4, n, g[0], dx[0]);
        for (int j = 0; j < 5; j++) /* b_1 k' as far as k alone is concerned */
            for (int64_t i = 0; i < 10; i++)
                first[j] -= U[i * 5 + j] * g[0][i * 5] / t.x[PART_K][0];
        CU_ASSERT(apart(first, want_k, 5) > 0.1);
        for (int i = 0; i < 4; i++)
            free(g[i]);
        free(W), free(U), free(got), free(want);
        trial_free(&t);
    }
}

/* ---- long times ---- */

/* Told again and again what can be learned, v = A k, it learns: the error falls well below that of a memory that says
 * nothing, and 20000 tokens in f32 end where those in f64 do. */
static void what_can_be_learned_is_learned_and_does_not_drift(void)
{
    static const subject learner = {.name = "learner", .id = "titans", .keys = {"depth", "2", "chunk", "4", NULL}};
    enum { ROUNDS = 40, T = 500, D = 4 };
    double *A = numbers(D * D, 0.5), *state[2][RULE_MOST], early = 0, late = 0, size = 0;
    trial end[2];

    for (int round = 0; round < ROUNDS; round++) {
        trial t = trial_new(&learner, 1, T, 1, D, D);

        t.runs[0].pos = (int64_t)round * T;
        trial_fill(&t);
        memcpy(t.x[PART_Q], t.x[PART_K], (size_t)t.n[PART_K] * sizeof(double));
        for (int64_t j = 0; j < T * D; j++) {
            t.x[PART_V][j] = 0;
            for (int i = 0; i < D; i++)
                t.x[PART_V][j] += A[j % D * D + i] * t.x[PART_K][j / D * D + i];
        }
        for (int64_t j = 0; j < T; j++)
            t.x[PART_GATE][j] = 0, t.x[PART_GATE + 1][j] = 0.5, t.x[PART_GATE + 2][j] = 0.05;
        for (int i = 0; i < 2; i++) {
            end[i] = trial_copy(&t);
            for (int s = 0; s < RULE_MOST && round; s++) {
                memcpy(end[i].x[PART_STATE + s], state[i][s], (size_t)t.n[PART_STATE + s] * sizeof(double));
                free(state[i][s]);
            }
            CU_ASSERT(trial_once(&end[i], i ? 64 : 32, NULL, false));
            for (int s = 0; s < RULE_MOST; s++)
                state[i][s] = copied(end[i].out[s], t.n[PART_STATE + s]);
        }
        for (int64_t j = 0; j < T * D && (round == 0 || round == ROUNDS - 1); j++) {
            const double e = end[1].y[j] - t.x[PART_V][j];

            *(round ? &late : &early) += e * e;
            size += round ? t.x[PART_V][j] * t.x[PART_V][j] : 0;
        }
        if (round == ROUNDS - 1)
            CK_TRUE(results_apart(&end[0], &end[1]) < 1e-4, "f32 drifts: %g", results_apart(&end[0], &end[1]));
        for (int i = 0; i < 2; i++)
            trial_free(&end[i]);
        trial_free(&t);
    }
    CK_TRUE(late < 0.05 * size && late < early, "errors: %g early, %g late, of %g", early, late, size);
    for (int i = 0; i < 2; i++)
        free_states(state[i]);
    free(A);
}

/* ---- the class ---- */

static void every_layer_has_its_weights_and_states(void)
{
    static const char *const names[] = {"W1", "W2", "W3", "S1", "S2", "S3", "C1", "C2", "C3"};
    static const char *const keys[] = {"depth", "3", "expansion", "2", "gates", "per_layer", NULL};
    rule r;

    CK_OK(rule_open(&r, "titans", 32, 2, 8, 4, 1, keys));
    CU_ASSERT_FATAL(r.n_state == 9 && r.n_weight == 3 && r.n_gate == 3);
    for (int i = 0; i < 9; i++) {
        const int64_t want[] = {-1, 2, i % 3 == 2 ? 4 : 16, i % 3 == 0 ? 8 : 16};

        CU_ASSERT(!strcmp(r.state[i].name, names[i]) && !memcmp(r.state_shape[i], want, sizeof want));
    }
    CU_ASSERT(!strcmp(r.weight[1].name, "W2.init") && r.weight[1].init == LOCI_INIT_NORMAL);
    CU_ASSERT(fabs(r.weight[0].b * r.weight[0].b - 1.0 / 8) < 1e-12); /* variance 1 / fan in */
    CU_ASSERT(fabs(r.weight[1].b * r.weight[1].b - 1.0 / 16) < 1e-12);
    for (int i = 0; i < 3; i++)
        CU_ASSERT(r.gate[i].width == 3);
    CU_ASSERT(r.gate[2].hi == 1.0 / 16 && r.gate[2].init == 1.0 / 32); /* 1 / chunk */
    rule_close(&r);
}

static void what_does_not_exist_is_refused_by_name(void)
{
    static const struct {
        const char *keys[8], *says;
        int64_t dv;
    } bad[] = {{{"depth", "2", "mode", "exact", NULL}, "mode = exact exists for depth = 1", 8},
               {{"residual", "yes", "mode", "exact", NULL}, "depth = 1 with residual", 8},
               {{"depth", "2", "init_state", "zero", NULL}, "never learns", 8},
               {{"depth", "2", "residual", "yes", NULL}, "dk = 8 is not dv = 4", 4}};

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        rule r;

        CU_ASSERT(rule_open(&r, "titans", 32, 2, 8, bad[i].dv, 1, bad[i].keys) == LOCI_E_CONFIG);
        CK_TRUE(strstr(ck_err.msg, bad[i].says) != NULL, "%s", ck_err.msg);
        rule_close(&r);
    }
}

static loci_status eighth_plan(loci_module *m, const loci_shape *shape, int32_t op, loci_need *need, loci_error *err)
{
    const loci_status status = rule_class("titans")->plan(m, shape, op, need, err);

    need->scratch /= 8;
    return status;
}

static void a_call_beyond_its_plan_is_refused(void)
{
    trial t = ragged(&subjects[1], LOCI_OP_STEP, 2, 4, 3);
    rule_call c = {.op = t.op, .B = t.B, .T = t.T, .states = t.states, .runs = t.runs, .n_runs = t.n_runs};
    loci_class less;
    rule r;

    CU_ASSERT_FATAL(subject_open(t.s, &r, 64, t.H, t.dk, t.dv, 1, NULL));
    less = *r.cls;
    less.plan = eighth_plan;
    r.cls = &less;
    CU_ASSERT(rule_run(&r, &c, true) == LOCI_E_ARG && strstr(ck_err.msg, "plan for it"));
    r.cls = rule_class("titans");
    rule_close(&r);
    trial_free(&t);
}

#define TESTS(X) \
    SUITE(X) \
    X(one_layer_with_residual_is_the_matrix_told_what_is_missing) \
    X(chunks_of_one_token_are_the_sequence) \
    X(long_runs_are_cut_into_segments_and_put_together) \
    X(a_writes_adjoint_is_the_inner_gradients_derivative) \
    X(what_can_be_learned_is_learned_and_does_not_drift) \
    X(every_layer_has_its_weights_and_states) \
    X(what_does_not_exist_is_refused_by_name) \
    X(a_call_beyond_its_plan_is_refused) \
    X(heads_walked_together_equal_heads_walked_apart) \
    X(wide_heads_follow_the_formula)

CK_MAIN("deep_more", TESTS)
