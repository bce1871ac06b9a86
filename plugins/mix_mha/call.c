/* SPDX-License-Identifier: Apache-2.0
 *
 * mix_mha: one call. The tokens of x make queries, the new context rows c (x itself when none are given) make keys and
 * values, which join the cache of their stream; attention sees the cache.
 *
 *     q = P_q(x)   k = P_k(c)   v = P_v(c)      P = rope o norm o conv o projection, each step where it is switched on
 *     cache += k, v, positions                  o = attend(q, cache)               y = o Wo'
 *
 * The ways P are lane.c, the buffers layout.c.
 *
 *  (1) Tokens in no run are replaced by zeros before anything reads them, so they meet every sum as zeros, whatever
 *      they held. Without such tokens x is read where it lies.
 *  (2) Saved: what each lane's steps read again, q, o and the log-sum-exp. k and v are read back from state_out.
 *
 * Source: Vaswani et al. 2017, eq. 1, without biases.
 */
#include "mha.h"
#include <math.h>
#include <string.h>

/* ---- views ------------------------------------------------------------------------------------------------------- */

/* t [B,T,D] as a matrix [B T, D] whose rows lie at one distance. */
static loci_status matrix(loci_view *v, const struct call *c, const loci_tensor *t, const char *what)
{
    const int64_t *n = t->shape, *s = t->strides;

    if (t->ndim != 3 || n[2] != c->m->dim || t->dtype.code != c->m->dtype.code || t->dtype.bits != c->m->dtype.bits)
        return loci_refuse(c->err, LOCI_E_ARG, "mixer/mha", "%s must be a [rows, tokens, %lld] tensor of the layer's type", what,
                        (long long)c->m->dim);
    if (n[0] > 1 && n[1] > 1 && s[0] != n[1] * s[1])
        return loci_refuse(c->err, LOCI_E_ARG, "mixer/mha", "%s must have its rows one after another: copy it first", what);
    view(v, c, t->dtype, loci_ptr(t), n[0] * n[1], n[2], -1, -1);
    v->strides[0] = n[1] > 1 ? s[1] : s[0];
    return LOCI_OK;
}

static bool ragged(const loci_batch *b, int64_t tokens)
{
    for (uint32_t i = 0; i < b->n_runs; i++)
        tokens -= b->runs[i].len;
    return tokens != 0;
}

/* (1) */
static loci_status clean(loci_view *v, const struct call *c, const loci_batch *b, int64_t T, void *copy,
                         int32_t *rows)
{
    loci_view from = *v, idx;
    const int64_t n = v->shape[0];

    from.t.shape = from.shape;
    from.t.strides = from.strides;
    memset(rows, 0xff, (size_t)n * sizeof *rows); /* -1 */
    for (uint32_t i = 0; i < b->n_runs; i++)
        for (int64_t t = 0; t < b->runs[i].len; t++) {
            const int64_t at = b->runs[i].row * T + b->runs[i].begin + t;
            rows[at] = (int32_t)at;
        }
    view(v, c, c->m->dtype, copy, n, c->m->dim, -1, -1);
    return c->m->ops->take(c->x, &v->t, &from.t, view(&idx, c, (loci_dtype){LOCI_INT, 32, 1}, rows, n, -1, -1, -1), 0,
                           c->err);
}

/* A batch that has positions. */
static void positions(loci_batch *out, loci_view *v, const struct call *c, const loci_batch *b, int64_t B, int64_t T,
                      int32_t *mem)
{
    LOCI_COPY(out, b);
    if (b->pos)
        return;
    memset(mem, 0xff, (size_t)(B * T) * sizeof *mem);
    for (uint32_t i = 0; i < b->n_runs; i++)
        for (int64_t t = 0; t < b->runs[i].len; t++)
            mem[b->runs[i].row * T + b->runs[i].begin + t] = (int32_t)(b->runs[i].pos + t);
    out->pos = view(v, c, (loci_dtype){LOCI_INT, 32, 1}, mem, B, T, -1, -1);
}

/* ---- what forward and backward begin with ------------------------------------------------------------------------ */

/* Slopes of ALiBi (section 3 and the authors' code for head counts that are no power of two). */
static loci_status slopes(struct call *c)
{
    const loci_module *m = c->m;
    loci_view one;
    int64_t n = 1;

    while (n * 2 <= m->heads)
        n *= 2;
    for (int64_t h = 0; h < m->heads; h++) {
        const double e = h < n ? 8.0 * (double)(h + 1) / (double)n : 4.0 * (double)(2 * (h - n) + 1) / (double)n;
        LOCI_RETURN_IF(m->ops->fill(c->x, view(&one, c, m->acc, (char *)c->l.slopes + h * m->acc.bits / 8, 1, -1, -1, -1),
                         exp2(-e), c->err));
    }
    c->desc.slopes = view(&c->vs, c, m->acc, c->l.slopes, m->heads, -1, -1, -1);
    return LOCI_OK;
}

