/* SPDX-License-Identifier: Apache-2.0
 *
 * Tiles of attention/cpu: strips that share a copy of keys, tiles of any width, and a softmax whose reference follows
 * the maximum only now and then.
 */
#include "judge.h"

/* Tiles of both widths, several strips and blocks, and the tails of each. */
static void cpu__many_strips_share_their_keys(void)
{
    static const int64_t size[][5] = {{1, 400, 300, 2, 1}, {1, 193, 129, 1, 1}, {1, 390, 140, 16, 2}};
    pool all = {{{0}}, {0}, {0}};

    for (int n = 0; n < 3; n++)
        for (int f = n == 2; f < (n == 2 ? 2 : 3); f++) {
            attn_prob *p = attn_new(size[n][0], size[n][1], size[n][2], size[n][3], size[n][4], size[n][4], 4, 3);

            p->a.causal = f > 0;
            p->a.window_left = f == 2 ? 70 : -1;
            if (f == 0)
                p->slopes = attn_real(p->H, 0.1);
            check_double(p, n % 2, "strips");
            add_float(&all, p, n % 2);
            attn_done();
        }
    judge(&all, "strips");
}

/* A forward's tile of 1000 queries becomes narrower the more threads there are: 528, 288, 192 queries. */
static void cpu__the_width_of_a_tile_changes_no_bit(void)
{
    for (int f = 0; f < 4; f++)
        for (int level = 0; level < 3; level++) {
            attn_prob *p = attn_new(1, 1000, 1000, 2, 1, 2, 20, 17);
            attn_out *first = NULL;

            p->a.causal = f > 0;
            p->a.window_left = f == 2 ? 200 : -1;
            if (f == 3)
                feature(p, 6); /* lengths */
            for (int64_t x = 0; x < p->S * p->d; x++)
                p->k[x] *= 6; /* maxima that climb at different keys */
            take_level(level);
            for (int threads = 1; threads <= 8; threads *= 2) {
                struct ck_host h;
                attn_out *o;

                CK_OK(ck_host_open(&h, threads, &ck_err));
                o = attn_run(&h, &loci_attn_cpu_class, p, (attn_how){.dtype = 'f', .forward_only = 1});
                ck_host_close(&h);
                first = first ? first : o;
                CK_TRUE(o && memcmp(o->o, first->o, (size_t)(p->T * p->H * p->e) * sizeof(double)) == 0 &&
                            memcmp(o->lse, first->lse, (size_t)(p->T * p->H) * sizeof(double)) == 0,
                        "%s, case %d: other bits with %d threads", levels[level], f, threads);
            }
            leave_levels();
            attn_done();
        }
}

/* Scores climb by `step` a block of keys, from far below 0 to far above or the other way; in all cases some queries see
 * their largest last, and weights of e^SLACK stand beside small ones. */
static void cpu__a_maximum_that_climbs_or_falls_equals_ref(void)
{
    static const double step[] = {0.5, 3, 7.9, 8.1, 40, -5, -40};
    pool all = {{{0}}, {0}, {0}};

    for (int n = 0; n < 7; n++) {
        attn_prob *p = attn_new(1, 70, 900, 1, 1, 1, 4, 5);

        p->a.scale = 1;
        for (int64_t j = 0; j < p->S; j++)
            p->k[j * 4] = (double)(float)(step[n] * (double)(j - p->S / 2) / 128);
        for (int64_t i = 0; i < p->T; i++)
            p->q[i * 4] = 1 + (double)(i % 3) / 4;
        check_double(p, 0, "climbing");
        add_float(&all, p, 0);
        attn_done();
    }
    judge(&all, "climbing");
}

#define TESTS(X) \
    X(cpu__many_strips_share_their_keys) \
    X(cpu__the_width_of_a_tile_changes_no_bit) \
    X(cpu__a_maximum_that_climbs_or_falls_equals_ref)
CK_MAIN("attn_tile", TESTS)
