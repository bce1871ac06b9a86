/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/bad: columns of q behind the 64th are not read.
 */
#define FORWARD bad_forward
#include "../base.h"

/* The right answer without what the last columns of the memory say. */
static loci_status bad_forward(loci_module *m, const loci_exec *x, const loci_slots *s, const loci_rule_io *io,
                               loci_error *err)
{
    const loci_status status = forward(m, x, s, io, err);
    const loci_tensor *M = &s->state_out[0];

    for (uint32_t i = 0; io->y && m->d > 64 && i < io->batch->n_runs; i++) {
        const loci_run *r = &io->batch->runs[i];
        for (int64_t h = 0; r->len > 0 && h < m->H; h++)
            for (int64_t n = 0; n < m->e; n++)
                for (int64_t j = 64; j < m->d; j++)
                    add(io->y, at(io->y, r, r->len - 1, h) + n,
                        -get(&s->params[1], h) * get(M, at_state(M, r, h, n, j)) *
                            get(io->q, at(io->q, r, r->len - 1, h) + j));
    }
    return status;
}
