/* SPDX-License-Identifier: Apache-2.0
 *
 * Special cases of mem_titans that other rules are known by.
 */
#include "tests/unit/rule.h"

static const char *const modes[] = {"sequential", "exact", "frozen"};

/* One head, T tokens, one state; the rule's default gates; returns the outputs. */
static double *ask(rule *r, int64_t T, const double *q, const double *k, const double *v, const double *const gate[3],
                   double *const state[3])
{
    const loci_run run = {0, 0, (int32_t)T, 0, 0, 0};
    double *y = numbers(T * r->dv, 0);
    rule_call c = {.op = LOCI_OP_STEP, .B = 1, .T = T, .states = 1, .runs = &run, .n_runs = 1, .q = q, .k = k, .v = v};

    for (int i = 0; i < 3; i++) {
        c.gate[i] = gate[i];
        c.state[i] = c.out[i] = state[i];
    }
    c.y = y;
    CK_TRUE(rule_run(r, &c, false) == LOCI_OK, "%s", ck_err.msg);
    return y;
}

static double *constant(int64_t n, double value)
{
    double *a = numbers(n, 0);

    for (int64_t i = 0; i < n; i++)
        a[i] = value;
    return a;
}

/* theta = 1, eta = alpha = 0, orthonormal keys: every pair is stored, and a second write replaces the first. */
static void orthonormal_keys_are_recalled_and_overwritten(void)
{
    enum { D = 16 };
    for (int mode = 0; mode < 2; mode++) {
        const char *const keys[] = {"mode", modes[mode], "chunk", "7", NULL};
        double *eye = numbers(D * D, 0), *v = numbers(2 * D * D, 1), *k = numbers(2 * D * D, 0), *y;
        double *one = constant(2 * D, 1), *none = constant(2 * D, 0);
        double *state[3] = {numbers(D * D, 0), numbers(D * D, 0), numbers(D * D, 0)};
        const double *const gates[3] = {none, none, one};
        rule_call read = {.op = LOCI_OP_READ, .B = 1, .T = D, .states = 1, .n_runs = 1, .q = eye};
        const loci_run run = {0, 0, D, 0, 0, 0};
        rule r;

        for (int i = 0; i < D; i++)
            eye[i * D + i] = k[i * D + i] = k[(D + i) * D + i] = 1;
        CK_OK(rule_open(&r, "titans", 32, 1, D, D, 1, keys));
        y = ask(&r, 2 * D, k, k, v, gates, state);
        CU_ASSERT(ck_rms(y, v, 2 * D * D) < 1e-5); /* read right after each write */
        memset(y, 0, D * D * 8);
        read.runs = &run;
        read.y = y;
        for (int i = 0; i < 2; i++)
            read.state[i] = state[i];
        CK_OK(rule_run(&r, &read, false));
        CU_ASSERT(ck_rms(y, v + D * D, D * D) < 1e-5);
        free(y), free(eye), free(k), free(v), free(one), free(none);
        for (int i = 0; i < 3; i++)
            free(state[i]);
        rule_close(&r);
    }
}

/* theta = 0: M only decays, S only feeds what it holds. */
static void without_steps_the_memory_decays(void)
{
    for (int mode = 0; mode < 3; mode++) {
        const char *const keys[] = {"mode", modes[mode], "chunk", "4", NULL};
        double *x = numbers(10 * 3, 1), *alpha = constant(10, 0.1), *zero = constant(10, 0), *y;
        double *state[3] = {numbers(9, 1), numbers(9, 0), numbers(9, 0)}, *want = numbers(30, 0);
        const double *const gates[3] = {alpha, zero, zero};
        rule r;

        for (int t = 0; t < 10; t++)
            for (int i = 0; i < 3; i++)
                for (int j = 0; j < 3; j++)
                    want[t * 3 + i] += pow(0.9, t + 1) * state[0][i * 3 + j] * x[t * 3 + j];
        CK_OK(rule_open(&r, "titans", 64, 1, 3, 3, 1, keys));
        y = ask(&r, 10, x, x, x, gates, state);
        CU_ASSERT(ck_rms(y, want, 30) < 1e-14);
        free(y), free(want), free(x), free(alpha), free(zero);
        for (int i = 0; i < 3; i++)
            free(state[i]);
        rule_close(&r);
    }
}

