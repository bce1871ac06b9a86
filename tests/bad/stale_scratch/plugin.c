/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/bad: forward adds to what scratch holds, as if somebody had cleared it.
 */
#define FORWARD bad_forward
#include "../base.h"

static loci_status bad_forward(loci_module *m, const loci_exec *x, const loci_slots *s, const loci_rule_io *io,
                               loci_error *err)
{
    const double sum = *(const double *)x->scratch;
    loci_status status = forward(m, x, s, io, err);

    if (status == LOCI_OK && io->y && io->batch->n_runs && io->batch->runs[0].len)
        add(io->y, at(io->y, &io->batch->runs[0], 0, 0), 0 * sum);
    return status;
}
