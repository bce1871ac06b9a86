/* SPDX-License-Identifier: Apache-2.0
 *
 * mem_delta through the suite of memory rules, and the rules it equals.
 */
#include "tests/unit/matrix.h"
#include "tests/unit/suite.h"

#define CALM .no_momentum = true
static const struct matrix first = {CALM, .error = LOCI_SCAN_ERROR_DECAYED}, last = {CALM},
                           deltanet = {CALM, .no_forget = true},
                           before = {CALM, .error = LOCI_SCAN_ERROR_DECAYED, .before = true},
                           frozen = {CALM, .error = LOCI_SCAN_ERROR_DECAYED, .frozen = 5},
                           frozen_last = {CALM, .before = true, .frozen = 3};

#define OWN .id = "delta", .formula = matrix_formula
#define RECURRENCE .recurrence = {"mode", "sequential", NULL}
#define FORGETS .forget = "alpha", .top = {0.5}, .storing = {0, 1}
#define NO_MOMENTUM [NOT_MOMENTUM] = "the rule has none"
#define STABLE [NOT_DIVERGING] = "unit keys are stable for every gate in range"
#define LATE [NOT_STORING] = "the errors of a chunk are taken at its start"
#define OTHER [NOT_CHUNKED] = "a frozen chunk is another rule, not the recurrence in chunks"

static const subject subjects[] = {
    {OWN, .name = "gated delta rule", .keys = {"chunk", "5", NULL}, .how = &first, .chunk = 5, FORGETS, RECURRENCE,
     .why = {NO_MOMENTUM, STABLE}},
    {OWN, .name = "in one-token steps", .keys = {"mode", "sequential", NULL}, .how = &first, FORGETS,
     .why = {NO_MOMENTUM, STABLE, [NOT_CHUNKED] = "it is the recurrence"}},
    {OWN, .name = "before the write", .keys = {"read_order", "before_write", "init_state", "learned", NULL},
     .how = &before, .chunk = 16, FORGETS, RECURRENCE, .why = {NO_MOMENTUM, STABLE}},
    {OWN, .name = "error before forgetting", .keys = {"decay_order", "error_on_undecayed", "chunk", "5", NULL},
     .how = &last, .chunk = 5, FORGETS, RECURRENCE, .why = {NO_MOMENTUM, STABLE}},
    {OWN, .name = "DeltaNet with reflections", .keys = {"forget", "no", "beta_max", "2", "chunk", "5", NULL},
     .how = &deltanet, .chunk = 5, .storing = {1}, RECURRENCE,
     .why = {NO_MOMENTUM, STABLE, [NOT_FORGETTING] = "forget = no"}},
    {OWN, .name = "frozen", .keys = {"mode", "frozen", "chunk", "5", NULL}, .how = &frozen, .chunk = 5,
     .forget = "alpha", .top = {0.5, 0.5}, .calm = {0, 0.2}, .diverging = {0, 1}, .why = {NO_MOMENTUM, LATE, OTHER}},
    {OWN, .name = "frozen, before the write, error before forgetting",
     .keys = {"mode", "frozen", "chunk", "3", "read_order", "before_write", "decay_order", "error_on_undecayed", NULL},
     .how = &frozen_last, .chunk = 3, .forget = "alpha", .top = {0.5, 0.5}, .calm = {0, 0.3}, .diverging = {0, 1},
     .why = {NO_MOMENTUM, LATE, OTHER}},
};
SUITE_SUBJECTS(subjects)

/* ---- what it equals --------------------------------------------------------------------------------------------- */

/* Runs class `cls` with `keys` on the trial's inputs and returns its distance from the trial's results. */
static double other_apart(const trial *t, const loci_class *cls, const char *const *keys)
{
    trial u = trial_copy(t);
    double off = INFINITY;
    rule r;

    CK_TRUE(rule_open_class(&r, cls, 64, t->H, t->dk, t->dv, 1, keys, NULL) == LOCI_OK, "%s", ck_err.msg);
    if (trial_run(&r, &u, true))
        off = farther(results_apart(&u, t), gradients_apart(&u, t));
    rule_close(&r);
    trial_free(&u);
    return off;
}