static int64_t tighter(int64_t a, int64_t b)
{
    return a < 0 || (b >= 0 && b < a) ? b : a;
}

static loci_status describe(struct call *c, const loci_mask *mask)
{
    const loci_module *m = c->m;

    if (!mask)
        return loci_refuse(c->err, LOCI_E_ARG, "mixer/mha", "the call says nothing about causality: give a mask");
    if (m->pos == POS_ALIBI && !mask->causal)
        return loci_refuse(c->err, LOCI_E_UNSUPPORTED, "mixer/mha", "alibi is causal only: set pos = rope or none");
    c->desc = (loci_attn_desc){
        .struct_size = sizeof c->desc, .causal = mask->causal, .scale = 1 / sqrt((double)m->dk), .softcap = m->softcap};
    c->desc.window_left = tighter(mask->window_left, m->window_tok - 1);
    c->desc.window_right = mask->window_right;
    c->desc.dropout = c->x->flags & LOCI_X_TRAIN ? m->dropout : 0;
    if (m->pos == POS_ALIBI)
        LOCI_RETURN_IF(slopes(c));
    c->aio = (loci_attn_io){.struct_size = sizeof c->aio, .desc = &c->desc};
    c->aio.q = view(&c->vq, c, m->dtype, c->l.q.at[c->l.q.n - 1], c->B, c->T, m->heads, m->dk);
    c->aio.o = view(&c->vo, c, m->dtype, c->l.o, c->B, c->T, m->heads, m->dv);
    c->aio.lse = view(&c->vl, c, m->acc, c->l.lse, c->B, m->heads, c->T, -1);
    c->attend = (loci_attend){sizeof c->attend, m->k_slot, m->v_slot, m->pos_slot, c->s->cache, &c->q, &c->k, &c->aio};
    return LOCI_OK;
}

static loci_status begin(struct call *c, const loci_io *io, bool back)
{
    const loci_module *m = c->m;
    const loci_exec *x = c->x;
    const loci_tensor *ctx = io->ctx ? io->ctx : io->x;
    const loci_batch *k = io->k ? io->k : io->q;
    const bool save = back || (x->flags & LOCI_X_SAVE);
    loci_cursor scratch = {x->scratch, 0}, saved = {x->saved, 0}, host = {x->host_scratch, 0};

    LOCI_RETURN_IF(matrix(&c->x2, c, io->x, "x"));
    LOCI_RETURN_IF(matrix(&c->c2, c, ctx, "the context"));
    c->B = io->x->shape[0];
    c->T = io->x->shape[1];
    c->Bc = ctx->shape[0];
    c->S = ctx->shape[1];
    if (io->q->n_runs != k->n_runs)
        return loci_refuse(c->err, LOCI_E_ARG, "mixer/mha", "%u runs of queries and %u of the context: give one each per stream",
                        io->q->n_runs, k->n_runs);
    layout(&c->l, m, c->B * c->T, c->Bc * c->S, save, back, &scratch, &saved, &host);
    if (scratch.at > x->scratch_bytes || host.at > x->host_bytes || (save && saved.at > x->saved_bytes))
        return loci_refuse(c->err, LOCI_E_ARG, "mixer/mha", "%lld tokens and %lld context rows are more than was planned for",
                        (long long)(c->B * c->T), (long long)(c->Bc * c->S));
    LOCI_COPY(&c->rest, x);
    c->rest.scratch = (char *)x->scratch + scratch.at;
    c->rest.scratch_bytes -= scratch.at;
    c->rest.host_scratch = (char *)x->host_scratch + host.at;
    c->rest.host_bytes -= host.at;
    if (save) {
        c->rest.saved = (char *)x->saved + saved.at;
        c->rest.saved_bytes -= saved.at;
    }
    positions(&c->q, &c->qpos, c, io->q, c->B, c->T, c->l.x_pos);
    positions(&c->k, &c->kpos, c, k, c->Bc, c->S, c->l.c_pos);
    c->ragged_q = ragged(io->q, c->B * c->T);
    c->ragged_k = ragged(k, c->Bc * c->S);
    if (c->ragged_q)
        LOCI_RETURN_IF(clean(&c->x2, c, io->q, c->T, c->l.x, c->l.xr));
    if (c->ragged_k)
        LOCI_RETURN_IF(clean(&c->c2, c, k, c->S, c->l.c, c->l.cr));
    return describe(c, io->mask);
}

/* ---- calls ------------------------------------------------------------------------------------------------------- */

