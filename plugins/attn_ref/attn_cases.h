/* SPDX-License-Identifier: Apache-2.0
 *
 * plugins/attn_ref/attn_cases.h: what the tests of attention backends share: a problem in double, a runner that gives
 * it to a class in any dtype and layout, and the results in double.
 *
 *     attn_prob *p = attn_new(B, T, S, H, Hk, Hv, d, e);      random q, k, v, d_o, d_lse; plain descriptor
 *     p->a.causal = 1; p->slopes = attn_real(p, H, 1);        what the case is about
 *     attn_out *o = attn_run(attn_host(), &class, p, (attn_how){'f'}); forward and backward
 *
 * The runner plays the host strictly: scratch is exactly what plan asked for and full of NaN, outputs start as NaN,
 * every tensor lies in a block of 0xA5 whose other bytes must survive, gradients start at `base`. An allocation is
 * never freed before attn_done().
 */
#ifndef ATTN_CASES_H
#define ATTN_CASES_H

#include "attn_tensor.h"
#include "tests/unit/host.h"

static loci_error ck_err = {.struct_size = sizeof ck_err};

typedef struct attn_prob {
    int64_t B, T, S, H, Hk, Hv, d, e;
    loci_attn_desc a; /* the scalars; tensors come from below */
    double *q, *k, *v, *d_o, *d_lse;
    double *bias, *slopes, *table, *sink;
    int64_t bias_B, bias_H, mask_B, mask_H, buckets;
    int32_t *q_pos, *k_pos, *q_seg, *k_seg, *q_len, *k_len;
    uint8_t *mask;
    uint8_t *sparse; /* [mask_H,T,S]: given as a block list of bq x bk */
    int32_t bq, bk;
    int reversed; /* the columns of a row descend */
    int64_t *ids;
    int64_t block_tok; /* above 0: k and v become a pool of blocks in random order */
    uint64_t flags, seed, step;
} attn_prob;

typedef struct attn_out {
    double *o, *lse, *dq, *dk, *dv, *dbias, *dslopes, *dtable, *dsink;
    uint64_t scratch;
} attn_out;

typedef struct attn_how {
    char dtype;            /* 'f', 'd', 'b' for bf16 or 'h' for fp16                           */
    int odd;               /* gaps between rows, heads swapped outwards, one element misaligned */
    double base;           /* what gradients start from                                        */
    const attn_out *given; /* o and lse of the backward, instead of the forward's              */
    int forward_only;
    int refused;    /* the forward must fail                */
    int32_t device; /* what the class is told; 0: the cpu */
} attn_how;

static inline attn_prob *attn_new(int64_t B, int64_t T, int64_t S, int64_t H, int64_t Hk, int64_t Hv, int64_t d,
                                  int64_t e)
{
    attn_prob *p = attn_keep(sizeof *p);

    *p = (attn_prob){.B = B, .T = T, .S = S, .H = H, .Hk = Hk, .Hv = Hv, .d = d, .e = e};
    p->a.struct_size = sizeof p->a;
    p->a.window_left = p->a.window_right = -1;
    p->a.scale = d ? 1 / sqrt((double)d) : 1;
    p->a.offset = S - T;
    p->q = attn_real(B * T * H * d, 1);
    p->k = attn_real(B * S * Hk * d, 1);
    p->v = attn_real(B * S * Hv * e, 1);
    p->d_o = attn_real(B * T * H * e, 1);
    p->d_lse = attn_real(B * H * T, 1);
    p->mask_B = p->mask_H = p->bias_B = p->bias_H = 1;
    p->seed = 7;
    p->step = 3;
    return p;
}

static inline attn_out *attn_out_new(const attn_prob *p)
{
    attn_out *o = attn_keep(sizeof *o);

    o->o = attn_real(p->B * p->T * p->H * p->e, 0);
    o->lse = attn_real(p->B * p->H * p->T, 0);
    o->dq = attn_real(p->B * p->T * p->H * p->d, 0);
    o->dk = attn_real(p->B * p->S * p->Hk * p->d, 0);
    o->dv = attn_real(p->B * p->S * p->Hv * p->e, 0);
    o->dbias = attn_real(p->bias_B * p->bias_H * p->T * p->S, 0);
    o->dslopes = attn_real(p->H, 0);
    o->dtable = attn_real(p->buckets * p->H, 0);
    o->dsink = attn_real(p->H, 0);
    return o;
}

/* Two threads, open until the program ends. */
static struct ck_host attn_the_host;

static inline void attn_close(void)
{
    ck_host_close(&attn_the_host);
}

static inline const struct ck_host *attn_host(void)
{
    if (!attn_the_host.dev) {
        if (ck_host_open(&attn_the_host, 2, &ck_err))
            abort();
        atexit(attn_close);
    }
    return &attn_the_host;
}

