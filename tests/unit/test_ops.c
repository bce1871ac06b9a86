/* SPDX-License-Identifier: Apache-2.0
 *
 * Elementwise operations and rows of matrices against plain float64 loops: every length around a vector's width,
 * misaligned, in place, broadcast, in gaps. It is long as the table of operations is: a plain loop for each of them.
 */
#include "tests/unit/ops_tools.h"

static const int64_t lengths[] = {1, 2, 7, 8, 9, 15, 16, 17, 31, 33, 64, 100, 1000};
#define N_LENGTHS (sizeof lengths / sizeof *lengths)

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

static double gelu_u(double x)
{
    return sqrt(2 / 3.14159265358979323846) * (x + 0.044715 * x * x * x);
}

static double f1(int32_t f, double x)
{
    switch (f) {
    case LOCI_MAP_SIGMOID:
        return sigmoid(x);
    case LOCI_MAP_SILU:
        return x * sigmoid(x);
    case LOCI_MAP_GELU:
        return 0.5 * x * (1 + tanh(gelu_u(x)));
    case LOCI_MAP_SOFTPLUS:
        return x > 30 ? x + log1p(exp(-x)) : log1p(exp(x));
    case LOCI_MAP_EXP:
        return exp(x);
    default:
        return x;
    }
}

static double f2(int32_t f, double a, double b)
{
    double s = sigmoid(a), u = tanh(gelu_u(a));

    switch (f) {
    case LOCI_MAP_ADD:
        return a + b;
    case LOCI_MAP_MUL:
        return a * b;
    case LOCI_MAP_SILU_BACK:
        return (s + a * s * (1 - s)) * b;
    case LOCI_MAP_GELU_BACK:
        return (0.5 * (1 + u) + 0.5 * a * (1 - u * u) * sqrt(2 / 3.14159265358979323846) * (1 + 3 * 0.044715 * a * a)) *
               b;
    case LOCI_MAP_SOFTPLUS_BACK:
        return s * b;
    case LOCI_MAP_SIGMOID_BACK:
        return s * (1 - s) * b;
    case LOCI_MAP_SIGMOID_BACK_Y:
        return a * (1 - a) * b;
    case LOCI_MAP_SILU_BACK2:
        return s * (1 - s) * (2 + a * (1 - 2 * s)) * b;
    case LOCI_MAP_GELU_BACK2: { /* 0.5 x (1 + tanh p(x)), p = c (x + 0.044715 x^3), differentiated twice */
        const double c = sqrt(2 / 3.14159265358979323846), p1 = c * (1 + 3 * 0.044715 * a * a);
        return (1 - u * u) * (p1 + 0.5 * a * (6 * c * 0.044715 * a - 2 * u * p1 * p1)) * b;
    }
    default:
        return a * s * b;
    }
}

static void map1__matches_the_formula_at_every_length(void)
{
    EACH_RIG(which, 2)
    for (size_t k = 0; k < N_LENGTHS; k++)
        for (int32_t f = LOCI_MAP_COPY; f <= LOCI_MAP_EXP; f++)
            for (int form = 0; form < 4; form++) {
                int64_t n = lengths[k];
                double alpha = form == 2 ? -1.5 : 1, beta = form == 3 ? 0.25 : 0, *want;
                struct ck_t a = ck_new(rig.bits, form == 1, 1, &n, NULL);
                struct ck_t y = ck_new(rig.bits, form == 1, 1, &n, NULL);
                ck_fill(&a, 3);
                if (form == 3)
                    ck_fill(&y, 1);
                want = ck_read(&y);
                for (int64_t i = 0; i < n; i++)
                    want[i] = alpha * f1(f, ck_get(&a, i)) + (beta == 0 ? 0 : beta * want[i]);
                rig.floor = 0.1;
                CK_TRUE(rig.ops->map1(&rig.x, f, T(&y), T(&a), alpha, beta, &ck_err) == 0, "%s", ck_err.msg);
                judge("map1", f * 10000 + n, &y, want);
                if (form < 3) { /* and over its own input */
                    CU_ASSERT_EQUAL(rig.ops->map1(&rig.x, f, T(&a), T(&a), alpha, 0, &ck_err), 0);
                    judge("map1 in place", f * 10000 + n, &a, want);
                }
                free(want);
                ck_drop(&a);
                ck_drop(&y);
            }
}

