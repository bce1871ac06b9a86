/* SPDX-License-Identifier: Apache-2.0
 *
 * attention/cpu where there is a single query, as in decoding: tile_one.tmpl. That no bit depends on threads or batch
 * is test_attn_cpu's.
 */
#include "judge.h"

/* The kernel of decoding, with each feature. */
static void cpu__a_single_query_equals_ref(void)
{
    static const int64_t widths[][2] = {{33, 39}, {64, 64}, {3, 130}, {80, 5}};
    pool all = {{{0}}, {0}, {0}};

    for (int n = 0; n < 2 * FEATURES; n++) {
        const int64_t *w = widths[n % 4];
        attn_prob *p = attn_new(2, 1, n % 3 ? 150 : 12, 4, 2, 1, w[0], w[1]);

        p->a.offset = p->S - 1 - n % 2;
        p->a.causal = 1;
        feature(p, n % FEATURES);
        check_double(p, n % 2, "single query");
        add_float(&all, p, n % 2);
        attn_done();
    }
    judge(&all, "single query");
}

/* Three parts of the keys: what each feature lets a query see of them, parts that are empty or end within, a sink. */
static void cpu__parts_of_the_keys_of_a_single_query_merge(void)
{
    pool all = {{{0}}, {0}, {0}};

    for (int n = 0; n < FEATURES + 5; n++) {
        attn_prob *p = attn_new(n < FEATURES ? 1 : 2, 1, 2300, 2, 1, 2, n % 2 ? 9 : 16, 5);
        char what[40];

        p->a.offset = n % 3 ? p->S - 1 : 1100;
        p->a.causal = 1;
        p->a.window_left = n == FEATURES       ? 100
                           : n == FEATURES + 1 ? 700
                                               : -1; /* the second part alone; a part and more */
        p->sink = n > FEATURES + 1 ? attn_real(p->H, 1) : NULL;
        if (n == FEATURES + 3)
            p->a.offset = -1; /* nothing is seen but the sink */
        if (n == FEATURES + 4) {
            p->k_len = attn_ints(2, 1030, 0);
            p->k_len[1] = 0;
        }
        if (n < FEATURES)
            feature(p, n);
        snprintf(what, sizeof what, "parts, case %d", n);
        check_double(p, n % 2, what);
        if (n % 2 == 0 || n >= FEATURES)
            add_float(&all, p, n % 2);
        attn_done();
    }
    judge(&all, "parts");
}

/* The same with a copy of its keys and values for each head. */
static attn_prob *unshared(const attn_prob *p)
{
    attn_prob *u = attn_keep(sizeof *u);

    *u = *p;
    u->Hk = u->Hv = p->H;
    u->k = attn_real(p->B * p->S * p->H * p->d, 1);
    u->v = attn_real(p->B * p->S * p->H * p->e, 1);
    for (int64_t j = 0; j < p->B * p->S; j++)
        for (int64_t h = 0; h < p->H; h++) {
            memcpy(u->k + (j * p->H + h) * p->d, p->k + (j * p->Hk + h / (p->H / p->Hk)) * p->d,
                   (size_t)p->d * sizeof *u->k);
            memcpy(u->v + (j * p->H + h) * p->e, p->v + (j * p->Hv + h / (p->H / p->Hv)) * p->e,
                   (size_t)p->e * sizeof *u->v);
        }
    return u;
}

/* Heads that share rows take them together, any number of them: not a bit differs. bf16 differs by its last rounding.
 */
