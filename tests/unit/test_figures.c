/* SPDX-License-Identifier: Apache-2.0
 *
 * Figures about tensors, by numbers that can be checked by hand; differences of files.
 */
#include "core/tensor/figures.h"
#include "tests/ck.h"
#include <unistd.h>

static loci_error ck_err = LOCI_ERROR_INIT;

#define NEAR(got, want) \
    CK_TRUE(fabs((double)(got) - (double)(want)) <= 1e-12 * fabs((double)(want)), "%.17g is not %.17g", (double)(got), \
            (double)(want))

static loci_named named(const char *name, const char *dtype, const void *data, int64_t rows, int64_t cols)
{
    loci_named t = {.name = name, .ndim = 2, .shape = {rows, cols}, .data = data};

    CU_ASSERT_TRUE(loci_dtype_named(&t.dtype, dtype));
    t.bytes = (uint64_t)(rows * cols) * loci_dtype_bytes(t.dtype);
    return t;
}

static void figures_are_those_of_the_numbers(void)
{
    const double x[] = {1, -3, 0, 4, 0, 10};
    loci_named t = named("x", "F64", x, 2, 3);
    loci_figures f = loci_figures_of(&t);

    CU_ASSERT_EQUAL(f.n, 6);
    CU_ASSERT_EQUAL(f.zeros, 2);
    CU_ASSERT_EQUAL(f.not_finite, 0);
    NEAR(f.mean, 2);
    NEAR(f.rms, sqrt(126 / 6.0));
    NEAR(f.std, sqrt(126 / 6.0 - 4));
    NEAR(f.min, -3);
    NEAR(f.max, 10);
    NEAR(f.max_abs, 10);
}

/* A variance taken as the mean of squares less the square of the mean would be 0 or worse here. */
static void a_small_spread_around_a_large_mean_keeps_its_digits(void)
{
    double x[1000] = {0};
    loci_named t = named("x", "F64", x, 10, 100);
    loci_figures f;

    for (int i = 0; i < 1000; i++)
        x[i] = 1e9 + (i % 2 ? 1e-3 : -1e-3);
    f = loci_figures_of(&t);
    CK_TRUE(fabs(f.std - 1e-3) < 1e-6, "std %.9g", f.std);
}

static void what_is_not_finite_is_counted_and_left_out(void)
{
    const float x[] = {2, NAN, INFINITY, -2, -INFINITY, 0};
    const float none[] = {NAN, NAN};
    loci_named t = named("x", "F32", x, 1, 6), u = named("u", "F32", none, 1, 2), empty = named("e", "F32", NULL, 0, 3);
    loci_figures f = loci_figures_of(&t);
    uint64_t bins[4];

    CU_ASSERT_EQUAL(f.not_finite, 3);
    NEAR(f.rms, sqrt(8 / 3.0));
    NEAR(f.max_abs, 2);
    loci_figures_bins(bins, 4, &t, &f);
    CU_ASSERT_EQUAL(bins[0] + bins[1] + bins[2] + bins[3], 3);
    f = loci_figures_of(&u);
    CU_ASSERT_EQUAL(f.not_finite, 2);
    CU_ASSERT_TRUE(isnan(f.mean) && isnan(f.rms) && isnan(f.max_abs));
    f = loci_figures_of(&empty);
    CU_ASSERT_EQUAL(f.n, 0);
    CU_ASSERT_TRUE(isnan(f.mean));
}