/* Outputs, states and all gradients; in chunks and frozen. */
static void with_the_error_before_forgetting_it_is_titans_without_momentum(void)
{
    const loci_class *titans = rule_class_of("mem_titans", "titans");

    for (int mode = 0; mode < 3; mode++)
        for (int forget = 0; forget < 2; forget++) {
            const char *const choice[] = {"mode",   mode == 0 ? "exact" : mode == 1 ? "frozen" : "sequential",
                                          "chunk",  "5",
                                          "forget", forget ? "yes" : "no",
                                          NULL};
            const char *const ours[] = {
                "decay_order", "error_on_undecayed", choice[0], choice[1], choice[2], choice[3], choice[4], choice[5],
                NULL};
            const char *const theirs[] = {"momentum", "no",      choice[0], choice[1], choice[2],
                                          choice[3],  choice[4], choice[5], NULL};
            subject s = {OWN, .name = "an equal"};
            trial t, d;
            double off;

            memcpy(s.keys, ours, sizeof ours);
            t = ragged(&s, LOCI_OP_STEP, 2, 6, 5);
            trial_once(&t, 64, NULL, true);
            off = other_apart(&t, titans, theirs);
            CK_TRUE(off < 1e-12, "%s, forget %d: %g", choice[1], forget, off);
            d = trial_copy(&t); /* and the other order is another rule, wherever there is forgetting */
            trial_once(&d, 64, (const char *const[]){"decay_order", "error_on_decayed", NULL}, false);
            CU_ASSERT(forget ? results_apart(&d, &t) > 1e-3 : results_apart(&d, &t) < 1e-14);
            trial_free(&d);
            trial_free(&t);
        }
}

/* Both orders are one rule in other variables: theta = (1 - alpha) beta and v / (1 - alpha) turn the second into gated
 * DeltaNet, M = g M (I - beta k k') + beta v k'. */
static void both_orders_are_gated_deltanet(void)
{
    trial a = trial_new(&subjects[0], 2, 30, 2, 6, 5), b;
    double *want;

    trial_fill(&a);
    want = numbers(a.n_y, 0);
    for (int64_t item = 0; item < 4; item++)
        for (int64_t t = 0; t < 30; t++) {
            const int64_t at = trial_at(&a, &a.runs[item / 2], t, item % 2);
            const double g = 1 - a.x[PART_GATE][at], beta = a.x[PART_GATE + 1][at];
            const double *k = a.x[PART_K] + at * 6, *q = a.x[PART_Q] + at * 6;
            double *M = a.out[0] + item * 30;

            if (t == 0)
                memcpy(M, a.x[PART_STATE] + item * 30, 30 * sizeof *M);
            for (int i = 0; i < 5; i++) {
                double Mk = 0;

                for (int x = 0; x < 6; x++)
                    Mk += M[i * 6 + x] * k[x];
                for (int x = 0; x < 6; x++) {
                    M[i * 6 + x] = g * (M[i * 6 + x] - beta * Mk * k[x]) + beta * a.x[PART_V][at * 5 + i] * k[x];
                    want[at * 5 + i] += M[i * 6 + x] * q[x];
                }
            }
        }
    trial_once(&a, 64, NULL, false);
    CK_TRUE(apart(a.y, want, a.n_y) < 1e-13, "error after forgetting: %g", apart(a.y, want, a.n_y));
    b = trial_copy(&a);
    b.s = &subjects[3];
    for (int64_t i = 0; i < b.n[PART_GATE]; i++) {
        const double g = 1 - b.x[PART_GATE][i];

        b.x[PART_GATE + 1][i] *= g;
        for (int64_t x = 0; x < 5; x++)
            b.x[PART_V][i * 5 + x] /= g;
    }
    trial_once(&b, 64, NULL, false);
    CK_TRUE(apart(b.y, want, a.n_y) < 1e-13, "error before forgetting: %g", apart(b.y, want, a.n_y));
    trial_free(&a);
    trial_free(&b);
    free(want);
}

/* theta = 0: M only decays, and what is read is 1/sqrt(dk) of it. */
static void without_steps_the_memory_decays(void)
{
    static const subject s = {OWN, .name = "decay", .keys = {"q_scale", "rsqrt_dk", "chunk", "4", NULL}};
    trial t = trial_new(&s, 1, 10, 1, 9, 4);
    double want[40] = {0}, keep = 1;

    trial_fill(&t);
    for (int i = 0; i < 10; i++) {
        t.x[PART_GATE + 1][i] = 0;
        keep *= 1 - t.x[PART_GATE][i];
        for (int r = 0; r < 4; r++)
            for (int x = 0; x < 9; x++)
                want[i * 4 + r] += keep * t.x[PART_STATE][r * 9 + x] * t.x[PART_Q][i * 9 + x] / 3;
    }
    trial_once(&t, 64, NULL, false);
    CU_ASSERT(apart(t.y, want, 40) < 1e-14);
    trial_free(&t);
}

