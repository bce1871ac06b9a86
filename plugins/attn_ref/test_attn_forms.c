/* SPDX-License-Identifier: Apache-2.0
 *
 * plugins/attn_ref/test_attn_forms.c: what must be the same in two forms, computed in both by attention/ref: keys in
 * parts, in ring order, in pages; a mask as blocks; documents packed or alone; dropout wherever a document lies; any
 * number of threads.
 */
#include "attn_features.h"

extern const loci_class loci_attn_ref_class;

static int same(const double *a, const double *b, int64_t n)
{
    return memcmp(a, b, (size_t)n * sizeof *a) == 0;
}

/* Keys [from, to) of p, at their old positions. */
static attn_prob *some_keys(const attn_prob *p, int64_t from, int64_t to)
{
    attn_prob *part = attn_keep(sizeof *part);
    int64_t kw = p->Hk * p->d, vw = p->Hv * p->e;

    *part = *p;
    part->S = to - from;
    part->k = attn_real(p->B * part->S * kw, 0);
    part->v = attn_real(p->B * part->S * vw, 0);
    part->k_pos = attn_ints(p->B * part->S, 0, 0);
    for (int64_t b = 0; b < p->B; b++)
        for (int64_t j = 0; j < part->S; j++) {
            memcpy(part->k + (b * part->S + j) * kw, p->k + (b * p->S + from + j) * kw, (size_t)kw * sizeof(double));
            memcpy(part->v + (b * part->S + j) * vw, p->v + (b * p->S + from + j) * vw, (size_t)vw * sizeof(double));
            part->k_pos[b * part->S + j] = (int32_t)(from + j);
        }
    return part;
}

static void ref__parts_of_the_keys_merge_and_their_backwards_add(void)
{
    attn_prob *p = attn_new(2, 6, 11, 4, 2, 4, 5, 3);
    const int64_t cut[] = {0, 4, 5, 11};
    attn_out *all, *part[3];
    double *dq = attn_real(p->B * p->T * p->H * p->d, 0);

    p->a.causal = 1;
    all = attn_run(attn_host(), &loci_attn_ref_class, p, (attn_how){.dtype = 'd'});
    for (int n = 0; n < 3; n++)
        part[n] = attn_run(attn_host(), &loci_attn_ref_class, some_keys(p, cut[n], cut[n + 1]),
                           (attn_how){.dtype = 'd', .given = all});
    for (int64_t r = 0; r < p->B * p->H * p->T; r++) { /* r = (b H + h) T + i */
        int64_t b = r / p->T / p->H, row = (b * p->T + r % p->T) * p->H + r / p->T % p->H;

        for (int64_t x = 0; x < p->e; x++) {
            double o = 0;

            for (int n = 0; n < 3; n++)
                o += exp(part[n]->lse[r] - all->lse[r]) * part[n]->o[row * p->e + x];
            CU_ASSERT_DOUBLE_EQUAL(o, all->o[row * p->e + x], 1e-14);
        }
    }
    for (int n = 0; n < 3; n++)
        for (int64_t x = 0; x < p->B * p->T * p->H * p->d; x++)
            dq[x] += part[n]->dq[x];
    CU_ASSERT(ck_rms(dq, all->dq, (size_t)(p->B * p->T * p->H * p->d)) < 1e-14);
    for (int n = 0; n < 3; n++) {
        int64_t S = cut[n + 1] - cut[n], w = p->Hk * p->d;

        for (int64_t b = 0; b < p->B; b++)
            CU_ASSERT(ck_rms(part[n]->dk + b * S * w, all->dk + (b * p->S + cut[n]) * w, (size_t)(S * w)) < 1e-14);
    }
    attn_done();
}

