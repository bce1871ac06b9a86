/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/bad: forward divides by the number of tokens.
 */
#define FORWARD bad_forward
#include "../base.h"

static loci_status bad_forward(loci_module *m, const loci_exec *x, const loci_slots *s, const loci_rule_io *io,
                               loci_error *err)
{
    int tokens = 0;

    for (uint32_t i = 0; i < io->batch->n_runs; i++)
        tokens += io->batch->runs[i].len;
    if (1000 / *(volatile int *)&tokens > 2000)
        return fail(err, LOCI_E_ARG, "%d tokens are too few", tokens);
    return forward(m, x, s, io, err);
}