/* theta = 2 turns what is stored under a key into its opposite about v. */
static void a_step_of_two_reflects(void)
{
    trial t = equal_tokens(&subjects[4], 1, 8);
    double *y;

    t.x[PART_GATE][0] = 2;
    trial_once(&t, 64, NULL, false);
    y = t.y;
    for (int i = 0; i < 8; i++)
        CU_ASSERT(fabs(y[i] - (2 * t.x[PART_V][i] - t.x[PART_STATE][i * 8 + 3])) < 1e-14);
    trial_free(&t);
}

/* ---- what the class declares ------------------------------------------------------------------------------------ */

static void it_declares_its_gates_states_and_start(void)
{
    const char *const keys[] = {"mode", "frozen", "beta_max", "2", "init_state", "learned", NULL};
    const char *const few[] = {"forget", "no", NULL};
    rule r;

    CK_OK(rule_open(&r, "delta", 32, 2, 8, 4, 1, keys));
    CU_ASSERT(r.n_state == 2 && !strcmp(r.state[0].name, "M") && !strcmp(r.state[1].name, "C"));
    CU_ASSERT(r.n_weight == 1 && !strcmp(r.weight[0].name, "M0") && r.weight[0].flags == LOCI_SLOT_NO_DECAY);
    CU_ASSERT(r.n_gate == 2 && !strcmp(r.gate[0].name, "alpha") && !strcmp(r.gate[1].name, "theta"));
    CU_ASSERT(r.gate[0].hi == 1 && r.gate[1].hi == 2 && r.gate[1].init == 1);
    rule_close(&r);
    CK_OK(rule_open(&r, "delta", 32, 2, 8, 4, 1, few));
    CU_ASSERT(r.n_state == 1 && r.n_weight == 0 && r.n_gate == 1 && !strcmp(r.gate[0].name, "theta"));
    rule_close(&r);
}

static const void *no_scan(const loci_host *h, loci_device device, const char *id)
{
    return !strcmp(id, LOCI_EXT_SCAN) ? NULL : ck_host_get_ext(h, device, id);
}

static void fit_and_create_say_why_not(void)
{
    const loci_site site = {sizeof site, 0, 1, 0, "layer.0.memory"};
    rule r;
    loci_shape shape;
    loci_config config;
    loci_module *m = NULL;
    loci_fit f = {.struct_size = sizeof f};

    CK_OK(rule_open(&r, "delta", 32, 2, 8, 8, 1, NULL));
    config = rule_config(&r);
    shape = rule_shape(&r, 0, 0, 0, 0);
    CU_ASSERT(r.cls->fit(&r.h.host, &config, &shape, &f) == LOCI_OK && f.score == 100);
    shape.dtype = (loci_dtype){LOCI_BFLOAT, 16, 1};
    CU_ASSERT(r.cls->fit(&r.h.host, &config, &shape, &f) == LOCI_OK && f.score == 0 && strstr(f.reason, "float32"));
    shape.dtype = shape.acc;
    r.h.host.get_ext = no_scan;
    CU_ASSERT(r.cls->fit(&r.h.host, &config, &shape, &f) == LOCI_OK && f.score == 0 && strstr(f.reason, "loci.scan/1"));
    CU_ASSERT(r.cls->create(&r.h.host, &config, &site, &shape, &m, &ck_err) == LOCI_E_DEVICE && m == NULL);
    CU_ASSERT(strstr(ck_err.msg, "loci.scan/1") && !strcmp(ck_err.where, "memory/delta"));
    rule_close(&r);
}

#define TESTS(X) \
    SUITE(X) \
    X(with_the_error_before_forgetting_it_is_titans_without_momentum) \
    X(both_orders_are_gated_deltanet) \
    X(without_steps_the_memory_decays) \
    X(a_step_of_two_reflects) \
    X(it_declares_its_gates_states_and_start) \
    X(fit_and_create_say_why_not)

CK_MAIN("delta", TESTS)
