/* SPDX-License-Identifier: Apache-2.0
 *
 * attention/cpu where products are those of bf16 numbers, at the edges: numbers that are not finite, what a kernel
 * leaves to the tiles of f32, the emulated instructions and the choice. judge_bf16.h says how kernels are run and
 * judged.
 */
#include "judge_bf16.h"

/* An infinite or undefined number reaches the queries that see its key, in the column where it lies; others keep
 * theirs. */
static void bf16__an_undefined_number_reaches_only_who_sees_it(void)
{
    static const double odd[] = {NAN, INFINITY};

    EACH_KERNEL(k)
    for (int n = 0; n < 6; n++) {
        attn_prob *p = attn_new(1, 100, 100, 2, 1, 1, 16, 5);
        attn_out *was, *is;

        p->a.causal = 1;
        p->a.window_left = 9;
        round_to_bf16(p);
        was = run(k, p, 0);
        if (n / 2 == 0)
            p->v[40 * 5 + 2] = odd[n % 2];
        else if (n / 2 == 1)
            p->k[40 * 16 + 3] = odd[n % 2];
        else
            p->q[(40 * 2 + 1) * 16 + 3] = odd[n % 2];
        is = run(k, p, 0);
        for (int64_t x = 0; was && is && x < 100 * 2 * 5; x++) {
            const int64_t i = x / 10;
            const int sees = n / 2 == 2 ? i == 40 && x / 5 % 2 == 1 : i >= 40 && i <= 49;

            if (!sees || (n / 2 == 0 && x % 5 != 2)) /* a unit that is left to the tiles is rounded otherwise */
                CK_TRUE(fabs(is->o[x] - was->o[x]) <= 0.01 * fabs(was->o[x]) + 0.01, "%s: o[%d] is %g, was %g",
                        k->ops->name, (int)x, is->o[x], was->o[x]);
            else if (n < 2 || n % 2 == 0)
                CK_TRUE(!isfinite(is->o[x]), "%s, case %d: o[%d] hides what it saw: %g", k->ops->name, n, (int)x,
                        is->o[x]);
        }
        attn_done();
    }
}

/* Keys beyond a row's length, in the same group of 32 as keys within. */
static void bf16__a_key_beyond_the_length_may_hold_anything(void)
{
    EACH_KERNEL(k)
    {
        attn_prob *p = attn_new(2, 40, 90, 2, 2, 2, 20, 20);
        attn_out *was, *is;

        p->k_len = attn_ints(2, 37, 20);
        round_to_bf16(p);
        was = run(k, p, 0);
        for (int64_t b = 0; b < 2; b++)
            for (int64_t j = p->k_len[b]; j < 90; j++)
                for (int64_t x = 0; x < 40; x++)
                    p->k[(b * 90 + j) * 40 + x] = p->v[(b * 90 + j) * 40 + x] = x % 2 ? NAN : 1e30;
        is = run(k, p, 0);
        CU_ASSERT(was && is && memcmp(was->o, is->o, 2 * 40 * 40 * sizeof(double)) == 0);
        CU_ASSERT(was && is && memcmp(was->lse, is->lse, 2 * 40 * 2 * sizeof(double)) == 0);
        attn_done();
    }
}

/* A unit that is left has the bits of the tiles; else a kernel that leaves everything would pass for one that works. */
static void bf16__leaves_to_the_tiles_the_units_that_it_must_and_no_other(void)
{
    enum { ORDINARY_NUMBERS, INFINITE_V, HUGE_Q, OVERFLOW_LATER, CASES };

    EACH_KERNEL(k)
    for (int n = 0; n < CASES; n++) {
        attn_prob *p = attn_new(1, k->ops->queries, 200, 1, 1, 1, 32, 16);
        const int leaves = n == INFINITE_V || (n != ORDINARY_NUMBERS && k->ops->level == CPU_AMX);
        attn_out *tiles, *o;

        if (n == INFINITE_V)
            p->v[150 * 16] = INFINITY;
        for (int64_t i = 0; n == HUGE_Q && i < k->ops->queries; i++)
            p->q[i * 32] = 1e30;
        for (int64_t j = 0; n == HUGE_Q && j < 200; j++)
            p->k[j * 32] = 0;
        for (int64_t j = 0; n == OVERFLOW_LATER && j < 200; j++)
            p->k[j * 32] = j < 100 ? 0 : 1000;
        round_to_bf16(p);
        tiles = run_tiles(p, (attn_how){.forward_only = 1});
        o = run(k, p, 0);
        CK_TRUE(o && tiles && (memcmp(o->o, tiles->o, (size_t)(p->T * p->e) * sizeof(double)) == 0) == leaves,
                "%s, case %d: is %sto be left to the tiles", k->ops->name, n, leaves ? "" : "not ");
        attn_done();
    }
}

