/* SPDX-License-Identifier: Apache-2.0
 *
 * loci/rule.h: two rules written with it, through the suite of memory rules. They are held against formulas that share
 * no line with them and against differences, so that they can be the oracles of others; and what the header itself
 * promises: checkpoints that change no bit, plans that cover smaller calls, refusals in words.
 */
#include "tests/unit/rules/rules.h"
#include "tests/unit/matrix.h"
#include "tests/unit/suite.h"

/* As wide.c says, with other loops. */
static void wide_formula(const head *a, const void *how)
{
    const int64_t dk = a->dk, dv = a->dv;
    double *M = a->state[0], *z = a->state[1], *R = a->state[2];

    (void)how;
    for (int64_t t = 0; t < a->T; t++) {
        double w = 0;

        for (int64_t i = 0; i < dv && a->op != LOCI_OP_READ; i++) {
            const double *mu = a->gate[2] + 2 * t, v = a->v[t * dv + i], u = v + mu[0] * R[i] + mu[1] * R[dv + i];

            for (int64_t x = 0; x < dk; x++) {
                const double keep = 1 - a->gate[0][t * dk + x], k = a->gate[1][t] * a->k[t * dk + x];

                M[i * dk + x] = keep * M[i * dk + x] + u * k;
                z[x] = i ? z[x] : keep * z[x] + k;
            }
            R[dv + i] = R[i];
            R[i] = v;
        }
        for (int64_t x = 0; x < dk; x++)
            w += z[x] * a->q[t * dk + x];
        for (int64_t i = 0; i < dv; i++) {
            double y = 0;

            for (int64_t x = 0; x < dk; x++)
                y += M[i * dk + x] * a->q[t * dk + x];
            a->y[t * dv + i] = y / sqrt(1 + w * w);
        }
    }
}

static const struct matrix plain = {0}, before = {.before = true, .c = 1.5}, frozen = {.frozen = 5},
                           frozen_before = {.frozen = 5, .before = true, .c = 1.5}, lasting = {.no_forget = true},
                           bare = {.no_forget = true, .no_momentum = true},
                           gated = {.error = LOCI_SCAN_ERROR_DECAYED, .no_momentum = true},
                           gated_frozen = {.error = LOCI_SCAN_ERROR_DECAYED, .frozen = 4},
                           hebbian = {.error = LOCI_SCAN_ERROR_NONE, .no_momentum = true, .no_step = true},
                           pushed = {.error = LOCI_SCAN_ERROR_NONE};

#define MATRIX .id = "matrix", .formula = matrix_formula
#define GATES .forget = "alpha", .momentum = "eta", .top = {0.5, 0.95}
#define TOKENS [NOT_CHUNKED] = "the rule goes token by token"
#define STABLE [NOT_DIVERGING] = "every gate of its range is stable"
#define LATE \
    [NOT_STORING] = "the errors of a chunk are taken at its start", [NOT_CHUNKED] = "a frozen chunk is another rule"
#define ADDS [NOT_REPLACING] = "nothing is predicted, so nothing is replaced"

