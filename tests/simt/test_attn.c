/* SPDX-License-Identifier: Apache-2.0
 *
 * attention/cuda, its kernels run as fibers, against attention/ref in double: every type, width, tail, feature and
 * schedule. LOCI_SIMT_LONG in the environment makes it run many more combinations.
 */
#include "attn_judge.h"

static void cuda__every_length_has_its_tail(void)
{
    static const int64_t lengths[] = {1, 2, 15, 16, 17, 31, 33, 63, 64, 65, 127, 129, 140};
    enum { N = sizeof lengths / sizeof *lengths };

    for (int t = 0; t < 3; t++) {
        pool all = {{0}, {0}, {0}};

        for (int n = t == 2 ? 2 : 0; n < N; n += t == 2 ? 4 : 1) { /* the text of fp16 is that of bf16 */
            attn_prob *p = attn_new(1, lengths[n], lengths[(n + 5) % N], 2, 1, 2, 32, 32);

            p->a.causal = n % 3 > 0;
            simt_schedule(n % SIMT_SCHEDULES, (uint64_t)n);
            add(&all, p, types[t], n % 2, "length");
            attn_done();
        }
        judge(&all, types[t], "lengths");
    }
}

static void cuda__every_width_is_served(void)
{
    static const int64_t widths[][2] = {{1, 5},   {8, 8},     {32, 17}, {33, 40},  {64, 64},
                                        {96, 80}, {128, 128}, {7, 130}, {256, 256}};

    for (int t = 0; t < 3; t++) {
        pool all = {{0}, {0}, {0}};

        for (size_t n = 0; n < sizeof widths / sizeof *widths; n += t == 2 ? 4 : 1) {
            attn_prob *p = attn_new(1, 70, 75, 2, 2, 1, widths[n][0], widths[n][1]);

            p->a.causal = 1;
            simt_schedule((int)n % SIMT_SCHEDULES, n);
            add(&all, p, types[t], 0, "width");
            attn_done();
        }
        judge(&all, types[t], "widths");
    }
}

static void cuda__each_feature_equals_ref(void)
{
    for (int t = 0; t < 3; t++) {
        pool all = {{0}, {0}, {0}};

        for (int n = 0; n < ATTN_FEATURES; n++) {
            attn_prob *p = attn_new(2, 37, 41, 4, 2, n % 2 ? 2 : 4, 20, 12);
            char what[40];

            attn_feature(p, n);
            snprintf(what, sizeof what, "feature %d", n);
            simt_schedule(n % SIMT_SCHEDULES, (uint64_t)n);
            add(&all, p, types[t], n % 2, what);
            attn_done();
        }
        judge(&all, types[t], "features");
    }
}

/* Tiles of each width, in each type, are kernels of their own, and those of calls with features others again. */
static void cuda__tiles_of_every_width_have_the_features(void)
{
    static const int64_t widths[][2] = {{40, 50}, {100, 70}, {132, 200}};
    static const int features[] = {0, 8, 10, 11, 14};

    for (int t = 0; t < 3; t++) {
        pool all = {{0}, {0}, {0}};

        for (size_t n = 0; n < sizeof widths / sizeof *widths; n++)
            for (int general = 0; general < 2; general++) {
                attn_prob *p = attn_new(1, 21, 25, 2, 2, 1, widths[n][0], widths[n][1]);

                for (size_t f = 0; general && f < sizeof features / sizeof *features; f++)
                    attn_feature(p, features[f]);
                simt_schedule((int)n % SIMT_SCHEDULES, n);
                add(&all, p, types[t], 0, general ? "features" : "width");
                attn_done();
            }
        judge(&all, types[t], "features of every width");
    }
}

static void cuda__combinations_equal_ref(void)
{
    static const int64_t heads[][3] = {{1, 1, 1}, {4, 2, 2}, {4, 4, 1}, {6, 2, 3}, {4, 1, 2}};
    const int cases = getenv("LOCI_SIMT_LONG") ? 300 : 24;
    pool all[3] = {{{0}, {0}, {0}}};

    for (int n = 0; n < cases; n++) {
        const int64_t *H = heads[ck_bits() % 5];
        attn_prob *p =
            attn_new(1 + (int64_t)(ck_bits() % 2), 1 + (int64_t)(ck_bits() % 80), 4 + (int64_t)(ck_bits() % 90), H[0],
                     H[1], H[2], 1 + (int64_t)(ck_bits() % 40), 1 + (int64_t)(ck_bits() % 40));
        char what[40];

        for (int f = 0; f < ATTN_FEATURES; f++)
            if (ck_rand() < (f == 16 ? 0.1 : 0.25))
                attn_feature(p, f);
        if (n % 5 == 0)
            p->d_lse = NULL;
        if (n % 7 == 0)
            p->a.offset = (int64_t)(ck_bits() % 60) - 20;
        snprintf(what, sizeof what, "combination %d", n);
        simt_schedule(n % SIMT_SCHEDULES, (uint64_t)n);
        add(all + n % 3, p, types[n % 3], n % 2, what);
        attn_done();
    }
    for (int t = 0; t < 3; t++)
        judge(all + t, types[t], "combinations");
}

