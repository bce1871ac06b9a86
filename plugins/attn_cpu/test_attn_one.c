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
    X(cpu__a_single_query_is_kept_from_what_it_does_not_see) \
    X(cpu__decoding_one_by_one_equals_one_call)
CK_MAIN("attn_one", TESTS)
