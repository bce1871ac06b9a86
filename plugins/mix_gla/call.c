/* SPDX-License-Identifier: Apache-2.0
 *
 * mix_gla: one call, in the letters of gla.c.
 *
 *  (1) Tokens in no run are replaced by zeros before anything reads them, so they meet every sum as zeros, whatever
 *      they held. Without such tokens x is read where it lies.
 *  (2) log sigmoid(u) is -softplus(-u), which loses nothing at either end. The buffer z holds -u.
 *  (3) Every tensor of the forward is saved; the scan saves states for itself.
 */
#include "gla.h"
#include <string.h>

#define fail(c, ...) loci_refuse((c)->err, LOCI_E_ARG, "mixer/gla", __VA_ARGS__)

/* ---- short hands ------------------------------------------------------------------------------------------------- */

static loci_status zero(const struct call *c, void *data, int64_t n)
{
    loci_view v;

    return c->m->ops->fill(c->x, view(&v, c, data, n, -1, -1, -1), 0, c->err);
}

/* out = alpha op(a) op(b) + beta out over matrices; transposes by flags. */
static loci_status gemm(const struct call *c, uint32_t flags, double alpha, const loci_tensor *a, const loci_tensor *b,
                        const loci_tensor *out, double beta)
{
    const loci_gemm g = {sizeof g, flags, alpha, beta, a, b, out};

    return c->m->ops->gemm(c->x, &g, c->err);
}

/* y [N,out] = alpha in [N,k] w' + beta y */
static loci_status linear(const struct call *c, double alpha, const loci_tensor *in, uint32_t w, void *y, double beta)
{
    const loci_tensor *t = &c->s->params[w];
    loci_view v;

    return gemm(c, LOCI_GEMM_TB, alpha, in, t, view(&v, c, y, c->N, t->shape[0], -1, -1), beta);
}

/* Its adjoint: dw += alpha dy' in, din = alpha dy w + beta din; din NULL: not wanted. */
static loci_status linear_back(const struct call *c, double alpha, const loci_tensor *in, uint32_t w,
                               const loci_tensor *dy, const loci_tensor *din, double beta)
{
    LOCI_RETURN_IF(gemm(c, LOCI_GEMM_TA, alpha, dy, in, &c->s->grads[w], 1));
    return din ? gemm(c, 0, alpha, dy, &c->s->params[w], din, beta) : LOCI_OK;
}

static loci_status map2(const struct call *c, int32_t f, void *out, void *a, void *b, int64_t n, double alpha)
{
    loci_view vo, va, vb;

    return c->m->ops->map2(c->x, f, view(&vo, c, out, n, -1, -1, -1), view(&va, c, a, n, -1, -1, -1),
                           view(&vb, c, b, n, -1, -1, -1), alpha, 0, c->err);
}

/* t [B,T,D] as a matrix [B T, D] whose rows lie at one distance. */
static loci_status matrix(loci_view *v, const struct call *c, const loci_tensor *t, const char *what)
{
    const int64_t *n = t->shape, *s = t->strides;

    if (t->ndim != 3 || n[2] != c->m->dim || t->dtype.code != c->m->dtype.code || t->dtype.bits != c->m->dtype.bits)
        return fail(c, "%s must be a [rows, tokens, %lld] tensor of the layer's type", what, (long long)c->m->dim);
    if (n[0] > 1 && n[1] > 1 && s[0] != n[1] * s[1])
        return fail(c, "%s must have its rows one after another: copy it first", what);
    view(v, c, loci_ptr(t), n[0] * n[1], n[2], -1, -1);
    v->strides[0] = n[1] > 1 ? s[1] : s[0];
    return LOCI_OK;
}

/* ---- what forward and backward begin with ------------------------------------------------------------------------ */

static int64_t in_runs(const loci_batch *b)
{
    int64_t n = 0;

    for (uint32_t i = 0; i < b->n_runs; i++)
        n += b->runs[i].len;
    return n;
}

/* (1) */
static loci_status clean(struct call *c)
{
    const loci_batch *b = c->io->q;
    int32_t *rows = c->l.rows;
    loci_view from = c->xm, index;

    from.t.shape = from.shape;
    from.t.strides = from.strides;
    memset(rows, 0xff, (size_t)c->N * sizeof *rows); /* -1 */
    for (uint32_t i = 0; i < b->n_runs; i++)
        for (int64_t t = 0; t < b->runs[i].len; t++) {
            const int64_t at = b->runs[i].row * c->T + b->runs[i].begin + t;
            rows[at] = (int32_t)at;
        }
    view(&index, c, rows, c->N, -1, -1, -1);
    index.t.dtype = (loci_dtype){LOCI_INT, 32, 1};
    return c->m->ops->take(c->x, view(&c->xm, c, c->l.x, c->N, c->m->dim, -1, -1), &from.t, &index.t, 0, c->err);
}

