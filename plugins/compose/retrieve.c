/* SPDX-License-Identifier: Apache-2.0
 *
 * compose: whose queries read the memory in mac, step (1), and the tokens that retrieval = previous keeps for it.
 *
 *     strict, literal   the tokens of the step; the memory's convolution goes on from call to call over the stream of x
 *     summary           N learned rows, a sequence of its own for every read: its tails are made zero again behind it
 *     previous          the C tokens of the segment before, so the convolution runs over the stream of x a segment late
 *
 *  (1) READ leaves the rule's state as it is. Its adjoint must see the state that READ left; where a segment ended, (5)
 *      of mac.c has overwritten it, so there a block in scratch stands in for it.
 *  (2) State `last` [states, C, D] of previous holds token t of a stream at t mod C, until the token C later takes its
 *      place. A step finds the segment before partly there, partly in x of this call, and nothing is saved for it.
 */
#include "mac.h"

/* ---- (2) --------------------------------------------------------------------------------------------------------- */

/* Rows [from, from + n) of a matrix. */
static loci_tensor *rows_of(loci_view *v, const struct call *c, const loci_view *m, int64_t from, int64_t n)
{
    const uint64_t size = c->m->shape.dtype.bits / 8;

    matrix(v, c, (const char *)loci_ptr(&m->t) + (uint64_t)(from * m->strides[0]) * size, n);
    v->strides[0] = m->strides[0];
    return &v->t;
}

/* The whole state as rows. */
static loci_tensor *last_rows(loci_view *v, const struct call *c, const loci_tensor *state)
{
    const loci_tensor *s = &state[c->m->s_last];

    return matrix(v, c, loci_ptr(s), s->shape[0] * s->shape[1]);
}

/* The piece of the last C tokens of a run that begins with its token t: they lie together in x and in the state, there
 * from row *at on. Returns how many. */
static int64_t together(const struct call *c, const loci_run *r, int64_t t, int64_t *at)
{
    const int64_t C = c->m->segment_tok, slot = (r->pos + t) % C;

    *at = r->state * C + slot;
    return r->len - t < C - slot ? r->len - t : C - slot;
}

loci_status last_forward(const struct call *c)
{
    const loci_ops *ops = c->m->ops;
    const int64_t C = c->m->segment_tok;
    const bool inplace = loci_ptr(&c->s->state_in[c->m->s_last]) == loci_ptr(&c->s->state_out[c->m->s_last]);
    loci_view in, out, to, from;

    last_rows(&in, c, c->s->state_in);
    last_rows(&out, c, c->s->state_out);
    for (uint32_t i = 0; i < c->io->q->n_runs; i++) {
        const loci_run *r = &c->io->q->runs[i];
        if (!inplace)
            LOCI_RETURN_IF(ops->map1(c->x, LOCI_MAP_COPY, rows_of(&to, c, &out, r->state * C, C),
                                     rows_of(&from, c, &in, r->state * C, C), 1, 0, c->err));
        for (int64_t t = r->len > C ? r->len - C : 0, n, at; t < r->len; t += n) {
            n = together(c, r, t, &at);
            LOCI_RETURN_IF(ops->map1(c->x, LOCI_MAP_COPY, rows_of(&to, c, &out, at, n),
                                     rows_of(&from, c, &c->xm, r->row * c->T + r->begin + t, n), 1, 0, c->err));
        }
    }
    return LOCI_OK;
}

loci_status last_back(const struct call *c)
{
    const loci_ops *ops = c->m->ops;
    const int64_t C = c->m->segment_tok;
    loci_view grad, to, from;

    last_rows(&grad, c, c->s->state_grad);
    for (uint32_t i = 0; i < c->io->q->n_runs; i++) {
        const loci_run *r = &c->io->q->runs[i];
        for (int64_t t = r->len > C ? r->len - C : 0, n, at; t < r->len; t += n) {
            n = together(c, r, t, &at);
            rows_of(&from, c, &grad, at, n);
            if (c->io->dx)
                LOCI_RETURN_IF(ops->map1(c->x, LOCI_MAP_COPY, rows_of(&to, c, &c->dxm, r->row * c->T + r->begin + t, n),
                                         &from.t, 1, 1, c->err));
            LOCI_RETURN_IF(ops->fill(c->x, &from.t, 0, c->err));
        }
    }
    return LOCI_OK;
}

/* ---- queries ----------------------------------------------------------------------------------------------------- */