/* The same of a backward, whose task is a key head. */
static void bf16__backward_leaves_to_the_tiles_the_heads_that_it_must_and_no_other(void)
{
    EACH_KERNEL(k)
    for (int n = 0; n < 3; n++) {
        attn_prob *p = attn_new(n == 2 ? 1 : 2, 60, 70, n == 2 ? 2 : 1, 1, 1, 32, 16); /* the third is one key head */
        attn_out *d, *tiles, *o;

        round_to_bf16(p);
        d = attn_run(attn_host(), &loci_attn_ref_class, p, (attn_how){.dtype = 'd'});
        if (n == 1)
            p->d_o[3 * 16] = INFINITY; /* of the first key head */
        tiles = run_tiles(p, (attn_how){.given = d});
        o = run_how(k, attn_host(), p, (attn_how){.given = d});
        for (int64_t b = 0; o && tiles && b < p->B; b++) {
            const size_t bytes = (size_t)(70 * 32) * sizeof(double);
            const int leaves = !k->ops->backward || n == 2 || (n == 1 && b == 0);

            CK_TRUE((memcmp(o->dk + b * 70 * 32, tiles->dk + b * 70 * 32, bytes) == 0) == leaves,
                    "%s, case %d: key head %d is %sto be left to the tiles", k->ops->name, n, (int)b,
                    leaves ? "" : "not ");
        }
        attn_done();
    }
}

static void bf16__an_undefined_gradient_reaches_only_the_keys_its_query_sees(void)
{
    EACH_KERNEL(k)
    {
        attn_prob *p = attn_new(2, 60, 60, 1, 1, 1, 16, 16);
        attn_out *d, *o;

        p->a.causal = 1;
        round_to_bf16(p);
        d = attn_run(attn_host(), &loci_attn_ref_class, p, (attn_how){.dtype = 'd'});
        p->d_lse[20] = NAN;
        o = run_how(k, attn_host(), p, (attn_how){.given = d});
        CU_ASSERT(!k->ops->backward || !units_left);
        for (int64_t j = 0; o && j < 60; j++)
            CK_TRUE(isnan(o->dk[j * 16]) == (j <= 20), "%s: dk[%d] is %g", k->ops->name, (int)j, o->dk[j * 16]);
        for (int64_t i = 0; o && i < 60; i++)
            CK_TRUE(isnan(o->dq[i * 16]) == (i == 20), "%s: dq[%d] is %g", k->ops->name, (int)i, o->dq[i * 16]);
        attn_done();
    }
}

/* ---- the tile instructions ---- */

/* One row of a and one column of b, as pairs. */
static float product_of(const float (*pair)[4], int n, float c)
{
    static float tile[16][16];
    static uint16_t a[16][32], b[16][32];

    memset(tile, 0, sizeof tile);
    memset(a, 0, sizeof a);
    memset(b, 0, sizeof b);
    for (int k = 0; k < n; k++)
        for (int x = 0; x < 4; x++) {
            uint32_t bits;

            memcpy(&bits, &pair[k][x], sizeof bits);
            *(x < 2 ? &a[3][2 * k + x] : &b[k][2 * 5 + x - 2]) = (uint16_t)(bits >> 16);
        }
    tile[3][5] = c;
    TILE_OPEN();
    TILE_LOAD(0, tile, 64);
    TILE_LOAD(1, a, 64);
    TILE_LOAD(2, b, 64);
    TILE_PRODUCT(0, 1, 2);
    TILE_STORE(0, tile, 64);
    TILE_CLOSE();
    for (int m = 0; m < 16; m++)
        for (int x = 0; x < 16; x++)
            CU_ASSERT((m == 3 && x == 5) || tile[m][x] == 0);
    return tile[3][5];
}

static void bf16__emulated_product_follows_the_manual(void)
{
    /* { a even, a odd, b even, b odd }: even products are summed apart from odd ones, and before c */
    static const float apart[][4] = {{4096, 1, 4096, 1}, {1, 1, 1, 1}};
    static const float small[][4] = {{0x1p-130f, 0, 0x1p100f, 0}}, tiny[][4] = {{0x1p-70f, 0, 0x1p-70f, 0}};
    static const float one[][4] = {{1, 0, -3, 7}};

    CU_ASSERT(product_of(apart, 2, 0) == 0x1p24f + 2);
    CU_ASSERT(product_of(apart, 2, -0x1p24f) == 2);
    CU_ASSERT(product_of(one, 1, 2) == -1);
    CU_ASSERT(product_of(small, 1, 0) == 0); /* a subnormal operand, result, and c are zeros */
    CU_ASSERT(product_of(tiny, 1, 0) == 0);
    CU_ASSERT(product_of(one, 0, 0x1p-130f) == 0);
}

