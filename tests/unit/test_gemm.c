/* SPDX-License-Identifier: Apache-2.0
 *
 * Matrix products against a plain loop: transposes, strides, batches, broadcasting, beta, empty sizes, threads.
 */
#include "tests/unit/ops_tools.h"

static void check(const char *what, struct ck_t *a, struct ck_t *b, struct ck_t *c, unsigned flags, double alpha,
                  double beta)
{
    loci_gemm g = {sizeof g, flags, alpha, beta, T(a), T(b), T(c)};
    double *want;

    rig.floor = 1; /* of numbers drawn from N(0, 1) */
    if (beta != 0)
        ck_fill(c, 1);
    want = ck_product(a, b, c, flags, alpha, beta);
    CK_TRUE(rig.ops->gemm(&rig.x, &g, &ck_err) == LOCI_OK, "%s: %s", what, ck_err.msg);
    judge(what, c->shape[c->t.ndim - 2], c, want);
    free(want);
}

static void gemm__matches_the_plain_loop_for_all_transposes(void)
{
    static const int64_t sizes[][3] = {{1, 1, 1},     {1, 17, 33},   {7, 1, 9},     {5, 6, 1},      {4, 16, 300},
                                       {33, 31, 2},   {64, 64, 64},  {65, 127, 40}, {130, 70, 257}, {1, 300, 200},
                                       {16, 100, 64}, {11, 61, 513}, {31, 96, 9},   {53, 17, 16},   {16, 256, 64},
                                       {64, 80, 256}, {130, 48, 14}, {10, 16, 3}};

    EACH_RIG(which, 2)
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
        for (unsigned flags = 0; flags < 4; flags++) {
            int64_t M = sizes[s][0], N = sizes[s][1], K = sizes[s][2];
            int64_t as[2] = {flags & 1 ? K : M, flags & 1 ? M : K}, bs[2] = {flags & 2 ? N : K, flags & 2 ? K : N};
            int skew = (int)(s % 2);
            struct ck_t a = ck_new(rig.bits, skew, 2, as, SHAPE(as[1] + 3, 1));
            struct ck_t b = ck_new(rig.bits, skew, 2, bs, SHAPE(bs[1] + 1, 1));
            struct ck_t c = ck_new(rig.bits, skew, 2, SHAPE(M, N), SHAPE(N + 2, 1));
            ck_fill(&a, 1);
            ck_fill(&b, 1);
            check("beta 0 over NaN", &a, &b, &c, flags, 1, 0);
            check("beta 1", &a, &b, &c, flags, -0.5, 1);
            check("beta 0.3", &a, &b, &c, flags, 2, 0.3);
            ck_drop(&a);
            ck_drop(&b);
            ck_drop(&c);
        }
}

/* A block that is taller, wider and deeper than what a kernel keeps in caches; the device cuts products smaller. */
static void one_block(const loci_kern *k, const int64_t *size, unsigned flags, int64_t id)
{
    const int64_t M = size[0], N = size[1], K = size[2];
    struct ck_t a = flags & 1 ? ck_new(rig.bits, 1, 2, SHAPE(K, M), SHAPE(M + 1, 1))
                              : ck_new(rig.bits, 1, 2, SHAPE(M, K), SHAPE(K + 3, 1));
    struct ck_t b = flags & 2 ? ck_new(rig.bits, 0, 2, SHAPE(N, K), SHAPE(K + 1, 1))
                              : ck_new(rig.bits, 0, 2, SHAPE(K, N), SHAPE(N + 2, 1));
    struct ck_t c = ck_new(rig.bits, 0, 2, SHAPE(M, N), SHAPE(N + 5, 1));
    const int64_t as = a.strides[0], bs = b.strides[0];
    double *want;

    ck_fill(&a, 1);
    ck_fill(&b, 1);
    ck_fill(&c, 1);
    rig.floor = 1;
    want = ck_product(&a, &b, &c, flags, -0.5, 0.3);
    k->gemm(M, N, K, -0.5, a.t.data, flags & 1 ? 1 : as, flags & 1 ? as : 1, b.t.data, flags & 2 ? 1 : bs,
            flags & 2 ? bs : 1, 0.3, c.t.data, c.strides[0]);
    judge("block", id, &c, want);
    free(want);
    ck_drop(&a);
    ck_drop(&b);
    ck_drop(&c);
}

