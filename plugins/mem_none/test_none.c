/* SPDX-License-Identifier: Apache-2.0
 *
 * mem_none: what zero and identity answer, in the runs and outside them.
 */
#include "tests/unit/rule.h"

static const loci_run runs[] = {{0, 1, 3, 0, 0, 0}, {1, 0, 0, 2, 4, 1}, {1, 2, 2, 1, 0, 2}};

static bool in_run(int64_t b, int64_t t)
{
    for (int i = 0; i < 3; i++)
        if (runs[i].row == b && t >= runs[i].begin && t < runs[i].begin + runs[i].len)
            return true;
    return false;
}

/* y begins as 7; element by element it must be `factor` v in the runs and 7 outside, and dv factor dy. */
static void check(const char *id, int op, int bits, double factor)
{
    double *v = numbers(2 * 4 * 2 * 3, 1), *y = numbers(48, 0), *dy = numbers(48, 1), *dv = numbers(48, 0);
    rule_call c = {
        .op = op, .B = 2, .T = 4, .states = 3, .runs = runs, .n_runs = 3, .v = v, .y = y, .dy = dy, .dv = dv};
    rule r;

    for (int i = 0; i < 48; i++) {
        y[i] = 7;
        if (bits == 32)
            v[i] = (float)v[i], dy[i] = (float)dy[i];
    }
    CK_OK(rule_open(&r, id, bits, 2, 5, 3, 1, NULL));
    CK_OK(rule_run(&r, &c, true));
    for (int i = 0; i < 48; i++) {
        const bool inside = in_run(i / 24, i / 6 % 4);

        CU_ASSERT(y[i] == (op == LOCI_OP_WRITE || !inside ? 7 : factor * v[i]));
        CU_ASSERT(dv[i] == (inside ? factor * dy[i] : 0));
    }
    free(v), free(y), free(dy), free(dv);
    rule_close(&r);
}

static void zero_answers_zero(void)
{
    for (int op = LOCI_OP_READ; op <= LOCI_OP_STEP; op++)
        for (int bits = 32; bits <= 64; bits += 32)
            check("zero", op, bits, 0);
}

static void identity_answers_v(void)
{
    check("identity", LOCI_OP_STEP, 32, 1);
    check("identity", LOCI_OP_STEP, 64, 1);
}

static void identity_reads_zero_and_writes_nothing(void)
{
    check("identity", LOCI_OP_READ, 64, 0);
    check("identity", LOCI_OP_WRITE, 64, 0);
}

static void neither_has_weights_states_or_gates(void)
{
    static const char *const ids[] = {"zero", "identity"};

    for (int i = 0; i < 2; i++) {
        loci_need need = {.struct_size = sizeof need};
        loci_shape shape;
        rule r;

        CK_OK(rule_open(&r, ids[i], 32, 2, 4, 4, 1, NULL));
        shape = rule_shape(&r, LOCI_X_SAVE, 8, 64, 8);
        CK_OK(r.cls->plan(r.m, &shape, LOCI_OP_STEP, &need, &ck_err));
        CU_ASSERT(r.n_weight + r.n_state + r.n_gate == 0 && need.scratch + need.saved + need.host == 0);
        CU_ASSERT(r.iface->needs == (i ? LOCI_MEM_V : 0u));
        rule_close(&r);
    }
}

static void fit_says_why_not(void)
{
    loci_fit f = {.struct_size = sizeof f};
    loci_shape shape;
    loci_config config;
    rule r;

    CK_OK(rule_open(&r, "zero", 32, 2, 4, 4, 1, NULL));
    config = rule_config(&r);
    shape = rule_shape(&r, 0, 0, 0, 0);
    CU_ASSERT(r.cls->fit(&r.h.host, &config, &shape, &f) == LOCI_OK && f.score > 0);
    shape.dtype = (loci_dtype){LOCI_BFLOAT, 16, 1};
    CU_ASSERT(r.cls->fit(&r.h.host, &config, &shape, &f) == LOCI_OK && f.score == 0 && strstr(f.reason, "float32"));
    rule_close(&r);
}

#define TESTS(X) \
    X(zero_answers_zero) \
    X(identity_answers_v) \
    X(identity_reads_zero_and_writes_nothing) \
    X(neither_has_weights_states_or_gates) \
    X(fit_says_why_not)

CK_MAIN("none", TESTS)
