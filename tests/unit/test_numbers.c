/* SPDX-License-Identifier: Apache-2.0
 *
 * What loci check judges numbers by: the formula of attention against published values and its own differences, slopes
 * against derivatives that are known, comparisons that say where and by how much.
 */
#include "core/check/oracle.h"
#include "core/check/slope.h"
#include "core/check/subject.h"
#include "tests/ck.h"

static loci_error ck_err = LOCI_ERROR_INIT;

/* ---- attention --------------------------------------------------------------------------------------------------- */

static void oracle__gives_the_published_example(void)
{
    static const double q[] = {.1, .5, .3, .2, .4, .6, .3, .2, .8}, k[] = {.4, .1, .2, .3, .6, .1, .2, .3, .7};
    static const double v[] = {1, .5, .2, .8, .6, .4, .3, .9, .7};
    static const double full[] = {0.6865742788, 0.6741699379, 0.4435974119, 0.6758007133, 0.6806011332,
                                  0.4501933272, 0.6695317089, 0.6844546452, 0.4535862924};
    static const double causal[] = {
        1, 0.5, 0.2, 0.8965372834, 0.5517313583, 0.3034627167, 0.6695317089, 0.6844546452, 0.4535862924};
    double o[9], lse[3], score[3];
    loci_oracle a = {.B = 1,
                     .T = 3,
                     .S = 3,
                     .H = 1,
                     .Hk = 1,
                     .Hv = 1,
                     .d = 3,
                     .e = 3,
                     .q = q,
                     .k = k,
                     .v = v,
                     .o = o,
                     .lse = lse,
                     .score = score,
                     .desc = {.scale = 0.57735026918962576, .window_left = -1, .window_right = -1}};

    for (int way = 0; way < 2; way++) {
        a.desc.causal = way;
        loci_oracle_forward(&a);
        for (int i = 0; i < 9; i++)
            CK_TRUE(fabs(o[i] - (way ? causal : full)[i]) < 1e-10, "%s %d: %.12f", way ? "causal" : "full", i, o[i]);
    }
}

static void oracle__knows_the_buckets_of_t5(void)
{
    static const int back[] = {0, 1, 7, 8, 11, 12, 15, 16, 22, 23, 32, 45, 46, 64, 90, 91, 128, 200};
    static const int both[] = {0, 1, 7, 8, 8, 9, 9, 10, 10, 11, 12, 12, 13, 14, 14, 15, 15, 15};
    static const int far[] = {5, 0, -1, -15, -16, -18, -19, -20, -24, -32, -57, -64, -98, -99, -112, -113, -127, -300};
    static const int one[] = {0, 0, 1, 15, 16, 16, 17, 17, 19, 21, 25, 26, 29, 30, 30, 31, 31, 31};

    for (size_t i = 0; i < sizeof back / sizeof *back; i++) {
        CK_TRUE(loci_oracle_bucket(-back[i], 32, 128, true) == both[i], "distance %d", -back[i]);
        CK_TRUE(loci_oracle_bucket(far[i], 32, 128, false) == one[i], "distance %d, one way", far[i]);
    }
    CK_TRUE(loci_oracle_bucket(1, 32, 128, true) == 17, "distance 1");
}

/* Every feature at once, so that each gradient has everything to go through. */
enum { B = 2, T = 4, S = 5, H = 4, HK = 2, HV = 1, D = 3, E = 2, BUCKETS = 4 };

struct attention {
    double q[B * T * H * D], k[B * S * HK * D], v[B * S * HV * E], bias[H * T * S], slopes[H], table[BUCKETS * H],
        sink[H];
    double o[B * T * H * E], lse[B * H * T], d_o[B * T * H * E], d_lse[B * H * T], score[S], k_len[B];
    double dq[B * T * H * D], dk[B * S * HK * D], dv[B * S * HV * E], dbias[H * T * S], dslopes[H], dtable[BUCKETS * H],
        dsink[H];
    loci_oracle a;
    double *x; /* the tensor that moves */
    const double *at, *way;
    int n;
};

