/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/bad/term.h: the memory of base.h with one more term in STEP, whose gradient is right:
 *
 *     y[t,h] += TERM_BY v[TERM_TOKEN, TERM_HEAD]          r is the run, t the token in it, h the head
 *
 * so that a bad plugin can look where it must not and be right about everything else.
 */
#define FORWARD term_forward
#define BACKWARD term_backward
#include "base.h"

#ifndef TERM_HEAD
#define TERM_HEAD h
#endif

static loci_status term_forward(loci_module *m, const loci_exec *x, const loci_slots *s, const loci_rule_io *io,
                                loci_error *err)
{
    const loci_status status = forward(m, x, s, io, err);

    for (uint32_t i = 0; io->op == LOCI_OP_STEP && i < io->batch->n_runs; i++) {
        const loci_run *r = &io->batch->runs[i];
        for (int64_t t = 0; t < r->len; t++)
            for (int64_t h = 0; h < m->H; h++)
                for (int64_t j = 0; j < m->e; j++)
                    add(io->y, at(io->y, r, t, h) + j, TERM_BY * get(io->v, at(io->v, r, TERM_TOKEN, TERM_HEAD) + j));
    }
    return status;
}

static loci_status term_backward(loci_module *m, const loci_exec *x, const loci_slots *s, const loci_rule_io *io,
                                 loci_error *err)
{
    const loci_status status = backward(m, x, s, io, err);

    for (uint32_t i = 0; io->op == LOCI_OP_STEP && i < io->batch->n_runs; i++) {
        const loci_run *r = &io->batch->runs[i];
        for (int64_t t = 0; t < r->len; t++)
            for (int64_t h = 0; h < m->H; h++)
                for (int64_t j = 0; j < m->e && TERM_BY != 0; j++)
                    add(io->dv, at(io->dv, r, TERM_TOKEN, TERM_HEAD) + j,
                        TERM_BY * get(io->dy, at(io->dy, r, t, h) + j));
    }
    return status;
}
