/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/bad: a state is cleared before it is read, which shows where the two are one.
 */
#define FORWARD bad_forward
#include "../base.h"

static loci_status bad_forward(loci_module *m, const loci_exec *x, const loci_slots *s, const loci_rule_io *io,
                               loci_error *err)
{
    const int64_t row = m->H * m->e * m->d;

    for (uint32_t i = 0; i < io->batch->n_runs; i++)
        for (int k = 0; k < 2; k++)
            for (int64_t n = 0; n < row; n++)
                put(&s->state_out[k], io->batch->runs[i].state * row + n, 0);
    return forward(m, x, s, io, err);
}