static void gemm__kernels_cut_a_large_block(void)
{
    static const int64_t sizes[][3] = {{197, 388, 260}, {390, 35, 258}, {64, 48, 17}, {47, 90, 30},
                                       {49, 90, 30},    {67, 80, 9},    {66, 41, 24}, {200, 33, 7}};

    EACH_RIG(which, 2)
    {
        const loci_kern_set *set = rig.h.host.get_ext(&rig.h.host, rig.x.device, LOCI_EXT_KERN);

        for (int64_t i = 0; set && i < 32; i++) /* a card has no such tables */
            one_block(rig.bits == 64 ? set->f64 : set->f32, sizes[i / 4], (unsigned)(i % 4), i);
    }
}

/* What lies above the diagonal is not read: it is NaN here. */
static void gemm__takes_a_triangular_factor(void)
{
    static const int64_t sizes[][2] = {{1, 1},   {2, 9},   {7, 16},  {8, 33},  {9, 5},
                                       {16, 64}, {26, 48}, {64, 40}, {65, 20}, {131, 35}};

    EACH_RIG(which, 2)
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
        for (unsigned flags = 0; flags < 4; flags++) {
            int64_t n = sizes[s][0], N = sizes[s][1];
            struct ck_t a = ck_new(rig.bits, 0, 3, SHAPE(3, n, n), SHAPE(n * (n + 2), n + 2, 1));
            struct ck_t b = flags & 2 ? ck_new(rig.bits, 0, 3, SHAPE(3, N, n), SHAPE(0, n, 1))
                                      : ck_new(rig.bits, 0, 3, SHAPE(3, n, N), NULL);
            struct ck_t c = ck_new(rig.bits, 1, 3, SHAPE(3, n, N), SHAPE(n * (N + 1), N + 1, 1));
            for (int64_t i = 0; i < a.n; i++)
                ck_set(&a, i, i % n > i / n % n ? NAN : ck_norm());
            ck_fill(&b, 1);
            check("lower, beta 0", &a, &b, &c, flags | LOCI_GEMM_LOWER, 1, 0);
            check("lower, beta 1", &a, &b, &c, flags | LOCI_GEMM_LOWER, -0.5, 1);
            check("lower, beta 0.3", &a, &b, &c, flags | LOCI_GEMM_LOWER, 2, 0.3);
            ck_drop(&a);
            ck_drop(&b);
            ck_drop(&c);
        }
}

static void gemm__broadcasts_and_merges_batches(void)
{
    static const int64_t M = 9, N = 20, K = 13;

    EACH_RIG(which, 2)
    for (int form = 0; form < 7; form++) {
        /* A [2,3,M,K], C [2,3,M,N] */
        int64_t as[4] = {3 * M * K, M * K, K, 1}, bs[4] = {3 * K * N, K * N, N, 1}, cs[4] = {3 * M * N, M * N, N, 1};
        struct ck_t a, b, c;
        if (form == 1 || form == 3) /* one B for all: the rows merge */
            bs[0] = bs[1] = 0;
        if (form == 2) /* one B per outer batch: the inner axis merges */
            bs[1] = 0;
        if (form == 3) /* heads between rows, [2,M,3,K] seen as [2,3,M,K]: nothing merges */
            as[1] = K, as[2] = 3 * K, cs[1] = N, cs[2] = 3 * N;
        if (form == 4) /* one A for all */
            as[0] = as[1] = 0;
        if (form == 5) /* gaps */
            as[0] += 50, as[1] += 7, as[0] += 21, cs[0] += 100, bs[0] = 0;
        if (form == 6) /* one row of A for all rows, one column of B for all columns */
            as[2] = 0, bs[3] = 0;
        a = ck_new(rig.bits, 0, 4, SHAPE(2, 3, M, K), as);
        b = ck_new(rig.bits, 0, 4, SHAPE(2, 3, K, N), bs);
        c = ck_new(rig.bits, 0, 4, SHAPE(2, 3, M, N), cs);
        ck_fill(&a, 1);
        ck_fill(&b, 1);
        check("batch", &a, &b, &c, 0, 1, 0);
        check("batch, added", &a, &b, &c, 0, 1, 1);
        ck_drop(&a);
        ck_drop(&b);
        ck_drop(&c);
    }
}