static void map2__matches_the_formula_at_every_length(void)
{
    EACH_RIG(which, 2)
    for (size_t k = 0; k < N_LENGTHS; k++)
        for (int32_t f = LOCI_MAP_ADD; f <= LOCI_MAP_GELU_BACK2; f++)
            for (int form = 0; form < 5; form++) {
                int64_t n = lengths[k];
                double alpha = form == 2 ? -1.5 : 1, beta = form == 1 ? 0.25 : 0, *want;
                struct ck_t a = ck_new(rig.bits, form == 1, 1, &n, NULL), b = ck_new(rig.bits, 0, 1, &n, NULL);
                struct ck_t y = ck_new(rig.bits, form == 1, 1, &n, NULL), *out = form == 3 ? &a : form == 4 ? &b : &y;
                ck_fill(&a, 3);
                ck_fill(&b, 1);
                if (form == 1)
                    ck_fill(&y, 1);
                want = ck_read(&y);
                for (int64_t i = 0; i < n; i++)
                    want[i] = alpha * f2(f, ck_get(&a, i), ck_get(&b, i)) + (beta == 0 ? 0 : beta * want[i]);
                rig.floor = 0.1;
                CK_TRUE(rig.ops->map2(&rig.x, f, T(out), T(&a), T(&b), alpha, beta, &ck_err) == 0, "%s", ck_err.msg);
                judge("map2", f * 10000 + n, out, want);
                free(want);
                ck_drop(&a);
                ck_drop(&b);
                ck_drop(&y);
            }
}

/* Element by element, since a few large results would hide the small ones. */
static void map1__is_accurate_for_small_and_large_arguments(void)
{
    EACH_RIG(which, 1)
    for (int32_t f = LOCI_MAP_SIGMOID; f <= LOCI_MAP_EXP; f++) {
        struct ck_t a = ck_new(rig.bits, 0, 1, SHAPE(4001), NULL), y = ck_new(rig.bits, 0, 1, SHAPE(4001), NULL);
        double eps = rig.bits == 64 ? DBL_EPSILON : (double)FLT_EPSILON, worst = 0, where = 0;
        for (int64_t i = 0; i < a.n; i++)
            ck_set(&a, i,
                   i < 3000 ? (double)(i - 1500) * 0.0575 : pow(10, -(double)(i - 3000) / 30) * (i % 2 ? 1 : -1));
        CU_ASSERT_EQUAL(rig.ops->map1(&rig.x, f, T(&y), T(&a), 1, 0, &ck_err), 0);
        for (int64_t i = 0; i < a.n; i++) {
            double x = ck_get(&a, i), want = f1(f, x), room = 1;
            if (fabs(want) < (double)FLT_MIN)
                continue;
            if (f == LOCI_MAP_GELU) /* the exponent's own rounding is multiplied by its size */
                room = 2 + 2 * fabs(gelu_u(x)), want = x * sigmoid(2 * gelu_u(x));
            double e = fabs(ck_get(&y, i) - want) / fabs(want) / eps / room;
            if (e > worst)
                worst = e, where = x;
        }
        CK_TRUE(worst <= 4, "map1 %d, f%d %s: %.2f eps at %g", f, rig.bits, rig.level, worst, where);
        ck_drop(&a);
        ck_drop(&y);
    }
}

