/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/bad: WRITE leaves half of what STEP leaves.
 */
#define FORWARD bad_forward
#include "../base.h"

static loci_status bad_forward(loci_module *m, const loci_exec *x, const loci_slots *s, const loci_rule_io *io,
                               loci_error *err)
{
    const loci_status status = forward(m, x, s, io, err);
    const int64_t row = m->H * m->e * m->d;

    for (uint32_t i = 0; io->op == LOCI_OP_WRITE && i < io->batch->n_runs; i++)
        for (int64_t n = 0; n < row; n++)
            put(&s->state_out[0], io->batch->runs[i].state * row + n,
                get(&s->state_out[0], io->batch->runs[i].state * row + n) / 2);
    return status;
}