/* frozen, one chunk for all, M_0 = 0, no gates but theta = 1: the error is -v, which is linear attention. */
static void one_frozen_chunk_from_zero_is_linear_attention(void)
{
    const char *const keys[] = {"mode", "frozen", "chunk", "100", NULL};
    double *q = numbers(90 * 4, 1), *k = numbers(90 * 4, 1), *v = numbers(90 * 4, 1), *want = numbers(90 * 4, 0), *y;
    double *one = constant(90, 1), *zero = constant(90, 0);
    double *state[3] = {numbers(16, 0), numbers(16, 0), numbers(16, 0)};
    const double *const gates[3] = {zero, zero, one};
    rule r;

    for (int t = 0; t < 90; t++)
        for (int s = 0; s <= t; s++)
            for (int i = 0; i < 4; i++) {
                double dot = 0;

                for (int x = 0; x < 4; x++)
                    dot += k[s * 4 + x] * q[t * 4 + x];
                want[t * 4 + i] += dot * v[s * 4 + i];
            }
    CK_OK(rule_open(&r, "titans", 64, 1, 4, 4, 1, keys));
    y = ask(&r, 90, q, k, v, gates, state);
    CU_ASSERT(ck_rms(y, want, 360) < 1e-13);
    free(y), free(want), free(q), free(k), free(v), free(one), free(zero);
    for (int i = 0; i < 3; i++)
        free(state[i]);
    rule_close(&r);
}

/* Gated DeltaNet decays first: M = g M (I - beta k k') + beta v k'. With g = 1 - alpha, beta = theta / (1 - alpha) and
 * v scaled by g the two are one rule. */
static void without_momentum_it_is_gated_deltanet_in_other_variables(void)
{
    const char *const keys[] = {"momentum", "no", "chunk", "7", NULL};
    double *q = numbers(30 * 4, 0.5), *k = numbers(30 * 4, 0.5), *v = numbers(30 * 4, 1), *want = numbers(120, 0), *y;
    double *alpha = numbers(30, 0), *theta = numbers(30, 0), *vg = numbers(120, 0), M[16] = {0};
    double *state[3] = {numbers(16, 0), numbers(16, 0), numbers(16, 0)};
    const double *const gates[3] = {alpha, theta, NULL};
    rule r;

    for (int t = 0; t < 30; t++) {
        const double g = 0.8 + 0.19 * ck_rand(), beta = 0.2 + 0.7 * ck_rand();

        alpha[t] = 1 - g;
        theta[t] = g * beta;
        for (int i = 0; i < 4; i++) {
            double Mk = 0;

            vg[t * 4 + i] = v[t * 4 + i] / g;
            for (int x = 0; x < 4; x++)
                Mk += M[i * 4 + x] * k[t * 4 + x];
            for (int x = 0; x < 4; x++) {
                M[i * 4 + x] = g * (M[i * 4 + x] - beta * Mk * k[t * 4 + x]) + beta * v[t * 4 + i] * k[t * 4 + x];
                want[t * 4 + i] += M[i * 4 + x] * q[t * 4 + x];
            }
        }
    }
    CK_OK(rule_open(&r, "titans", 64, 1, 4, 4, 1, keys));
    y = ask(&r, 30, q, k, vg, gates, state);
    CU_ASSERT(ck_rms(y, want, 120) < 1e-13);
    free(y), free(want), free(q), free(k), free(v), free(vg), free(alpha), free(theta);
    for (int i = 0; i < 3; i++)
        free(state[i]);
    rule_close(&r);
}

#define TESTS(X) \
    X(orthonormal_keys_are_recalled_and_overwritten) \
    X(without_steps_the_memory_decays) \
    X(one_frozen_chunk_from_zero_is_linear_attention) \
    X(without_momentum_it_is_gated_deltanet_in_other_variables)

CK_MAIN("titans_cases", TESTS)