static void map1__keeps_its_limits_and_nan(void)
{
    static const double in[8] = {-1e30, -1000, -104, 104, 1000, 1e30, 0, 0};
    double inf = INFINITY;

    EACH_RIG(which, 1)
    {
        struct ck_t a = ck_new(rig.bits, 0, 1, SHAPE(24), NULL), y = ck_new(rig.bits, 0, 1, SHAPE(24), NULL);
        const double want[6][8] = {{0}, /* in float32; NaN: some number */
                                   {0, 0, 0, 1, 1, 1, 0.5, 0.5},
                                   {0, 0, 0, 104, 1000, NAN, 0, 0},
                                   {0, 0, 0, 104, 1000, NAN, 0, 0},
                                   {0, 0, 0, 104, 1000, NAN, NAN, NAN},
                                   {0, 0, 0, inf, inf, inf, 1, 1}};
        for (int32_t f = LOCI_MAP_SIGMOID; f <= LOCI_MAP_EXP; f++) {
            for (int i = 0; i < 24; i++)
                ck_set(&a, i, i == 20 ? NAN : in[i % 8]);
            CU_ASSERT_EQUAL(rig.ops->map1(&rig.x, f, T(&y), T(&a), 1, 0, &ck_err), 0);
            for (int i = 0; i < 24; i++) {
                double w = want[f][i % 8], got = ck_get(&y, i);
                if (i == 20)
                    CK_TRUE(isnan(got), "map1 %d of NaN is %g", f, got);
                else if (rig.bits == 32 && !isnan(w))
                    CK_TRUE(got == w, "map1 %d of %g is %g, %s", f, in[i % 8], got, rig.level);
                else
                    CK_TRUE(!isnan(got), "map1 %d of %g is NaN, %s", f, in[i % 8], rig.level);
            }
        }
        for (int32_t f = LOCI_MAP_SILU_BACK; f <= LOCI_MAP_SIGMOID_BACK; f++) { /* the derivative at +-1e30 is 0 or 1 */
            struct ck_t one = ck_new(rig.bits, 0, 1, SHAPE(24), SHAPE(0));
            ck_const(&one, 1);
            for (int i = 0; i < 24; i++)
                ck_set(&a, i, i % 2 ? 1e30 : -1e30);
            CU_ASSERT_EQUAL(rig.ops->map2(&rig.x, f, T(&y), T(&a), T(&one), 1, 0, &ck_err), 0);
            for (int i = 0; i < 24; i++)
                CK_TRUE(ck_get(&y, i) == (f != LOCI_MAP_SIGMOID_BACK && i % 2), "map2 %d of 1e30 is %g", f,
                        ck_get(&y, i));
            ck_drop(&one);
        }
        ck_drop(&a);
        ck_drop(&y);
    }
}

/* The second derivative at +-1e30 is 0, and NaN stays NaN. */
static void map2__second_derivatives_keep_their_limits(void)
{
    EACH_RIG(which, 1)
    for (int32_t f = LOCI_MAP_SILU_BACK2; f <= LOCI_MAP_GELU_BACK2; f++) {
        struct ck_t a = ck_new(rig.bits, 0, 1, SHAPE(24), NULL), y = ck_new(rig.bits, 0, 1, SHAPE(24), NULL);
        struct ck_t one = ck_new(rig.bits, 0, 1, SHAPE(24), SHAPE(0));
        ck_const(&one, 1);
        for (int i = 0; i < 24; i++)
            ck_set(&a, i, i == 20 ? NAN : i % 2 ? 1e30 : -1e30);
        CK_OK(rig.ops->map2(&rig.x, f, T(&y), T(&a), T(&one), 1, 0, &ck_err));
        for (int i = 0; i < 24; i++)
            CK_TRUE(i == 20 ? isnan(ck_get(&y, i)) : ck_get(&y, i) == 0, "map2 %d of %g is %g", f, ck_get(&a, i),
                    ck_get(&y, i));
        ck_drop(&a);
        ck_drop(&y);
        ck_drop(&one);
    }
}

/* f'' against central differences of f', both ours. */
static void map2__second_derivatives_are_those_of_the_back_forms(void)
{
    static const int32_t pairs[][2] = {{LOCI_MAP_SILU_BACK, LOCI_MAP_SILU_BACK2},
                                       {LOCI_MAP_GELU_BACK, LOCI_MAP_GELU_BACK2}};
    const double h = 1e-4;

    CU_ASSERT_TRUE_FATAL(rig_open(0, 1));
    for (size_t p = 0; p < 2; p++) {
        struct ck_t a = ck_new(64, 0, 1, SHAPE(201), NULL), one = ck_new(64, 0, 1, SHAPE(201), SHAPE(0));
        struct ck_t at = ck_new(64, 0, 1, SHAPE(201), NULL), y = ck_new(64, 0, 1, SHAPE(201), NULL);
        double want[201] = {0}, worst = 0;
        ck_const(&one, 1);
        for (int step = -2; step <= 2; step++) {
            static const double weight[] = {1, -8, 0, 8, -1};
            for (int64_t i = 0; i < 201; i++)
                ck_set(&at, i, 0.1 * (double)(i - 100) + step * h);
            CK_OK(rig.ops->map2(&rig.x, pairs[p][0], T(&y), T(&at), T(&one), 1, 0, &ck_err));
            for (int64_t i = 0; i < 201; i++)
                want[i] += weight[step + 2] * ck_get(&y, i) / (12 * h);
        }
        for (int64_t i = 0; i < 201; i++)
            ck_set(&a, i, 0.1 * (double)(i - 100));
        CK_OK(rig.ops->map2(&rig.x, pairs[p][1], T(&y), T(&a), T(&one), 1, 0, &ck_err));
        for (int64_t i = 0; i < 201; i++)
            worst = fmax(worst, fabs(ck_get(&y, i) - want[i]));
        CK_TRUE(worst < 1e-10, "map2 %d: %g", pairs[p][1], worst); /* of numbers up to 1 */
        ck_drop(&a);
        ck_drop(&at);
        ck_drop(&one);
        ck_drop(&y);
    }
    ck_host_close(&rig.h);
}

