/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/bad: the second document of a row begins in the state that the first one left.
 */
#define FORWARD bad_forward
#include "../base.h"

/* A run at a time: one that begins a document behind another in its row reads the other's end. */
static loci_status bad_forward(loci_module *m, const loci_exec *x, const loci_slots *s, const loci_rule_io *io,
                               loci_error *err)
{
    int64_t n = 0;

    for (uint32_t i = 0; i < io->batch->n_runs; i++) {
        const loci_run *r = &io->batch->runs[i], *last = i ? r - 1 : NULL;
        loci_slots slots = *s;
        loci_tensor in[2] = {s->state_in[0], s->state_in[1]};
        loci_batch batch = *io->batch;
        loci_rule_io own = *io;
        loci_exec exec = *x;
        batch.n_runs = 1;
        batch.runs = r;
        own.batch = &batch;
        if (exec.saved && io->op != LOCI_OP_READ)
            exec.saved = (double *)x->saved + n * m->H * 2 * m->e * m->d;
        for (int k = 0; last && last->row == r->row && r->pos == 0 && k < 2; k++) {
            in[k] = s->state_out[k];
            in[k].data = (char *)in[k].data + (last->state - r->state) * in[k].strides[0] * (in[k].dtype.bits / 8);
        }
        slots.state_in = in;
        LOCI_RETURN_IF(forward(m, &exec, &slots, &own, err));
        n += r->len;
    }
    return LOCI_OK;
}
