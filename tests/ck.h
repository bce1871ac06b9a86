/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/ck.h: what every CUnit program shares: one list of tests, one main, numbers and comparisons.
 *
 *     static void loader__refuses_newer_abi(void) { CU_ASSERT... }
 *     #define TESTS(X) X(loader__refuses_newer_abi) ...
 *     CK_MAIN("loader", TESTS)
 *
 * A program run with a word as its argument runs only the tests whose name contains it. The exit status is 0, 1 when a
 * test failed, 77 when all were skipped; the last line is "N passed, N failed, N skipped".
 */
#ifndef LOCI_TESTS_CK_H
#define LOCI_TESTS_CK_H

#include <CUnit/Basic.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int ck_skipped __attribute__((unused));
/* Leave the current test as skipped, with the reason. */
#define CK_SKIP(...) \
    do { \
        printf(" (skipped: "); \
        printf(__VA_ARGS__); \
        printf(") "); \
        ck_skipped++; \
        return; \
    } while (0)

/* Assert and say more than the expression. */
#define CK_TRUE(cond, ...) \
    do { \
        int ck_ok_ = (cond) ? 1 : 0; \
        if (!ck_ok_) { \
            printf("\n    "); \
            printf(__VA_ARGS__); \
            printf("\n"); \
        } \
        CU_assertImplementation(ck_ok_, __LINE__, #cond, __FILE__, __func__, CU_FALSE); \
    } while (0)
#define CK_OK(call) \
    do { \
        int32_t ck_status_ = (call); \
        CK_TRUE(ck_status_ == 0, "%s: status %d: %s", #call, (int)ck_status_, ck_err.msg); \
        if (ck_status_ != 0) \
            return; \
    } while (0)

/* A repeatable stream of numbers. */
static uint64_t ck_seed __attribute__((unused)) = 1;
static inline uint64_t ck_bits(void)
{
    uint64_t x = ck_seed += UINT64_C(0x9E3779B97F4A7C15);
    x = (x ^ (x >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94D049BB133111EB);
    return x ^ (x >> 31);
}
static inline double ck_rand(void) /* [0, 1) */
{
    return (double)(ck_bits() >> 11) * 0x1p-53;
}
static inline double ck_norm(void) /* N(0, 1) */
{
    return sqrt(-2 * log(1 - ck_rand())) * cos(6.283185307179586 * ck_rand());
}

/* Relative RMS error of got against want. */
static inline double ck_rms(const double *got, const double *want, size_t n)
{
    double d = 0, w = 0;
    for (size_t i = 0; i < n; i++) {
        d += (got[i] - want[i]) * (got[i] - want[i]);
        w += want[i] * want[i];
    }
    return w > 0 ? sqrt(d / w) : sqrt(d);
}

#define CK_ADD_(name) \
    if (!word || strstr(#name, word)) \
        CU_add_test(suite, #name, name);
/* Run what was added, say how it went, return the exit status. */
static inline int ck_run(void)
{
    unsigned failed, ran;

    setvbuf(stdout, NULL, _IOLBF, 0);
    CU_basic_set_mode(CU_BRM_VERBOSE);
    CU_basic_run_tests();
    failed = CU_get_number_of_tests_failed();
    ran = CU_get_number_of_tests_run();
    CU_cleanup_registry();
    printf("%u passed, %u failed, %d skipped\n", ran - failed - (unsigned)ck_skipped, failed, ck_skipped);
    return failed ? 1 : ran == (unsigned)ck_skipped && ran ? 77 : 0;
}

#define CK_MAIN(area, TESTS) \
    int main(int argc, char **argv) \
    { \
        const char *word = argc > 1 ? argv[1] : NULL; \
        CU_pSuite suite; \
        if (CU_initialize_registry() != CUE_SUCCESS || !(suite = CU_add_suite(area, NULL, NULL))) \
            return 1; \
        TESTS(CK_ADD_) \
        return ck_run(); \
    }

#endif
