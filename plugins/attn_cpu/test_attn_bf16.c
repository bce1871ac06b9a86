/* SPDX-License-Identifier: Apache-2.0
 *
 * attention/cpu where products are those of bf16 numbers: accuracy, gradients, threads, and what other kernels serve.
 * judge_bf16.h says how kernels are run and judged; test_attn_bf16_edge.c tests them at their edges.
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
                                      {1, 80, 170, 2, 2, 2, 64, 64},
                                      {1, 130, 70, 2, 1, 2, 40, 24},
                                      {2, 33, 140, 1, 1, 1, 128, 128}};

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

    for (int n = 0; n < 40; n++) {
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
        for (int threads = 1; threads <= 4; threads += 3) {
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

#define TESTS(X) \
    X(bf16__errs_at_most_twice_as_much_as_ref) \
    X(bf16__every_length_and_width_has_its_tail) \
    X(bf16__windows_offsets_lengths_and_heads_combine) \
    X(bf16__other_features_are_served_by_the_other_kernels) \
    X(bf16__threads_do_not_change_a_bit) \
    X(bf16__gradients_of_a_forward_of_its_own_are_near) \
    X(bf16__gradients_add) \
    X(bf16__weights_that_overflow_are_computed_again) \
    X(bf16__empty_sizes_are_served)
CK_MAIN("attn_bf16", TESTS)
