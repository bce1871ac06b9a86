/* SPDX-License-Identifier: Apache-2.0
 *
 * attention/cpu against attention/ref at lengths around every tile and vector, in every combination of features, with
 * any number of threads; and its exponential.
 */
#include "judge.h"

enum { FLAT, PEAKED, HUGE_ONE, EQUAL, SUBNORMAL, MASKED, N_FAMILIES };
static const char *const families[] = {"flat", "peaked", "one huge", "all equal", "subnormal", "masked rows"};

static void shape_family(attn_prob *p, int family)
{
    int64_t nq = p->B * p->T * p->H * p->d, nk = p->B * p->S * p->Hk * p->d;

    for (int64_t i = 0; i < nq; i++)
        p->q[i] = family == FLAT        ? p->q[i] * 0.015625
                  : family == PEAKED    ? p->q[i] * 8
                  : family == EQUAL     ? 0.5
                  : family == SUBNORMAL ? (float)(p->q[i] * 1e-39)
                                        : p->q[i];
    for (int64_t i = 0; family == EQUAL && i < nk; i++)
        p->k[i] = 0.25;
    if (family == HUGE_ONE && nq && nk)
        p->k[nk / 2] = 300;
    if (family == MASKED && p->T) { /* bottom-right of more queries than keys sees nothing; a short row, too */
        p->a.causal = 1;
        p->a.offset = -p->T / 2;
        p->q_len = attn_ints(p->B, (int32_t)p->T, 0);
        p->q_len[0] = (int32_t)(p->T - p->T / 4);
        p->k_len = attn_ints(p->B, (int32_t)p->S, 0);
        p->k_len[p->B - 1] = (int32_t)(p->S - p->S / 3);
    }
}

static void cpu__float_errs_at_most_twice_as_much_as_ref(void)
{
    static const int64_t size[][8] = {
        {2, 48, 48, 4, 2, 2, 16, 16}, {1, 50, 131, 2, 2, 1, 33, 17}, {2, 17, 9, 2, 1, 2, 5, 7},
        {1, 1, 140, 4, 1, 1, 32, 32}, {1, 97, 97, 1, 1, 1, 64, 64},
    };

    for (int family = 0; family < N_FAMILIES; family++) {
        pool all = {{{0}}, {0}, {0}};

        for (int n = 0; n < 5; n++) {
            const int64_t *s = size[n];
            attn_prob *p = attn_new(s[0], s[1], s[2], s[3], s[4], s[5], s[6], s[7]);

            p->a.causal = n % 2;
            p->slopes = n == 2 ? attn_real(p->H, 0.1) : NULL;
            shape_family(p, family);
            add_float(&all, p, n % 2);
            attn_done();
        }
        judge(&all, families[family]);
    }
}

static void cpu__every_length_and_width_has_its_tail(void)
{
    static const int64_t lengths[] = {1, 2, 7, 8, 9, 15, 16, 17, 31, 32, 33, 47, 48, 49, 65, 96, 127, 128, 129, 257};
    static const int64_t widths[] = {1, 2, 3, 4, 7, 8, 9, 15, 16, 17, 31, 33, 48, 65};

    pool all = {{{0}}, {0}, {0}};

    for (int n = 0; n < 20; n++) {
        attn_prob *p = attn_new(1, lengths[n], lengths[(n + 7) % 20], 2, 1, 2, 8, 4);

        p->a.causal = n % 3 > 0;
        add_float(&all, p, n % 2);
        check_double(p, n % 2, "length");
        attn_done();
    }
    for (int n = 0; n < 14; n++) {
        attn_prob *p = attn_new(1, 19, 21, 1, 1, 1, widths[n], widths[(n + 5) % 14]);

        p->a.causal = 1;
        add_float(&all, p, n % 2);
        check_double(p, n % 2, "width");
        attn_done();
    }
    judge(&all, "lengths and widths");
}

static void cpu__each_feature_and_their_combinations_equal_ref(void)
{
    static const int64_t heads[][3] = {{1, 1, 1}, {4, 2, 2}, {4, 4, 1}, {6, 2, 3}, {4, 1, 2}, {6, 6, 6}};
    pool all = {{{0}}, {0}, {0}};

    for (int n = 0; n < FEATURES + 110; n++) {
        const int64_t *H = heads[ck_bits() % 6];
        int64_t T = 1 + (int64_t)(ck_bits() % (n % 4 ? 30 : 150)), S = 1 + (int64_t)(ck_bits() % (n % 4 ? 60 : 200));
        attn_prob *p = attn_new(1 + (int64_t)(ck_bits() % 3), T, S, H[0], H[1], H[2], 1 + (int64_t)(ck_bits() % 20),
                                1 + (int64_t)(ck_bits() % 20));
        char what[40];

        for (int f = 0; f < FEATURES; f++)
            if (n < FEATURES ? f == n : ck_rand() < (f < 9 ? 0.3 : 0.2))
                feature(p, f);
        if (n % 5 == 0)
            p->d_lse = NULL;
        snprintf(what, sizeof what, "combination %d", n);
        check_double(p, n % 2, what);
        if (n % 3 == 0)
            add_float(&all, p, n % 2);
        attn_done();
    }
    judge(&all, "combinations");
}

