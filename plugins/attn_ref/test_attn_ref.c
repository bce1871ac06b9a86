/* SPDX-License-Identifier: Apache-2.0
 *
 * attention/ref against an independent double loop that materialises every score, and its gradients against central
 * differences of that loop: each feature alone, then random combinations, in contiguous and in odd layouts.
 */
#include "attn_features.h"
#include "attn_naive.h"

extern const loci_class loci_attn_ref_class;

static double loss(const attn_prob *p)
{
    attn_out *out = naive(p);
    double sum = 0;

    for (int64_t n = 0; n < p->B * p->T * p->H * p->e; n++)
        sum += out->o[n] * p->d_o[n];
    for (int64_t n = 0; p->d_lse && n < p->B * p->H * p->T; n++)
        sum += out->lse[n] > -INFINITY ? out->lse[n] * p->d_lse[n] : 0;
    return sum;
}

/* -inf agrees with -inf; elsewhere relative RMS. */
static double lse_error(const double *got, const double *want, int64_t n)
{
    double *g = attn_real(n, 0), *w = attn_real(n, 0);

    for (int64_t i = 0; i < n; i++) {
        if ((got[i] == -INFINITY) != (want[i] == -INFINITY))
            return INFINITY;
        g[i] = want[i] == -INFINITY ? 0 : got[i];
        w[i] = want[i] == -INFINITY ? 0 : want[i];
    }
    return ck_rms(g, w, (size_t)n);
}

/* Central differences of up to `most` coordinates of one input. */
static void check_grad(attn_prob *p, const char *name, double *x, const double *grad, int64_t n, int most)
{
    double got[64], want[64];
    int used = 0;

    for (; x && used < most && used < n; used++) {
        int64_t at = n <= most ? used : (int64_t)(ck_bits() % (uint64_t)n);
        double was = x[at], up;

        x[at] = was + 1e-5;
        up = loss(p);
        x[at] = was - 1e-5;
        want[used] = (up - loss(p)) / 2e-5;
        x[at] = was;
        got[used] = grad[at];
    }
    if (used) {
        double error = ck_rms(got, want, (size_t)used);

        CK_TRUE(error < 2e-7, "d%s differs from central differences by %g", name, error);
    }
}

static void check_case(attn_prob *p, int odd)
{
    attn_out *want = naive(p),
             *got = attn_run(attn_host(), &loci_attn_ref_class, p, (attn_how){.dtype = 'd', .odd = odd});
    double error;

    if (!got)
        return;
    error = ck_rms(got->o, want->o, (size_t)(p->B * p->T * p->H * p->e));
    CK_TRUE(error < 1e-13, "o differs by %g", error);
    error = lse_error(got->lse, want->lse, p->B * p->H * p->T);
    CK_TRUE(error < 1e-13, "lse differs by %g", error);
    check_grad(p, "q", p->q, got->dq, p->B * p->T * p->H * p->d, 8);
    check_grad(p, "k", p->k, got->dk, p->B * p->S * p->Hk * p->d, 8);
    check_grad(p, "v", p->v, got->dv, p->B * p->S * p->Hv * p->e, 8);
    check_grad(p, "bias", p->bias, got->dbias, p->bias_B * p->bias_H * p->T * p->S, 8);
    check_grad(p, "slopes", p->slopes, got->dslopes, p->H, 4);
    check_grad(p, "table", p->table, got->dtable, p->buckets * p->H, 16);
    check_grad(p, "sink", p->sink, got->dsink, p->H, 4);
    attn_done();
}

static void ref__plain_equals_double_loop_and_differences(void)
{
    for (int odd = 0; odd < 2; odd++)
        check_case(attn_new(2, 7, 9, 4, 2, 2, 5, 6), odd);
}

static void ref__each_feature_equals_double_loop_and_differences(void)
{
    for (int n = 0; n < ATTN_FEATURES; n++) {
        attn_prob *p = attn_new(2, 7, 9, 4, 2, 4, 5, 3);

        attn_feature(p, n);
        check_case(p, n % 2);
    }
}

static void ref__random_combinations_equal_double_loop_and_differences(void)
{
    static const int64_t heads[][3] = {{1, 1, 1}, {4, 2, 2}, {4, 4, 1}, {6, 2, 3}, {4, 1, 2}};

    for (int n = 0; n < 60; n++) {
        const int64_t *H = heads[ck_bits() % 5];
        attn_prob *p =
            attn_new(1 + (int64_t)(ck_bits() % 3), 1 + (int64_t)(ck_bits() % 9), 4 + (int64_t)(ck_bits() % 9), H[0],
                     H[1], H[2], 1 + (int64_t)(ck_bits() % 6), 1 + (int64_t)(ck_bits() % 6));

        for (int f = 0; f < ATTN_FEATURES; f++)
            if (ck_rand() < 0.25)
                attn_feature(p, f);
        if (ck_rand() < 0.3)
            p->d_lse = NULL;
        check_case(p, n % 2);
    }
}