/* Rows of any length, strided and broadcast, into a strided output; the same bits for any number of threads. */
static void dot__is_the_inner_product_of_rows(void)
{
    EACH_RIG(which, 2)
    for (size_t k = 0; k < N_LENGTHS; k++)
        for (int form = 0; form < 4; form++) {
            const int64_t n = lengths[k];
            const double alpha = form == 2 ? -1.5 : 1, beta = form == 3 ? 0.25 : 0;
            struct ck_t a = ck_new(rig.bits, form == 1, 3, SHAPE(3, 2, n), SHAPE(2 * n + 5, n + 2, 1));
            struct ck_t b = ck_new(rig.bits, 0, 3, SHAPE(3, 2, n),
                                   form == 1   ? SHAPE(0, n, 1)
                                   : form == 2 ? SHAPE(2, 1, 0)
                                               : SHAPE(2 * n, n, 1));
            struct ck_t y = ck_new(rig.bits, 0, 2, SHAPE(3, 2), SHAPE(7, 1));
            double *want;
            ck_fill(&a, 1);
            ck_fill(&b, 1);
            if (form == 3)
                ck_fill(&y, 1);
            want = ck_read(&y);
            for (int64_t r = 0; r < 6; r++) {
                double sum = 0;
                for (int64_t i = 0; i < n; i++)
                    sum += ck_get(&a, r * n + i) * ck_get(&b, r * n + i);
                want[r] = alpha * sum + (beta == 0 ? 0 : beta * want[r]);
            }
            rig.floor = sqrt((double)n) + 1; /* of a sum of n products of N(0, 1) */
            CK_TRUE(rig.ops->dot(&rig.x, T(&y), T(&a), T(&b), alpha, beta, &ck_err) == 0, "%s", ck_err.msg);
            judge("dot", form * 10000 + n, &y, want);
            free(want);
            ck_drop(&a);
            ck_drop(&b);
            ck_drop(&y);
        }
}

static void dot__refuses_what_does_not_fit(void)
{
    struct ck_t a, b, y;
    loci_error err = LOCI_ERROR_INIT;

    CU_ASSERT_TRUE_FATAL(rig_open(0, 1));
    a = ck_new(64, 0, 2, SHAPE(3, 4), NULL);
    b = ck_new(64, 0, 2, SHAPE(3, 5), NULL);
    y = ck_new(64, 0, 1, SHAPE(4), NULL);
    CU_ASSERT(rig.ops->dot(&rig.x, T(&y), T(&a), T(&b), 1, 0, NULL) == LOCI_E_ARG);
    CU_ASSERT(rig.ops->dot(&rig.x, T(&y), T(&a), T(&a), 1, 0, &err) == LOCI_E_ARG);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "axis 0 is 3 in a, 4 in out"));
    CU_ASSERT(rig.ops->dot(&rig.x, T(&a), T(&a), T(&a), 1, 0, NULL) == LOCI_E_ARG);
    ck_drop(&a);
    ck_drop(&b);
    ck_drop(&y);
    ck_host_close(&rig.h);
}