loci_status mha_forward(loci_module *m, const loci_exec *x, const loci_slots *s, const loci_io *io, loci_error *err)
{
    struct call c = {.m = m, .x = x, .s = s, .err = err};
    loci_view va, vy;

    if (io->q->n_runs == 0)
        return LOCI_OK;
    LOCI_RETURN_IF(begin(&c, io, false));
    LOCI_RETURN_IF(matrix(&vy, &c, io->y, "y"));
    LOCI_RETURN_IF(lane_forward(&c, &c.l.q, true));
    LOCI_RETURN_IF(lane_forward(&c, &c.l.k, false));
    LOCI_RETURN_IF(lane_forward(&c, &c.l.v, false));
    LOCI_RETURN_IF(m->host->append(x, s->cache, m->k_slot, stage(&va, &c, &c.l.k, c.l.k.at[c.l.k.n - 1], false, true), &c.k, err));
    LOCI_RETURN_IF(m->host->append(x, s->cache, m->v_slot, stage(&va, &c, &c.l.v, c.l.v.at[c.l.v.n - 1], false, true), &c.k, err));
    LOCI_RETURN_IF(m->host->append(x, s->cache, m->pos_slot, c.k.pos, &c.k, err));
    if (c.ragged_q) /* (1): the projection below reads every row */
        LOCI_RETURN_IF(zero(&c, c.l.o, c.B * c.T * m->heads * m->dv));
    LOCI_RETURN_IF(m->host->attend(m->attention, &c.rest, &c.attend, err));
    return gemm(&c, LOCI_GEMM_TB, view(&va, &c, m->dtype, c.l.o, c.B * c.T, m->heads * m->dv, -1, -1),
                &s->params[m->wo], &vy.t, 0);
}

loci_status mha_backward(loci_module *m, const loci_exec *x, const loci_slots *s, const loci_io *io, loci_error *err)
{
    struct call c = {.m = m, .x = x, .s = s, .err = err};
    loci_view va, vb, vdy, vdx, vdc;
    const loci_tensor *dx = NULL, *dc = NULL;
    loci_tensor *dctx = io->ctx && io->ctx != io->x ? io->dctx : io->dx;
    struct layout *l = &c.l;

    if (io->q->n_runs == 0)
        return LOCI_OK;
    LOCI_RETURN_IF(begin(&c, io, true));
    LOCI_RETURN_IF(matrix(&vdy, &c, io->dy, "dy"));
    if (io->dx) {
        LOCI_RETURN_IF(matrix(&vdx, &c, io->dx, "dx"));
        dx = &vdx.t;
    }
    if (dctx) {
        LOCI_RETURN_IF(matrix(&vdc, &c, dctx, "dctx"));
        dc = &vdc.t;
    }
    LOCI_RETURN_IF(gemm(&c, 0, &vdy.t, &s->params[m->wo], view(&va, &c, m->dtype, l->d_o, c.B * c.T, m->heads * m->dv, -1, -1),
             0));
    LOCI_RETURN_IF(gemm(&c, LOCI_GEMM_TA, &vdy.t, view(&vb, &c, m->dtype, l->o, c.B * c.T, m->heads * m->dv, -1, -1),
             &s->grads[m->wo], 1));
    LOCI_RETURN_IF(zero(&c, l->q.g[l->q.n - 1], c.B * c.T * m->heads * m->dk));
    LOCI_RETURN_IF(zero(&c, l->k.g[l->k.n - 1], c.Bc * c.S * m->kv_heads * m->dk));
    LOCI_RETURN_IF(zero(&c, l->v.g[l->v.n - 1], c.Bc * c.S * m->kv_heads * m->dv));
    c.aio.d_o = view(&c.vdo, &c, m->dtype, l->d_o, c.B, c.T, m->heads, m->dv);
    c.aio.dq = view(&c.vdq, &c, m->dtype, l->q.g[l->q.n - 1], c.B, c.T, m->heads, m->dk);
    LOCI_RETURN_IF(m->host->attend_back(m->attention, &c.rest, &c.attend, err));
    LOCI_RETURN_IF(m->host->append_back(x, s->cache, m->k_slot, stage(&va, &c, &l->k, l->k.g[l->k.n - 1], false, true), &c.k,
                             err));
    LOCI_RETURN_IF(m->host->append_back(x, s->cache, m->v_slot, stage(&va, &c, &l->v, l->v.g[l->v.n - 1], false, true), &c.k,
                             err));
    LOCI_RETURN_IF(lane_backward(&c, &l->q, true, dx));
    LOCI_RETURN_IF(lane_backward(&c, &l->k, false, dc));
    return lane_backward(&c, &l->v, false, dc);
}
