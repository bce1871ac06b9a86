/* SPDX-License-Identifier: Apache-2.0
 *
 * core/device/fused.h against its formulas in float64, over tails, families of inputs, every way to lie in one's own
 * input, and thread counts.
 */
#include "core/device/fused.h"
#include "tests/unit/ops_tools.h"

static const int64_t lengths[] = {1, 2, 7, 8, 9, 15, 16, 17, 31, 33, 64, 100, 768};
#define N_LENGTHS (sizeof lengths / sizeof *lengths)

static const loci_fused *fused(void)
{
    return rig.h.host.get_ext(&rig.h.host, rig.x.device, LOCI_EXT_FUSED);
}

static void add_norm__is_a_sum_and_its_norm(void)
{
    EACH_RIG(which, 2)
    for (size_t k = 0; k < N_LENGTHS; k++)
        for (int form = 0; form < 4; form++) { /* u apart, u in a, u in b, without stat */
            const int64_t rows = 37, n = lengths[k];
            struct ck_t a = ck_new(rig.bits, form == 1, 2, SHAPE(rows, n), NULL), b = ck_new(rig.bits, 0, 2, SHAPE(rows, n), NULL),
                        u = ck_new(rig.bits, 0, 2, SHAPE(rows, n), NULL), y = ck_new(rig.bits, form == 0, 2, SHAPE(rows, n), NULL),
                        gain = ck_new(rig.bits, 0, 1, SHAPE(n), NULL), stat = ck_new(rig.bits, 0, 1, SHAPE(rows), NULL);
            struct ck_t *to = form == 1 ? &a : form == 2 ? &b : &u;
            double *sum, *out, *r;
            ck_fill(&a, form == 3 ? 1e-3 : 1);
            ck_fill(&b, 1);
            ck_fill(&gain, 1);
            sum = ck_read(&a);
            out = ck_read(&a);
            r = ck_read(&stat);
            for (int64_t i = 0; i < rows; i++) {
                double square = 0;
                for (int64_t c = i * n; c < i * n + n; c++) {
                    sum[c] = ck_get(&a, c) + ck_get(&b, c);
                    square += sum[c] * sum[c];
                }
                r[i] = 1 / sqrt(square / (double)n + 1e-5);
                for (int64_t c = i * n; c < i * n + n; c++)
                    out[c] = sum[c] * r[i] * ck_get(&gain, c - i * n);
            }
            CK_TRUE(fused()->add_norm(&rig.x, T(to), T(&y), form == 3 ? NULL : T(&stat), T(&a), T(&b), T(&gain), 1e-5,
                                      &ck_err) == LOCI_OK, "%s", ck_err.msg);
            judge("sum", n, to, sum);
            judge("norm", n, &y, out);
            if (form < 3)
                judge("stat", n, &stat, r);
            free(sum);
            free(out);
            free(r);
            for (int i = 0; i < 6; i++)
                ck_drop((struct ck_t *[]){&a, &b, &u, &y, &gain, &stat}[i]);
        }
}

/* ---- activations ------------------------------------------------------------------------------------------------ */

static double sigmoid(double x)
{
    return x >= 0 ? 1 / (1 + exp(-x)) : exp(x) / (1 + exp(x));
}

static double gelu_of(double x)
{
    return x * sigmoid(2 * sqrt(2 / acos(-1)) * (x + 0.044715 * x * x * x));
}

static double silu_of(double x)
{
    return x * sigmoid(x);
}

/* By differences of fourth order: good to 1e-11 where f is of order one. */
static double slope(double (*f)(double), double x)
{
    const double h = 2e-3;

    return (8 * (f(x + h) - f(x - h)) - (f(x + 2 * h) - f(x - 2 * h))) / (12 * h);
}

static double silu_slope(double x)
{
    const double s = sigmoid(x);

    return s + x * s * (1 - s);
}

static double gelu_slope(double x)
{
    const double a = 2 * sqrt(2 / acos(-1)), s = sigmoid(a * (x + 0.044715 * x * x * x));

    return s + x * s * (1 - s) * a * (1 + 3 * 0.044715 * x * x);
}