/* ---- the descriptor ---- */

/* `sparse` as CSR: blocks that are all visible have no tile. */
static inline const loci_blocks *attn_blocks(const attn_prob *p)
{
    int64_t bq = p->bq, bk = p->bk, nq = (p->T + bq - 1) / bq, nk = (p->S + bk - 1) / bk, n = 0, Hb = p->mask_H;
    loci_blocks *m = attn_keep(sizeof *m);
    int32_t *ptr = attn_ints(Hb * (nq + 1), 0, 0), *col = attn_ints(Hb * nq * nk, 0, 0);
    int32_t *kind = attn_ints(Hb * nq * nk, -1, 0);
    uint8_t *tiles = attn_keep((size_t)(Hb * nq * nk * bq * bk));

    *m = (loci_blocks){.struct_size = sizeof *m, .bq = p->bq, .bk = p->bk, .heads = (int32_t)Hb};
    for (int64_t h = 0; h < Hb; h++) {
        int32_t used = 0;

        for (int64_t r = 0; r < nq; r++) {
            for (int64_t c = 0; c < nk; c++) {
                int64_t some = 0, all = 0;

                for (int64_t y = 0; y < bq * bk; y++) {
                    int64_t i = r * bq + y / bk, j = c * bk + y % bk;
                    int in = i < p->T && j < p->S;
                    int on = in && p->sparse[(h * p->T + i) * p->S + j];

                    tiles[n * bq * bk + y] = (uint8_t)on;
                    some += on;
                    all += in;
                }
                if (!some)
                    continue;
                col[h * nq * nk + used] = (int32_t)c;
                if (some < all)
                    kind[h * nq * nk + used] = (int32_t)n++;
                used++;
            }
            ptr[h * (nq + 1) + r + 1] = used;
            for (int32_t x = ptr[h * (nq + 1) + r], y = used - 1; p->reversed && x < y; x++, y--) {
                int32_t *a = col + h * nq * nk, *b = kind + h * nq * nk, c = a[x], d = b[x];

                a[x] = a[y];
                a[y] = c;
                b[x] = b[y];
                b[y] = d;
            }
        }
    }
    m->ptr = attn_raw('i', 0, ATTN_DIMS(Hb, nq + 1), ptr);
    m->col = attn_raw('i', 0, ATTN_DIMS(Hb, nq * nk), col);
    m->kind = attn_raw('i', 0, ATTN_DIMS(Hb, nq * nk), kind);
    m->tiles = attn_raw('u', 0, ATTN_DIMS(n, bq, bk), tiles);
    return m;
}

/* k or v as blocks of a pool: row b's block n is pool block table[b,n]. Free places hold NaN. */
static inline attn_tensor *attn_pool(const attn_prob *p, char dtype, const int32_t *table, const double *from,
                                     int64_t heads, int64_t width, int64_t n)
{
    attn_tensor *x = attn_make(dtype, 0, ATTN_DIMS(p->B * n + 2, p->block_tok, heads, width));
    double *all = attn_real((p->B * n + 2) * p->block_tok * heads * width, 0);

    for (int64_t i = 0; i < attn_count(x); i++)
        all[i] = NAN;
    for (int64_t b = 0; b < p->B; b++)
        for (int64_t j = 0; j < p->S; j++)
            memcpy(all + ((table[b * n + j / p->block_tok] * p->block_tok + j % p->block_tok) * heads) * width,
                   from + (b * p->S + j) * heads * width, (size_t)(heads * width) * sizeof *all);
    attn_put(x, all, 0);
    return x;
}

static inline uint64_t attn_features(const loci_attn_desc *a)
{
    return (a->window_left >= 0 || a->window_right >= 0 ? LOCI_A_WINDOW : 0) | (a->prefix ? LOCI_A_PREFIX : 0) |
           (a->q_pos || a->k_pos ? LOCI_A_POS : 0) | (a->q_seg ? LOCI_A_SEGMENTS : 0) |
           (a->q_len || a->k_len ? LOCI_A_LENGTHS : 0) | (a->mask ? LOCI_A_MASK : 0) | (a->bias ? LOCI_A_BIAS : 0) |
           (a->slopes ? LOCI_A_SLOPES : 0) | (a->table ? LOCI_A_TABLE : 0) | (a->softcap > 0 ? LOCI_A_SOFTCAP : 0) |
           (a->sink ? LOCI_A_SINK : 0) | (a->dropout > 0 ? LOCI_A_DROPOUT : 0) | (a->block_table ? LOCI_A_PAGED : 0) |
           (a->blocks ? LOCI_A_BLOCKS : 0);
}