static void normal(double *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        x[i] = ck_norm();
}

static void attention_open(struct attention *t)
{
    memset(t, 0, sizeof *t);
    ck_seed = 4;
    normal(t->q, B * T * H * D);
    normal(t->k, B * S * HK * D);
    normal(t->v, B * S * HV * E);
    normal(t->bias, H * T * S);
    normal(t->slopes, H);
    normal(t->table, BUCKETS * H);
    normal(t->sink, H);
    normal(t->d_o, B * T * H * E);
    normal(t->d_lse, B * H * T);
    t->k_len[0] = S;
    t->k_len[1] = S - 1;
    t->a = (loci_oracle){.B = B,
                         .T = T,
                         .S = S,
                         .H = H,
                         .Hk = HK,
                         .Hv = HV,
                         .d = D,
                         .e = E,
                         .q = t->q,
                         .k = t->k,
                         .v = t->v,
                         .bias = t->bias,
                         .bias_B = 1,
                         .bias_H = H,
                         .slopes = t->slopes,
                         .table = t->table,
                         .buckets = BUCKETS,
                         .sink = t->sink,
                         .k_len = t->k_len,
                         .o = t->o,
                         .lse = t->lse,
                         .d_o = t->d_o,
                         .d_lse = t->d_lse,
                         .dq = t->dq,
                         .dk = t->dk,
                         .dv = t->dv,
                         .dbias = t->dbias,
                         .dslopes = t->dslopes,
                         .dtable = t->dtable,
                         .dsink = t->dsink,
                         .score = t->score};
    t->a.desc = (loci_attn_desc){.scale = 0.5,
                                 .softcap = 2,
                                 .causal = 1,
                                 .offset = 1,
                                 .window_left = 2,
                                 .window_right = -1,
                                 .prefix = 1,
                                 .max_distance = 3};
}

static loci_status loss(void *arg, double at, double *value, double *size, loci_error *err)
{
    struct attention *t = arg;

    (void)err;
    for (int i = 0; i < t->n; i++)
        t->x[i] = t->at[i] + at * t->way[i];
    loci_oracle_forward(&t->a);
    memcpy(t->x, t->at, (size_t)t->n * sizeof(double));
    *value = *size = 0;
    for (int i = 0; i < B * T * H * E; i++)
        *value += t->o[i] * t->d_o[i], *size += fabs(t->o[i] * t->d_o[i]);
    for (int i = 0; i < B * H * T; i++)
        *value += t->lse[i] * t->d_lse[i], *size += fabs(t->lse[i] * t->d_lse[i]);
    return LOCI_OK;
}

static void oracle__has_the_gradients_of_differences(void)
{
    static const double steps[] = {1e-3, 1e-4};
    static struct attention t;
    double at[256], way[256];

    attention_open(&t);
    loci_oracle_forward(&t.a);
    loci_oracle_backward(&t.a);
    const struct {
        const char *name;
        double *x, *g;
        int n;
    } all[] = {{"q", t.q, t.dq, B * T * H * D},    {"k", t.k, t.dk, B * S * HK * D},
               {"v", t.v, t.dv, B * S * HV * E},   {"bias", t.bias, t.dbias, H * T * S},
               {"slopes", t.slopes, t.dslopes, H}, {"table", t.table, t.dtable, BUCKETS * H},
               {"sink", t.sink, t.dsink, H}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        loci_slope s;
        double got = 0;
        memcpy(at, all[i].x, (size_t)all[i].n * sizeof *at);
        for (int j = 0; j < all[i].n; j++) {
            way[j] = ck_norm();
            got += way[j] * all[i].g[j];
        }
        t.x = all[i].x;
        t.at = at;
        t.way = way;
        t.n = all[i].n;
        CK_OK(loci_slope_of(&s, loss, &t, steps, 2, 0x1p-52, got, 0, &ck_err));
        CK_TRUE(fabs(got) > 1e-3 && fabs(got - s.value) < 1e-8 * fabs(got) + 1e-9,
                "%s: %.12g, and by differences %.12g", all[i].name, got, s.value);
    }
}

