/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/bad: forward divides by the number of tokens.
 */
#define FORWARD bad_forward
#include "../base.h"

static volatile int share; /* of a token, in thousandths */

static loci_status bad_forward(loci_module *m, const loci_exec *x, const loci_slots *s, const loci_rule_io *io,
                               loci_error *err)
{
    int tokens = 0;

    for (uint32_t i = 0; i < io->batch->n_runs; i++)
        tokens += io->batch->runs[i].len;
    share = 1000 / tokens;
    return forward(m, x, s, io, err);
}