/* A list of large blocks: most tiles are stepped over, from the first on, in the middle, to the last. Some rows see
 * nothing. */
static void cuda__tiles_that_no_list_names_are_stepped_over(void)
{
    for (int n = 0; n < 6; n++) {
        const int64_t T = 150, S = 290, wide = n % 2 ? 64 : 16;
        attn_prob *p = attn_new(1, T, S, 2, 1, 2, 32, 20);
        pool all = {{0}, {0}, {0}};

        p->bq = (int32_t)wide;
        p->bk = n % 3 ? 48 : 16;
        p->mask_H = 1 + n % 2;
        p->reversed = n % 2;
        p->sparse = attn_keep((size_t)(p->mask_H * T * S));
        for (int64_t x = 0; x < p->mask_H * T * S; x++) {
            int64_t row = x / S % T / wide, col = x % S / p->bk, h = x / S / T;

            p->sparse[x] = row % 4 != 3 && (row * 5 + col * 3 + h) % 7 == 0 && (col % 2 || x % 5);
        }
        if (n > 3)
            p->a.causal = 1, p->a.offset = S - T;
        simt_schedule(n % SIMT_SCHEDULES, (uint64_t)n);
        add(&all, p, types[n % 3], n % 2, "blocks");
        judge(&all, types[n % 3], "blocks");
        attn_done();
    }
}

enum { FLAT, PEAKED, HUGE_ONE, EQUAL, SUBNORMAL, FAMILIES };

/* Scores that are nearly equal, far apart, one above all, equal, and too small for normal numbers. */
static void cuda__families_of_scores_equal_ref(void)
{
    static const char *const names[] = {"flat", "peaked", "one huge", "all equal", "subnormal"};

    for (int family = 0; family < FAMILIES; family++)
        for (int t = 0; t < 2; t++) {
            attn_prob *p = attn_new(1, 50, 70, 2, 1, 1, 40, 24);
            pool all = {{0}, {0}, {0}};

            p->a.causal = 1;
            for (int64_t i = 0; i < 50 * 2 * 40; i++)
                p->q[i] = family == FLAT        ? p->q[i] * 0.015625
                          : family == PEAKED    ? p->q[i] * 8
                          : family == EQUAL     ? 0.5
                          : family == SUBNORMAL ? (double)(float)(p->q[i] * 1e-39)
                                                : p->q[i];
            for (int64_t i = 0; family == EQUAL && i < 70 * 40; i++)
                p->k[i] = 0.25;
            if (family == HUGE_ONE)
                p->k[70 * 40 / 2] = 300;
            simt_schedule(family, 1);
            add(&all, p, types[t], 0, names[family]);
            judge(&all, types[t], names[family]);
            attn_done();
        }
}

static int same(const double *a, const double *b, int64_t n)
{
    return !memcmp(a, b, (size_t)n * sizeof *a);
}

/* Several tiles of queries and of keys, every kernel: a missing barrier or wait shows here (tests/simt/mutate). */
static void cuda__schedules_do_not_change_a_bit(void)
{
    ck_seed = 1; /* the same numbers whatever ran before, and alone */
    for (int t = 0; t < 2; t++)
        for (int general = 0; general < 2; general++) {
            attn_prob *p = attn_new(1, general ? 200 : 130, 150, 2, 1, general ? 2 : 1, 32, 32);
            attn_out *first = NULL;
            result r[RESULTS];

            p->a.causal = 1;
            if (general) {
                p->a.offset = -70; /* the first tile of queries sees nothing */
                attn_feature(p, 8);
                attn_feature(p, 10);
                attn_feature(p, 11);
                attn_feature(p, 14);
            }
            results(p, r);
            for (int kind = 0; kind < SIMT_SCHEDULES && !CU_get_number_of_failures(); kind++) {
                pool all = {{0}, {0}, {0}};
                attn_out *got;

                simt_schedule(kind, 5);
                if (!first) {
                    add(&all, p, types[t], 0, "schedules");
                    judge(&all, types[t], "schedules");
                }
                got = run_cuda(p, types[t], 0, 0);
                first = first ? first : got;
                for (int i = 0; first && got && i < RESULTS; i++)
                    CK_TRUE(same(get(got, r + i), get(first, r + i), r[i].n), "%s, type %c: %s differs",
                            simt_schedule_name(kind), types[t], r[i].name);
            }
            attn_done();
        }
}