/* Returns NULL, after a failed assertion, when the class fails. */
static inline attn_out *attn_run(const struct ck_host *h, const loci_class *cls, const attn_prob *p, attn_how how)
{
    char D = how.dtype, A = D == 'd' ? 'd' : 'f';
    const loci_attention *fn = cls->iface;
    attn_out *out = attn_out_new(p);
    attn_tensor *k, *v, *o, *lse, *dq, *dk, *dv, *g[4] = {NULL}, *scratch;
    loci_attn_desc a = p->a;
    loci_attn_io io = {.struct_size = sizeof io, .desc = &a};
    loci_exec x = ck_exec(h);
    loci_shape shape = {.struct_size = sizeof shape,
                        .flags = p->flags | (how.forward_only ? 0 : LOCI_X_SAVE),
                        .rows = p->B,
                        .seq = p->T,
                        .ctx = p->S,
                        .heads = p->H,
                        .k_heads = p->Hk,
                        .v_heads = p->Hv,
                        .dk = p->d,
                        .dv = p->e,
                        .dtype = attn_dtype(D),
                        .acc = attn_dtype(A),
                        .device = {how.device ? how.device : LOCI_CPU, 0}};
    loci_fit fit = {.struct_size = sizeof fit};
    loci_need need = {.struct_size = sizeof need};
    loci_module *m = NULL;
    int64_t n = p->block_tok ? (p->S + p->block_tok - 1) / p->block_tok : 0;
    loci_status s;

    a.q_pos = attn_raw('i', how.odd, ATTN_DIMS(p->B, p->T), p->q_pos);
    a.k_pos = attn_raw('i', how.odd, ATTN_DIMS(p->B, p->S), p->k_pos);
    a.q_seg = attn_raw('i', how.odd, ATTN_DIMS(p->B, p->T), p->q_seg);
    a.k_seg = attn_raw('i', how.odd, ATTN_DIMS(p->B, p->S), p->k_seg);
    a.q_len = attn_raw('i', 0, ATTN_DIMS(p->B), p->q_len);
    a.k_len = attn_raw('i', 0, ATTN_DIMS(p->B), p->k_len);
    a.mask = attn_raw('u', how.odd, ATTN_DIMS(p->mask_B, p->mask_H, p->T, p->S), p->mask);
    a.ids = attn_raw('l', 0, ATTN_DIMS(p->B), p->ids);
    a.blocks = p->sparse ? attn_blocks(p) : NULL;
    a.bias = p->bias ? &attn_filled(A, how.odd, ATTN_DIMS(p->bias_B, p->bias_H, p->T, p->S), p->bias, 0)->t : NULL;
    a.slopes = p->slopes ? &attn_filled(A, 0, ATTN_DIMS(p->H), p->slopes, 0)->t : NULL;
    a.table = p->table ? &attn_filled(A, how.odd, ATTN_DIMS(p->buckets, p->H), p->table, 0)->t : NULL;
    a.sink = p->sink ? &attn_filled(A, 0, ATTN_DIMS(p->H), p->sink, 0)->t : NULL;
    io.q = &attn_filled(D, how.odd, ATTN_DIMS(p->B, p->T, p->H, p->d), p->q, 0)->t;
    if (p->block_tok) {
        int32_t *table = attn_ints(p->B * n, 1, 1);

        for (int64_t i = p->B * n - 1; i > 0; i--) {
            int64_t j = (int64_t)(ck_bits() % (uint64_t)(i + 1));
            int32_t t = table[i];

            table[i] = table[j];
            table[j] = t;
        }
        a.block_table = attn_raw('i', 0, ATTN_DIMS(p->B, n), table);
        a.block_tok = (uint32_t)p->block_tok;
        k = attn_pool(p, D, table, p->k, p->Hk, p->d, n);
        v = attn_pool(p, D, table, p->v, p->Hv, p->e, n);
    } else {
        k = attn_filled(D, how.odd, ATTN_DIMS(p->B, p->S, p->Hk, p->d), p->k, 0);
        v = attn_filled(D, how.odd, ATTN_DIMS(p->B, p->S, p->Hv, p->e), p->v, 0);
    }
    io.k = &k->t;
    io.v = &v->t;
    o = attn_filled(D, how.odd, ATTN_DIMS(p->B, p->T, p->H, p->e), NULL, NAN);
    lse = attn_filled(A, how.odd, ATTN_DIMS(p->B, p->H, p->T), NULL, NAN);
    io.o = &o->t;
    io.lse = &lse->t;
    shape.features = attn_features(&a);

    CU_ASSERT(cls->fit(&h->host, NULL, &shape, &fit) == LOCI_OK && (fit.score > 0 || how.refused));
    ck_err = (loci_error){.struct_size = sizeof ck_err}; /* each call begins without a failure */
    s = cls->create(&h->host, NULL, NULL, &shape, &m, &ck_err);
    s = s ? s : cls->plan(m, &shape, LOCI_OP_MIX, &need, &ck_err);
    out->scratch = need.scratch;
    scratch = attn_make('u', 0, ATTN_DIMS((int64_t)need.scratch + 64));
    x.scratch = (void *)(((uintptr_t)loci_ptr(&scratch->t) + 63) / 64 * 64);
    memset(scratch->owned, 0, scratch->bytes);
    memset(scratch->owned + ((uint8_t *)x.scratch - scratch->block), 1, need.scratch);
    memset(x.scratch, 0xFF, need.scratch);
    x.scratch_bytes = need.scratch;
    x.device = shape.device;
    x.host_scratch = attn_keep(need.host);
    x.host_bytes = need.host;
    x.flags = shape.flags;
    x.seed = p->seed;
    x.step = p->step;

    s = s ? s : fn->forward(m, &x, &io, &ck_err);
    if (how.refused) {
        CU_ASSERT(s != LOCI_OK);
        cls->destroy(m);
        return NULL;
    }
    CK_TRUE(s == LOCI_OK, "forward: %s", ck_err.msg);
    CU_ASSERT(attn_intact(o) && attn_intact(lse) && attn_intact(scratch));
    attn_get(o, out->o);
    attn_get(lse, out->lse);
    if (!s && !how.forward_only) {
        const int64_t *k_dims = p->block_tok ? k->shape : ATTN_DIMS(p->B, p->S, p->Hk, p->d);
        const int64_t *v_dims = p->block_tok ? v->shape : ATTN_DIMS(p->B, p->S, p->Hv, p->e);
        const double *from[4] = {p->bias, p->slopes, p->table, p->sink};
        double *to[4] = {out->dbias, out->dslopes, out->dtable, out->dsink};
        const int64_t *dims[4] = {ATTN_DIMS(p->bias_B, p->bias_H, p->T, p->S), ATTN_DIMS(p->H),
                                  ATTN_DIMS(p->buckets, p->H), ATTN_DIMS(p->H)};

        if (how.given) {
            attn_put(o, how.given->o, 0);
            attn_put(lse, how.given->lse, 0);
        }
        io.d_o = &attn_filled(D, how.odd, ATTN_DIMS(p->B, p->T, p->H, p->e), p->d_o, 0)->t;
        io.d_lse = p->d_lse ? &attn_filled(A, how.odd, ATTN_DIMS(p->B, p->H, p->T), p->d_lse, 0)->t : NULL;
        dq = attn_filled(D, how.odd, ATTN_DIMS(p->B, p->T, p->H, p->d), NULL, how.base);
        dk = attn_filled(D, how.odd, ATTN_DIMS(k_dims[0], k_dims[1], k_dims[2], k_dims[3]), NULL, how.base);
        dv = attn_filled(D, how.odd, ATTN_DIMS(v_dims[0], v_dims[1], v_dims[2], v_dims[3]), NULL, how.base);
        io.dq = &dq->t;
        io.dk = &dk->t;
        io.dv = &dv->t;
        for (int i = 0; i < 4; i++)
            if (from[i])
                *(loci_tensor * *[]){&io.dbias, &io.dslopes, &io.dtable, &io.dsink}[i] =
                    &(g[i] = attn_filled(A, 0, dims[i], NULL, how.base))->t;
        memset(x.scratch, 0xFF, need.scratch);
        s = fn->backward(m, &x, &io, &ck_err);
        CK_TRUE(s == LOCI_OK, "backward: %s", ck_err.msg);
        CU_ASSERT(attn_intact(dq) && attn_intact(dk) && attn_intact(dv) && attn_intact(scratch));
        attn_get(dq, out->dq);
        if (!p->block_tok) {
            attn_get(dk, out->dk);
            attn_get(dv, out->dv);
        } else { /* back from the pool */
            double *kk = attn_real(attn_count(dk), 0), *vv = attn_real(attn_count(dv), 0);

            attn_get(dk, kk);
            attn_get(dv, vv);
            for (int64_t b = 0; b < p->B; b++)
                for (int64_t j = 0; j < p->S; j++) {
                    int32_t at = ((const int32_t *)loci_ptr(a.block_table))[b * n + j / p->block_tok];
                    int64_t row = at * p->block_tok + j % p->block_tok;

                    memcpy(out->dk + (b * p->S + j) * p->Hk * p->d, kk + row * p->Hk * p->d,
                           (size_t)(p->Hk * p->d) * sizeof *kk);
                    memcpy(out->dv + (b * p->S + j) * p->Hv * p->e, vv + row * p->Hv * p->e,
                           (size_t)(p->Hv * p->e) * sizeof *vv);
                }
        }
        for (int i = 0; i < 4; i++) {
            CU_ASSERT(attn_intact(g[i]));
            if (g[i])
                attn_get(g[i], to[i]);
        }
    }
    cls->destroy(m);
    return s ? NULL : out;
}

#endif