/* Derivatives of map2 against central differences of map1, both ours. */
static void map2__back_forms_are_the_derivatives_of_map1(void)
{
    static const int32_t pairs[][2] = {{LOCI_MAP_SIGMOID, LOCI_MAP_SIGMOID_BACK},
                                       {LOCI_MAP_SILU, LOCI_MAP_SILU_BACK},
                                       {LOCI_MAP_GELU, LOCI_MAP_GELU_BACK},
                                       {LOCI_MAP_SOFTPLUS, LOCI_MAP_SOFTPLUS_BACK}};
    const double h = 1e-5;

    CU_ASSERT_TRUE_FATAL(rig_open(0, 1));
    for (size_t p = 0; p < 4; p++) {
        struct ck_t a = ck_new(64, 0, 1, SHAPE(200), NULL), up = ck_new(64, 0, 1, SHAPE(200), NULL);
        struct ck_t down = ck_new(64, 0, 1, SHAPE(200), NULL), one = ck_new(64, 0, 1, SHAPE(200), SHAPE(0));
        struct ck_t d = ck_new(64, 0, 1, SHAPE(200), NULL);
        double worst = 0;
        ck_const(&one, 1);
        for (int64_t i = 0; i < 200; i++)
            ck_set(&a, i, 0.1 * (double)(i - 100) + h);
        CU_ASSERT_EQUAL(rig.ops->map1(&rig.x, pairs[p][0], T(&up), T(&a), 1, 0, &ck_err), 0);
        for (int64_t i = 0; i < 200; i++)
            ck_set(&a, i, ck_get(&a, i) - 2 * h);
        CU_ASSERT_EQUAL(rig.ops->map1(&rig.x, pairs[p][0], T(&down), T(&a), 1, 0, &ck_err), 0);
        for (int64_t i = 0; i < 200; i++)
            ck_set(&a, i, ck_get(&a, i) + h);
        CU_ASSERT_EQUAL(rig.ops->map2(&rig.x, pairs[p][1], T(&d), T(&a), T(&one), 1, 0, &ck_err), 0);
        for (int64_t i = 0; i < 200; i++)
            worst = fmax(worst, fabs((ck_get(&up, i) - ck_get(&down, i)) / (2 * h) - ck_get(&d, i)));
        CK_TRUE(worst < 1e-9, "function %d: %g", pairs[p][0], worst);
        ck_drop(&a);
        ck_drop(&up);
        ck_drop(&down);
        ck_drop(&one);
        ck_drop(&d);
    }
    ck_host_close(&rig.h);
}

static void map2__broadcasts_and_strides_in_five_dimensions(void)
{
    EACH_RIG(which, 2)
    for (int trial = 0; trial < 60; trial++) {
        int64_t shape[5], st[3][5], n = 1;
        int nd = 1 + (int)(ck_bits() % 5);
        struct ck_t t[3];
        double *want;
        for (int i = 0; i < nd; i++)
            shape[i] = 1 + (int64_t)(ck_bits() % (i == nd - 1 ? 37 : 5));
        for (int k = 0; k < 3; k++) {
            int64_t step = 1;
            for (int i = nd - 1; i >= 0; i--) {
                st[k][i] = k > 0 && ck_bits() % 3 == 0 ? 0 : step;
                step = step * shape[i] + (int64_t)(ck_bits() % 2 * (ck_bits() % 4));
            }
        }
        if (shape[nd - 1] == 1)
            st[1][nd - 1] = 5;
        for (int k = 0; k < 3; k++) {
            t[k] = ck_new(rig.bits, k, nd, shape, st[k]);
            ck_fill(&t[k], 1);
        }
        n = t[0].n;
        want = ck_read(&t[0]);
        for (int64_t i = 0; i < n; i++)
            want[i] = 2 * ck_get(&t[1], i) * ck_get(&t[2], i) + 0.5 * want[i];
        rig.floor = 1;
        CK_TRUE(rig.ops->map2(&rig.x, LOCI_MAP_MUL, T(&t[0]), T(&t[1]), T(&t[2]), 2, 0.5, &ck_err) == 0, "%s",
                ck_err.msg);
        judge("broadcast map2", trial, &t[0], want);
        for (int64_t i = 0; i < n; i++)
            want[i] = ck_get(&t[1], i);
        CK_TRUE(rig.ops->map1(&rig.x, LOCI_MAP_COPY, T(&t[0]), T(&t[1]), 1, 0, &ck_err) == 0, "%s", ck_err.msg);
        judge("broadcast map1", trial, &t[0], want);
        for (int64_t i = 0; i < n; i++)
            want[i] = -3;
        CU_ASSERT_EQUAL(rig.ops->fill(&rig.x, T(&t[0]), -3, &ck_err), 0);
        judge("fill", trial, &t[0], want);
        free(want);
        for (int k = 0; k < 3; k++)
            ck_drop(&t[k]);
    }
}

