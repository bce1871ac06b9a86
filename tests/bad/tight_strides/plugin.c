/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/bad: forward takes queries for contiguous, whatever their strides say.
 */
#define FORWARD bad_forward
#include "../base.h"

static loci_status bad_forward(loci_module *m, const loci_exec *x, const loci_slots *s, const loci_rule_io *io,
                               loci_error *err)
{
    loci_rule_io own = *io;
    loci_view q;

    if (io->q) {
        own.q = loci_view_set(&q, io->q->data, io->q->device, io->q->dtype, io->q->ndim, io->q->shape);
        q.t.byte_offset = io->q->byte_offset;
    }
    return forward(m, x, s, &own, err);
}