static const subject subjects[] = {
    {MATRIX, .name = "titans", .how = &plain, GATES, .calm = {0, -1, 0}, .storing = {0, 0, 1}, .why = {TOKENS, STABLE}},
    {MATRIX, .name = "titans, before, c = 1.5", .how = &before, .keys = {"before", "yes", "loss_scale", "1.5", NULL},
     GATES, .calm = {0, -1, 0.6}, .storing = {0, 0, 1 / 1.5}, .why = {TOKENS, STABLE}},
    {MATRIX, .name = "titans, frozen", .how = &frozen, .keys = {"chunk", "5", NULL}, .chunk = 5, .forget = "alpha",
     .momentum = "eta", .top = {0.5, 0.7, 0.3}, .calm = {0, -1, 0.2}, .diverging = {0, 0, 1}, .why = {LATE}},
    {MATRIX, .name = "titans, frozen, before, c = 1.5", .how = &frozen_before, .chunk = 5,
     .keys = {"chunk", "5", "before", "yes", "loss_scale", "1.5", NULL}, .forget = "alpha", .momentum = "eta",
     .top = {0.5, 0.7, 0.2}, .calm = {0, -1, 0.1}, .diverging = {0, 0, 1}, .why = {LATE}},
    {MATRIX, .name = "titans, not forgetting", .how = &lasting, .keys = {"forget", "no", NULL}, .momentum = "eta",
     .top = {0.9}, .calm = {-1, 0}, .storing = {0, 1}, .why = {TOKENS, STABLE, [NOT_FORGETTING] = "forget = no"}},
    {MATRIX, .name = "titans, learned start", .how = &plain, .keys = {"learned", "yes", NULL}, GATES,
     .calm = {0, -1, 0}, .storing = {0, 0, 1}, .why = {TOKENS, STABLE}},
    {MATRIX, .name = "delta", .how = &bare, .keys = {"forget", "no", "momentum", "no", NULL}, .storing = {1},
     .why = {TOKENS, STABLE, [NOT_FORGETTING] = "forget = no", [NOT_MOMENTUM] = "momentum = no"}},
    {MATRIX, .name = "gated delta", .how = &gated, .keys = {"error", "decayed", "momentum", "no", NULL},
     .forget = "alpha", .top = {0.5}, .storing = {0, 1}, .why = {TOKENS, STABLE, [NOT_MOMENTUM] = "momentum = no"}},
    {MATRIX, .name = "gated delta, frozen, with momentum", .how = &gated_frozen, .chunk = 4,
     .keys = {"error", "decayed", "chunk", "4", NULL}, .forget = "alpha", .momentum = "eta", .top = {0.5, 0.7, 0.3},
     .calm = {0, -1, 0.2}, .diverging = {0, 0, 1}, .why = {LATE}},
    {MATRIX, .name = "hebbian", .how = &hebbian, .keys = {"error", "none", "momentum", "no", "step", "no", NULL},
     .forget = "alpha", .top = {0.5}, .bound = 200, .storing = {0},
     .why = {TOKENS, STABLE, ADDS, [NOT_MOMENTUM] = "momentum = no"}},
    {MATRIX, .name = "hebbian with momentum", .how = &pushed, .keys = {"error", "none", NULL}, GATES, .bound = 400,
     .storing = {0, 0, 1}, .why = {TOKENS, STABLE, ADDS}},
    {.id = "wide", .name = "wide", .formula = wide_formula, .forget = "alpha", .top = {0.5, 0.9, 0.8}, .bound = 100,
     .why = {TOKENS, STABLE, [NOT_STORING] = "what it reads is normalised", [NOT_MOMENTUM] = "it has none"}},
};
SUITE_SUBJECTS(subjects)

static const loci_class *const classes[] = {&loci_rule_matrix, &loci_rule_wide};
const loci_plugin loci_plugin_v1 = {LOCI_PLUGIN_HEAD, "rules", "1", "Apache-2.0", 2, 0, classes};

/* ---- checkpoints and plans ---- */