static void sum_rows__adds_all_leading_axes(void)
{
    static const int64_t rows[] = {0, 1, 5, 64, 300, 1100};

    EACH_RIG(which, 2)
    for (size_t k = 0; k < N_LENGTHS; k++)
        for (size_t r = 0; r < sizeof rows / sizeof *rows; r++)
            for (int form = 0; form < 3; form++) {
                int64_t n = lengths[k], m = rows[r];
                double beta = form ? 0.5 * form : 0, *want;
                struct ck_t a =
                    ck_new(rig.bits, form == 1, 3, SHAPE(m, 2, n), SHAPE(2 * n + 5, n + 1, form == 2 ? 0 : 1));
                struct ck_t y = ck_new(rig.bits, 0, 1, &n, NULL);
                ck_fill(&a, 1);
                if (form)
                    ck_fill(&y, 1);
                want = ck_read(&y);
                for (int64_t c = 0; c < n; c++) {
                    double sum = 0;
                    for (int64_t i = 0; i < 2 * m; i++)
                        sum += ck_get(&a, i * n + c);
                    want[c] = sum + (form ? beta * want[c] : 0);
                }
                rig.floor = sqrt((double)m);
                CK_TRUE(rig.ops->sum_rows(&rig.x, T(&y), T(&a), beta, &ck_err) == 0, "%s", ck_err.msg);
                judge("sum_rows", n * 10000 + m, &y, want);
                free(want);
                ck_drop(&a);
                ck_drop(&y);
            }
}

static void take_and_put__move_rows_by_index(void)
{
    EACH_RIG(which, 2)
    for (size_t k = 0; k < N_LENGTHS; k++)
        for (int form = 0; form < 3; form++) {
            int64_t n = lengths[k], m = 40, R = 13, row = 2 * n;
            struct ck_t idx = ck_new(-32, 0, 1, &m, NULL);
            struct ck_t a =
                ck_new(rig.bits, form == 1, 3, SHAPE(R, 2, n), form == 2 ? SHAPE(2 * n + 9, n + 2, 1) : NULL);
            struct ck_t y =
                ck_new(rig.bits, form == 1, 3, SHAPE(m, 2, n), form == 2 ? SHAPE(2 * n + 3, n + 1, 1) : NULL);
            double beta = form == 1 ? 0.5 : form == 2, *want, *add;
            ck_fill(&a, 1);
            if (form)
                ck_fill(&y, 1);
            for (int64_t i = 0; i < m; i++)
                ck_set(&idx, i, (double)(ck_bits() % (uint64_t)(R + 1)) - 1);
            want = ck_read(&y);
            for (int64_t i = 0; i < m * row; i++) {
                int64_t from = (int64_t)ck_get(&idx, i / row);
                want[i] = (from < 0 ? 0 : ck_get(&a, from * row + i % row)) + (form ? beta * want[i] : 0);
            }
            rig.floor = 0.1;
            CK_TRUE(rig.ops->take(&rig.x, T(&y), T(&a), T(&idx), beta, &ck_err) == 0, "%s", ck_err.msg);
            judge("take", n, &y, want);
            add = ck_read(&a);
            for (int64_t i = 0; i < m * row; i++)
                if (ck_get(&idx, i / row) >= 0)
                    add[(int64_t)ck_get(&idx, i / row) * row + i % row] += ck_get(&y, i);
            CK_TRUE(rig.ops->put(&rig.x, T(&a), T(&y), T(&idx), &ck_err) == 0, "%s", ck_err.msg);
            judge("put", n, &a, add);
            free(want);
            free(add);
            ck_drop(&a);
            ck_drop(&y);
            ck_drop(&idx);
        }
}

static void take_and_put__refuse_an_index_outside_the_matrix(void)
{
    struct ck_t idx, a, y;

    CU_ASSERT_TRUE_FATAL(rig_open(0, 1));
    idx = ck_new(-32, 0, 1, SHAPE(3), NULL);
    a = ck_new(64, 0, 2, SHAPE(4, 2), NULL);
    y = ck_new(64, 0, 2, SHAPE(3, 2), NULL);
    ck_const(&idx, 0);
    for (int bad = -2; bad <= 4; bad += 6) {
        loci_error err = LOCI_ERROR_INIT;
        ck_set(&idx, 1, bad);
        CU_ASSERT_EQUAL(rig.ops->take(&rig.x, T(&y), T(&a), T(&idx), 0, &err), LOCI_E_ARG);
        CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "the matrix has 4 rows"));
        CU_ASSERT_EQUAL(rig.ops->put(&rig.x, T(&a), T(&y), T(&idx), NULL), LOCI_E_ARG);
    }
    ck_drop(&idx);
    ck_drop(&a);
    ck_drop(&y);
    ck_host_close(&rig.h);
}

