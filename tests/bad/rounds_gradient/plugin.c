/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/bad: the gradient of q has eleven bits in float64: it was only ever looked at in float32, loosely.
 */
#define BACKWARD bad_backward
#include "../base.h"

static loci_status bad_backward(loci_module *m, const loci_exec *x, const loci_slots *s, const loci_rule_io *io,
                                loci_error *err)
{
    const loci_status status = backward(m, x, s, io, err);

    for (uint32_t i = 0; io->dq && io->dq->dtype.bits == 64 && i < io->batch->n_runs; i++)
        for (int64_t t = 0; t < io->batch->runs[i].len; t++)
            for (int64_t n = 0; n < m->H * m->d; n++) {
                const int64_t where = at(io->dq, &io->batch->runs[i], t, n / m->d) + n % m->d;
                uint64_t bits;
                double g = get(io->dq, where);
                memcpy(&bits, &g, sizeof bits);
                bits = bits >> 42 << 42;
                memcpy(&g, &bits, sizeof bits);
                put(io->dq, where, g);
            }
    return status;
}