/* The whole in one call, whose backward has checkpoints, and token by token, where there is nothing to keep. */
static void checkpoints_change_no_bit(void)
{
    SUITE_EACH(s)
    for (int64_t T = 1; T <= 26; T++) {
        trial t = trial_new(s, 1, T, 2, 3, 2), one;
        bool same = true;
        rule r;

        t.runs[0].pos = 3;
        trial_fill(&t);
        one = trial_copy(&t);
        if (!subject_open(s, &r, 64, t.H, t.dk, t.dv, 1, NULL))
            return;
        trial_run(&r, &t, true);
        for (int64_t i = T - 1; i >= 0; i--) {
            trial step = trial_copy(&one);

            step.runs[0].len = (int32_t)i;
            trial_run(&r, &step, false);
            for (int n = 0; n < RULE_MOST && i; n++)
                memcpy(step.x[PART_STATE + n], step.out[n], (size_t)step.n[PART_STATE + n] * sizeof(double));
            step.runs[0] = (loci_run){0, (int32_t)i, 1, 0, 3 + i, 0};
            trial_run(&r, &step, true);
            for (int n = 0; n < RULE_MOST; n++)
                memcpy(one.dout[n], step.dx[PART_STATE + n], (size_t)step.n[PART_STATE + n] * sizeof(double));
            for (int p = 0; p < PART_STATE; p++) {
                const int64_t n = step.wide[p] * t.H;

                same = same && !memcmp(step.dx[p] + i * n, t.dx[p] + i * n, (size_t)n * sizeof(double));
            }
            trial_free(&step);
        }
        for (int n = 0; n < RULE_MOST; n++)
            same = same && !memcmp(one.dout[n], t.dx[PART_STATE + n], (size_t)t.n[PART_STATE + n] * sizeof(double));
        CK_TRUE(same, "%s, %d tokens", s->name, (int)T);
        rule_close(&r);
        trial_free(&t);
        trial_free(&one);
    }
}

/* It grows with T, it is less than all states, and it holds for T tokens cut into runs of any length. */
static void a_plan_covers_every_smaller_call(void)
{
    loci_need last = {.struct_size = sizeof last};
    rule r;

    CK_OK(rule_open(&r, "matrix", 64, 2, 3, 2, 2, NULL));
    for (int64_t T = 0; T < 200; T++) {
        const loci_shape shape = rule_shape(&r, LOCI_X_SAVE, 3, T, 3 * T);
        const uint64_t all = (uint64_t)(3 * T * r.H * 2 * r.dk * r.dv) * sizeof(double);
        loci_need need = {.struct_size = sizeof need};

        CK_OK(r.cls->plan(r.m, &shape, LOCI_OP_STEP, &need, &ck_err));
        CK_TRUE(need.scratch >= last.scratch && need.saved >= last.saved, "less for %d tokens", (int)T);
        CK_TRUE(T < 100 || need.saved < all / 5, "%d tokens keep %d bytes", (int)T, (int)need.saved);
        last = need;
    }
    rule_close(&r);
    for (int32_t T = 1; T <= 16; T++)
        for (int32_t len = 1; len <= T; len++) {
            trial t = trial_new(&subjects[0], 1, T, 2, 3, 2);

            for (t.n_runs = 0; ((int32_t)t.n_runs + 1) * len <= T; t.n_runs++)
                t.runs[t.n_runs] = (loci_run){0, (int32_t)t.n_runs * len, len, (int32_t)t.n_runs, 0, t.n_runs};
            t.states = t.n_runs;
            trial_fill(&t);
            trial_once(&t, 64, NULL, true);
            trial_free(&t);
        }
}

static void a_call_that_was_not_planned_for_is_refused(void)
{
    const loci_run run = {0, 0, 9, 0, 0, 0};
    const loci_batch batch = {sizeof batch, 1, &run, NULL};
    loci_rule_io io = {.struct_size = sizeof io, .op = LOCI_OP_WRITE, .batch = &batch};
    loci_slots slots = {.struct_size = sizeof slots};
    char few[64];
    loci_exec x;
    box v;
    rule r;

    CK_OK(rule_open(&r, "matrix", 32, 2, 3, 2, 1, NULL));
    box_make(&v, NULL, 32, 4, 1, 9, 2, 2);
    x = ck_exec(&r.h);
    x.scratch = few;
    x.scratch_bytes = sizeof few;
    io.v = &v.t;
    CU_ASSERT(r.iface->forward(r.m, &x, &slots, &io, &ck_err) == LOCI_E_ARG);
    CU_ASSERT(strstr(ck_err.msg, "64 bytes of scratch") && strstr(ck_err.msg, "plan for it"));
    box_take(&v, NULL);
    rule_close(&r);
}

