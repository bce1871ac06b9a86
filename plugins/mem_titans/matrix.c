/* SPDX-License-Identifier: Apache-2.0
 *
 * The memory of one matrix: the device's scan M does the work; tests/unit/matrix.h is the formula in plain loops.
 */
#include "titans.h"
#include <string.h>

static loci_scan_io scan_io(const loci_module *m, int32_t op)
{
    return (loci_scan_io){.struct_size = sizeof(loci_scan_io),
                          .scan = LOCI_SCAN_M,
                          .op = op,
                          .mode = m->mode,
                          .chunk = m->chunk,
                          .read_order = m->read_order,
                          .scale = 1,
                          .loss_scale = m->loss_scale};
}

loci_status matrix_plan(loci_module *m, const loci_shape *shape, int32_t op, loci_need *need, loci_error *err)
{
    const loci_scan_io io = scan_io(m, op);

    return m->scan->plan(&io, shape, need, err);
}

/* The scan's states M, Z, C out of ours; an undeclared S is a tensor without data. */
static const loci_tensor *states(const loci_module *m, const loci_tensor *from, loci_tensor to[3])
{
    if (!from)
        return NULL;
    memset(to, 0, 3 * sizeof *to);
    to[0] = from[m->W[1]];
    if (m->momentum)
        to[1] = from[m->S[1]];
    if (m->mode == LOCI_SCAN_FROZEN)
        to[2] = from[m->C[1]];
    return to;
}

static void fill_io(const loci_module *m, loci_scan_io *io, const loci_rule_io *r)
{
    const int write = r->op != LOCI_OP_READ, read = r->op != LOCI_OP_WRITE;

    io->batch = r->batch;
    if (read) {
        io->q = r->q;
        io->y = r->y;
        io->dy = r->dy;
        io->dq = r->dq;
    }
    if (!write)
        return;
    io->k = r->k;
    io->v = r->v;
    io->dk = r->dk;
    io->dv = r->dv;
    io->alpha = m->forget ? r->gate[m->alpha] : NULL;
    io->eta = m->momentum ? r->gate[m->eta] : NULL;
    io->theta = r->gate[m->theta];
    if (r->dgate) {
        io->dalpha = m->forget ? r->dgate[m->alpha] : NULL;
        io->deta = m->momentum ? r->dgate[m->eta] : NULL;
        io->dtheta = r->dgate[m->theta];
    }
}

loci_status matrix_forward(loci_module *m, const loci_exec *x, const loci_slots *s, const loci_rule_io *r,
                           loci_error *err)
{
    loci_scan_io io = scan_io(m, r->op);
    loci_tensor in[3], out[3];

    fill_io(m, &io, r);
    io.state_in = states(m, s->state_in, in);
    io.state_out = states(m, s->state_out, out);
    return m->scan->forward(x, &io, err);
}

loci_status matrix_backward(loci_module *m, const loci_exec *x, const loci_slots *s, const loci_rule_io *r,
                            loci_error *err)
{
    loci_scan_io io = scan_io(m, r->op);
    loci_tensor in[3], out[3], grad[3];

    fill_io(m, &io, r);
    io.state_in = states(m, s->state_in, in);
    io.state_out = states(m, s->state_out, out);
    io.state_grad = states(m, s->state_grad, grad);
    return m->scan->backward(x, &io, err);
}
