/* SPDX-License-Identifier: Apache-2.0
 *
 * compose: memory, views and steps of a call; see parts.h.
 */
#include "parts.h"
#include <stdio.h>

void *cut_rows(loci_cursor *c, const loci_module *m, int64_t rows)
{
    return loci_cut(c, (uint64_t)(rows * m->dim) * m->shape.dtype.bits / 8);
}

/* ---- views ------------------------------------------------------------------------------------------------------- */

static loci_tensor *view(loci_view *v, const struct call *c, loci_dtype dtype, const void *data, int32_t ndim,
                         int64_t n0, int64_t n1, int64_t n2)
{
    const int64_t n[3] = {n0, n1, n2};
    int64_t stride = 1;

    v->t = (loci_tensor){(void *)(uintptr_t)data, c->x->device, ndim, dtype, v->shape, v->strides, 0};
    for (int32_t i = ndim; i-- > 0; stride *= n[i]) {
        v->shape[i] = n[i];
        v->strides[i] = stride;
    }
    return &v->t;
}

loci_tensor *matrix(loci_view *v, const struct call *c, const void *data, int64_t rows)
{
    return view(v, c, c->m->shape.dtype, data, 2, rows, c->m->dim, 0);
}

loci_tensor *cube(loci_view *v, const struct call *c, const void *data, int64_t b, int64_t t)
{
    return view(v, c, c->m->shape.dtype, data, 3, b, t, c->m->dim);
}

loci_tensor *column(loci_view *v, const struct call *c, const void *data, int64_t rows)
{
    return view(v, c, c->m->shape.acc, data, 1, rows, 0, 0);
}

loci_tensor *ints(loci_view *v, const struct call *c, const int32_t *data, int64_t a, int64_t b)
{
    const loci_dtype i32 = {LOCI_INT, 32, 1};

    return view(v, c, i32, data, b < 0 ? 1 : 2, a, b, 0);
}

loci_status flat(loci_view *v, const struct call *c, const loci_tensor *t, const char *what)
{
    const int64_t *n, *s;

    if (!t)
        return LOCI_OK;
    n = t->shape;
    s = t->strides;
    if (t->ndim != 3 || n[0] != c->B || n[1] != c->T || n[2] != c->m->dim || t->dtype.code != c->m->shape.dtype.code ||
        t->dtype.bits != c->m->shape.dtype.bits)
        return loci_refuse(c->err, LOCI_E_ARG, "compose", "%s must be [%lld, %lld, %lld] of the layer's type", what,
                            (long long)c->B, (long long)c->T, (long long)c->m->dim);
    if (n[0] > 1 && n[1] > 1 && s[0] != n[1] * s[1])
        return loci_refuse(c->err, LOCI_E_ARG, "compose", "%s must have its rows one after another: copy it first", what);
    matrix(v, c, loci_ptr(t), c->N);
    v->strides[0] = n[1] > 1 ? s[1] : s[0];
    return LOCI_OK;
}

/* ---- steps ------------------------------------------------------------------------------------------------------- */

loci_status zero(const struct call *c, void *data, int64_t rows)
{
    loci_view v;

    return c->m->ops->fill(c->x, matrix(&v, c, data, rows), 0, c->err);
}

loci_status take(const struct call *c, void *out, int64_t n, const loci_tensor *a, const int32_t *rows, double beta)
{
    loci_view vo, vr;

    return c->m->ops->take(c->x, matrix(&vo, c, out, n), a, ints(&vr, c, rows, n, -1), beta, c->err);
}

loci_status put(const struct call *c, const loci_tensor *out, const void *a, int64_t n, const int32_t *rows)
{
    loci_view va, vr;

    return c->m->ops->put(c->x, out, matrix(&va, c, a, n), ints(&vr, c, rows, n, -1), c->err);
}

/* ---- calls ------------------------------------------------------------------------------------------------------- */