static loci_status admit(const struct call *c)
{
    const loci_io *io = c->io;

    if (io->ctx && io->ctx != io->x)
        return fail(c, "it takes no context but its own tokens: set the composition's persistent_tok = 0, or choose "
                       "another mixer");
    if (!io->mask || !io->mask->causal || io->mask->window_left >= 0)
        return fail(c, "each token sees all before it and none after: give a causal mask without a window");
    return LOCI_OK;
}

static loci_status begin(struct call *c, loci_module *m, const loci_exec *x, const loci_slots *s, const loci_io *io,
                         bool back, loci_error *err)
{
    const bool save = x->flags & LOCI_X_SAVE;
    loci_cursor scratch = {x->scratch, 0}, saved = {x->saved, 0}, host = {x->host_scratch, 0};

    *c = (struct call){.m = m, .x = x, .s = s, .io = io, .err = err};
    LOCI_RETURN_IF(admit(c));
    LOCI_RETURN_IF(matrix(&c->xm, c, io->x, "x"));
    c->B = io->x->shape[0];
    c->T = io->x->shape[1];
    c->N = c->B * c->T;
    gla_layout(&c->l, m, c->N, save, back, &scratch, &saved, &host);
    if (scratch.at > x->scratch_bytes || host.at > x->host_bytes || (save && saved.at > x->saved_bytes))
        return fail(c, "%lld tokens are more than was planned for", (long long)c->N);
    LOCI_COPY(&c->rest, x);
    c->rest.scratch = (char *)x->scratch + scratch.at;
    c->rest.scratch_bytes -= scratch.at;
    if (save) {
        c->rest.saved = (char *)x->saved + saved.at;
        c->rest.saved_bytes -= saved.at;
    }
    c->ragged = in_runs(io->q) != c->N;
    return c->ragged ? clean(c) : LOCI_OK;
}

/* ---- the ways of q, k and v -------------------------------------------------------------------------------------- */

static loci_status lane_forward(const struct call *c, int i)
{
    const loci_module *m = c->m;
    const struct lane *l = &c->l.lane[i];
    const int64_t n = c->N * l->width;
    loci_view vp, vc, va;

    LOCI_RETURN_IF(linear(c, 1, &c->xm.t, m->w[i], l->p, 0));
    if (m->taps == 0)
        return LOCI_OK;
    if (c->ragged)
        LOCI_RETURN_IF(zero(c, l->c, n));
    LOCI_RETURN_IF(m->ops->conv(c->x, c->io->q, view(&vc, c, l->c, c->B, c->T, l->width, -1),
                                view(&vp, c, l->p, c->B, c->T, l->width, -1), &c->s->params[m->conv[i]],
                                &c->s->state_in[m->tail[i]], &c->s->state_out[m->tail[i]], c->err));
    return m->ops->map1(c->x, LOCI_MAP_SILU, view(&va, c, l->a, n, -1, -1, -1), view(&vc, c, l->c, n, -1, -1, -1), 1, 0,
                        c->err);
}

static loci_status lane_backward(const struct call *c, int i, const loci_tensor *dx)
{
    const loci_module *m = c->m;
    const struct lane *l = &c->l.lane[i];
    const int64_t n = c->N * l->width;
    loci_view vp, vdp, vdc;

    if (m->taps > 0) {
        LOCI_RETURN_IF(map2(c, LOCI_MAP_SILU_BACK, l->dc, l->c, l->da, n, 1));
        LOCI_RETURN_IF(zero(c, l->dp, n));
        LOCI_RETURN_IF(m->ops->conv_back(
            c->x, c->io->q, view(&vdp, c, l->dp, c->B, c->T, l->width, -1), &c->s->grads[m->conv[i]],
            &c->s->state_grad[m->tail[i]], view(&vp, c, l->p, c->B, c->T, l->width, -1), &c->s->params[m->conv[i]],
            &c->s->state_in[m->tail[i]], view(&vdc, c, l->dc, c->B, c->T, l->width, -1), c->err));
    }
    return linear_back(c, 1, &c->xm.t, m->w[i], view(&vdp, c, l->dp, c->N, l->width, -1, -1), dx, 1);
}

/* ---- the decay --------------------------------------------------------------------------------------------------- */