/* Keys and queries that nobody sees may hold anything; what is seen and undefined comes out undefined. */
static void cuda__undefined_numbers_stay_with_those_who_see_them(void)
{
    for (int t = 0; t < 2; t++)
        for (int64_t first = 1; first < 40; first += 12) {
            attn_prob *p = attn_new(1, 40, 40, 1, 1, 1, 8, 8);
            attn_out *was, *got;

            p->a.causal = 1;
            round_to(p, types[t]);
            was = run_cuda(p, types[t], 0, 0);
            for (int64_t j = first * 8; j < 40 * 8; j++)
                p->k[j] = p->v[j] = j % 2 ? NAN : INFINITY;
            got = run_cuda(p, types[t], 0, 0);
            CU_ASSERT(was && got && same(got->o, was->o, first * 8) && same(got->lse, was->lse, first) &&
                      same(got->dq, was->dq, first * 8));
            for (int64_t i = first; got && i < 40; i++)
                CU_ASSERT(isnan(got->o[i * 8]) && isnan(got->dq[i * 8]));
            attn_done();
            p = attn_new(1, 40, 40, 1, 1, 1, 8, 8);
            p->a.causal = 1;
            round_to(p, types[t]);
            was = run_cuda(p, types[t], 0, 0);
            for (int64_t i = 0; i < first * 8; i++) /* queries before `first` see keys before `first` only */
                p->q[i] = p->d_o[i] = NAN;
            got = run_cuda(p, types[t], 0, 0);
            CU_ASSERT(was && got && same(got->o + first * 8, was->o + first * 8, (40 - first) * 8) &&
                      same(got->dk + first * 8, was->dk + first * 8, (40 - first) * 8) &&
                      same(got->dv + first * 8, was->dv + first * 8, (40 - first) * 8));
            CU_ASSERT(got && isnan(got->o[0]) && isnan(got->dk[0]) && isnan(got->dv[0]));
            attn_done();
        }
}

static void cuda__empty_sizes_and_rows_without_keys(void)
{
    static const int64_t size[][3] = {{0, 4, 4}, {2, 0, 4}, {2, 4, 0}, {2, 0, 0}};
    attn_prob *p;
    attn_out *o;

    simt_schedule(SIMT_ROUND, 0);
    for (int n = 0; n < 4; n++) {
        p = attn_new(size[n][0], size[n][1], size[n][2], 2, 1, 2, 4, 3);
        o = run_cuda(p, 'f', 0, 0);
        for (int64_t i = 0; o && i < p->B * p->T * p->H; i++)
            CU_ASSERT(o->lse[i] == -INFINITY && o->o[i * p->e] == 0);
        attn_done();
    }
    p = attn_new(1, 6, 3, 2, 2, 2, 4, 4); /* offset -3: rows 0 to 2 see nothing */
    p->a.causal = 1;
    o = run_cuda(p, 'b', 0, 0);
    for (int64_t i = 0; o && i < 3; i++)
        for (int64_t h = 0; h < 2; h++)
            for (int64_t x = 0; x < 4; x++)
                CU_ASSERT(o->lse[h * 6 + i] == -INFINITY && o->o[(i * 2 + h) * 4 + x] == 0 &&
                          o->dq[(i * 2 + h) * 4 + x] == 0);
    attn_done();
}

static void cuda__gradients_add(void)
{
    attn_prob *p = attn_new(2, 5, 6, 4, 2, 2, 3, 3);
    attn_how how = {.dtype = 'f', .device = LOCI_CUDA};
    attn_out *zero, *two;
    result r[RESULTS];

    for (int n = 0; n < 4; n++)
        attn_feature(p, (const int[]){8, 10, 11, 14}[n]);
    results(p, r);
    zero = attn_run(attn_host(), &loci_attn_cuda_class, p, how);
    how.base = 2;
    two = attn_run(attn_host(), &loci_attn_cuda_class, p, how);
    for (int i = 2; zero && two && i < RESULTS; i++)
        for (int64_t n = 0; n < r[i].n; n++)
            CK_TRUE(fabs(get(two, r + i)[n] - 2 - get(zero, r + i)[n]) < 1e-5, "%s[%d] is %g, alone %g", r[i].name,
                    (int)n, get(two, r + i)[n], get(zero, r + i)[n]);
    attn_done();
}

