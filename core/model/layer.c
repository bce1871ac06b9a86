/* SPDX-License-Identifier: Apache-2.0
 *
 * One layer of a pass:  u = x + compose(rms(x)),  next = u + ffn(rms(u));  forward, once more for the backward, and
 * backward.
 *
 * A sum and the norm of it are one step, which leaves the norm in s->n; so a layer finds there the norm of its x, from the
 * layer before it, and leaves that of the next one's.
 *
 * Computed once more, everything has the bits of the first time: state_in is as the forward left it, random numbers
 * follow from seed and step, and state_out is written with what it holds.
 */
#include "core/model/pass.h"

static const loci_mask causal = {sizeof causal, 1, -1, -1};

void loci_layer_exec(loci_exec *x, const loci_pass *p, void *saved, uint64_t saved_bytes)
{
    bool save = (p->session.flags & LOCI_X_SAVE) != 0;

    loci_exec_init(x, p->model->cx, &p->session, p->session.flags | (save ? 0 : LOCI_X_STATE_INPLACE), p->seed,
                   p->step);
    x->scratch = (char *)p->scratch + p->compose_scratch_at;
    x->scratch_bytes = p->scratch_bytes - p->compose_scratch_at;
    x->saved = save ? saved : NULL;
    x->saved_bytes = saved_bytes;
    x->host_scratch = p->host;
    x->host_bytes = p->host_bytes;
}

void loci_walk_to(struct walk *w, const loci_pass *p, int layer)
{
    const struct loci_place *at = &p->layers[layer];
    loci_cursor c = {p->saved, at->saved};

    loci_carve_layer(&w->piece, p, at->compose_saved, &c);
    w->x = (char *)p->saved + at->x;
    w->in = (char *)p->state_in + at->state;
    w->out = (char *)p->state_out + at->state;
}

loci_status loci_layer_forward(const loci_pass *p, int i, const struct scratch_pieces *s, const struct next_norm *next,
                               loci_error *err)
{
    loci_status status = LOCI_OK;
    const loci_model *m = p->model;
    const struct loci_layer *l = &m->layers[i];
    const bool again = !next;
    struct walk w;
    loci_exec x;
    loci_view vx, vy;
    int64_t n = tokens_of(p);
    loci_io io = {.struct_size = sizeof io, .op = LOCI_OP_MIX, .q = &p->batch, .mask = &causal};

    loci_walk_to(&w, p, i);
    loci_layer_exec(&x, p, w.piece.compose, p->layers[i].compose_saved);
    if (again || i == 0)
        LOCI_TRY(loci_rms(&x, m->dtype, s->n, w.x, l->norm1, w.piece.stat1, n, m->eps, err));
    if (!loci_covers(&p->batch, p->session.rows, p->width))
        LOCI_TRY(loci_zero(&x, s->y, (uint64_t)(n * m->dim) * loci_dtype_bytes(m->dtype)));
    io.x = loci_view4(&vx, &x, m->dtype, s->n, p->session.rows, p->width, m->dim, -1);
    io.y = loci_view4(&vy, &x, m->dtype, s->y, p->session.rows, p->width, m->dim, -1);
    io.state_in = w.in;
    io.state_out = w.out;
    if (!again)
        LOCI_TRY(loci_node_reset(l->compose, &x, w.in, &p->batch, err));
    LOCI_TRY(loci_node_forward(l->compose, &x, &io, err));
    if (m->ffn != LOCI_FFN_NONE) {
        LOCI_TRY(loci_add_rms(&x, m->dtype, w.piece.u, s->n, w.x, s->y, l->norm2, w.piece.stat2, n, m->eps, err));
        LOCI_TRY(loci_ffn_forward(&x, p, l, &w.piece, s, again ? NULL : s->y, err));
    }
    if (next)
        status = loci_add_rms(&x, m->dtype, next->x, s->n, m->ffn == LOCI_FFN_NONE ? w.x : w.piece.u, s->y, next->gain,
                              next->stat, n, m->eps, err);
out:
    return status;
}

loci_status loci_layer_back(const loci_pass *p, int i, const struct scratch_pieces *s, loci_error *err)
{
    loci_status status = LOCI_OK;
    const loci_model *m = p->model;
    const struct loci_layer *l = &m->layers[i];
    int64_t n = tokens_of(p);
    struct walk w;
    loci_exec x;
    loci_view vx, vdy, vdx;
    loci_io io = {.struct_size = sizeof io, .op = LOCI_OP_MIX, .q = &p->batch, .mask = &causal};

    loci_walk_to(&w, p, i);
    loci_layer_exec(&x, p, w.piece.compose, p->layers[i].compose_saved);
    LOCI_TRY(loci_ffn_back(&x, p, l, &w.piece, s, err));
    LOCI_TRY(loci_zero(&x, p->state_grad, loci_node_state_bytes(l->compose, &p->session)));
    LOCI_TRY(loci_zero(&x, s->dn, (uint64_t)(n * m->dim) * loci_dtype_bytes(m->dtype)));
    LOCI_TRY(loci_rms(&x, m->dtype, s->n, w.x, l->norm1, NULL, n, m->eps, err));
    io.x = loci_view4(&vx, &x, m->dtype, s->n, p->session.rows, p->width, m->dim, -1);
    io.dy = loci_view4(&vdy, &x, m->dtype, s->dx, p->session.rows, p->width, m->dim, -1);
    io.dx = loci_view4(&vdx, &x, m->dtype, s->dn, p->session.rows, p->width, m->dim, -1);
    io.state_in = w.in;
    io.state_out = w.out;
    io.state_grad = p->state_grad;
    LOCI_TRY(loci_node_backward(l->compose, &x, &io, err));
    LOCI_TRY(loci_node_reset_back(l->compose, &x, p->state_grad, &p->batch, err));
    status = loci_rms_back(&x, m->dtype, s->dx, w.x, l->norm1, w.piece.stat1, s->dn, n, err);
out:
    return status;
}
