/* SPDX-License-Identifier: Apache-2.0
 *
 * attention/cpu where products are those of bf16 numbers: accuracy, what a kernel leaves to the tiles of f32, numbers
 * that are not finite, threads, the emulated instructions and the choice. judge_bf16.h says how kernels are run and
 * judged.
 */
#include "judge_bf16.h"

enum { FLAT, ORDINARY, PEAKED, ONE_HUGE, EQUAL, SUBNORMAL, LOW, HIGH, FAMILIES };
static const char *const families[] = {"flat",      "ordinary",  "peaked",          "one huge",
                                       "all equal", "subnormal", "all far below 0", "all far above 0"};

static void shape_family(attn_prob *p, int family)
{
    const int64_t nq = p->B * p->T * p->H * p->d, nk = p->B * p->S * p->Hk * p->d;

    for (int64_t i = 0; i < nq; i++)
        p->q[i] = family == FLAT        ? p->q[i] * 0.015625
                  : family == PEAKED    ? p->q[i] * 8
                  : family == EQUAL     ? 0.5
                  : family == SUBNORMAL ? (float)(p->q[i] * 1e-39)
                                        : p->q[i];
    for (int64_t i = 0; family == EQUAL && i < nk; i++)
        p->k[i] = 0.25;
    for (int64_t i = 0; family >= LOW && i < nq; i++)
        p->q[i] += i % p->d == 0 ? 40 : 0;
    for (int64_t i = 0; family >= LOW && i < nk; i++)
        p->k[i] = i % p->d == 0 ? (family == LOW ? -100 : 100) : p->k[i];
    if (family == ONE_HUGE)
        p->k[nk / 2] = 300;
}

static void bf16__errs_at_most_twice_as_much_as_ref(void)
{
    static const int64_t size[][8] = {{2, 96, 96, 4, 2, 2, 32, 32},
                                      {1, 150, 300, 2, 2, 2, 64, 64},
                                      {1, 130, 70, 2, 1, 2, 40, 24},
                                      {2, 64, 260, 1, 1, 1, 128, 128}};

    for (int family = 0; family < FAMILIES; family++) {
        sums all = {.n = 0};

        for (int n = 0; n < 4; n++) {
            const int64_t *s = size[n];
            attn_prob *p = attn_new(s[0], s[1], s[2], s[3], s[4], s[5], s[6], s[7]);

            p->a.causal = n % 2;
            shape_family(p, family);
            round_to_bf16(p);
            take_in(&all, p, n / 2, family == ONE_HUGE);
            attn_done();
        }
        verdict(&all, families[family]);
    }
}

static void bf16__every_length_and_width_has_its_tail(void)
{
    static const int64_t lengths[] = {1,  2,  7,  8,  15, 16, 17, 31, 32,  33,  47,
                                      48, 49, 63, 64, 65, 95, 96, 97, 129, 257, 300};
    static const int64_t widths[] = {1,  2,  3,  15, 16, 17, 30,  31,  32,  33,  47,
                                     48, 49, 64, 65, 95, 96, 127, 128, 129, 255, 256};
    sums all = {.n = 0};

    for (int n = 0; n < 22; n++) {
        attn_prob *p = attn_new(1, lengths[n], lengths[(n + 9) % 22], 4, 2, 2, 32, 16);

        p->a.causal = n % 3 > 0;
        round_to_bf16(p);
        take_in(&all, p, n % 2, 0);
        attn_done();
        p = attn_new(2, 50, 70, 1, 1, 1, widths[n], widths[(n + 5) % 22]);
        p->a.causal = n % 2;
        round_to_bf16(p);
        take_in(&all, p, n / 2 % 2, 0);
        attn_done();
    }
    verdict(&all, "lengths and widths");
}

static attn_prob *some_problem(int n)
{
    static const int64_t heads[][3] = {{1, 1, 1}, {4, 2, 2}, {4, 4, 1}, {6, 2, 3}, {4, 1, 2}, {6, 6, 6}};
    const int64_t *H = heads[ck_bits() % 6];
    int64_t T = 1 + (int64_t)(ck_bits() % 130), S = 1 + (int64_t)(ck_bits() % (n % 4 ? 150 : 400));
    attn_prob *p = attn_new(1 + (int64_t)(ck_bits() % 3), T, S, H[0], H[1], H[2], 1 + (int64_t)(ck_bits() % 70),
                            1 + (int64_t)(ck_bits() % 70));

    p->a.causal = ck_rand() < 0.6;
    if (ck_rand() < 0.5)
        p->a.window_left = (int64_t)(ck_bits() % 100);
    if (ck_rand() < 0.3)
        p->a.window_right = (int64_t)(ck_bits() % 100);
    if (ck_rand() < 0.4)
        p->a.offset = (int64_t)(ck_bits() % 200) - 60;
    if (ck_rand() < 0.3)
        p->a.scale = -0.3;
    if (ck_rand() < 0.4)
        feature(p, 6); /* lengths */
    round_to_bf16(p);
    return p;
}