static void ref__empty_sizes_are_served(void)
{
    static const int64_t size[][3] = {{0, 4, 4}, {2, 0, 4}, {2, 4, 0}, {2, 0, 0}};

    for (int n = 0; n < 4; n++) {
        attn_prob *p = attn_new(size[n][0], size[n][1], size[n][2], 2, 1, 2, 4, 3);
        attn_out *o = attn_run(attn_host(), &loci_attn_ref_class, p, (attn_how){.dtype = 'd'});

        for (int64_t i = 0; o && i < p->B * p->T * p->H; i++)
            CU_ASSERT(o->lse[i] == -INFINITY && o->o[i * p->e] == 0);
        attn_done();
    }
}

static void ref__row_without_key_is_zero_and_has_no_gradient(void)
{
    attn_prob *p = attn_new(1, 6, 3, 2, 2, 2, 4, 4); /* offset -3: rows 0 to 2 see nothing */
    attn_out *o;

    p->a.causal = 1;
    o = attn_run(attn_host(), &loci_attn_ref_class, p, (attn_how){.dtype = 'f'});
    for (int64_t i = 0; o && i < 3; i++)
        for (int64_t h = 0; h < 2; h++) {
            CU_ASSERT(o->lse[h * 6 + i] == -INFINITY);
            for (int64_t x = 0; x < 4; x++)
                CU_ASSERT(o->o[(i * 2 + h) * 4 + x] == 0 && o->dq[(i * 2 + h) * 4 + x] == 0);
        }
    check_case(p, 0);
}

static void ref__gradients_add(void)
{
    attn_prob *p = attn_new(2, 5, 6, 4, 2, 2, 3, 3);
    attn_out *zero, *two;

    attn_feature(p, 8);
    attn_feature(p, 10);
    attn_feature(p, 11);
    attn_feature(p, 14);
    zero = attn_run(attn_host(), &loci_attn_ref_class, p, (attn_how){.dtype = 'd'});
    two = attn_run(attn_host(), &loci_attn_ref_class, p, (attn_how){.dtype = 'd', .base = 2});
    for (int64_t n = 0; n < p->B * p->T * p->H * p->d; n++)
        CU_ASSERT_DOUBLE_EQUAL(two->dq[n], 2 + zero->dq[n], 1e-14);
    for (int64_t n = 0; n < p->B * p->S * p->Hk * p->d; n++)
        CU_ASSERT(fabs(two->dk[n] - 2 - zero->dk[n]) < 1e-14 && fabs(two->dv[n] - 2 - zero->dv[n]) < 1e-14);
    for (int64_t n = 0; n < p->H * p->T * p->S; n++)
        CU_ASSERT_DOUBLE_EQUAL(two->dbias[n], 2 + zero->dbias[n], 1e-14);
    for (int64_t n = 0; n < p->buckets * p->H; n++)
        CU_ASSERT_DOUBLE_EQUAL(two->dtable[n], 2 + zero->dtable[n], 1e-14);
    for (int64_t n = 0; n < p->H; n++)
        CU_ASSERT(fabs(two->dslopes[n] - 2 - zero->dslopes[n]) < 1e-13 &&
                  fabs(two->dsink[n] - 2 - zero->dsink[n]) < 1e-14);
    attn_done();
}

static void ref__f32_and_bf16_agree_with_f64(void)
{
    attn_prob *p = attn_new(2, 12, 15, 4, 2, 2, 8, 8);
    attn_out *d, *f, *b;
    size_t n = 2 * 12 * 4 * 8;

    p->a.causal = 1;
    d = attn_run(attn_host(), &loci_attn_ref_class, p, (attn_how){.dtype = 'd'});
    f = attn_run(attn_host(), &loci_attn_ref_class, p, (attn_how){.dtype = 'f'});
    b = attn_run(attn_host(), &loci_attn_ref_class, p, (attn_how){.dtype = 'b', .odd = 1});
    CU_ASSERT(ck_rms(f->o, d->o, n) < 5e-7 && ck_rms(f->dq, d->dq, n) < 2e-6);
    CU_ASSERT(ck_rms(b->o, d->o, n) < 1e-2 && ck_rms(b->dq, d->dq, n) < 3e-2 &&
              ck_rms(b->dk, d->dk, 2 * 15 * 2 * 8) < 3e-2);
    attn_done();
}

static void ref__an_undefined_key_that_is_seen_is_not_hidden(void)
{
    attn_prob *p = attn_new(1, 3, 3, 1, 1, 1, 2, 2);
    attn_out *o;

    p->a.causal = 1;
    p->k[2] = NAN; /* key 1 */
    o = attn_run(attn_host(), &loci_attn_ref_class, p, (attn_how){.dtype = 'd', .forward_only = 1});
    CU_ASSERT(!isnan(o->o[0]) && isnan(o->o[2]) && isnan(o->o[4]) && isnan(o->lse[1]));
    attn_done();
}