static void cpu__far_positions_equal_ref(void)
{
    attn_prob *p = attn_new(1, 20, 40, 2, 2, 2, 4, 4);
    pool all = {{{0}}, {0}, {0}};

    p->a.causal = 1;
    p->a.offset = 2000000010;
    p->a.window_left = 25;
    p->slopes = attn_real(2, 0.1);
    p->k_pos = attn_ints(40, 2000000000, 1);
    check_double(p, 0, "far");
    add_float(&all, p, 0);
    judge(&all, "far positions");
    p->a.offset = INT64_C(1) << 40; /* sees nothing */
    check_double(p, 0, "further");
    attn_done();
}

static void cpu__empty_sizes_are_served(void)
{
    static const int64_t size[][5] = {
        {0, 4, 4, 4, 4}, {2, 0, 4, 4, 4}, {2, 4, 0, 4, 4}, {2, 4, 4, 0, 4}, {2, 4, 4, 4, 0}};
    pool all = {{{0}}, {0}, {0}};

    for (int n = 0; n < 5; n++) {
        attn_prob *p = attn_new(size[n][0], size[n][1], size[n][2], 2, 1, 2, size[n][3], size[n][4]);

        p->slopes = attn_real(2, 1);
        check_double(p, 0, "empty");
        add_float(&all, p, 0);
        attn_done();
    }
    judge(&all, "empty sizes");
}

static void same_bits_for_all_threads(const attn_prob *p, char dtype, const char *what)
{
    attn_out *first = NULL;
    result r[RESULTS];

    for (int threads = 1; threads <= 4; threads *= 2) {
        struct ck_host h;
        attn_out *o;
        uint64_t stream = ck_seed;

        CK_OK(ck_host_open(&h, threads, &ck_err));
        o = attn_run(&h, &loci_attn_cpu_class, p, (attn_how){.dtype = dtype});
        ck_host_close(&h);
        ck_seed = stream;
        first = first ? first : o;
        for (int i = 0; o && i < results(p, r); i++)
            CK_TRUE(memcmp(get(o, r + i), get(first, r + i), (size_t)r[i].n * sizeof(double)) == 0,
                    "%s: %s differs with %d threads", what, r[i].name, threads);
    }
}

static void cpu__threads_do_not_change_a_bit(void)
{
    /* One group of heads: with two or more workers the backward is split in two passes. */
    static const int64_t size[][8] = {
        {1, 150, 300, 2, 1, 1, 16, 9}, {2, 100, 100, 4, 2, 4, 8, 8}, {1, 1, 2200, 6, 2, 3, 8, 8}};

    for (int n = 0; n < 3; n++)
        for (int f = 8; f < FEATURES; f++) {
            const int64_t *s = size[n];
            attn_prob *p = attn_new(s[0], s[1], s[2], s[3], s[4], s[5], s[6], s[7]);
            char what[40];

            p->a.causal = 1;
            p->slopes = attn_real(p->H, 0.1);
            feature(p, f);
            snprintf(what, sizeof what, "size %d, feature %d", n, f);
            same_bits_for_all_threads(p, f % 4 ? 'f' : 'b', what);
            attn_done();
        }
}

static void cpu__a_token_changes_nothing_before_it(void)
{
    attn_prob *p = attn_new(1, 100, 100, 2, 1, 1, 16, 16);
    attn_out *was, *is;

    p->a.causal = 1;
    was = attn_run(attn_host(), &loci_attn_cpu_class, p, (attn_how){.dtype = 'f', .forward_only = 1});
    for (int64_t x = 0; x < 16; x++)
        p->k[60 * 16 + x] = p->v[60 * 16 + x] = 50;
    is = attn_run(attn_host(), &loci_attn_cpu_class, p, (attn_how){.dtype = 'f', .forward_only = 1});
    CU_ASSERT(memcmp(was->o, is->o, 60 * 32 * sizeof(double)) == 0);
    CU_ASSERT(memcmp(was->o + 60 * 32, is->o + 60 * 32, 32 * sizeof(double)) != 0);
    attn_done();
}