static void bf16__windows_offsets_lengths_and_heads_combine(void)
{
    sums all = {.n = 0};

    for (int n = 0; n < 60; n++) {
        take_in(&all, some_problem(n), n % 2, 0);
        attn_done();
    }
    verdict(&all, "combinations");
}

/* What a kernel does not serve goes to the tiles of f32: the bits are theirs. */
static void bf16__other_features_are_served_by_the_other_kernels(void)
{
    for (int f = 0; f < FEATURES; f++) {
        attn_prob *p = attn_new(2, 40, 60, 4, 2, 2, 16, 16);
        const uint64_t stream = ck_seed;
        result r[RESULTS];
        attn_out *plain;

        if (f == 0 || f == 1 || f == 2 || f == 6 || f == 8) /* served */
            continue;
        feature(p, f);
        p->a.prefix += f == 3;
        round_to_bf16(p);
        ck_seed = stream;
        plain = run_tiles(p, (attn_how){.forward_only = 1});
        results(p, r);
        EACH_KERNEL(k)
        {
            attn_out *o;

            ck_seed = stream;
            o = run(k, p, 0);
            for (int i = 0; o && plain && i < JUDGED; i++)
                CK_TRUE(memcmp(get(o, r + i), get(plain, r + i), (size_t)r[i].n * sizeof(double)) == 0,
                        "%s, feature %d: %s is not that of the tiles", k->ops->name, f, r[i].name);
        }
        attn_done();
    }
}

static void bf16__threads_do_not_change_a_bit(void)
{
    /* Heads that are shared out whole, a single one cut into pieces, and heads that share keys. */
    static const int64_t size[][8] = {
        {2, 200, 200, 4, 4, 4, 32, 16}, {1, 1700, 1700, 1, 1, 1, 8, 8}, {1, 700, 900, 3, 1, 1, 16, 24}};

    EACH_KERNEL(k)
    for (int n = 0; n < 3; n++) {
        const int64_t *s = size[n];
        attn_prob *p = attn_new(s[0], s[1], s[2], s[3], s[4], s[5], s[6], s[7]);
        attn_out *first = NULL;
        result r[RESULTS];

        p->a.causal = n > 0;
        p->a.window_left = n == 2 ? 250 : -1;
        p->v[s[2] / 2] = INFINITY; /* some units are left to the tiles */
        results(p, r);
        for (int threads = 1; threads <= 4; threads *= 2) {
            struct ck_host h;
            attn_out *o;

            CK_OK(ck_host_open(&h, threads, &ck_err));
            o = run_how(k, &h, p, (attn_how){.odd = 0});
            ck_host_close(&h);
            first = first ? first : o;
            for (int i = 0; o && i < JUDGED; i++)
                CK_TRUE(memcmp(get(o, r + i), get(first, r + i), (size_t)r[i].n * sizeof(double)) == 0,
                        "%s, size %d: %s differs with %d threads", k->ops->name, n, r[i].name, threads);
        }
        attn_done();
    }
}

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