static void every_dtype_of_a_file_is_read(void)
{
    static const struct {
        const char *dtype;
        unsigned char bytes[8];
        double value;
    } cases[] = {
        {"F64", {0, 0, 0, 0, 0, 0, 0xf8, 0xbf}, -1.5},
        {"F32", {0, 0, 0x40, 0xc0}, -3},
        {"F16", {0x00, 0x3c}, 1},
        {"F16", {0x01, 0x80}, -0x1p-24}, /* the least subnormal */
        {"F16", {0xff, 0x7b}, 65504},    /* the greatest        */
        {"BF16", {0x40, 0x40}, 3},
        {"I64", {0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, -2},
        {"U64", {0, 0, 0, 0, 0, 0, 0, 0x80}, 0x1p63},
        {"I32", {0xff, 0xff, 0xff, 0xff}, -1},
        {"U32", {0xff, 0xff, 0xff, 0xff}, 4294967295.0},
        {"I16", {0x00, 0x80}, -32768},
        {"U16", {0xff, 0xff}, 65535},
        {"I8", {0x80}, -128},
        {"U8", {0xff}, 255},
        {"BOOL", {1}, 1},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        loci_named t = named("x", cases[i].dtype, cases[i].bytes, 1, 1);
        CK_TRUE(loci_named_value(&t, 0) == cases[i].value, "%s: %.17g is not %.17g", cases[i].dtype,
                loci_named_value(&t, 0), cases[i].value);
    }
}

static void the_last_bin_holds_the_greatest(void)
{
    const double x[] = {0, 0.1, 0.3, 0.6, 0.99, 1, 1}, same[] = {5, 5, 5};
    loci_named t = named("x", "F64", x, 1, 7), u = named("u", "F64", same, 1, 3);
    loci_figures f = loci_figures_of(&t), g = loci_figures_of(&u);
    uint64_t bins[4];

    loci_figures_bins(bins, 4, &t, &f);
    CU_ASSERT_EQUAL(bins[0], 2);
    CU_ASSERT_EQUAL(bins[1], 1);
    CU_ASSERT_EQUAL(bins[2], 1);
    CU_ASSERT_EQUAL(bins[3], 3);
    loci_figures_bins(bins, 4, &u, &g);
    CU_ASSERT_EQUAL(bins[0], 3);
}

static void quantiles_are_linear_between_ranks(void)
{
    loci_numbers v = {0};

    CU_ASSERT_TRUE(isnan(loci_numbers_quantile(&v, 0.5)));
    for (int i = 0; i < 1001; i++)
        CU_ASSERT_TRUE(loci_numbers_add(&v, (i * 8) % 1001));
    loci_numbers_sort(&v);
    NEAR(loci_numbers_quantile(&v, 0), 0);
    NEAR(loci_numbers_quantile(&v, 1), 1000);
    NEAR(loci_numbers_quantile(&v, 0.05), 50);
    NEAR(loci_numbers_quantile(&v, 0.99925), 999.25);
    loci_numbers_free(&v);
}

static loci_status write_and_open(loci_tensors **out, const loci_named *t, uint32_t n)
{
    char path[] = "/tmp/loci-figures-XXXXXX";
    int fd = mkstemp(path);
    loci_status status = fd < 0 ? LOCI_E_IO : loci_tensors_write(path, t, n, NULL, &ck_err);

    if (status == LOCI_OK)
        status = loci_tensors_open(out, path, &ck_err);
    if (fd >= 0)
        close(fd);
    unlink(path);
    return status;
}

static void differences_come_in_the_order_of_their_weight(void)
{
    const double equal[] = {1, 2, 3, 4}, a[] = {1, 1, 1, 1}, near[] = {1, 1, 1, 1.001}, far[] = {1, 1, 1, -1};
    const double nan_[] = {1, 1, 1, NAN};
    loci_named left[] = {named("equal", "F64", equal, 2, 2), named("near", "F64", a, 2, 2),
                         named("far", "F64", a, 2, 2),       named("shape", "F64", a, 2, 2),
                         named("mine", "F64", a, 2, 2),      named("nan", "F64", a, 2, 2)};
    loci_named right[] = {named("equal", "F64", equal, 2, 2), named("near", "F64", near, 2, 2),
                          named("far", "F64", far, 2, 2),     named("shape", "F64", a, 1, 4),
                          named("yours", "F64", a, 2, 2),     named("nan", "F64", nan_, 2, 2)};
    static const char *const order[] = {"mine", "yours", "shape", "nan", "far", "near", "equal"};
    loci_tensors *l = NULL, *r = NULL;
    loci_difference *d = NULL;
    uint32_t n = 0;

    CK_OK(write_and_open(&l, left, 6));
    CK_OK(write_and_open(&r, right, 6));
    CK_OK(loci_tensors_diff(&d, &n, l, r, &ck_err));
    CU_ASSERT_EQUAL_FATAL(n, 7);
    for (uint32_t i = 0; i < n; i++)
        CK_TRUE(!strcmp(d[i].name, order[i]), "place %u holds %s, not %s", i, d[i].name, order[i]);
    CU_ASSERT_TRUE(d[0].a && !d[0].b && !d[1].a && d[1].b);
    CU_ASSERT_TRUE(!d[2].comparable && isinf(d[3].rel));
    NEAR(d[4].rel, 1); /* rms(a - b) = 1 against the root of the mean of 1 and 1 */
    NEAR(d[4].max_abs, 2);
    CK_TRUE(fabs(d[5].rel - 0.0005) < 1e-6, "near: %g", d[5].rel);
    CU_ASSERT_TRUE(d[6].same && d[6].rel == 0);
    loci_free(d);
    loci_tensors_close(l);
    loci_tensors_close(r);
}

#define TESTS(X) \
    X(figures_are_those_of_the_numbers) \
    X(a_small_spread_around_a_large_mean_keeps_its_digits) \
    X(what_is_not_finite_is_counted_and_left_out) \
    X(every_dtype_of_a_file_is_read) \
    X(the_last_bin_holds_the_greatest) \
    X(quantiles_are_linear_between_ranks) \
    X(differences_come_in_the_order_of_their_weight)
CK_MAIN("figures", TESTS)