static void ref__ring_order_equals_order(void)
{
    attn_prob *p = attn_new(1, 5, 12, 2, 1, 1, 4, 4), *ring = attn_keep(sizeof *ring);
    attn_out *a, *b;

    p->a.causal = 1;
    p->a.window_left = 5;
    *ring = *p;
    ring->k = attn_real(12 * 4, 0);
    ring->v = attn_real(12 * 4, 0);
    ring->k_pos = attn_ints(12, 0, 0);
    for (int64_t j = 0; j < 12; j++) {
        int64_t from = (j + 7) % 12;

        ring->k_pos[j] = (int32_t)from;
        memcpy(ring->k + j * 4, p->k + from * 4, 32);
        memcpy(ring->v + j * 4, p->v + from * 4, 32);
    }
    a = attn_run(attn_host(), &loci_attn_ref_class, p, (attn_how){.dtype = 'd'});
    b = attn_run(attn_host(), &loci_attn_ref_class, ring, (attn_how){.dtype = 'd'});
    CU_ASSERT(ck_rms(b->o, a->o, 5 * 2 * 4) < 1e-14 && ck_rms(b->dq, a->dq, 5 * 2 * 4) < 1e-14);
    for (int64_t j = 0; j < 12; j++)
        CU_ASSERT(ck_rms(b->dk + j * 4, a->dk + (j + 7) % 12 * 4, 4) < 1e-13);
    attn_done();
}

static void ref__paged_equals_contiguous_bit_for_bit(void)
{
    attn_prob *p = attn_new(3, 4, 10, 4, 2, 2, 5, 3);
    attn_out *a, *b;

    attn_feature(p, 0);
    attn_feature(p, 6);
    a = attn_run(attn_host(), &loci_attn_ref_class, p, (attn_how){.dtype = 'f'});
    p->block_tok = 4;
    b = attn_run(attn_host(), &loci_attn_ref_class, p, (attn_how){.dtype = 'f'});
    CU_ASSERT(a && b && same(a->o, b->o, 3 * 4 * 4 * 3) && same(a->lse, b->lse, 3 * 4 * 4));
    CU_ASSERT(same(a->dq, b->dq, 3 * 4 * 4 * 5) && same(a->dk, b->dk, 3 * 10 * 2 * 5) &&
              same(a->dv, b->dv, 3 * 10 * 2 * 3));
    attn_done();
}

static void ref__block_list_equals_dense_mask_bit_for_bit(void)
{
    for (int heads = 1; heads <= 4; heads += 3) {
        attn_prob *p = attn_new(2, 9, 11, 4, 2, 2, 5, 3);
        attn_out *a, *b;

        p->mask_H = heads;
        attn_feature(p, 17);
        a = attn_run(attn_host(), &loci_attn_ref_class, p, (attn_how){.dtype = 'f'});
        p->mask = p->sparse;
        p->sparse = NULL;
        b = attn_run(attn_host(), &loci_attn_ref_class, p, (attn_how){.dtype = 'f', .odd = 1});
        CU_ASSERT(a && b && same(a->o, b->o, 2 * 9 * 4 * 3) && same(a->dq, b->dq, 2 * 9 * 4 * 5) &&
                  same(a->dk, b->dk, 2 * 11 * 2 * 5) && same(a->dv, b->dv, 2 * 11 * 2 * 3));
        attn_done();
    }
}

static void ref__segments_equal_calls_of_their_own(void)
{
    attn_prob *p = attn_new(1, 8, 8, 2, 2, 2, 4, 4), *one;
    attn_out *all, *got;

    p->a.causal = 1;
    p->q_seg = p->k_seg = attn_ints(8, 0, 0);
    for (int i = 3; i < 8; i++)
        p->q_seg[i] = 1;
    all = attn_run(attn_host(), &loci_attn_ref_class, p, (attn_how){.dtype = 'd'});
    for (int n = 0; n < 2; n++) {
        int64_t at = n ? 3 : 0, len = n ? 5 : 3;

        one = attn_new(1, len, len, 2, 2, 2, 4, 4);
        one->a.causal = 1;
        one->q = p->q + at * 8;
        one->k = p->k + at * 8;
        one->v = p->v + at * 8;
        one->d_o = p->d_o + at * 8;
        for (int64_t h = 0; h < 2; h++)
            memcpy(one->d_lse + h * len, p->d_lse + h * 8 + at, (size_t)len * sizeof(double));
        got = attn_run(attn_host(), &loci_attn_ref_class, one, (attn_how){.dtype = 'd'});
        CU_ASSERT(same(got->o, all->o + at * 8, len * 8) && same(got->dk, all->dk + at * 8, len * 8) &&
                  same(got->dv, all->dv + at * 8, len * 8));
    }
    attn_done();
}

