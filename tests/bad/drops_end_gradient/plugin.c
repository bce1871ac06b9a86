/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/bad: the gradient of the states that a call ends with is not looked at.
 */
#define BACKWARD bad_backward
#include "../base.h"

static loci_status bad_backward(loci_module *m, const loci_exec *x, const loci_slots *s, const loci_rule_io *io,
                                loci_error *err)
{
    for (uint32_t i = 0; i < io->batch->n_runs; i++)
        for (int k = 0; k < 2; k++)
            for (int64_t n = 0; n < m->H * m->e * m->d; n++)
                put(&s->state_grad[k], io->batch->runs[i].state * m->H * m->e * m->d + n, 0);
    return backward(m, x, s, io, err);
}