static void oracle__gives_nothing_to_a_query_that_sees_nothing(void)
{
    static struct attention t;

    attention_open(&t);
    t.a.sink = NULL;
    t.a.desc.prefix = 0;
    t.a.desc.offset = -2; /* the first two */
    loci_oracle_forward(&t.a);
    for (int i = 0; i < 2; i++) {
        CK_TRUE(isinf(t.lse[i]) && t.lse[i] < 0, "lse[%d] is %g", i, t.lse[i]);
        for (int x = 0; x < H * E; x++)
            CK_TRUE(t.o[i * H * E + x] == 0, "o[%d] is %g", i, t.o[i * H * E + x]);
    }
    loci_oracle_backward(&t.a);
    for (int x = 0; x < 2 * H * D; x++)
        CK_TRUE(t.dq[x] == 0, "dq[%d] is %g", x, t.dq[x]);
}

/* ---- slopes ------------------------------------------------------------------------------------------------------ */

struct wave {
    double k, noise;
    int calls;
};

static loci_status wave(void *arg, double at, double *value, double *size, loci_error *err)
{
    struct wave *w = arg;

    (void)err;
    w->calls++;
    *value = sin(w->k * (1 + at)) + w->noise * (w->calls % 2 ? 1 : -1);
    *size = 1;
    return LOCI_OK;
}

static void slope__is_the_derivative(void)
{
    static const double steps[] = {1e-2, 1e-3, 1e-4};
    struct wave w = {.k = 3};
    loci_slope s;

    CK_OK(loci_slope_of(&s, wave, &w, steps, 3, 0x1p-52, 3 * cos(3), 1e-12, &ck_err));
    CK_TRUE(fabs(s.value - 3 * cos(3)) < 1e-11 && s.rounding < 1e-11, "%.15g", s.value);
    w.calls = 0;
    CK_OK(loci_slope_of(&s, wave, &w, steps, 3, 0x1p-52, 3 * cos(3), 1, &ck_err));
    CK_TRUE(w.calls == 4, "the first step was near enough, and %d values were taken", w.calls);
}

/* Ripples of length 1e-3 make large steps useless, noise small ones. */
static void slope__of_the_best_step_counts(void)
{
    static const double steps[] = {1e-2, 1e-5};
    struct wave ripples = {.k = 2000}, noisy = {.k = 3, .noise = 1e-6};
    loci_slope s;

    CK_OK(loci_slope_of(&s, wave, &ripples, steps, 2, 0x1p-52, 2000 * cos(2000), 0, &ck_err));
    CK_TRUE(s.step == 1e-5 && fabs(s.value / (2000 * cos(2000)) - 1) < 1e-6, "%g: %g", s.step, s.value);
    CK_OK(loci_slope_of(&s, wave, &noisy, steps, 2, 0x1p-52, 3 * cos(3), 0, &ck_err));
    CK_TRUE(s.step == 1e-2 && fabs(s.value / (3 * cos(3)) - 1) < 1e-3, "%g: %g", s.step, s.value);
}

static void slope__is_not_talked_into_a_wrong_value(void)
{
    static const double steps[] = {1e-2, 1e-3, 1e-4, 1e-5};
    struct wave w = {.k = 3};
    loci_slope s;

    CK_OK(loci_slope_of(&s, wave, &w, steps, 4, 0x1p-52, 0, 0, &ck_err));
    CK_TRUE(fabs(s.value - 3 * cos(3)) < 1e-5, "%g", s.value);
}

/* ---- comparisons ------------------------------------------------------------------------------------------------- */

