/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/bad: the gradient of q is written over what was there.
 */
#define BACKWARD bad_backward
#include "../base.h"

static loci_status bad_backward(loci_module *m, const loci_exec *x, const loci_slots *s, const loci_rule_io *io,
                                loci_error *err)
{
    for (uint32_t i = 0; io->dq && i < io->batch->n_runs; i++)
        for (int64_t t = 0; t < io->batch->runs[i].len; t++)
            for (int64_t n = 0; n < m->H * m->d; n++)
                put(io->dq, at(io->dq, &io->batch->runs[i], t, n / m->d) + n % m->d, 0);
    return backward(m, x, s, io, err);
}
