/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/bad: y of the token behind a run is set to 1.
 */
#define FORWARD bad_forward
#include "../base.h"

static loci_status bad_forward(loci_module *m, const loci_exec *x, const loci_slots *s, const loci_rule_io *io,
                               loci_error *err)
{
    const loci_status status = forward(m, x, s, io, err);

    for (uint32_t i = 0; io->y && i < io->batch->n_runs; i++)
        if (io->batch->runs[i].begin + io->batch->runs[i].len < io->y->shape[1])
            put(io->y, at(io->y, &io->batch->runs[i], io->batch->runs[i].len, 0), 1);
    return status;
}