/* The queries of the step, [rows that read, n_q, D]. */
static loci_status queries(const struct call *c, const struct mac *k, loci_view *v, loci_tensor **out)
{
    const int64_t n = k->reading * k->n_q;
    loci_view last;

    *out = cube(v, c, k->q ? k->q : k->x, k->reading, k->n_q);
    if (c->m->retrieval == SUMMARY)
        return take(c, k->q, n, &c->s->params[c->m->w_summary], k->q_from, 0);
    if (c->m->retrieval != PREVIOUS)
        return LOCI_OK;
    LOCI_RETURN_IF(take(c, k->q, n, &c->xm.t, k->q_from, 0));
    return take(c, k->q, n, last_rows(&last, c, c->s->state_in), k->q_last, 1);
}

/* Their gradients go where they came from; those of the step's own tokens are in k->dx already. */
static loci_status queries_back(const struct call *c, const struct mac *k)
{
    const int64_t n = k->reading * k->n_q;
    loci_view last;

    if (c->m->retrieval == SUMMARY)
        return put(c, &c->s->grads[c->m->w_summary], k->dq, n, k->q_from);
    if (c->m->retrieval != PREVIOUS)
        return LOCI_OK;
    if (c->io->dx)
        LOCI_RETURN_IF(put(c, &c->dxm.t, k->dq, n, k->q_from));
    return put(c, last_rows(&last, c, c->s->state_grad), k->dq, n, k->q_last);
}

/* ---- the read ---------------------------------------------------------------------------------------------------- */

loci_status retrieve(const struct call *c, struct mac *k)
{
    const loci_module *m = c->m;
    const uint64_t flags = c->save ? c->x->flags & ~LOCI_X_STATE_INPLACE : c->x->flags | LOCI_X_STATE_INPLACE;
    const loci_exec x = child_exec(c, k->saved_read, k->read.saved, flags);
    loci_tensor *q;
    loci_view vq, vh;
    loci_io io;

    if (c->save)
        LOCI_RETURN_IF(mac_copy(c, m->memory, &k->b_still, LOCI_PART_ALL, k->out[SNAP], k->in[SNAP]));
    if (k->reading == 0)
        return LOCI_OK;
    LOCI_RETURN_IF(queries(c, k, &vq, &q));
    LOCI_RETURN_IF(zero(c, k->h, k->reading * k->n_q));
    io = (loci_io){.struct_size = sizeof io,
                   .op = LOCI_OP_READ,
                   .x = q,
                   .y = cube(&vh, c, k->h, k->reading, k->n_q),
                   .q = &k->b_reads,
                   .state_in = k->in[SNAP],
                   .state_out = k->out[SNAP]};
    LOCI_RETURN_IF(m->host->child_forward(m->memory, &x, &io, c->err));
    return m->retrieval == SUMMARY ? mac_add(c, m->memory, &k->b_reads, LOCI_PART_FRONT, k->out[SNAP], NULL) : LOCI_OK;
}

/* (1) */
static loci_status left_by_read(const struct call *c, const struct mac *k, void **out)
{
    *out = k->out[SNAP];
    if (k->b_ends.n_runs == 0)
        return LOCI_OK;
    *out = k->stand_in;
    LOCI_RETURN_IF(mac_copy(c, c->m->memory, &k->b_reads, LOCI_PART_ALL, k->stand_in, k->out[SNAP]));
    return mac_copy(c, c->m->memory, &k->b_ends, LOCI_PART_RULE, k->stand_in, k->in[SNAP]);
}

loci_status retrieve_back(const struct call *c, struct mac *k)
{
    const loci_module *m = c->m;
    const loci_exec x = child_exec(c, k->saved_read, k->read.saved, c->x->flags);
    void *const grad = c->s->sub_grad[m->s_snap];
    loci_view vq, vdh, vdq;
    loci_tensor *q;
    loci_io io;

    if (k->reading == 0)
        return LOCI_OK;
    LOCI_RETURN_IF(queries(c, k, &vq, &q));
    if (k->dq)
        LOCI_RETURN_IF(zero(c, k->dq, k->reading * k->n_q));
    if (m->retrieval == SUMMARY)
        LOCI_RETURN_IF(mac_add(c, m->memory, &k->b_reads, LOCI_PART_FRONT, grad, NULL));
    io = (loci_io){.struct_size = sizeof io,
                   .op = LOCI_OP_READ,
                   .x = q,
                   .q = &k->b_reads,
                   .state_in = k->in[SNAP],
                   .state_grad = grad,
                   .dy = cube(&vdh, c, k->dh, k->reading, k->n_q),
                   .dx = cube(&vdq, c, k->dq ? k->dq : k->dx, k->reading, k->n_q)};
    LOCI_RETURN_IF(left_by_read(c, k, &io.state_out));
    LOCI_RETURN_IF(m->host->child_backward(m->memory, &x, &io, c->err));
    return queries_back(c, k);
}