/* [B, 1, D] times a weight: M is 1 and the batch becomes the rows, with strides of its own. */
static void gemm__merges_single_rows(void)
{
    EACH_RIG(which, 2)
    for (int flags = 0; flags < 4; flags += 2) {
        struct ck_t a = ck_new(rig.bits, 0, 3, SHAPE(70, 1, 40), SHAPE(57, 3, 1));
        struct ck_t b = flags ? ck_new(rig.bits, 0, 3, SHAPE(70, 50, 40), SHAPE(0, 40, 1))
                              : ck_new(rig.bits, 0, 3, SHAPE(70, 40, 50), SHAPE(0, 50, 1));
        struct ck_t c = ck_new(rig.bits, 0, 3, SHAPE(70, 1, 50), SHAPE(61, 2, 1));
        ck_fill(&a, 1);
        ck_fill(&b, 1);
        check("single rows", &a, &b, &c, (unsigned)flags, 1, 0);
        ck_drop(&a);
        ck_drop(&b);
        ck_drop(&c);
    }
}

static void gemm__handles_empty_sizes(void)
{
    EACH_RIG(which, 2)
    for (int empty = 0; empty < 4; empty++) {
        int64_t M = empty == 0 ? 0 : 3, N = empty == 1 ? 0 : 4, K = empty == 2 ? 0 : 5, B = empty == 3 ? 0 : 2;
        struct ck_t a = ck_new(rig.bits, 0, 3, SHAPE(B, M, K), NULL), b = ck_new(rig.bits, 0, 3, SHAPE(B, K, N), NULL);
        struct ck_t c = ck_new(rig.bits, 0, 3, SHAPE(B, M, N), NULL);
        ck_fill(&a, 1);
        ck_fill(&b, 1);
        if (a.n == 0)
            a.t.data = NULL;
        if (b.n == 0)
            b.t.data = NULL;
        check("empty, beta 0", &a, &b, &c, 0, 1, 0);
        check("empty, beta 2", &a, &b, &c, 0, 1, 2);
        ck_drop(&a);
        ck_drop(&b);
        ck_drop(&c);
    }
}

static void gemm__keeps_nan_and_infinity(void)
{
    EACH_RIG(which, 2)
    for (int64_t n = 8; n <= 64; n += 56) {
        struct ck_t a = ck_new(rig.bits, 0, 2, SHAPE(n, n), NULL), b = ck_new(rig.bits, 0, 2, SHAPE(n, n), NULL);
        struct ck_t c = ck_new(rig.bits, 0, 2, SHAPE(n, n), NULL);
        loci_gemm g = {sizeof g, 0, 1, 0, T(&a), T(&b), T(&c)};
        ck_const(&a, 1);
        ck_const(&b, 1);
        ck_set(&a, 3 * n + 2, NAN);
        ck_set(&a, 5 * n + 1, INFINITY);
        CK_OK(rig.ops->gemm(&rig.x, &g, &ck_err));
        CU_ASSERT_TRUE(isnan(ck_get(&c, 3 * n)) && isnan(ck_get(&c, 3 * n + n - 1)));
        CU_ASSERT_TRUE(isinf(ck_get(&c, 5 * n)));
        CU_ASSERT_EQUAL(ck_get(&c, 4 * n), (double)n);
        ck_drop(&a);
        ck_drop(&b);
        ck_drop(&c);
    }
}