loci_status call_begin(struct call *c, loci_module *m, const loci_exec *x, const loci_slots *s, const loci_io *io,
                       bool back, loci_error *err)
{
    *c = (struct call){.m = m, .x = x, .s = s, .io = io, .err = err, .back = back};
    c->save = back || (x->flags & LOCI_X_SAVE);
    if (io->ctx && io->ctx != io->x)
        return loci_refuse(err, LOCI_E_UNSUPPORTED, "compose", "a composition has no context but its own input");
    if (io->x->ndim != 3)
        return loci_refuse(err, LOCI_E_ARG, "compose", "x must have 3 dimensions, not %d", (int)io->x->ndim);
    c->B = io->x->shape[0];
    c->T = io->x->shape[1];
    c->N = c->B * c->T;
    if (c->N > INT32_MAX)
        return loci_refuse(err, LOCI_E_UNSUPPORTED, "compose", "%lld tokens in one call; at most 2^31 - 1 are served",
                            (long long)c->N);
    LOCI_RETURN_IF(flat(&c->xm, c, io->x, "x"));
    LOCI_RETURN_IF(flat(&c->ym, c, back ? NULL : io->y, "y"));
    LOCI_RETURN_IF(flat(&c->dym, c, back ? io->dy : NULL, "dy"));
    LOCI_RETURN_IF(flat(&c->dxm, c, back ? io->dx : NULL, "dx"));
    c->ragged = true;
    for (int64_t i = 0, n = 0; i < io->q->n_runs; i++) {
        n += io->q->runs[i].len;
        c->ragged = n != c->N;
    }
    c->room = (struct room){{x->scratch, 0}, {x->saved, 0}, {x->host_scratch, 0}};
    return LOCI_OK;
}

void call_shape(const struct call *c, loci_shape *out)
{
    *out = c->m->shape;
    out->session = c->x->session;
    out->flags = c->x->flags | (c->save ? LOCI_X_SAVE : 0);
    out->rows = c->B;
    out->seq = out->ctx = c->T;
    out->runs = c->io->q->n_runs;
    out->states = 0;
    for (uint32_t i = 0; i < c->io->q->n_runs; i++)
        if (c->io->q->runs[i].state >= out->states)
            out->states = c->io->q->runs[i].state + 1;
}

loci_status call_fits(const struct call *c)
{
    const loci_exec *x = c->x;

    if (c->room.scratch.at <= x->scratch_bytes && c->room.host.at <= x->host_bytes &&
        (!c->save || c->room.saved.at <= x->saved_bytes))
        return LOCI_OK;
    return loci_refuse(c->err, LOCI_E_ARG, "compose", "%lld rows of %lld tokens in %u runs are more than was planned for",
                        (long long)c->B, (long long)c->T, c->io->q->n_runs);
}

loci_exec child_exec(const struct call *c, void *saved, uint64_t saved_bytes, uint64_t flags)
{
    loci_exec x;

    LOCI_COPY(&x, c->x);
    x.flags = flags;
    x.scratch = (char *)x.scratch + c->room.scratch.at;
    x.scratch_bytes -= c->room.scratch.at;
    x.host_scratch = (char *)x.host_scratch + c->room.host.at;
    x.host_bytes -= c->room.host.at;
    x.saved = saved;
    x.saved_bytes = saved_bytes;
    return x;
}

int32_t position(const struct call *c, const loci_run *r, int64_t i)
{
    const loci_tensor *p = c->io->q->pos;

    if (!p)
        return (int32_t)(r->pos + i);
    return ((const int32_t *)loci_ptr(p))[r->row * p->strides[0] + (r->begin + i) * p->strides[1]];
}

void plan_need(const loci_module *m, layout_fn layout, void *buffers, uint64_t flags, loci_need *need)
{
    const bool save = flags & LOCI_X_SAVE;

    /* also a forward without SAVE, which keeps in scratch what one with it saves */
    for (int pass = 0; pass < (save ? 3 : 1); pass++) {
        struct room r = {{NULL, 0}, {NULL, 0}, {NULL, 0}};
        layout(m, buffers, pass > 0, pass == 2, &r);
        need->scratch = r.scratch.at > need->scratch ? r.scratch.at : need->scratch;
        need->saved = r.saved.at > need->saved ? r.saved.at : need->saved;
        need->host = r.host.at > need->host ? r.host.at : need->host;
    }
}
