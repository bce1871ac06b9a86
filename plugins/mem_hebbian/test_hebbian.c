/* SPDX-License-Identifier: Apache-2.0
 *
 * mem_hebbian through the suite of memory rules, and the rules it equals.
 */
#include "tests/unit/matrix.h"
#include "tests/unit/suite.h"

#define BLIND .error = LOCI_SCAN_ERROR_NONE
static const struct matrix plain = {BLIND, .no_momentum = true}, before = {BLIND, .no_momentum = true, .before = true},
                           attention = {BLIND, .no_momentum = true, .no_forget = true, .no_step = true},
                           lasting = {BLIND}, fixed = {BLIND, .no_step = true};

#define OWN .id = "hebbian", .formula = matrix_formula
#define RECURRENCE .recurrence = {"mode", "sequential", NULL}
#define ADDS \
    [NOT_REPLACING] = "pairs are added, nothing is replaced", [NOT_DIVERGING] = "nothing is fed back: writes only add"
#define NO_MOMENTUM [NOT_MOMENTUM] = "momentum = no"

/* bound: 2000 pairs of length 1, or twice as many where a momentum writes them again. */
static const subject subjects[] = {
    {OWN, .name = "with forgetting", .keys = {"chunk", "5", NULL}, .how = &plain, .chunk = 5, .forget = "alpha",
     .top = {0.5}, .bound = 2010, .storing = {0, 1}, RECURRENCE, .why = {ADDS, NO_MOMENTUM}},
    {OWN, .name = "in one-token steps", .keys = {"mode", "sequential", NULL}, .how = &plain, .forget = "alpha",
     .top = {0.5}, .bound = 2010, .storing = {0, 1},
     .why = {ADDS, NO_MOMENTUM, [NOT_CHUNKED] = "it is the recurrence"}},
    {OWN, .name = "before the write", .keys = {"read_order", "before_write", "init_state", "learned", NULL},
     .how = &before, .chunk = 16, .forget = "alpha", .top = {0.5}, .bound = 2010, .storing = {0, 1}, RECURRENCE,
     .why = {ADDS, NO_MOMENTUM}},
    {OWN, .name = "linear attention", .keys = {"forget", "no", "step", "one", "chunk", "5", NULL}, .how = &attention,
     .chunk = 5, .bound = 2010, .storing = {1}, RECURRENCE,
     .why = {ADDS, NO_MOMENTUM, [NOT_FORGETTING] = "forget = no"}},
    {OWN, .name = "with momentum", .keys = {"momentum", "yes", "chunk", "5", NULL}, .how = &lasting, .chunk = 5,
     .forget = "alpha", .momentum = "eta", .top = {0.5, 0.95}, .calm = {0, 0.5}, .bound = 4020, .storing = {0, 0, 1},
     RECURRENCE, .why = {ADDS}},
    {OWN, .name = "with momentum and steps of one", .keys = {"momentum", "yes", "step", "one", "chunk", "5", NULL},
     .how = &fixed, .chunk = 5, .forget = "alpha", .momentum = "eta", .top = {0.5, 0.95}, .calm = {0, 0.5},
     .bound = 4020, .storing = {0, 0}, RECURRENCE, .why = {ADDS}},
};
SUITE_SUBJECTS(subjects)

/* alpha = 0, theta = 1: y = tril(Q K') V, causal attention without a softmax. */
static void without_forgetting_it_is_attention_without_softmax(void)
{
    trial t = trial_new(&subjects[3], 1, 90, 1, 6, 5);
    double *want;

    trial_fill(&t);
    memset(t.x[PART_STATE], 0, (size_t)t.n[PART_STATE] * sizeof(double));
    want = numbers(t.n_y, 0);
    for (int i = 0; i < 90; i++)
        for (int j = 0; j <= i; j++) {
            double score = 0;

            for (int x = 0; x < 6; x++)
                score += t.x[PART_Q][i * 6 + x] * t.x[PART_K][j * 6 + x];
            for (int x = 0; x < 5; x++)
                want[i * 5 + x] += score * t.x[PART_V][j * 5 + x];
        }
    trial_once(&t, 64, NULL, false);
    CU_ASSERT(apart(t.y, want, t.n_y) < 1e-14);
    free(want);
    trial_free(&t);
}

