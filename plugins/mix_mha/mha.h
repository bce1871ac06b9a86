/* SPDX-License-Identifier: Apache-2.0
 *
 * mix_mha: what its files share: the module, and the views and buffers of a call.
 */
#ifndef LOCI_MIX_MHA_H
#define LOCI_MIX_MHA_H

#include <loci/author.h>
#include <loci/ops.h>
#include <stdbool.h>

enum { POS_ROPE, POS_ALIBI, POS_NONE };
#define NORM_EPS 1e-6

/* Indices of weights and states as declared; those of parts that are switched off are not used. */
struct loci_module {
    const loci_host *host;
    const loci_ops *ops;
    const loci_child *attention;
    int64_t dim, heads, kv_heads, dk, dv;
    int64_t window_tok, rot, taps; /* 0: unbounded; of dk; 0: no convolution */
    int pos;                       /* POS_* */
    bool norm;                     /* RMS norm of q and k */
    double rope_base, softcap, dropout;
    loci_dtype dtype, acc;
    uint32_t wq, wk, wv, wo, gq, gk, cq, ck, cv;   /* weights: projections, gains, convolutions */
    uint32_t k_slot, v_slot, pos_slot, tq, tk, tv; /* states: the cache, tails                  */
};

loci_status mha_forward(loci_module *m, const loci_exec *x, const loci_slots *s, const loci_io *io, loci_error *err);
loci_status mha_backward(loci_module *m, const loci_exec *x, const loci_slots *s, const loci_io *io, loci_error *err);
/* Scratch, saved and host bytes of this module alone for n query tokens and c context rows. */
void mha_need(const loci_module *m, int64_t n, int64_t c, uint64_t flags, loci_need *need);

/* The way of q, k or v from their input to the cache or the query. */
struct lane {
    int64_t heads, d;
    int n; /* buffers: 1 + convolution + norm */
    bool conv, norm, rope;
    uint32_t w, cw, tail, gain;
    void *at[3], *stat, *g[3];
};

/* Where everything of a call lies. */
struct layout {
    struct lane q, k, v;
    void *o, *lse, *d_o, *slopes;
    void *x, *c;                      /* copies of (1)         */
    int32_t *xr, *cr, *x_pos, *c_pos; /* host: rows, positions */
};

struct call {
    const loci_module *m;
    const loci_exec *x;
    const loci_slots *s;
    loci_error *err;
    int64_t B, T, Bc, S;
    loci_batch q, k;              /* with positions */
    bool ragged_q, ragged_k; /* some tokens, some context rows are in no run */
    struct layout l;
    loci_view x2, c2, qpos, kpos; /* x and c as matrices, cleaned */
    loci_exec rest;                 /* for the attention */
    loci_view vq, vo, vl, vdo, vdq, vs;
    loci_attn_desc desc;
    loci_attn_io aio;
    loci_attend attend;
};

/* layout.c */
struct call;
void layout(struct layout *l, const struct loci_module *m, int64_t n, int64_t c, bool save, bool back,
            loci_cursor *scratch, loci_cursor *saved, loci_cursor *host);
loci_tensor *view(loci_view *v, const struct call *c, loci_dtype dtype, void *data, int64_t n0, int64_t n1,
                  int64_t n2, int64_t n3); /* row-major; a size of -1 ends the list */

/* lane.c: from the projection's input to the lane's last buffer, and back from g[n - 1] to the weights and to dsrc
 * (NULL: not wanted). q: the lane of the queries. */
loci_tensor *stage(loci_view *v, const struct call *c, const struct lane *l, void *data, bool q, bool heads);
loci_status zero(const struct call *c, void *data, int64_t n);
loci_status gemm(const struct call *c, uint32_t flags, const loci_tensor *a, const loci_tensor *b,
                 const loci_tensor *out, double beta);
loci_status lane_forward(const struct call *c, const struct lane *l, bool q);
loci_status lane_backward(const struct call *c, const struct lane *l, bool q, const loci_tensor *dsrc);

#endif
