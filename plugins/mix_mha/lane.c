/* SPDX-License-Identifier: Apache-2.0
 *
 * mix_mha: a lane: the way of q, k or v.
 *
 *     at[0] = src W'      [at[1] = conv(at[0])]      [at[i] = rms(at[i-1]) o gain]      [rotate the last in place]
 *
 * Each buffer but the last is read again by the backward, which fills g[i], the gradient of at[i], from the last to the
 * first. Rotation is undone in place, by the opposite angle.
 */
#include "mha.h"

loci_tensor *stage(loci_view *v, const struct call *c, const struct lane *l, void *data, bool q, bool heads)
{
    const int64_t B = q ? c->B : c->Bc, T = q ? c->T : c->S;

    return heads ? view(v, c, c->m->dtype, data, B, T, l->heads, l->d)
                 : view(v, c, c->m->dtype, data, B, T, l->heads * l->d, -1);
}

loci_status zero(const struct call *c, void *data, int64_t n)
{
    loci_view v;

    return c->m->ops->fill(c->x, view(&v, c, c->m->dtype, data, n, -1, -1, -1), 0, c->err);
}

/* C = op(A) op(B) + beta C over matrices; transposes by flags. */
loci_status gemm(const struct call *c, uint32_t flags, const loci_tensor *a, const loci_tensor *b,
                 const loci_tensor *out, double beta)
{
    const loci_gemm g = {sizeof g, flags, 1, beta, a, b, out};

    return c->m->ops->gemm(c->x, &g, c->err);
}

loci_status lane_forward(const struct call *c, const struct lane *l, bool q)
{
    const loci_ops *ops = c->m->ops;
    const loci_batch *b = q ? &c->q : &c->k;
    const loci_tensor *src = q ? &c->x2.t : &c->c2.t;
    const int64_t n = src->shape[0], width = l->heads * l->d;
    loci_view va, vb, vs;
    int i = 0;

    LOCI_RETURN_IF(gemm(c, LOCI_GEMM_TB, src, &c->s->params[l->w], view(&va, c, c->m->dtype, l->at[0], n, width, -1, -1), 0));
    if (l->conv) {
        if (q ? c->ragged_q : c->ragged_k)
            LOCI_RETURN_IF(zero(c, l->at[1], n * width));
        LOCI_RETURN_IF(ops->conv(c->x, b, stage(&vb, c, l, l->at[1], q, false), stage(&va, c, l, l->at[0], q, false),
                      &c->s->params[l->cw], &c->s->state_in[l->tail], &c->s->state_out[l->tail], c->err));
        i++;
    }
    if (l->norm) {
        LOCI_RETURN_IF(ops->norm(c->x, LOCI_NORM_RMS, stage(&vb, c, l, l->at[i + 1], q, true), stage(&va, c, l, l->at[i], q, true),
                      &c->s->params[l->gain],
                      view(&vs, c, c->m->acc, l->stat, q ? c->B : c->Bc, q ? c->T : c->S, l->heads, -1), NORM_EPS,
                      c->err));
        i++;
    }
    if (l->rope) {
        stage(&va, c, l, l->at[i], q, true);
        LOCI_RETURN_IF(ops->rope(c->x, &va.t, &va.t, b->pos, c->m->rot, c->m->rope_base, 1, c->err));
    }
    return LOCI_OK;
}

loci_status lane_backward(const struct call *c, const struct lane *l, bool q, const loci_tensor *dsrc)
{
    const loci_ops *ops = c->m->ops;
    const loci_batch *b = q ? &c->q : &c->k;
    const loci_tensor *src = q ? &c->x2.t : &c->c2.t;
    const int64_t n = src->shape[0], width = l->heads * l->d;
    loci_view va, vb, vs, vx;
    int i = l->n - 1;

    if (l->rope) {
        stage(&va, c, l, l->g[i], q, true);
        LOCI_RETURN_IF(ops->rope(c->x, &va.t, &va.t, b->pos, c->m->rot, c->m->rope_base, -1, c->err));
    }
    if (l->norm) {
        i--;
        LOCI_RETURN_IF(zero(c, l->g[i], n * width));
        LOCI_RETURN_IF(ops->norm_back(c->x, LOCI_NORM_RMS, stage(&va, c, l, l->g[i], q, true), &c->s->grads[l->gain],
                           stage(&vx, c, l, l->at[i], q, true), &c->s->params[l->gain],
                           view(&vs, c, c->m->acc, l->stat, q ? c->B : c->Bc, q ? c->T : c->S, l->heads, -1),
                           stage(&vb, c, l, l->g[i + 1], q, true), c->err));
    }
    if (l->conv) {
        LOCI_RETURN_IF(zero(c, l->g[0], n * width));
        LOCI_RETURN_IF(ops->conv_back(c->x, b, stage(&va, c, l, l->g[0], q, false), &c->s->grads[l->cw],
                           &c->s->state_grad[l->tail], stage(&vx, c, l, l->at[0], q, false), &c->s->params[l->cw],
                           &c->s->state_in[l->tail], stage(&vb, c, l, l->g[1], q, false), c->err));
    }
    view(&va, c, c->m->dtype, l->g[0], n, width, -1, -1);
    LOCI_RETURN_IF(gemm(c, LOCI_GEMM_TA, &va.t, src, &c->s->grads[l->w], 1));
    return dsrc ? gemm(c, 0, &va.t, &c->s->params[l->w], dsrc, 1) : LOCI_OK;
}
