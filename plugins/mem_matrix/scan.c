/* SPDX-License-Identifier: Apache-2.0
 *
 * mem_matrix/scan: see scan.h.
 */
#include "scan.h"
#include <string.h>

static loci_scan_io scan_io(const matrix_scan *m, int32_t op)
{
    return (loci_scan_io){.struct_size = sizeof(loci_scan_io),
                          .scan = LOCI_SCAN_M,
                          .op = op,
                          .mode = m->mode,
                          .chunk = m->chunk,
                          .read_order = m->read_order,
                          .error = m->error,
                          .scale = m->scale,
                          .loss_scale = m->loss_scale};
}

loci_status matrix_scan_plan(const matrix_scan *m, const loci_shape *shape, int32_t op, loci_need *need,
                             loci_error *err)
{
    const loci_scan_io io = scan_io(m, op);

    return m->scan->plan(&io, shape, need, err);
}

/* The scan's states out of the rule's; one that the rule does not have is a tensor without data. */
static const loci_tensor *states(const matrix_scan *m, const loci_tensor *from, loci_tensor to[MATRIX_STATES])
{
    memset(to, 0, MATRIX_STATES * sizeof *to);
    for (int i = 0; i < MATRIX_STATES && from; i++)
        if (m->state[i].has)
            to[i] = from[m->state[i].at];
    return from ? to : NULL;
}

/* Tensor of a gate; NULL where the rule has none. */
#define GATE(m, tensors, i) ((m)->gate[i].has ? (tensors)[(m)->gate[i].at] : NULL)

static loci_scan_io call_io(const matrix_scan *m, const loci_rule_io *r)
{
    loci_scan_io io = scan_io(m, r->op);

    io.batch = r->batch;
    if (r->op != LOCI_OP_WRITE) {
        io.q = r->q, io.dq = r->dq;
        io.y = r->y, io.dy = r->dy;
    }
    if (r->op != LOCI_OP_READ) {
        io.k = r->k, io.dk = r->dk;
        io.v = r->v, io.dv = r->dv;
        io.alpha = GATE(m, r->gate, MATRIX_ALPHA);
        io.eta = GATE(m, r->gate, MATRIX_ETA);
        io.theta = GATE(m, r->gate, MATRIX_THETA);
    }
    if (r->op != LOCI_OP_READ && r->dgate) {
        io.dalpha = GATE(m, r->dgate, MATRIX_ALPHA);
        io.deta = GATE(m, r->dgate, MATRIX_ETA);
        io.dtheta = GATE(m, r->dgate, MATRIX_THETA);
    }
    return io;
}

loci_status matrix_scan_forward(const matrix_scan *m, const loci_exec *x, const loci_slots *s, const loci_rule_io *r,
                                loci_error *err)
{
    loci_scan_io io = call_io(m, r);
    loci_tensor in[MATRIX_STATES], out[MATRIX_STATES];

    io.state_in = states(m, s->state_in, in);
    io.state_out = states(m, s->state_out, out);
    return m->scan->forward(x, &io, err);
}

loci_status matrix_scan_backward(const matrix_scan *m, const loci_exec *x, const loci_slots *s, const loci_rule_io *r,
                                 loci_error *err)
{
    loci_scan_io io = call_io(m, r);
    loci_tensor in[MATRIX_STATES], out[MATRIX_STATES], grad[MATRIX_STATES];

    io.state_in = states(m, s->state_in, in);
    io.state_out = states(m, s->state_out, out);
    io.state_grad = states(m, s->state_grad, grad);
    return m->scan->backward(x, &io, err);
}

/* ---- what a document starts from -------------------------------------------------------------------------------- */

/* Row `at` of a state tensor. */
static loci_tensor row(const loci_tensor *state, int64_t at)
{
    loci_tensor t = *state;

    t.ndim--;
    t.shape = state->shape + 1;
    t.strides = state->strides + 1;
    t.byte_offset += (uint64_t)(at * state->strides[0]) * (t.dtype.bits / 8);
    return t;
}

loci_status matrix_start(const loci_ops *ops, const loci_exec *x, const loci_slots *s, const loci_batch *batch, int n,
                         const uint32_t *state, const uint32_t *weight, loci_error *err)
{
    for (uint32_t r = 0; r < batch->n_runs; r++)
        for (uint32_t i = 0; i < s->n_state; i++) {
            const loci_tensor to = row(&s->state_out[i], batch->runs[r].state);
            int at = 0;

            while (at < n && state[at] != i)
                at++;
            if (at < n)
                LOCI_RETURN_IF(ops->map1(x, LOCI_MAP_COPY, &to, &s->params[weight[at]], 1, 0, err));
            else
                LOCI_RETURN_IF(ops->fill(x, &to, 0, err));
        }
    return LOCI_OK;
}

loci_status matrix_start_back(const loci_ops *ops, const loci_exec *x, const loci_slots *s, const loci_batch *batch,
                              int n, const uint32_t *state, const uint32_t *weight, loci_error *err)
{
    for (uint32_t r = 0; r < batch->n_runs; r++)
        for (int i = 0; i < n; i++) {
            const loci_tensor from = row(&s->state_grad[state[i]], batch->runs[r].state);

            LOCI_RETURN_IF(ops->map1(x, LOCI_MAP_COPY, &s->grads[weight[i]], &from, 1, 1, err));
        }
    return LOCI_OK;
}