static uint64_t product_hash(int which, int threads, int64_t B, int64_t M, int64_t N, int64_t K, unsigned flags)
{
    struct ck_t a, b, c;
    uint64_t h = 0;

    if (!rig_open(which, threads))
        return 0;
    a = flags & 1 ? ck_new(rig.bits, 0, 3, SHAPE(B, K, M), NULL) : ck_new(rig.bits, 0, 3, SHAPE(B, M, K), NULL);
    b = flags & 2 ? ck_new(rig.bits, 0, 3, SHAPE(B, N, K), NULL) : ck_new(rig.bits, 0, 3, SHAPE(B, K, N), NULL);
    c = ck_new(rig.bits, 0, 3, SHAPE(B, M, N), NULL);
    ck_fill(&a, 1);
    ck_fill(&b, 1);
    loci_gemm g = {sizeof g, flags, 1, 0, T(&a), T(&b), T(&c)};
    if (rig.ops->gemm(&rig.x, &g, &ck_err) == LOCI_OK)
        h = ck_hash(&c, 1);
    ck_drop(&a);
    ck_drop(&b);
    ck_drop(&c);
    ck_host_close(&rig.h);
    return h;
}

static void gemm__gives_the_same_bits_for_any_number_of_threads(void)
{
    static const int64_t sizes[][4] = {{1, 200, 310, 96}, {5, 40, 50, 60}, {1, 1, 700, 500}};

    for (int which = 0; which < 4; which++)
        for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
            for (unsigned flags = 0; flags < 4; flags++) {
                const int64_t *z = sizes[s];
                uint64_t one = product_hash(which, 1, z[0], z[1], z[2], z[3], flags);
                CU_ASSERT_EQUAL(one, product_hash(which, 2, z[0], z[1], z[2], z[3], flags));
                CU_ASSERT_EQUAL(one, product_hash(which, 4, z[0], z[1], z[2], z[3], flags));
            }
}

static void gemm__refuses_shapes_that_do_not_fit(void)
{
    struct ck_t a, b, c, flat;

    CU_ASSERT_TRUE_FATAL(rig_open(0, 1));
    a = ck_new(64, 0, 2, SHAPE(3, 4), NULL);
    b = ck_new(64, 0, 2, SHAPE(5, 6), NULL);
    c = ck_new(64, 0, 2, SHAPE(3, 6), NULL);
    flat = ck_new(32, 0, 2, SHAPE(4, 6), NULL);
    loci_gemm g = {sizeof g, 0, 1, 0, T(&a), T(&b), T(&c)};
    loci_error err = LOCI_ERROR_INIT;
    CU_ASSERT_EQUAL(rig.ops->gemm(&rig.x, &g, &err), LOCI_E_ARG);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "op(A) is 3 x 4, op(B) 5 x 6, C 3 x 6"));
    struct ck_t fits = ck_new(64, 0, 2, SHAPE(4, 6), NULL);
    g.b = T(&fits);
    g.flags = LOCI_GEMM_LOWER;
    loci_error_clear(&err);
    CU_ASSERT_EQUAL(rig.ops->gemm(&rig.x, &g, &err), LOCI_E_ARG);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "A is 3 x 4; with LOWER it must be square"));
    g.flags = 0;
    ck_drop(&fits);
    g.b = T(&flat); /* right shape, wrong type */
    CU_ASSERT_EQUAL(rig.ops->gemm(&rig.x, &g, NULL), LOCI_E_ARG);
    g.b = NULL;
    CU_ASSERT_EQUAL(rig.ops->gemm(&rig.x, &g, NULL), LOCI_E_ARG);
    ck_drop(&a);
    ck_drop(&b);
    ck_drop(&c);
    ck_drop(&flat);
    ck_host_close(&rig.h);
}

#define TESTS(X) \
    X(gemm__matches_the_plain_loop_for_all_transposes) \
    X(gemm__kernels_cut_a_large_block) \
    X(gemm__takes_a_triangular_factor) \
    X(gemm__broadcasts_and_merges_batches) \
    X(gemm__merges_single_rows) \
    X(gemm__handles_empty_sizes) \
    X(gemm__keeps_nan_and_infinity) \
    X(gemm__gives_the_same_bits_for_any_number_of_threads) \
    X(gemm__refuses_shapes_that_do_not_fit)
CK_MAIN("gemm", TESTS)