static void ref__refuses_what_contradicts_itself(void)
{
    attn_prob *p = attn_new(1, 3, 4, 3, 2, 1, 2, 2);

    attn_run(attn_host(), &loci_attn_ref_class, p, (attn_how){.dtype = 'd', .refused = 1});
    CK_TRUE(strstr(ck_err.msg, "3 query heads") != NULL, "%s", ck_err.msg);
    p = attn_new(1, 3, 4, 2, 2, 2, 2, 2);
    p->k_len = attn_ints(1, 5, 0);
    attn_run(attn_host(), &loci_attn_ref_class, p, (attn_how){.dtype = 'd', .refused = 1});
    CK_TRUE(strstr(ck_err.msg, "k_len") != NULL, "%s", ck_err.msg);
    p->k_len = NULL;
    p->a.dropout = 1;
    attn_run(attn_host(), &loci_attn_ref_class, p, (attn_how){.dtype = 'd', .refused = 1});
    CK_TRUE(strstr(ck_err.msg, "dropout") != NULL, "%s", ck_err.msg);
    p->a.dropout = 0;
    p->q_seg = attn_ints(3, 0, 0);
    attn_run(attn_host(), &loci_attn_ref_class, p, (attn_how){.dtype = 'd', .refused = 1});
    CK_TRUE(strstr(ck_err.msg, "k_seg") != NULL, "%s", ck_err.msg);
    attn_done();
}

static void ref__buckets_are_t5s(void)
{
    static const int64_t both[][2] = {{0, 0},    {-1, 1},   {-7, 7},    {-8, 8},   {-11, 8},  {-12, 9},
                                      {-16, 10}, {-23, 11}, {-32, 12},  {-46, 13}, {-64, 14}, {-90, 14},
                                      {-91, 15}, {1, 17},   {-128, 15}, {-200, 15}};
    static const int64_t back[][2] = {{5, 0},    {-15, 15}, {-16, 16}, {-19, 17},  {-24, 19}, {-57, 25},
                                      {-64, 26}, {-98, 29}, {-99, 30}, {-113, 31}, {-300, 31}};
    /* Through the class: one query, one key, the score is the entry of the table. */
    for (int n = 0; n < 16 + 11; n++) {
        const int64_t *want = n < 16 ? both[n] : back[n - 16];
        attn_prob *p = attn_new(1, 1, 1, 1, 1, 1, 1, 1);
        attn_out *o;

        p->q[0] = 0;
        p->buckets = 32;
        p->table = attn_real(32, 0);
        for (int x = 0; x < 32; x++)
            p->table[x] = x;
        p->a.max_distance = 128;
        p->a.bidirectional = n < 16;
        p->q_pos = attn_ints(1, 1000, 0);
        p->k_pos = attn_ints(1, (int32_t)(1000 + want[0]), 0);
        o = attn_run(attn_host(), &loci_attn_ref_class, p, (attn_how){.dtype = 'd', .forward_only = 1});
        CK_TRUE(o->lse[0] == (double)want[1], "distance %d is in bucket %g, wanted %d", (int)want[0], o->lse[0],
                (int)want[1]);
        attn_done();
    }
}

static void ref__softmax_of_three_tokens_is_the_published_one(void)
{
    static const double q[] = {.1, .5, .3, .2, .4, .6, .3, .2, .8}, k[] = {.4, .1, .2, .3, .6, .1, .2, .3, .7};
    static const double v[] = {1, .5, .2, .8, .6, .4, .3, .9, .7};
    static const double want[] = {0.6865742788, 0.6741699379, 0.4435974119, 0.6758007133, 0.6806011332,
                                  0.4501933272, 0.6695317089, 0.6844546452, 0.4535862924};
    attn_prob *p = attn_new(1, 3, 3, 1, 1, 1, 3, 3);
    attn_out *o;

    memcpy(p->q, q, sizeof q);
    memcpy(p->k, k, sizeof k);
    memcpy(p->v, v, sizeof v);
    o = attn_run(attn_host(), &loci_attn_ref_class, p, (attn_how){.dtype = 'd', .forward_only = 1});
    for (int n = 0; n < 9; n++)
        CU_ASSERT_DOUBLE_EQUAL(o->o[n], want[n], 1e-10);
    attn_done();
}

#define TESTS(X) \
    X(ref__softmax_of_three_tokens_is_the_published_one) \
    X(ref__plain_equals_double_loop_and_differences) \
    X(ref__each_feature_equals_double_loop_and_differences) \
    X(ref__random_combinations_equal_double_loop_and_differences) \
    X(ref__empty_sizes_are_served) \
    X(ref__row_without_key_is_zero_and_has_no_gradient) \
    X(ref__gradients_add) \
    X(ref__f32_and_bf16_agree_with_f64) \
    X(ref__an_undefined_key_that_is_seen_is_not_hidden) \
    X(ref__refuses_what_contradicts_itself) \
    X(ref__buckets_are_t5s)

CK_MAIN("attn_ref", TESTS)