/* Of its own forward, whose lse is only as good as its weights, too. */
static void bf16__gradients_of_a_forward_of_its_own_are_near(void)
{
    EACH_KERNEL(k)
    {
        attn_prob *p = attn_new(2, 150, 150, 4, 2, 2, 32, 32);
        attn_out *d, *o;

        p->a.causal = 1;
        round_to_bf16(p);
        d = attn_run(attn_host(), &loci_attn_ref_class, p, (attn_how){.dtype = 'd'});
        o = run_how(k, attn_host(), p, (attn_how){.odd = 1});
        CU_ASSERT(o && ck_rms(o->dq, d->dq, 2 * 150 * 4 * 32) < 0x1p-7);
        CU_ASSERT(o && ck_rms(o->dk, d->dk, 2 * 150 * 2 * 32) < 0x1p-7);
        CU_ASSERT(o && ck_rms(o->dv, d->dv, 2 * 150 * 2 * 32) < 0x1p-7);
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

static void bf16__gradients_add(void)
{
    EACH_KERNEL(k)
    {
        attn_prob *p = attn_new(2, 40, 50, 2, 1, 1, 20, 20);
        attn_out *zero, *two;
        result r[RESULTS];

        round_to_bf16(p);
        results(p, r);
        zero = run_how(k, attn_host(), p, (attn_how){.odd = 0});
        two = run_how(k, attn_host(), p, (attn_how){.base = 2});
        for (int i = DQ; zero && two && i < JUDGED; i++)
            for (int64_t n = 0; n < r[i].n; n++) {
                double want = 2 + get(zero, r + i)[n];

                CK_TRUE(fabs(get(two, r + i)[n] - want) <= 0x1p-7 * (fabs(want) + fabs(want - 2)),
                        "%s: %s is %g, not %g", k->ops->name, r[i].name, get(two, r + i)[n], want);
            }
        attn_done();
    }
}

/* Scores far above those of a row's first keys, and products beyond every integer. */
static void bf16__weights_that_overflow_are_computed_again(void)
{
    for (int n = 0; n < 5; n++) {
        sums all = {.n = 0};
        attn_prob *p = attn_new(1, 100, 300, 2, 1, 1, 32, 16);

        p->a.causal = n % 2;
        for (int64_t x = 0; x < 32; x++)
            for (int64_t i = 0; i < 200; i++)
                p->q[i * 32 + x] = 2 + 0.1 * p->q[i * 32 + x];
        for (int64_t j = 0; j < 300; j++) /* scale 32 * 2 * k: 11 a step */
            for (int64_t x = 0; x < 32; x++)
                p->k[j * 32 + x] = n == 4 ? (j == 250 ? 1e15 : 0.1) : n == 3 ? (double)(j / 8) : j < 150 ? 0 : n * 6;
        for (int64_t x = 0; n == 2 && x < 300 * 16; x++)
            p->v[x] *= 1e36; /* finite alone, not times a weight above 1 */
        if (n == 4)
            p->q[5 * 32] = 1e10;
        round_to_bf16(p);
        take_in(&all, p, 0, 1);
        verdict(&all, "overflow");
        attn_done();
    }
}

static void bf16__empty_sizes_are_served(void)
{
    static const int64_t size[][5] = {{0, 40, 40, 4, 4}, {2, 0, 40, 4, 4},  {2, 40, 0, 4, 4},
                                      {2, 40, 40, 0, 4}, {2, 40, 40, 4, 0}, {1, 40, 40, 257, 4}};
    sums all = {.n = 0};

    for (int n = 0; n < 6; n++) {
        attn_prob *p = attn_new(size[n][0], size[n][1], size[n][2], 2, 1, 2, size[n][3], size[n][4]);

        round_to_bf16(p);
        take_in(&all, p, 0, 0);
        attn_done();
    }
    verdict(&all, "empty sizes");
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
    const bf16_facts amx = {CPU_AMX, 1, 1, 1, 1, 0.5}, dot = {CPU_AMX, 1, 1, 0, 0, 2};
    const bf16_ops *amx_ops = NULL, *dot_ops = NULL;
    bf16_facts f;

#if CPU_HAVE_AMX
    amx_ops = &attn_cpu_bf16_amx;
#endif
#if CPU_HAVE_BF16
    dot_ops = &attn_cpu_bf16_dot;
#endif
    CU_ASSERT(bf16_choose(&amx) == amx_ops);
    CU_ASSERT(bf16_choose(&dot) == dot_ops);
    f = amx, f.cap = CPU_AVX512;
    CU_ASSERT(bf16_choose(&f) == NULL);
    f = amx, f.vectors = 0;
    CU_ASSERT(bf16_choose(&f) == NULL);
    f = amx, f.amx_bits = 0;
    CU_ASSERT(bf16_choose(&f) == NULL);
    f = amx, f.amx_os = 0;
    CU_ASSERT(bf16_choose(&f) == NULL);
    f = dot, f.cap = CPU_AVX2;
    CU_ASSERT(bf16_choose(&f) == NULL);
    f = dot, f.cap = CPU_REF;
    CU_ASSERT(bf16_choose(&f) == NULL);
    f = dot, f.dot_bit = 0;
    CU_ASSERT(bf16_choose(&f) == NULL);
    f = dot, f.vectors = 0;
    CU_ASSERT(bf16_choose(&f) == NULL);
    f = dot, f.ratio = 1;
    CU_ASSERT(bf16_choose(&f) == NULL);
    f = amx, f.amx_os = 0, f.ratio = 2; /* without the permission the next best */
    CU_ASSERT(bf16_choose(&f) == dot_ops);
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
    X(bf16__errs_at_most_twice_as_much_as_ref) \
    X(bf16__every_length_and_width_has_its_tail) \
    X(bf16__windows_offsets_lengths_and_heads_combine) \
    X(bf16__other_features_are_served_by_the_other_kernels) \
    X(bf16__threads_do_not_change_a_bit) \
    X(bf16__an_undefined_number_reaches_only_who_sees_it) \
    X(bf16__a_key_beyond_the_length_may_hold_anything) \
    X(bf16__leaves_to_the_tiles_the_units_that_it_must_and_no_other) \
    X(bf16__backward_leaves_to_the_tiles_the_heads_that_it_must_and_no_other) \
    X(bf16__gradients_of_a_forward_of_its_own_are_near) \
    X(bf16__an_undefined_gradient_reaches_only_the_keys_its_query_sees) \
    X(bf16__gradients_add) \
    X(bf16__weights_that_overflow_are_computed_again) \
    X(bf16__empty_sizes_are_served) \
    X(bf16__emulated_product_follows_the_manual) \
    HARDWARE(X) \
    X(bf16__a_kernel_needs_its_file_its_bits_the_system_and_to_win) \
    X(bf16__this_machine_chooses_what_it_may_and_the_same_again)
CK_MAIN("attn_bf16", TESTS)