static void sizes_beyond_memory_are_refused_with_a_remedy(void)
{
    loci_need need = {.struct_size = sizeof need};
    loci_shape shape;
    rule r;

    CK_OK(rule_open(&r, "matrix", 64, INT64_C(1) << 20, INT64_C(1) << 20, INT64_C(1) << 20, 1, NULL));
    shape = rule_shape(&r, LOCI_X_SAVE, INT64_C(1) << 20, 4, 1);
    CU_ASSERT(r.cls->plan(r.m, &shape, LOCI_OP_STEP, &need, &ck_err) == LOCI_E_NOMEM);
    CU_ASSERT(strstr(ck_err.msg, "1048576 rows of 4 tokens") && strstr(ck_err.msg, "train.batch"));
    rule_close(&r);
}

/* Every row of states begins with its own head's weights; what is not learned, with zeros. */
static void a_learned_start_is_the_weight_of_its_head(void)
{
    static const loci_run runs[] = {{0, 0, 1, 2, 0, 0}, {1, 0, 1, 0, 0, 1}};
    const loci_batch batch = {sizeof batch, 2, runs, NULL};
    double *z0 = numbers(3 * 4, 1);
    loci_tensor states[3];
    loci_slots slots = {.struct_size = sizeof slots, .n_state = 3, .n_params = 1, .state_out = states};
    box state[3], weight;
    loci_exec x;
    rule r;

    CK_OK(rule_open(&r, "wide", 64, 3, 4, 2, 1, NULL));
    x = ck_exec(&r.h);
    for (uint32_t i = 0; i < 3; i++) {
        box_state(&state[i], &r, i, NULL, 3);
        box_fill(&state[i], SENTINEL);
        states[i] = state[i].t;
    }
    box_shape(&weight, z0, 64, 2, r.weight_shape[0]);
    slots.params = &weight.t;
    CK_OK(r.iface->state_init(r.m, &x, &slots, &batch, &ck_err));
    for (int64_t i = 0; i < 3 * 3 * 4; i++)
        CU_ASSERT(box_at(&state[1], i) == (i / 12 == 1 ? SENTINEL : z0[i % 12]));
    for (int64_t i = 0; i < state[0].n; i++)
        CU_ASSERT(box_at(&state[0], i) == (i / 24 == 1 ? SENTINEL : 0));
    for (int i = 0; i < 3; i++)
        box_take(&state[i], NULL);
    box_take(&weight, NULL);
    free(z0);
    rule_close(&r);
}

/* ---- what the class says ---- */

static void the_tables_become_slots_gates_and_keys(void)
{
    const char *const off[] = {"momentum", "no", "forget", "no", "chunk", "4", NULL};
    rule r;

    CK_OK(rule_open(&r, "wide", 32, 3, 8, 4, 1, NULL));
    CU_ASSERT(!strcmp(r.cls->version, "2.5") && r.cls->state_version == 3 && r.cls->n_keys == 1);
    CU_ASSERT(r.n_state == 3 && r.n_weight == 1 && r.n_gate == 3);
    CU_ASSERT(!strcmp(r.state[2].name, "R") && r.state[2].ndim == 4 && r.state_shape[2][0] == -1);
    CU_ASSERT(r.state_shape[2][1] == 3 && r.state_shape[2][2] == 2 && r.state_shape[2][3] == 4);
    CU_ASSERT(r.state[1].ndim == 3 && r.state_shape[1][2] == 8);
    CU_ASSERT(!strcmp(r.weight[0].name, "z0") && r.weight[0].ndim == 2 && r.weight[0].flags == LOCI_SLOT_NO_DECAY);
    CU_ASSERT(r.weight[0].init == LOCI_INIT_NORMAL && r.weight[0].b == 0.5 && r.weight_shape[0][0] == 3);
    CU_ASSERT(r.gate[0].width == 8 && r.gate[1].width == 1 && r.gate[2].width == 2 && isinf(r.gate[2].hi));
    CU_ASSERT(r.gate[2].lo == -1 && r.gate[1].init == 0.5);
    rule_close(&r);
    CK_OK(rule_open(&r, "matrix", 32, 3, 8, 4, 1, off));
    CU_ASSERT(r.n_state == 2 && !strcmp(r.state[0].name, "M") && !strcmp(r.state[1].name, "C"));
    CU_ASSERT(r.n_gate == 1 && !strcmp(r.gate[0].name, "theta") && r.n_weight == 0 && r.cls->n_keys == 8);
    CU_ASSERT(r.cls->keys[1]->type == LOCI_KEY_ENUM && !strcmp(r.cls->keys[1]->choices, "undecayed|decayed|none"));
    rule_close(&r);
}

