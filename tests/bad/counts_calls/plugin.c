/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/bad: the last digits of y depend on how many calls there were.
 */
#define FORWARD bad_forward
#include "../base.h"

static int calls;

static loci_status bad_forward(loci_module *m, const loci_exec *x, const loci_slots *s, const loci_rule_io *io,
                               loci_error *err)
{
    const double factor = 1 + 1e-14 * (calls++ % 7);
    const loci_status status = forward(m, x, s, io, err);

    for (uint32_t i = 0; io->y && i < io->batch->n_runs; i++)
        for (int64_t t = 0; t < io->batch->runs[i].len; t++)
            for (int64_t n = 0; n < m->H * m->e; n++) {
                const int64_t where = at(io->y, &io->batch->runs[i], t, n / m->e) + n % m->e;
                put(io->y, where, factor * get(io->y, where));
            }
    return status;
}