static void the_slopes_of_this_test_are_slopes(void)
{
    for (double x = -8; x < 8; x += 0.37) {
        CK_TRUE(fabs(silu_slope(x) - slope(silu_of, x)) < 1e-9, "silu at %g", x);
        CK_TRUE(fabs(gelu_slope(x) - slope(gelu_of, x)) < 1e-9, "gelu at %g", x);
    }
}

/* Inputs of a family: of order one, wide, saturated, far beyond. */
static void draw(struct ck_t *t, int family)
{
    ck_fill(t, family == 0 ? 1 : family == 1 ? 6 : family == 2 ? 60 : 1e4);
}

static void swiglu_back__is_the_formula_wherever_it_lies(void)
{
    EACH_RIG(which, 2)
    for (size_t k = 0; k < N_LENGTHS; k++)
        for (int form = 0; form < 8; form++) { /* families; from 4 on as the model has it: in its inputs */
            const int64_t rows = 11, n = lengths[k];
            struct ck_t t[6]; /* y dg du g u dy */
            double *want[3];
            const bool in_place = form >= 4;
            for (int i = 0; i < 6; i++) {
                t[i] = ck_new(rig.bits, i == form % 4, 2, SHAPE(rows, n), NULL);
                draw(&t[i], i == 3 ? form % 4 : 0);
            }
            for (int i = 0; i < 3; i++)
                want[i] = ck_read(&t[i]);
            for (int64_t i = 0; i < rows * n; i++) {
                const double g = ck_get(&t[3], i), u = ck_get(&t[4], i), dy = ck_get(&t[5], i);
                want[0][i] = silu_of(g) * u;
                want[1][i] = silu_slope(g) * u * dy;
                want[2][i] = silu_of(g) * dy;
            }
            CK_TRUE(fused()->swiglu_back(&rig.x, T(&t[in_place ? 5 : 0]), T(&t[in_place ? 3 : 1]), T(&t[in_place ? 4 : 2]),
                                         T(&t[3]), T(&t[4]), T(&t[5]), &ck_err) == LOCI_OK, "%s", ck_err.msg);
            rig.floor = 1;
            judge("y", n * 10 + form, &t[in_place ? 5 : 0], want[0]);
            judge("dg", n * 10 + form, &t[in_place ? 3 : 1], want[1]);
            judge("du", n * 10 + form, &t[in_place ? 4 : 2], want[2]);
            for (int i = 0; i < 6; i++)
                ck_drop(&t[i]);
            for (int i = 0; i < 3; i++)
                free(want[i]);
        }
}

static void gelu_back__is_the_formula_wherever_it_lies(void)
{
    EACH_RIG(which, 2)
    for (size_t k = 0; k < N_LENGTHS; k++)
        for (int form = 0; form < 8; form++) {
            const int64_t rows = 11, n = lengths[k];
            struct ck_t t[4]; /* y dg g dy */
            double *want[2];
            const bool in_place = form >= 4;
            for (int i = 0; i < 4; i++) {
                t[i] = ck_new(rig.bits, i == form % 4, 2, SHAPE(rows, n), NULL);
                draw(&t[i], i == 2 ? form % 4 : 0);
            }
            for (int i = 0; i < 2; i++)
                want[i] = ck_read(&t[i]);
            for (int64_t i = 0; i < rows * n; i++) {
                const double g = ck_get(&t[2], i);
                want[0][i] = gelu_of(g);
                want[1][i] = (fabs(g) < 30 ? gelu_slope(g) : g > 0) * ck_get(&t[3], i);
            }
            CK_TRUE(fused()->gelu_back(&rig.x, T(&t[in_place ? 3 : 0]), T(&t[in_place ? 2 : 1]), T(&t[2]), T(&t[3]),
                                       &ck_err) == LOCI_OK, "%s", ck_err.msg);
            rig.floor = 1;
            judge("y", n * 10 + form, &t[in_place ? 3 : 0], want[0]);
            judge("dg", n * 10 + form, &t[in_place ? 2 : 1], want[1]);
            for (int i = 0; i < 4; i++)
                ck_drop(&t[i]);
            for (int i = 0; i < 2; i++)
                free(want[i]);
        }
}