static void numbers__say_where_and_by_how_much(void)
{
    const loci_port p = {.name = "y", .ndim = 3, .shape = {2, 3, 4}, .elements = 24};
    double got[24], want[24];
    char place[80];

    for (int i = 0; i < 24; i++)
        got[i] = want[i] = i + 1;
    CK_TRUE(!strcmp(loci_place(place, &p, 17), "[1,1,1]"), "%s", place);
    CK_OK(loci_numbers_same(got, want, 24, 0, "in pieces", "y", &p, 0, "in one call", &ck_err));
    got[17] += 1e-9;
    CK_OK(loci_numbers_same(got, want, 24, 1e-10, "in pieces", "y", &p, 0, "in one call", &ck_err));
    CK_TRUE(loci_numbers_same(got, want, 24, 0, "in pieces", "y", &p, 0, "in one call", &ck_err) == LOCI_E_PLUGIN &&
                strstr(ck_err.msg, "in pieces: y differs") && strstr(ck_err.msg, "the same bits are due") &&
                strstr(ck_err.msg, "[1,1,1]"),
            "%s", ck_err.msg);
    loci_error_clear(&ck_err);
    got[17] += 1;
    CK_TRUE(loci_numbers_same(got, want, 24, 1e-10, "in pieces", "y", &p, 0, "in one call", &ck_err) == LOCI_E_PLUGIN &&
                strstr(ck_err.msg, "limit 1e-10") && strstr(ck_err.msg, "[1,1,1]: 19") &&
                strstr(ck_err.msg, "it is 18"),
            "%s", ck_err.msg);
    loci_error_clear(&ck_err);
    got[17] = NAN;
    CK_TRUE(loci_numbers_same(got, want, 24, 1, "in pieces", "y", &p, 0, "in one call", &ck_err) == LOCI_E_PLUGIN &&
                strstr(ck_err.msg, "is nan"),
            "%s", ck_err.msg);
    loci_error_clear(&ck_err);
    want[17] = NAN;
    CK_OK(loci_numbers_same(got, want, 24, 0, "in pieces", "y", &p, 0, "in one call", &ck_err));
    got[3] = want[3] = -INFINITY; /* the lse of a query that sees nothing */
    CK_OK(loci_numbers_same(got, want, 24, 1e-10, "in pieces", "lse", &p, 0, "in one call", &ck_err));
    got[3] = 0;
    CK_TRUE(loci_numbers_same(got, want, 24, 1, "in pieces", "lse", &p, 0, "in one call", &ck_err) == LOCI_E_PLUGIN,
            "0 is -inf");
    loci_error_clear(&ck_err);
}

/* What was expected is 0: the difference counts as it is. */
static void numbers__of_nothing_are_compared_by_themselves(void)
{
    const loci_port p = {.name = "y", .ndim = 1, .shape = {3}, .elements = 3};
    const double zero[3] = {0}, small[3] = {0, 1e-12, 0}, large[3] = {0, 0, 1};

    CK_OK(loci_numbers_same(small, zero, 3, 1e-10, "now", "y", &p, 0, "then", &ck_err));
    CK_TRUE(loci_numbers_same(large, zero, 3, 1e-10, "now", "y", &p, 0, "then", &ck_err) == LOCI_E_PLUGIN, "1 is 0");
    loci_error_clear(&ck_err);
}

#define TESTS(X) \
    X(oracle__gives_the_published_example) \
    X(oracle__knows_the_buckets_of_t5) \
    X(oracle__has_the_gradients_of_differences) \
    X(oracle__gives_nothing_to_a_query_that_sees_nothing) \
    X(slope__is_the_derivative) \
    X(slope__of_the_best_step_counts) \
    X(slope__is_not_talked_into_a_wrong_value) \
    X(numbers__say_where_and_by_how_much) \
    X(numbers__of_nothing_are_compared_by_themselves)
CK_MAIN("numbers", TESTS)
