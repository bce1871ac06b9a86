/* SPDX-License-Identifier: Apache-2.0
 *
 * Products of operands rounded to bfloat16. A program of its own, as oneDNN keeps the instruction set that its first
 * product in a process was allowed: the levels of test_gemm would take this product away.
 */
#include "tests/unit/ops_tools.h"

/* The nearest number with eight bits of precision, ties to even, by arithmetic. */
static double rounded(double v)
{
    int e;

    frexp(v, &e);
    return ldexp(nearbyint(ldexp(v, 8 - e)), e - 8);
}

static int bf16_open(int threads)
{
    if (!rig_open(3, threads))
        return 0;
    if (loci_cpu_round_products(rig.h.dev, &ck_err) == LOCI_OK)
        return 1;
    ck_host_close(&rig.h);
    return 0;
}

static void gemm_bf16__rounds_operands_and_nothing_else(void)
{
    static const int64_t sizes[][3] = {{64, 64, 64}, {130, 70, 1100}, {1100, 40, 33}, {9, 1300, 65}};

    if (!bf16_open(2))
        CK_SKIP("no product of bfloat16 on this machine");
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
        for (unsigned flags = 0; flags < 4; flags++) {
            int64_t M = sizes[s][0], N = sizes[s][1], K = sizes[s][2];
            int64_t as[2] = {flags & 1 ? K : M, flags & 1 ? M : K}, bs[2] = {flags & 2 ? N : K, flags & 2 ? K : N};
            struct ck_t a = ck_new(32, 0, 2, as, SHAPE(as[1] + 3, 1)), b = ck_new(32, 0, 2, bs, SHAPE(bs[1] + 1, 1));
            struct ck_t c = ck_new(32, 0, 2, SHAPE(M, N), SHAPE(N + 2, 1));
            loci_gemm g = {sizeof g, flags, -0.5, 0.3, T(&a), T(&b), T(&c)};
            double *exact, *want, *got, *old;
            ck_fill(&a, 1);
            ck_fill(&b, 1);
            ck_fill(&c, 1);
            old = ck_read(&c);
            exact = ck_product(&a, &b, &c, flags, -0.5, 0.3);
            CK_OK(rig.ops->gemm(&rig.x, &g, &ck_err));
            got = ck_read(&c);
            CK_TRUE(ck_intact(&c), "%lld x %lld x %lld: wrote outside", (long long)M, (long long)N, (long long)K);
            for (int64_t i = 0; i < a.n; i++)
                ck_set(&a, i, rounded(ck_get(&a, i)));
            for (int64_t i = 0; i < b.n; i++)
                ck_set(&b, i, rounded(ck_get(&b, i)));
            for (int64_t i = 0; i < c.n; i++)
                ck_set(&c, i, old[i]);
            want = ck_product(&a, &b, &c, flags, -0.5, 0.3);
            CK_TRUE(ck_rms(got, want, (size_t)c.n) < 2e-6, "%lld x %lld x %lld, %u: %.3g", (long long)M, (long long)N,
                    (long long)K, flags, ck_rms(got, want, (size_t)c.n));
            CK_TRUE(ck_rms(got, exact, (size_t)c.n) > 1e-4, "%lld x %lld x %lld, %u: operands were not rounded",
                    (long long)M, (long long)N, (long long)K, flags);
            free(old);
            free(exact);
            free(want);
            free(got);
            ck_drop(&a);
            ck_drop(&b);
            ck_drop(&c);
        }
    ck_host_close(&rig.h);
}

static uint64_t bf16_hash(int threads)
{
    struct ck_t a, b, c;
    uint64_t h = 0;

    if (!bf16_open(threads))
        return 0;
    a = ck_new(32, 0, 2, SHAPE(300, 700), NULL);
    b = ck_new(32, 0, 2, SHAPE(700, 210), NULL);
    c = ck_new(32, 0, 2, SHAPE(300, 210), NULL);
    ck_fill(&a, 1);
    ck_fill(&b, 1);
    ck_set(&a, 5, NAN);
    ck_set(&a, 5 * 700 + 1, INFINITY);
    loci_gemm g = {sizeof g, 0, 1, 0, T(&a), T(&b), T(&c)};
    if (rig.ops->gemm(&rig.x, &g, &ck_err) == LOCI_OK) {
        CU_ASSERT_TRUE(isnan(ck_get(&c, 0)) && isinf(ck_get(&c, 5 * 210)) && isfinite(ck_get(&c, 210)));
        for (int64_t i = 0; i < 210; i++)
            ck_set(&c, i, 0);
        h = ck_hash(&c, 1);
    }
    ck_drop(&a);
    ck_drop(&b);
    ck_drop(&c);
    ck_host_close(&rig.h);
    return h;
}

static void gemm_bf16__keeps_nan_and_the_bits_of_one_thread(void)
{
    uint64_t one = bf16_hash(1);

    if (!one)
        CK_SKIP("no product of bfloat16 on this machine");
    CU_ASSERT_EQUAL(one, bf16_hash(2));
    CU_ASSERT_EQUAL(one, bf16_hash(4));
}

static void gemm_bf16__is_refused_below_its_instruction_set(void)
{
    for (int which = 1; which < 3; which++) {
        if (!rig_open(which, 1))
            return;
        loci_error_clear(&ck_err);
        CU_ASSERT_EQUAL(loci_cpu_round_products(rig.h.dev, &ck_err), LOCI_E_UNSUPPORTED);
        CK_TRUE(strstr(ck_err.msg, "set run.compute = f32") != NULL, "%s", ck_err.msg);
        ck_host_close(&rig.h);
    }
}

#define TESTS(X) \
    X(gemm_bf16__rounds_operands_and_nothing_else) \
    X(gemm_bf16__keeps_nan_and_the_bits_of_one_thread) \
    X(gemm_bf16__is_refused_below_its_instruction_set)
CK_MAIN("gemm_bf16", TESTS)