/* (2): z = -(Wu Wd x + b), g = -softplus(z) / normalizer */
static loci_status decay_forward(const struct call *c)
{
    const loci_module *m = c->m;
    const struct layout *l = &c->l;
    const int64_t width = m->heads * m->dk;
    loci_view vb, vz, vg, vl;

    LOCI_RETURN_IF(linear(c, 1, &c->xm.t, m->down, l->low, 0));
    view(&vb, c, loci_ptr(&c->s->params[m->bias]), c->N, width, -1, -1);
    vb.strides[0] = 0;
    LOCI_RETURN_IF(m->ops->map1(c->x, LOCI_MAP_COPY, view(&vz, c, l->z, c->N, width, -1, -1), &vb.t, -1, 0, c->err));
    LOCI_RETURN_IF(linear(c, -1, view(&vl, c, l->low, c->N, m->rank, -1, -1), m->up, l->z, 1));
    return m->ops->map1(c->x, LOCI_MAP_SOFTPLUS, view(&vg, c, l->g, c->N, width, -1, -1), &vz.t, -1 / m->normalizer, 0,
                        c->err);
}

/* dz here is the gradient of the logit itself, -z. */
static loci_status decay_backward(const struct call *c, const loci_tensor *dx)
{
    const loci_module *m = c->m;
    const struct layout *l = &c->l;
    const int64_t width = m->heads * m->dk;
    loci_view vz, vl, vdl;

    LOCI_RETURN_IF(map2(c, LOCI_MAP_SOFTPLUS_BACK, l->dz, l->z, l->dg, c->N * width, 1 / m->normalizer));
    view(&vz, c, l->dz, c->N, width, -1, -1);
    LOCI_RETURN_IF(m->ops->sum_rows(c->x, &c->s->grads[m->bias], &vz.t, 1, c->err));
    view(&vdl, c, l->dlow, c->N, m->rank, -1, -1);
    LOCI_RETURN_IF(linear_back(c, 1, view(&vl, c, l->low, c->N, m->rank, -1, -1), m->up, &vz.t, &vdl.t, 0));
    return linear_back(c, 1, &c->xm.t, m->down, &vdl.t, dx, 1);
}

/* ---- from the scan to y ------------------------------------------------------------------------------------------ */

static loci_status out_forward(const struct call *c)
{
    const loci_module *m = c->m;
    const struct layout *l = &c->l;
    const int64_t width = m->heads * m->dv;
    loci_view vo, vn, vs, vy;

    if (m->norm)
        LOCI_RETURN_IF(m->ops->norm(c->x, LOCI_NORM_RMS, view(&vn, c, l->on, c->N, m->heads, m->dv, -1),
                                    view(&vo, c, l->o, c->N, m->heads, m->dv, -1), &c->s->params[m->gain],
                                    view(&vs, c, l->stat, c->N, m->heads, -1, -1), m->eps, c->err));
    if (m->gate) {
        LOCI_RETURN_IF(linear(c, 1, &c->xm.t, m->wz, l->gate, 0));
        LOCI_RETURN_IF(map2(c, LOCI_MAP_SILU_MUL, l->out, l->gate, l->on, c->N * width, 1));
    }
    LOCI_RETURN_IF(matrix(&vy, c, c->io->y, "y"));
    return gemm(c, LOCI_GEMM_TB, 1, view(&vo, c, l->out, c->N, width, -1, -1), &c->s->params[m->wo], &vy.t, 0);
}

/* From dy to d_o; the gate's way to x. */
static loci_status out_backward(const struct call *c, const loci_tensor *dx)
{
    const loci_module *m = c->m;
    const struct layout *l = &c->l;
    const int64_t width = m->heads * m->dv, n = c->N * width;
    loci_view vdy, vo, vd, vs, vdn;

    LOCI_RETURN_IF(matrix(&vdy, c, c->io->dy, "dy"));
    LOCI_RETURN_IF(linear_back(c, 1, view(&vo, c, l->out, c->N, width, -1, -1), m->wo, &vdy.t,
                               view(&vd, c, l->dout, c->N, width, -1, -1), 0));
    if (m->gate) { /* dgate = silu'(gate) (on dout), don = silu(gate) dout */
        LOCI_RETURN_IF(map2(c, LOCI_MAP_MUL, l->don, l->on, l->dout, n, 1));
        LOCI_RETURN_IF(map2(c, LOCI_MAP_SILU_BACK, l->dgate, l->gate, l->don, n, 1));
        LOCI_RETURN_IF(map2(c, LOCI_MAP_SILU_MUL, l->don, l->gate, l->dout, n, 1));
        LOCI_RETURN_IF(linear_back(c, 1, &c->xm.t, m->wz, view(&vd, c, l->dgate, c->N, width, -1, -1), dx, 1));
    }
    if (!m->norm)
        return LOCI_OK;
    LOCI_RETURN_IF(zero(c, l->d_o, n));
    return m->ops->norm_back(c->x, LOCI_NORM_RMS, view(&vd, c, l->d_o, c->N, m->heads, m->dv, -1),
                             &c->s->grads[m->gain], view(&vo, c, l->o, c->N, m->heads, m->dv, -1),
                             &c->s->params[m->gain], view(&vs, c, l->stat, c->N, m->heads, -1, -1),
                             view(&vdn, c, l->don, c->N, m->heads, m->dv, -1), c->err);
}