static void cpu__heads_share_rows_without_a_trace(void)
{
    static const int64_t heads[][3] = {{8, 2, 2}, {8, 1, 4}, {6, 2, 3}, {7, 1, 7}, {4, 2, 1}, {12, 2, 12}, {24, 1, 2}};
    static const int64_t widths[][2] = {{128, 128}, {64, 80}, {80, 33}, {17, 64}, {40, 7}, {1, 130}};

    for (int n = 0; n < 21; n++) {
        const int64_t *h = heads[n % 7], *w = widths[n % 6], T = h[0] * w[1];
        attn_prob *p = attn_new(2, 1, n % 8 == 5 ? 1100 : 1 + n * 13, h[0], h[1], h[2], w[0], w[1]), *u;

        p->a.offset = p->S - 1;
        p->a.causal = 1;
        round_to_bf16(p);
        u = unshared(p);
        for (int level = 0; level < 3; level++) {
            attn_how how = {.dtype = 'f', .forward_only = 1, .odd = n % 2};
            attn_out *f, *b, *apart;

            take_level(level);
            f = attn_run(attn_host(), &loci_attn_cpu_class, p, how);
            apart = attn_run(attn_host(), &loci_attn_cpu_class, u, how);
            CK_TRUE(f && apart && !memcmp(f->o, apart->o, (size_t)(2 * T) * sizeof *f->o), "%s, case %d", levels[level],
                    n);
            how.dtype = 'b';
            b = attn_run(attn_host(), &loci_attn_cpu_class, p, how);
            apart = attn_run(attn_host(), &loci_attn_cpu_class, u, how);
            CK_TRUE(b && apart && !memcmp(b->o, apart->o, (size_t)(2 * T) * sizeof *b->o), "%s, bf16, case %d",
                    levels[level], n);
            for (int64_t x = 0; f && b && x < 2 * T; x++)
                CK_TRUE(fabs(b->o[x] - f->o[x]) <= 0x1p-8 * fabs(f->o[x]) + 4e-6, "%s, case %d: %g as bf16, %g",
                        levels[level], n, b->o[x], f->o[x]);
        }
        leave_levels();
        attn_done();
    }
}

/* A key that is not seen may hold anything; one that is seen and undefined shows. */
static void cpu__a_single_query_is_kept_from_what_it_does_not_see(void)
{
    for (int level = 0; level < 3; level++) {
        attn_prob *p = attn_new(1, 1, 60, 2, 1, 1, 4, 5);
        const attn_how how = {.dtype = 'f', .forward_only = 1};
        attn_out *was, *is, *seen;

        take_level(level);
        p->a.causal = 1;
        p->a.offset = 50;
        was = attn_run(attn_host(), &loci_attn_cpu_class, p, how);
        for (int64_t x = 0; x < 9 * 5; x++)
            p->v[51 * 5 + x] = x % 2 ? NAN : INFINITY;
        is = attn_run(attn_host(), &loci_attn_cpu_class, p, how);
        CU_ASSERT(was && is && memcmp(was->o, is->o, 10 * sizeof(double)) == 0);
        p->v[50 * 5 + 2] = NAN;
        seen = attn_run(attn_host(), &loci_attn_cpu_class, p, how);
        for (int64_t x = 0; seen && x < 10; x++)
            CU_ASSERT(isnan(seen->o[x]) == (x % 5 == 2));
        attn_done();
    }
    leave_levels();
}

static void cpu__decoding_one_by_one_equals_one_call(void)
{
    attn_prob *p = attn_new(1, 70, 70, 4, 2, 2, 8, 8);
    attn_out *all, *o;

    p->a.causal = 1;
    p->a.window_left = 30;
    all = attn_run(attn_host(), &loci_attn_cpu_class, p, (attn_how){.dtype = 'f', .forward_only = 1});
    for (int64_t t = 0; t < 70; t++) {
        attn_prob *q = attn_keep(sizeof *q);

        *q = *p;
        q->T = 1;
        q->q += t * 32;
        q->a.offset = t;
        q->k_len = attn_ints(1, (int32_t)t + 1, 0);
        o = attn_run(attn_host(), &loci_attn_cpu_class, q, (attn_how){.dtype = 'f', .forward_only = 1});
        CU_ASSERT(o && ck_rms(o->o, all->o + t * 32, 32) < 1e-6);
    }
    attn_done();
}

#define TESTS(X) \
    X(cpu__a_single_query_equals_ref) \
    X(cpu__parts_of_the_keys_of_a_single_query_merge) \
    X(cpu__heads_share_rows_without_a_trace) \
    X(cpu__a_single_query_is_kept_from_what_it_does_not_see) \
    X(cpu__decoding_one_by_one_equals_one_call)
CK_MAIN("attn_one", TESTS)