static void rope__turns_halves_and_copies_the_rest(void)
{
    static const int64_t sizes[][3] = {{2, 2, 1}, {8, 8, 3}, {64, 32, 2}, {17, 6, 2}, {5, 0, 2}, {1040, 1040, 1}};

    EACH_RIG(which, 2)
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
        for (int form = 0; form < 4; form++) {
            int64_t d = sizes[s][0], rot = sizes[s][1], H = sizes[s][2], tokens = 2 * 9;
            int64_t st[4] = {9 * (H * d + 3) + 11, H * d + 3, d, 1};
            struct ck_t x = ck_new(rig.bits, form == 1, 4, SHAPE(2, 9, H, d), form ? st : NULL);
            struct ck_t y = ck_new(rig.bits, 0, 4, SHAPE(2, 9, H, d), form == 1 ? NULL : form ? st : NULL);
            struct ck_t pos = ck_new(-32, 0, 2, SHAPE(2, 9), form == 2 ? SHAPE(0, 1) : NULL);
            double dir = form == 2 ? -1 : 1, *want;
            ck_fill(&x, 1);
            for (int64_t i = 0; i < tokens; i++)
                ck_set(&pos, i, i % 5 == 4 ? -1 : i % 7 == 6 ? 100000 + (double)i : (double)(3 * i));
            want = ck_read(&x);
            for (int64_t t = 0; t < tokens; t++)
                for (int64_t h = 0; h < H; h++)
                    for (int64_t i = 0; i < rot / 2; i++) {
                        int64_t at = (t * H + h) * d + i;
                        double p = ck_get(&pos, t), angle = dir * p * pow(10000, -2.0 * (double)i / (double)rot);
                        double u = want[at], v = want[at + rot / 2];
                        if (p < 0)
                            continue;
                        want[at] = u * cos(angle) - v * sin(angle);
                        want[at + rot / 2] = v * cos(angle) + u * sin(angle);
                    }
            CK_TRUE(rig.ops->rope(&rig.x, form == 3 ? T(&x) : T(&y), T(&x), T(&pos), rot, 10000, dir, &ck_err) == 0,
                    "%s", ck_err.msg);
            judge("rope", d, form == 3 ? &x : &y, want);
            free(want);
            ck_drop(&x);
            ck_drop(&y);
            ck_drop(&pos);
        }
}

/* Everything of this file with sizes that make several pieces; the hash of all results. */
static uint64_t all_hash(int which, int threads)
{
    struct ck_t a, b, y, n, idx, pos;
    uint64_t h = 1;

    if (!rig_open(which, threads))
        return 0;
    a = ck_new(rig.bits, 0, 4, SHAPE(3, 100, 4, 70), NULL);
    b = ck_new(rig.bits, 0, 4, SHAPE(3, 100, 4, 70), SHAPE(28000, 280, 70, 0));
    y = ck_new(rig.bits, 0, 4, SHAPE(3, 100, 4, 70), NULL);
    n = ck_new(rig.bits, 0, 1, SHAPE(70), NULL);
    idx = ck_new(-32, 0, 1, SHAPE(3), NULL);
    pos = ck_new(-32, 0, 2, SHAPE(3, 100), NULL);
    ck_fill(&a, 1);
    ck_fill(&b, 1);
    for (int64_t i = 0; i < 300; i++)
        ck_set(&pos, i, (double)i);
    ck_const(&idx, 2);
    CU_ASSERT_EQUAL(rig.ops->map2(&rig.x, LOCI_MAP_SILU_MUL, T(&y), T(&a), T(&b), 1, 0, &ck_err), 0);
    CU_ASSERT_EQUAL(rig.ops->map1(&rig.x, LOCI_MAP_GELU, T(&a), T(&y), 1, 1, &ck_err), 0);
    CU_ASSERT_EQUAL(rig.ops->sum_rows(&rig.x, T(&n), T(&a), 0, &ck_err), 0);
    h = ck_hash(&n, h);
    CU_ASSERT_EQUAL(rig.ops->put(&rig.x, T(&y), T(&a), T(&idx), &ck_err), 0);
    CU_ASSERT_EQUAL(rig.ops->take(&rig.x, T(&a), T(&y), T(&idx), 1, &ck_err), 0);
    CU_ASSERT_EQUAL(rig.ops->rope(&rig.x, T(&y), T(&a), T(&pos), 64, 10000, 1, &ck_err), 0);
    h = ck_hash(&a, ck_hash(&y, h));
    ck_drop(&a);
    ck_drop(&b);
    ck_drop(&y);
    ck_drop(&n);
    ck_drop(&idx);
    ck_drop(&pos);
    ck_host_close(&rig.h);
    return h;
}

