/* SPDX-License-Identifier: Apache-2.0
 *
 * The plugin of examples/ttt_linear, which this program links, through the suite of memory rules. The formula is
 * written another way than there: the Jacobian of the layer norm as a matrix, and W as what a mini-batch found less the
 * sum of its steps.
 */
#include "tests/unit/suite.h"

#define D_MOST 80
enum { W, B, W_BATCH, B_BATCH }; /* states */
enum { W0, B0, GAIN, BIAS };     /* weights */

/* zh of W x + b, and J[i][j] = d zh_i / d z_j */
static void layer_norm(double *zh, double (*J)[D_MOST], const double *W_, const double *b, const double *x, int64_t d)
{
    double mean = 0, var = 0, sd;

    for (int64_t i = 0; i < d; i++) {
        zh[i] = b[i];
        for (int64_t c = 0; c < d; c++)
            zh[i] += W_[i * d + c] * x[c];
        mean += zh[i] / (double)d;
    }
    for (int64_t i = 0; i < d; i++)
        var += (zh[i] - mean) * (zh[i] - mean) / (double)d;
    sd = sqrt(var + 1e-6);
    for (int64_t i = 0; i < d; i++)
        zh[i] = (zh[i] - mean) / sd;
    for (int64_t i = 0; i < d && J; i++)
        for (int64_t j = 0; j < d; j++)
            J[i][j] = ((i == j) - 1 / (double)d - zh[i] * zh[j] / (double)d) / sd;
}

static void ttt(const head *a, const void *how)
{
    static double J[D_MOST][D_MOST];
    const int64_t d = a->dv, minibatch = (int64_t)(intptr_t)how;
    const double *gain = a->weight[GAIN] + a->h * d, *bias = a->weight[BIAS] + a->h * d;
    double zh[D_MOST];

    for (int64_t t = 0; t < a->T; t++) {
        const double *k = a->k + t * d, *v = a->v + t * d, *q = a->q + t * d;

        if (a->op != LOCI_OP_READ) {
            if ((a->pos + t) % minibatch == 0) {
                memcpy(a->state[W_BATCH], a->state[W], (size_t)(d * d) * sizeof(double));
                memcpy(a->state[B_BATCH], a->state[B], (size_t)d * sizeof(double));
            }
            layer_norm(zh, J, a->state[W_BATCH], a->state[B_BATCH], k, d);
            for (int64_t j = 0; j < d; j++) {
                double delta = 0;

                for (int64_t i = 0; i < d; i++)
                    delta += (k[i] + gain[i] * zh[i] + bias[i] - v[i]) * gain[i] * J[i][j];
                for (int64_t c = 0; c < d; c++)
                    a->state[W][j * d + c] -= a->gate[0][t] * delta * k[c];
                a->state[B][j] -= a->gate[0][t] * delta;
            }
        }
        if (a->op == LOCI_OP_WRITE)
            continue;
        layer_norm(zh, NULL, a->state[W], a->state[B], q, d);
        for (int64_t i = 0; i < d; i++)
            a->y[t * d + i] = q[i] + gain[i] * zh[i] + bias[i];
    }
}

#define WHY \
    { \
        [NOT_CHUNKED] = "mini-batches are part of the rule", [NOT_FORGETTING] = "it has no such gate", \
        [NOT_MOMENTUM] = "it has none", [NOT_STORING] = "a step moves towards the value, it does not arrive", \
        [NOT_REPLACING] = "a step moves towards the value, it does not arrive", \
        [NOT_DIVERGING] = "the norm inside the loss bounds what is read", \
        [NOT_STEADY] = "nothing is forgotten: what is written stays, its rounding too" \
    }
/* States of that size keep the norm's curvature within what differences of one step can follow. */
#define TTT .id = "org.example.ttt-linear", .formula = ttt, .square = true, .scale = {3, 3, 3, 3}, .why = WHY
#define EVERY(n) .how = (const void *)(intptr_t)(n), .chunk = n

static const subject subjects[] = {
    {TTT, .name = "mini-batches of 4", .keys = {"minibatch_tok", "4", NULL}, EVERY(4)},
    {TTT, .name = "token by token, small steps", .keys = {"minibatch_tok", "1", "rate", "0.5", NULL}, EVERY(1)},
};
SUITE_SUBJECTS(subjects)

static void its_norm_begins_as_none(void)
{
    rule r;

    CK_OK(rule_open(&r, "org.example.ttt-linear", 32, 2, 8, 8, 1, NULL));
    CU_ASSERT(r.n_weight == 4 && r.n_state == 4 && r.n_gate == 1);
    CU_ASSERT(!strcmp(r.weight[GAIN].name, "gain") && r.weight[GAIN].a == 1 && r.weight[GAIN].b == 0);
    CU_ASSERT(!strcmp(r.weight[BIAS].name, "bias") && r.weight[BIAS].a == 0 && r.weight[BIAS].b == 0);
    CU_ASSERT(r.weight[GAIN].ndim == 2 && r.weight_shape[GAIN][0] == 2 && r.weight_shape[GAIN][1] == 8);
    CU_ASSERT(r.gate[0].hi == 1.0 / 8);
    rule_close(&r);
}

static void keys_and_values_of_two_widths_are_refused(void)
{
    rule r;

    CU_ASSERT(rule_open(&r, "org.example.ttt-linear", 32, 2, 8, 4, 1, NULL) == LOCI_E_UNSUPPORTED);
    CU_ASSERT(strstr(ck_err.msg, "memory.dv = memory.dk") != NULL);
    rule_close(&r);
}

#define TESTS(X) \
    SUITE(X) \
    X(its_norm_begins_as_none) \
    X(keys_and_values_of_two_widths_are_refused)

CK_MAIN("ttt", TESTS)