static void cpu__row_does_not_depend_on_its_batch(void)
{
    attn_prob *p = attn_new(3, 60, 60, 2, 2, 2, 8, 8), *one = attn_keep(sizeof *one);
    attn_out *all, *alone;

    p->a.causal = 1;
    *one = *p;
    one->B = 1;
    one->q += 60 * 16;
    one->k += 60 * 16;
    one->v += 60 * 16;
    one->d_o += 60 * 16;
    one->d_lse += 60 * 2;
    all = attn_run(attn_host(), &loci_attn_cpu_class, p, (attn_how){.dtype = 'f'});
    alone = attn_run(attn_host(), &loci_attn_cpu_class, one, (attn_how){.dtype = 'f'});
    CU_ASSERT(memcmp(all->o + 60 * 16, alone->o, 60 * 16 * sizeof(double)) == 0 &&
              memcmp(all->dk + 60 * 16, alone->dk, 60 * 16 * sizeof(double)) == 0);
    attn_done();
}

static void cpu__gradients_add(void)
{
    attn_prob *p = attn_new(2, 20, 30, 4, 2, 2, 5, 6);
    attn_out *zero, *two;
    result r[RESULTS];

    p->slopes = attn_real(4, 0.1);
    zero = attn_run(attn_host(), &loci_attn_cpu_class, p, (attn_how){.dtype = 'd'});
    two = attn_run(attn_host(), &loci_attn_cpu_class, p, (attn_how){.dtype = 'd', .base = 2});
    for (int i = 2; i < results(p, r); i++)
        for (int64_t n = 0; n < r[i].n; n++)
            CU_ASSERT_DOUBLE_EQUAL(get(two, r + i)[n], 2 + get(zero, r + i)[n], 1e-13);
    attn_done();
}

static void cpu__backward_takes_the_lse_of_a_larger_key_set(void)
{
    attn_prob *p = attn_new(1, 40, 90, 2, 1, 1, 8, 8), *part;
    double *dq = attn_real(40 * 16, 0);
    attn_out *all, *o;

    p->a.causal = 1;
    all = attn_run(attn_host(), &loci_attn_cpu_class, p, (attn_how){.dtype = 'd'});
    for (int n = 0; n < 2; n++) {
        int64_t from = n ? 37 : 0, len = n ? 53 : 37;

        part = attn_keep(sizeof *part);
        *part = *p;
        part->S = len;
        part->k += from * 8;
        part->v += from * 8;
        part->k_pos = attn_ints(len, (int32_t)from, 1);
        o = attn_run(attn_host(), &loci_attn_cpu_class, part, (attn_how){.dtype = 'd', .given = all});
        CU_ASSERT(ck_rms(o->dk, all->dk + from * 8, (size_t)len * 8) < 1e-13);
        for (int x = 0; x < 40 * 16; x++)
            dq[x] += o->dq[x];
    }
    CU_ASSERT(ck_rms(dq, all->dq, 40 * 16) < 1e-13);
    attn_done();
}

static void cpu__an_undefined_key_that_is_seen_is_not_hidden(void)
{
    attn_prob *p = attn_new(1, 60, 60, 1, 1, 1, 4, 4);
    attn_out *o;

    p->a.causal = 1;
    p->k[40 * 4] = NAN;
    o = attn_run(attn_host(), &loci_attn_cpu_class, p, (attn_how){.dtype = 'f', .forward_only = 1});
    for (int64_t i = 0; o && i < 60; i++)
        CU_ASSERT(isnan(o->o[i * 4]) == (i >= 40) && isnan(o->lse[i]) == (i >= 40));
    attn_done();
}

/* Scores 0 and x, values 0 and 1: o = e^x / (1 + e^x). */
static void cpu__exponential_is_good_to_three_units_in_the_last_place(void)
{
    for (int level = 0; level < 4; level++) { /* the fourth is double */
        attn_prob *p = attn_new(1, 2000, 2, 1, 1, 1, 1, 1);
        double unit = level == 3 ? DBL_EPSILON : (double)FLT_EPSILON, most = 0;
        attn_out *o;

        p->a.scale = 1;
        p->k[0] = p->v[0] = 0;
        p->k[1] = p->v[1] = 1;
        for (int64_t i = 0; i < p->T; i++)
            p->q[i] = (float)(-(level == 3 ? 700.0 : 87.0) * (double)i / (double)p->T);
        take_level(level % 3);
        o = attn_run(attn_host(), &loci_attn_cpu_class, p,
                     (attn_how){.dtype = level == 3 ? 'd' : 'f', .forward_only = 1});
        for (int64_t i = 0; o && i < p->T; i++)
            most = fmax(most, fabs(o->o[i] / (exp(p->q[i]) / (1 + exp(p->q[i]))) - 1));
        CK_TRUE(o && most < 3 * unit, "%s: off by %.2f units", level == 3 ? "double" : levels[level], most / unit);
        attn_done();
    }
    leave_levels();
}