static void ops__give_the_same_bits_for_any_number_of_threads(void)
{
    for (int which = 0; which < 4; which++) {
        uint64_t one = all_hash(which, 1);
        CU_ASSERT_EQUAL(one, all_hash(which, 2));
        CU_ASSERT_EQUAL(one, all_hash(which, 4));
    }
}

static void ops__refuse_what_breaks_their_rules(void)
{
    struct ck_t a, b, narrow, gap;
    loci_error err = LOCI_ERROR_INIT;

    CU_ASSERT_TRUE_FATAL(rig_open(0, 1));
    a = ck_new(64, 0, 2, SHAPE(3, 4), NULL);
    b = ck_new(64, 0, 2, SHAPE(3, 5), NULL);
    narrow = ck_new(32, 0, 2, SHAPE(3, 4), NULL);
    gap = ck_new(64, 0, 2, SHAPE(3, 4), SHAPE(8, 2));
    CU_ASSERT_EQUAL(rig.ops->map1(&rig.x, LOCI_MAP_COPY, T(&a), T(&b), 1, 0, &err), LOCI_E_ARG);
    CU_ASSERT_STRING_EQUAL(err.msg, "map1: a has shape [3,5]; it must be [3,4]");
    CU_ASSERT_EQUAL(rig.ops->map1(&rig.x, LOCI_MAP_COPY, T(&a), T(&narrow), 1, 0, NULL), LOCI_E_ARG);
    CU_ASSERT_EQUAL(rig.ops->map1(&rig.x, LOCI_MAP_COPY, T(&a), T(&gap), 1, 0, NULL), LOCI_E_ARG);
    CU_ASSERT_EQUAL(rig.ops->map1(&rig.x, 99, T(&a), T(&a), 1, 0, NULL), LOCI_E_ARG);
    CU_ASSERT_EQUAL(rig.ops->map1(&rig.x, LOCI_MAP_COPY, NULL, T(&a), 1, 0, NULL), LOCI_E_ARG);
    CU_ASSERT_EQUAL(rig.ops->map2(&rig.x, LOCI_MAP_ADD, T(&a), T(&a), NULL, 1, 0, NULL), LOCI_E_ARG);
    ck_drop(&a);
    ck_drop(&b);
    ck_drop(&narrow);
    ck_drop(&gap);
    ck_host_close(&rig.h);
    setenv("LOCI_CPU", "pentium", 1);
    err = (loci_error)LOCI_ERROR_INIT;
    CU_ASSERT_EQUAL(ck_host_open(&rig.h, 1, &err), LOCI_E_ARG);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "'pentium'"));
}

#define TESTS(X) \
    X(map1__matches_the_formula_at_every_length) \
    X(map2__matches_the_formula_at_every_length) \
    X(map1__is_accurate_for_small_and_large_arguments) \
    X(map1__keeps_its_limits_and_nan) \
    X(map2__back_forms_are_the_derivatives_of_map1) \
    X(map2__second_derivatives_keep_their_limits) \
    X(map2__second_derivatives_are_those_of_the_back_forms) \
    X(dot__is_the_inner_product_of_rows) \
    X(dot__refuses_what_does_not_fit) \
    X(map2__broadcasts_and_strides_in_five_dimensions) \
    X(sum_rows__adds_all_leading_axes) \
    X(take_and_put__move_rows_by_index) \
    X(take_and_put__refuse_an_index_outside_the_matrix) \
    X(rope__turns_halves_and_copies_the_rest) \
    X(ops__give_the_same_bits_for_any_number_of_threads) \
    X(ops__refuse_what_breaks_their_rules)
CK_MAIN("ops", TESTS)