static loci_status no_gates(const loci_host *h, void *decl, const loci_gate *gate, uint32_t *index)
{
    (void)h, (void)decl, (void)gate, (void)index;
    return LOCI_E_UNSUPPORTED;
}

static void what_the_host_refuses_is_left_to_the_host_to_say(void)
{
    rule r;

    CK_OK(rule_open(&r, "wide", 32, 2, 8, 8, 1, NULL));
    r.h.host.declare_gate = no_gates;
    r.n_state = r.n_weight = 0;
    CU_ASSERT(r.cls->declare(r.m, &r, &ck_err) == LOCI_E_UNSUPPORTED);
    CU_ASSERT(ck_err.code == LOCI_OK && ck_err.msg[0] == 0);
    rule_close(&r);
}

static void fit_of(rule *r, const loci_shape *shape, const char *reason)
{
    const loci_config config = rule_config(r);
    loci_fit f = {.struct_size = sizeof f};

    CU_ASSERT(r->cls->fit(&r->h.host, &config, shape, &f) == LOCI_OK);
    CK_TRUE((f.score == 0) == (reason != NULL) && (!reason || strstr(f.reason, reason)), "%d: %s", f.score, f.reason);
}

static void fit_and_create_say_why_not(void)
{
    const char *const narrow[] = {"widest", "7", NULL};
    loci_shape shape;
    rule r;

    CK_OK(rule_open(&r, "wide", 32, 2, 8, 8, 1, NULL));
    shape = rule_shape(&r, 0, 0, 0, 0);
    fit_of(&r, &shape, NULL);
    shape.device.type = LOCI_CUDA;
    fit_of(&r, &shape, "run.device = cpu");
    shape.device.type = LOCI_CPU;
    shape.dtype = (loci_dtype){LOCI_BFLOAT, 16, 1};
    fit_of(&r, &shape, "run.dtype");
    rule_close(&r);
    CU_ASSERT(rule_open(&r, "wide", 32, 2, 8, 8, 1, narrow) == LOCI_E_UNSUPPORTED);
    CU_ASSERT(strstr(ck_err.msg, "dk is above widest") && !strcmp(ck_err.where, "memory/wide"));
    shape = rule_shape(&r, 0, 0, 0, 0);
    fit_of(&r, &shape, "dk is above widest");
    rule_close(&r);
}

#define TESTS(X) \
    SUITE(X) \
    X(checkpoints_change_no_bit) \
    X(a_plan_covers_every_smaller_call) \
    X(a_call_that_was_not_planned_for_is_refused) \
    X(sizes_beyond_memory_are_refused_with_a_remedy) \
    X(a_learned_start_is_the_weight_of_its_head) \
    X(the_tables_become_slots_gates_and_keys) \
    X(what_the_host_refuses_is_left_to_the_host_to_say) \
    X(fit_and_create_say_why_not)

CK_MAIN("rule", TESTS)