static void cuda__far_positions_equal_ref(void)
{
    attn_prob *p = attn_new(1, 20, 40, 2, 2, 2, 4, 4);
    pool all = {{0}, {0}, {0}};

    p->a.causal = 1;
    p->a.offset = 2000000010;
    p->a.window_left = 25;
    p->slopes = attn_real(2, 0.1);
    p->k_pos = attn_ints(40, 2000000000, 1);
    p->k_pos[3] = -1;
    add(&all, p, 'f', 0, "far");
    judge(&all, 'f', "far");
    attn_done();
}

static int refuses(loci_shape shape, const char *why)
{
    loci_fit fit = {.struct_size = sizeof fit};

    loci_attn_cuda_class.fit(&attn_host()->host, NULL, &shape, &fit);
    return fit.score == 0 && strstr(fit.reason, why);
}

static void cuda__fit_says_what_it_cannot(void)
{
    const loci_shape good = {.struct_size = sizeof good,
                             .heads = 4,
                             .k_heads = 2,
                             .v_heads = 2,
                             .dk = 64,
                             .dv = 64,
                             .dtype = {LOCI_BFLOAT, 16, 1},
                             .device = {LOCI_CUDA, 0}};
    loci_fit fit = {.struct_size = sizeof fit};
    loci_shape s = good;

    loci_attn_cuda_class.fit(&attn_host()->host, NULL, &good, &fit);
    CK_TRUE(fit.score >= 200, "%s", fit.reason);
    s.device.type = LOCI_CPU;
    CU_ASSERT(refuses(s, "device"));
    s = good;
    s.dtype = (loci_dtype){LOCI_FLOAT, 64, 1};
    CU_ASSERT(refuses(s, "code"));
    s = good;
    s.dv = 257;
    CU_ASSERT(refuses(s, "257"));
    s = good;
    s.features = LOCI_A_BLOCKS << 1;
    CU_ASSERT(refuses(s, "newer"));
    s.features = LOCI_A_PAGED;
    CU_ASSERT(!refuses(s, ""));
    s.flags = LOCI_X_SAVE;
    CU_ASSERT(refuses(s, "backward"));
    s = good;
    s.heads = 3;
    CU_ASSERT(refuses(s, "multiple"));
}

static void cuda__a_call_that_contradicts_itself_is_refused(void)
{
    const attn_how how = {.dtype = 'f', .refused = 1, .device = LOCI_CUDA};
    attn_prob *p = attn_new(1, 3, 4, 2, 2, 2, 2, 2);

    p->k_len = attn_ints(1, 5, 0);
    attn_run(attn_host(), &loci_attn_cuda_class, p, how);
    CK_TRUE(strstr(ck_err.msg, "q_len 0 and k_len 5") != NULL, "%s", ck_err.msg);
    p->k_len = NULL;
    p->a.dropout = 1;
    attn_run(attn_host(), &loci_attn_cuda_class, p, how);
    CK_TRUE(strstr(ck_err.msg, "dropout") != NULL, "%s", ck_err.msg);
    p->a.dropout = 0;
    p->q_seg = attn_ints(3, 0, 0);
    attn_run(attn_host(), &loci_attn_cuda_class, p, how);
    CK_TRUE(strstr(ck_err.msg, "k_seg") != NULL, "%s", ck_err.msg);
    p->q_seg = NULL;
    p->a.offset = INT64_C(3000000000);
    attn_run(attn_host(), &loci_attn_cuda_class, p, how);
    CK_TRUE(strstr(ck_err.msg, "offset") != NULL, "%s", ck_err.msg);
    attn_done();
    p = attn_new(1, 300, 300, 2, 2, 2, 2, 2); /* blocks of a single pair, for each of which there would be a number */
    p->bq = p->bk = 1;
    p->mask_H = 1;
    p->sparse = attn_keep(300 * 300);
    attn_run(attn_host(), &loci_attn_cuda_class, p, how);
    CK_TRUE(strstr(ck_err.msg, "larger blocks") != NULL, "%s", ck_err.msg);
    attn_done();
}

#define TESTS(X) \
    X(cuda__every_length_has_its_tail) \
    X(cuda__every_width_is_served) \
    X(cuda__each_feature_equals_ref) \
    X(cuda__tiles_of_every_width_have_the_features) \
    X(cuda__combinations_equal_ref) \
    X(cuda__tiles_that_no_list_names_are_stepped_over) \
    X(cuda__families_of_scores_equal_ref) \
    X(cuda__schedules_do_not_change_a_bit) \
    X(cuda__undefined_numbers_stay_with_those_who_see_them) \
    X(cuda__empty_sizes_and_rows_without_keys) \
    X(cuda__gradients_add) \
    X(cuda__far_positions_equal_ref) \
    X(cuda__fit_says_what_it_cannot) \
    X(cuda__a_call_that_contradicts_itself_is_refused)
CK_MAIN("attn_cuda", TESTS)