static void cpu__memory_does_not_grow_with_the_square(void)
{
    attn_prob *p = attn_new(1, 1, 1, 1, 1, 1, 64, 64);
    attn_out *o = attn_run(attn_host(), &loci_attn_cpu_class, p, (attn_how){.dtype = 'f', .forward_only = 1});
    attn_prob *q = attn_new(1, 700, 700, 1, 1, 1, 64, 64);
    attn_out *l = attn_run(attn_host(), &loci_attn_cpu_class, q, (attn_how){.dtype = 'f', .forward_only = 1});

    CK_TRUE(o && l && l->scratch == o->scratch, "a forward of 700 needs %llu bytes, of 1 %llu",
            (unsigned long long)l->scratch, (unsigned long long)o->scratch);
    attn_done();
}

static void cpu__declines_by_name(void)
{
    loci_shape shape = {.struct_size = sizeof shape,
                        .heads = 2,
                        .k_heads = 1,
                        .v_heads = 1,
                        .dtype = {LOCI_FLOAT, 32, 1},
                        .device = {LOCI_CPU, 0},
                        .features = 2 * LOCI_A_BLOCKS - 1};
    loci_fit fit = {.struct_size = sizeof fit};

    CK_OK(loci_attn_cpu_class.fit(&attn_host()->host, NULL, &shape, &fit));
    CU_ASSERT(fit.score == 110);
    shape.features = LOCI_A_BLOCKS << 1 | LOCI_A_WINDOW;
    CK_OK(loci_attn_cpu_class.fit(&attn_host()->host, NULL, &shape, &fit));
    CK_TRUE(fit.score == 0 && strstr(fit.reason, "0x4000"), "%d: %s", fit.score, fit.reason);
    shape.features = 0;
    shape.dtype = (loci_dtype){LOCI_INT, 8, 1};
    CK_OK(loci_attn_cpu_class.fit(&attn_host()->host, NULL, &shape, &fit));
    CK_TRUE(fit.score == 0 && strstr(fit.reason, "bf16"), "%d: %s", fit.score, fit.reason);
}

/* Others keep their bits, and lse is as it was. */
static void cpu__an_undefined_value_reaches_only_who_sees_it(void)
{
    static const double odd[] = {NAN, INFINITY};

    for (int level = 0; level < 3; level++)
        for (int n = 0; n < 4; n++) {
            attn_prob *p = attn_new(1, 60, 60, 2, 1, 1, 4, 5);
            const attn_how how = {.dtype = n & 1 ? 'd' : 'f', .forward_only = 1};
            attn_out *was, *is;

            take_level(level);
            p->a.causal = 1;
            p->a.window_left = 9;
            was = attn_run(attn_host(), &loci_attn_cpu_class, p, how);
            p->v[40 * 5 + 2] = odd[n / 2];
            is = attn_run(attn_host(), &loci_attn_cpu_class, p, how);
            for (int64_t x = 0; was && is && x < 60 * 2 * 5; x++) {
                const int64_t i = x / 10;
                const int sees = i >= 40 && i <= 49;
                if (!sees || x % 5 == 2) /* the other columns of who sees it may be rounded otherwise */
                    CK_TRUE(sees ? !isfinite(is->o[x]) : is->o[x] == was->o[x], "%s: o[%d][%d] is %g, was %g",
                            levels[level], (int)i, (int)(x % 10), is->o[x], was->o[x]);
            }
            for (int64_t x = 0; was && is && x < 2 * 60; x++)
                CU_ASSERT(is->lse[x] == was->lse[x]);
            attn_done();
        }
    leave_levels();
}

#define TESTS(X) \
    X(cpu__float_errs_at_most_twice_as_much_as_ref) \
    X(cpu__every_length_and_width_has_its_tail) \
    X(cpu__each_feature_and_their_combinations_equal_ref) \
    X(cpu__far_positions_equal_ref) \
    X(cpu__empty_sizes_are_served) \
    X(cpu__threads_do_not_change_a_bit) \
    X(cpu__a_token_changes_nothing_before_it) \
    X(cpu__row_does_not_depend_on_its_batch) \
    X(cpu__gradients_add) \
    X(cpu__backward_takes_the_lse_of_a_larger_key_set) \
    X(cpu__an_undefined_key_that_is_seen_is_not_hidden) \
    X(cpu__an_undefined_value_reaches_only_who_sees_it) \
    X(cpu__exponential_is_good_to_three_units_in_the_last_place) \
    X(cpu__memory_does_not_grow_with_the_square) \
    X(cpu__declines_by_name)
CK_MAIN("attn_cpu", TESTS)