/* A constant decay is retention: y = (Q K' o D) V with D[i][j] = g^(i-j). */
static void with_a_constant_decay_it_is_retention(void)
{
    static const subject s = {OWN, .name = "retention", .keys = {"step", "one", NULL}};
    trial t = trial_new(&s, 1, 70, 1, 6, 5);
    double *want;

    trial_fill(&t);
    memset(t.x[PART_STATE], 0, (size_t)t.n[PART_STATE] * sizeof(double));
    want = numbers(t.n_y, 0);
    for (int i = 0; i < 70; i++) {
        t.x[PART_GATE][i] = 0.0625;
        for (int j = 0; j <= i; j++) {
            double score = pow(1 - 0.0625, i - j);

            for (int x = 0, n = 6; x < n; x++) {
                const double dot = t.x[PART_Q][i * 6 + x] * t.x[PART_K][j * 6 + x];

                for (int v = 0; v < 5; v++)
                    want[i * 5 + v] += score * dot * t.x[PART_V][j * 5 + v];
            }
        }
    }
    trial_once(&t, 64, NULL, false);
    CU_ASSERT(apart(t.y, want, t.n_y) < 1e-13);
    free(want);
    trial_free(&t);
}

/* From nothing, a single frozen chunk of Titans has no other error than -v. */
static void it_is_one_frozen_chunk_of_titans_from_nothing(void)
{
    static const char *const keys[] = {"mode", "frozen", "chunk", "100", NULL};
    trial t = trial_new(&subjects[4], 1, 60, 2, 6, 5), u;
    rule r;

    trial_fill(&t);
    memset(t.x[PART_STATE], 0, (size_t)t.n[PART_STATE] * sizeof(double));
    trial_once(&t, 64, NULL, false);
    u = trial_copy(&t);
    free(u.x[PART_STATE + 2]), free(u.out[2]), free(u.dout[2]); /* Titans has a state more */
    u.n[PART_STATE + 2] = u.n[PART_STATE];
    u.x[PART_STATE + 2] = numbers(u.n[PART_STATE], 0);
    u.out[2] = numbers(u.n[PART_STATE], 0);
    u.dout[2] = numbers(u.n[PART_STATE], 0);
    CK_OK(rule_open_class(&r, rule_class_of("mem_titans", "titans"), 64, 2, 6, 5, 1, keys, NULL));
    trial_run(&r, &u, false);
    rule_close(&r);
    CU_ASSERT(apart(u.y, t.y, t.n_y) < 1e-13);
    CU_ASSERT(apart(u.out[0], t.out[0], t.n[PART_STATE]) < 1e-13);
    CU_ASSERT(apart(u.out[1], t.out[1], t.n[PART_STATE]) < 1e-13);
    trial_free(&t);
    trial_free(&u);
}

/* What a second write of a key does is what sets it apart from the delta rule: the values add. */
static void a_second_write_of_a_key_adds(void)
{
    trial t = equal_tokens(&subjects[3], 3, 8);

    memset(t.x[PART_STATE], 0, (size_t)t.n[PART_STATE] * sizeof(double));
    trial_once(&t, 64, NULL, false);
    for (int i = 0; i < 3; i++)
        CU_ASSERT(t.y[i * 8 + 5] == i + 1 && t.y[i * 8 + 4] == 0);
    trial_free(&t);
}

static void it_declares_what_its_keys_ask_for(void)
{
    const char *const all[] = {"momentum", "yes", "init_state", "learned", NULL};
    rule r;

    CK_OK(rule_open(&r, "hebbian", 32, 2, 8, 4, 1, all));
    CU_ASSERT(r.n_state == 2 && !strcmp(r.state[0].name, "M") && !strcmp(r.state[1].name, "S"));
    CU_ASSERT(r.n_weight == 1 && !strcmp(r.weight[0].name, "M0"));
    CU_ASSERT(r.n_gate == 3 && !strcmp(r.gate[1].name, "eta") && r.gate[2].hi == 1);
    rule_close(&r);
    CK_OK(rule_open(&r, "hebbian", 32, 2, 8, 4, 1, subjects[3].keys));
    CU_ASSERT(r.n_state == 1 && r.n_weight == 0 && r.n_gate == 0);
    rule_close(&r);
}

#define TESTS(X) \
    SUITE(X) \
    X(without_forgetting_it_is_attention_without_softmax) \
    X(with_a_constant_decay_it_is_retention) \
    X(it_is_one_frozen_chunk_of_titans_from_nothing) \
    X(a_second_write_of_a_key_adds) \
    X(it_declares_what_its_keys_ask_for)

CK_MAIN("hebbian", TESTS)
