/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/bad: a state row that no run names is changed.
 */
#define FORWARD bad_forward
#include "../base.h"

static int named(const loci_batch *b, int64_t row)
{
    for (uint32_t i = 0; i < b->n_runs; i++)
        if (b->runs[i].state == row)
            return 1;
    return 0;
}

static loci_status bad_forward(loci_module *m, const loci_exec *x, const loci_slots *s, const loci_rule_io *io,
                               loci_error *err)
{
    const loci_tensor *M = &s->state_out[0];

    for (int64_t row = 0; row < M->shape[0]; row++)
        if (!named(io->batch, row))
            put(M, row * M->strides[0], get(M, row * M->strides[0]) / 2);
    return forward(m, x, s, io, err);
}
