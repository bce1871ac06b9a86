/* SPDX-License-Identifier: Apache-2.0
 *
 * The plugin of examples/outside that this program links, through the suite of memory rules: oja.c here, oja_bare.c in
 * test_outside_bare.c.
 */
#include "tests/unit/suite.h"

#ifndef OUTSIDE_ID
#define OUTSIDE_ID "org.example.oja"
#endif

/* M_i += beta v_i (k - v_i M_i), y = M q */
static void oja(const head *a, const void *how)
{
    (void)how;
    for (int64_t t = 0; t < a->T; t++)
        for (int64_t i = 0; i < a->dv; i++) {
            double y = 0;

            for (int64_t x = 0; x < a->dk; x++) {
                double *M = &a->state[0][i * a->dk + x];

                if (a->op != LOCI_OP_READ) {
                    const double v = a->v[t * a->dv + i];

                    *M += a->gate[0][t] * v * (a->k[t * a->dk + x] - v * *M);
                }
                y += *M * a->q[t * a->dk + x];
            }
            a->y[t * a->dv + i] = y;
        }
}

#define WHY \
    {[NOT_CHUNKED] = "the rule goes token by token", [NOT_FORGETTING] = "what it forgets is no gate", \
     [NOT_MOMENTUM] = "it has none", [NOT_STORING] = "a write moves towards the key by v^2, it does not replace"}
#define OJA .id = OUTSIDE_ID, .formula = oja

/* Equal tokens have v = 1; beta v^2 = 3 is past the bound. */
static const subject subjects[] = {
    {OJA, .name = "oja", .diverging = {3}, .why = WHY},
    {OJA, .name = "oja, beta_max = 0.1", .keys = {"beta_max", "0.1", NULL}, .diverging = {3}, .why = WHY},
};
SUITE_SUBJECTS(subjects)

/* One unit whose output is held at 1 learns the mean of its keys; rows of v = 0 stay. */
static void a_row_becomes_the_mean_of_its_keys(void)
{
    enum { T = 4000, D = 3 };
    trial t = trial_new(&subjects[0], 1, T, 1, D, D);

    trial_fill(&t);
    for (int64_t i = 0; i < T; i++) {
        t.x[PART_GATE][i] = 0.01;
        for (int64_t x = 0; x < D; x++) {
            t.x[PART_K][i * D + x] = i % 2 ? x == 0 : x == 1; /* mean (1/2, 1/2, 0) */
            t.x[PART_V][i * D + x] = x == 2;
        }
    }
    trial_once(&t, 64, NULL, false);
    CU_ASSERT(!memcmp(t.out[0], t.x[PART_STATE], 2 * D * sizeof(double)));
    CU_ASSERT(fabs(t.out[0][2 * D] - 0.5) < 0.01 && fabs(t.out[0][2 * D + 1] - 0.5) < 0.01);
    CU_ASSERT(fabs(t.out[0][2 * D + 2]) < 1e-6);
    trial_free(&t);
}

static void beta_max_is_the_end_of_the_gates_range(void)
{
    const char *const keys[] = {"beta_max", "0.3", NULL};
    rule r;

    CK_OK(rule_open(&r, OUTSIDE_ID, 32, 2, 8, 4, 1, keys));
    CU_ASSERT(r.n_gate == 1 && r.gate[0].hi == 0.3 && r.gate[0].init == 0.15 && r.n_state == 1);
    rule_close(&r);
}

#define TESTS(X) \
    SUITE(X) \
    X(a_row_becomes_the_mean_of_its_keys) \
    X(beta_max_is_the_end_of_the_gates_range)

CK_MAIN("outside", TESTS)