/* ---- calls ------------------------------------------------------------------------------------------------------- */

/* The scan's view of the call: q, k, v, g, o and, in a backward, their gradients. */
struct recurrence {
    loci_scan_io io;
    loci_view q, k, v, g, o, dq, dk, dv, dg, d_o;
};

static loci_tensor *heads(loci_view *v, const struct call *c, void *data, int64_t width)
{
    return view(v, c, data, c->B, c->T, c->m->heads, width);
}

static const loci_scan_io *recurrence(struct recurrence *r, const struct call *c)
{
    const loci_module *m = c->m;
    const struct layout *l = &c->l;

    r->io = gla_scan(m);
    r->io.batch = c->io->q;
    r->io.q = heads(&r->q, c, l->lane[LANE_Q].a, m->dk);
    r->io.k = heads(&r->k, c, l->lane[LANE_K].a, m->dk);
    r->io.v = heads(&r->v, c, l->lane[LANE_V].a, m->dv);
    r->io.g = heads(&r->g, c, l->g, m->dk);
    r->io.y = heads(&r->o, c, l->o, m->dv);
    r->io.state_in = &c->s->state_in[m->S];
    r->io.state_out = &c->s->state_out[m->S];
    return &r->io;
}

static const loci_scan_io *recurrence_back(struct recurrence *r, const struct call *c)
{
    const loci_module *m = c->m;
    const struct layout *l = &c->l;

    recurrence(r, c);
    r->io.dq = heads(&r->dq, c, l->lane[LANE_Q].da, m->dk);
    r->io.dk = heads(&r->dk, c, l->lane[LANE_K].da, m->dk);
    r->io.dv = heads(&r->dv, c, l->lane[LANE_V].da, m->dv);
    r->io.dg = heads(&r->dg, c, l->dg, m->dk);
    r->io.dy = heads(&r->d_o, c, l->d_o, m->dv);
    r->io.state_grad = &c->s->state_grad[m->S];
    return &r->io;
}

loci_status gla_forward(loci_module *m, const loci_exec *x, const loci_slots *s, const loci_io *io, loci_error *err)
{
    struct recurrence r;
    struct call c;

    if (io->q->n_runs == 0)
        return LOCI_OK;
    LOCI_RETURN_IF(begin(&c, m, x, s, io, false, err));
    for (int i = 0; i < LANES; i++)
        LOCI_RETURN_IF(lane_forward(&c, i));
    LOCI_RETURN_IF(decay_forward(&c));
    if (c.ragged) /* the norm and the projection read every row */
        LOCI_RETURN_IF(zero(&c, c.l.o, c.N * m->heads * m->dv));
    LOCI_RETURN_IF(m->scan->forward(&c.rest, recurrence(&r, &c), err));
    return out_forward(&c);
}

loci_status gla_backward(loci_module *m, const loci_exec *x, const loci_slots *s, const loci_io *io, loci_error *err)
{
    const loci_tensor *dx = NULL;
    struct recurrence r;
    struct call c;
    loci_view vdx;

    if (io->q->n_runs == 0)
        return LOCI_OK;
    LOCI_RETURN_IF(begin(&c, m, x, s, io, true, err));
    if (io->dx) {
        LOCI_RETURN_IF(matrix(&vdx, &c, io->dx, "dx"));
        dx = &vdx.t;
    }
    LOCI_RETURN_IF(out_backward(&c, dx));
    for (int i = 0; i < LANES; i++)
        LOCI_RETURN_IF(zero(&c, c.l.lane[i].da, c.N * c.l.lane[i].width));
    LOCI_RETURN_IF(zero(&c, c.l.dg, c.N * m->heads * m->dk));
    LOCI_RETURN_IF(m->scan->backward(&c.rest, recurrence_back(&r, &c), err));
    LOCI_RETURN_IF(decay_backward(&c, dx));
    for (int i = 0; i < LANES; i++)
        LOCI_RETURN_IF(lane_backward(&c, i, dx));
    return LOCI_OK;
}