#if CPU_HAVE_AMX
static void bf16__hardware_and_emulation_agree(void)
{
    const kernel emulated = {&attn_cpu_bf16_amx_emulated, 0, 1}, hardware = {&attn_cpu_bf16_amx, 0, 1};
    attn_prob *p;
    attn_out *one, *two;
    result r[RESULTS];

    if (bf16_pick() != &attn_cpu_bf16_amx)
        CK_SKIP("no AMX on this processor, or no permission");
    p = attn_new(2, 100, 300, 2, 1, 1, 96, 80);
    p->a.causal = 1;
    round_to_bf16(p);
    one = run_how(&emulated, attn_host(), p, (attn_how){.odd = 0});
    two = run_how(&hardware, attn_host(), p, (attn_how){.odd = 0});
    results(p, r);
    for (int i = 0; one && two && i < JUDGED; i++)
        CK_TRUE(ck_rms(get(two, r + i), get(one, r + i), (size_t)r[i].n) < 0x1p-9, "%s differs", judged[i]);
    attn_done();
}
#endif

/* ---- the choice ---- */

static void bf16__a_kernel_needs_its_file_its_bits_the_system_and_to_win(void)
{
#if CPU_HAVE_AMX
    const bf16_ops *const amx = &attn_cpu_bf16_amx;
#else
    const bf16_ops *const amx = NULL;
#endif
#if CPU_HAVE_BF16
    const bf16_ops *const dot = &attn_cpu_bf16_dot;
#else
    const bf16_ops *const dot = NULL;
#endif
    const struct {
        const char *what;
        bf16_facts facts;
        const bf16_ops *chosen;
    } choice[] = {
        /* cap, vectors, dot_bit, amx_bits, amx_os, ratio */
        {"a processor with AMX", {CPU_AMX, 1, 1, 1, 1, 0.5}, amx},
        {"one whose dot product wins", {CPU_AMX, 1, 1, 0, 0, 2}, dot},
        {"AMX, capped", {CPU_AVX512, 1, 1, 1, 1, 0.5}, NULL},
        {"AMX without AVX-512", {CPU_AMX, 0, 1, 1, 1, 0.5}, NULL},
        {"AMX without its bits", {CPU_AMX, 1, 1, 0, 1, 0.5}, NULL},
        {"AMX without permission", {CPU_AMX, 1, 1, 1, 0, 0.5}, NULL},
        {"AMX without permission, but dot wins", {CPU_AMX, 1, 1, 1, 0, 2}, dot},
        {"dot, capped at AVX2", {CPU_AVX2, 1, 1, 0, 0, 2}, NULL},
        {"dot, capped at ref", {CPU_REF, 1, 1, 0, 0, 2}, NULL},
        {"dot without its bit", {CPU_AMX, 1, 0, 0, 0, 2}, NULL},
        {"dot without AVX-512", {CPU_AMX, 0, 1, 0, 0, 2}, NULL},
        {"dot that does not win", {CPU_AMX, 1, 1, 0, 0, 1}, NULL},
    };

    for (size_t i = 0; i < sizeof choice / sizeof *choice; i++)
        CK_TRUE(bf16_choose(&choice[i].facts) == choice[i].chosen, "%s: another kernel", choice[i].what);
}

static void bf16__this_machine_chooses_what_it_may_and_the_same_again(void)
{
    static const char *const caps[] = {"ref", "avx2", "avx512", "amx"};

    for (int n = 0; n < 4; n++) {
        const bf16_ops *chosen;

        setenv("LOCI_CPU", caps[n], 1);
        chosen = bf16_pick();
        CU_ASSERT(chosen == bf16_pick());
        CU_ASSERT(!chosen || chosen->level <= n);
        CU_ASSERT(!chosen || bit("vectors"));
    }
    unsetenv("LOCI_CPU");
}

#if CPU_HAVE_AMX
#define HARDWARE(X) X(bf16__hardware_and_emulation_agree)
#else
#define HARDWARE(X)
#endif
#define TESTS(X) \
    X(bf16__an_undefined_number_reaches_only_who_sees_it) \
    X(bf16__a_key_beyond_the_length_may_hold_anything) \
    X(bf16__leaves_to_the_tiles_the_units_that_it_must_and_no_other) \
    X(bf16__backward_leaves_to_the_tiles_the_heads_that_it_must_and_no_other) \
    X(bf16__an_undefined_gradient_reaches_only_the_keys_its_query_sees) \
    X(bf16__emulated_product_follows_the_manual) \
    HARDWARE(X) \
    X(bf16__a_kernel_needs_its_file_its_bits_the_system_and_to_win) \
    X(bf16__this_machine_chooses_what_it_may_and_the_same_again)
CK_MAIN("attn_bf16_edge", TESTS)