/* ---- refusals and threads --------------------------------------------------------------------------------------- */

static void fused__refuses_other_shapes_and_gaps(void)
{
    struct ck_t a, b, gap, gain;

    CU_ASSERT_TRUE_FATAL(rig_open(0, 1));
    a = ck_new(64, 0, 2, SHAPE(3, 4), NULL);
    b = ck_new(64, 0, 2, SHAPE(4, 3), NULL);
    gap = ck_new(64, 0, 2, SHAPE(3, 4), SHAPE(5, 1));
    gain = ck_new(64, 0, 1, SHAPE(3), NULL);
    CU_ASSERT_EQUAL(fused()->gelu_back(&rig.x, T(&a), T(&a), T(&b), T(&a), NULL), LOCI_E_ARG);
    CU_ASSERT_EQUAL(fused()->gelu_back(&rig.x, T(&a), T(&a), T(&gap), T(&a), NULL), LOCI_E_ARG);
    CU_ASSERT_EQUAL(fused()->swiglu_back(&rig.x, T(&a), T(&a), T(&a), T(&a), NULL, T(&a), NULL), LOCI_E_ARG);
    CU_ASSERT_EQUAL(fused()->add_norm(&rig.x, T(&a), T(&a), NULL, T(&a), T(&a), T(&gain), 1e-5, NULL), LOCI_E_ARG);
    CU_ASSERT_TRUE(ck_intact(&a) && ck_intact(&gap));
    ck_drop(&a);
    ck_drop(&b);
    ck_drop(&gap);
    ck_drop(&gain);
    ck_host_close(&rig.h);
}

static uint64_t all_hash(int which, int threads)
{
    struct ck_t t[6], gain, stat;
    uint64_t h = 1;

    if (!rig_open(which, threads))
        return 0;
    for (int i = 0; i < 6; i++) {
        t[i] = ck_new(rig.bits, 0, 2, SHAPE(150, 300), NULL);
        ck_fill(&t[i], 1);
    }
    gain = ck_new(rig.bits, 0, 1, SHAPE(300), NULL);
    stat = ck_new(rig.bits, 0, 1, SHAPE(150), NULL);
    ck_fill(&gain, 1);
    CU_ASSERT_EQUAL(fused()->swiglu_back(&rig.x, T(&t[0]), T(&t[1]), T(&t[2]), T(&t[3]), T(&t[4]), T(&t[5]), NULL), 0);
    CU_ASSERT_EQUAL(fused()->gelu_back(&rig.x, T(&t[4]), T(&t[5]), T(&t[0]), T(&t[1]), NULL), 0);
    CU_ASSERT_EQUAL(fused()->add_norm(&rig.x, T(&t[3]), T(&t[0]), T(&stat), T(&t[4]), T(&t[2]), T(&gain), 1e-5, NULL), 0);
    for (int i = 0; i < 6; i++) {
        h = ck_hash(&t[i], h);
        ck_drop(&t[i]);
    }
    h = ck_hash(&stat, h);
    ck_drop(&gain);
    ck_drop(&stat);
    ck_host_close(&rig.h);
    return h;
}

static void fused__gives_the_same_bits_for_any_number_of_threads(void)
{
    for (int which = 0; which < 4; which++) {
        const uint64_t one = all_hash(which, 1);
        CU_ASSERT_EQUAL(one, all_hash(which, 2));
        CU_ASSERT_EQUAL(one, all_hash(which, 4));
    }
}

#define TESTS(X) \
    X(add_norm__is_a_sum_and_its_norm) \
    X(the_slopes_of_this_test_are_slopes) \
    X(swiglu_back__is_the_formula_wherever_it_lies) \
    X(gelu_back__is_the_formula_wherever_it_lies) \
    X(fused__refuses_other_shapes_and_gaps) \
    X(fused__gives_the_same_bits_for_any_number_of_threads)
CK_MAIN("fused", TESTS)
