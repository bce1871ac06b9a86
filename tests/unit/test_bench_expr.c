/* SPDX-License-Identifier: Apache-2.0
 *
 * core/bench/expr: the formulas in which classes state their operations, and what is none.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif
#include "core/bench/impl.h"
#include "tests/ck.h"

static double name_value(void *arg, const char *name, size_t n)
{
    (void)arg;
    return n == 2 && !memcmp(name, "dk", 2)   ? 3
           : n == 2 && !memcmp(name, "dv", 2) ? 5
           : n == 1 && *name == 'N'           ? 7
                                              : NAN;
}

static double seen_value(void *arg, double back)
{
    (void)arg;
    return back > 0 ? back : 100;
}

static void expr__means_what_a_formula_means(void)
{
    static const struct {
        const char *text;
        double value;
    } good[] = {{"7 dk dv", 105},    {"2 N + 2 dk (dk + dv) seen(0)", 14 + 6 * 8 * 100},
                {"seen(dk) dv", 15}, {"4 dk^2", 36},
                {"2 ^ 3", 8},        {"9 [dk = 3] + 5 [dk > 3] + 2 [dk < 4]", 11},
                {"N / 2 * 4", 14},   {"N - dk - dv", -1},
                {"0.5 N\ndk", 10.5}, {"(((1)))", 1}};
    static const char *const bad[] = {
        "",       "the mixer's", "per token 7 dk",
        "7 dk,",  "2 +",         "(2",
        "[2 = 2", "[2]",         "seen 3",
        "seen(",  "1 / 0",       "dk dq",
        "2 ) 3",  "-",           "((((((((((((((((((((((((((((((((((((((((1))))))))))))))))))))))))))))))))))))))))"};
    const loci_names names = {name_value, seen_value, NULL};

    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        const double x = loci__expr(good[i].text, strlen(good[i].text), &names);
        CK_TRUE(x == good[i].value, "%s = %g", good[i].text, x);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CK_TRUE(isnan(loci__expr(bad[i], strlen(bad[i]), &names)), "`%s` has a value", bad[i]);
    CU_ASSERT_EQUAL(loci__expr("12 dk", 1, &names), 1); /* the rest does not belong to it */
}

#define TESTS(X) X(expr__means_what_a_formula_means)

CK_MAIN("bench formulas", TESTS)