static void ref__dropout_keeps_its_share_and_the_mean(void)
{
    attn_prob *p = attn_new(1, 40, 200, 2, 2, 2, 1, 1);
    attn_out *o;
    double sum = 0;

    memset(p->q, 0, 80 * sizeof(double)); /* p = 1/200: o = kept / 200 / (1 - rate) */
    for (int64_t j = 0; j < 400; j++)
        p->v[j] = 1;
    p->a.dropout = 0.25;
    p->flags = LOCI_X_TRAIN;
    o = attn_run(attn_host(), &loci_attn_ref_class, p, (attn_how){.dtype = 'd', .forward_only = 1});
    for (int64_t n = 0; n < 80; n++)
        sum += o->o[n] / 80;
    CK_TRUE(fabs(sum - 1) < 5 * sqrt(0.25 / 0.75 / 16000), "mean of 1 is %g", sum); /* five standard errors */
    p->flags = 0;
    o = attn_run(attn_host(), &loci_attn_ref_class, p, (attn_how){.dtype = 'd', .forward_only = 1});
    CU_ASSERT_DOUBLE_EQUAL(o->o[7], 1, 1e-13); /* outside training nothing is dropped */
    attn_done();
}

static void ref__dropout_follows_document_and_position_not_place(void)
{
    attn_prob *p = attn_new(2, 6, 6, 2, 2, 2, 4, 4), *half;
    attn_out *all, *one;

    attn_feature(p, 15);
    attn_feature(p, 0);
    all = attn_run(attn_host(), &loci_attn_ref_class, p, (attn_how){.dtype = 'd', .forward_only = 1});
    half = attn_new(1, 2, 6, 2, 2, 2, 4, 4); /* the last two queries of row 1, alone in row 0 */
    attn_feature(half, 15);
    half->a.causal = 1;
    half->ids[0] = 101;
    half->q = p->q + (6 + 4) * 8;
    half->k = p->k + 6 * 8;
    half->v = p->v + 6 * 8;
    one = attn_run(attn_host(), &loci_attn_ref_class, half, (attn_how){.dtype = 'd', .forward_only = 1});
    CU_ASSERT(same(one->o, all->o + (6 + 4) * 8, 16));
    attn_done();
}

static void ref__threads_do_not_change_a_bit(void)
{
    attn_prob *p = attn_new(3, 7, 9, 4, 2, 4, 5, 3);
    attn_out *first = NULL;

    attn_feature(p, 9);
    attn_feature(p, 10);
    attn_feature(p, 14);
    for (int threads = 1; threads <= 4; threads *= 2) {
        struct ck_host h;
        attn_out *o;

        CK_OK(ck_host_open(&h, threads, &ck_err));
        o = attn_run(&h, &loci_attn_ref_class, p, (attn_how){.dtype = 'f'});
        ck_host_close(&h);
        first = first ? first : o;
        CU_ASSERT(o && same(o->o, first->o, 3 * 7 * 4 * 3) && same(o->dq, first->dq, 3 * 7 * 4 * 5) &&
                  same(o->dk, first->dk, 3 * 9 * 2 * 5) && same(o->dbias, first->dbias, 3 * 7 * 9) &&
                  same(o->dslopes, first->dslopes, 4) && same(o->dsink, first->dsink, 4));
    }
    attn_done();
}

#define TESTS(X) \
    X(ref__parts_of_the_keys_merge_and_their_backwards_add) \
    X(ref__ring_order_equals_order) \
    X(ref__paged_equals_contiguous_bit_for_bit) \
    X(ref__block_list_equals_dense_mask_bit_for_bit) \
    X(ref__segments_equal_calls_of_their_own) \
    X(ref__dropout_keeps_its_share_and_the_mean) \
    X(ref__dropout_follows_document_and_position_not_place) \
    X(ref__threads_do_not_change_a_bit)
CK_MAIN("attn_forms", TESTS)
