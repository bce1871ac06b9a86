/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/bad: every run begins in the state of the first.
 */
#define FORWARD bad_forward
#include "../base.h"

static loci_status bad_forward(loci_module *m, const loci_exec *x, const loci_slots *s, const loci_rule_io *io,
                               loci_error *err)
{
    loci_slots own = *s;
    loci_tensor in[2] = {s->state_in[0], s->state_in[1]};
    int64_t strides[2][4];

    for (int i = 0; i < 2; i++) {
        memcpy(strides[i], in[i].strides, sizeof strides[i]);
        strides[i][0] = 0; /* all rows are that of the first run */
        in[i].byte_offset +=
            io->batch->n_runs ? (uint64_t)(io->batch->runs[0].state * in[i].strides[0] * in[i].dtype.bits / 8) : 0;
        in[i].strides = strides[i];
    }
    own.state_in = in;
    return forward(m, x, &own, io, err);
}
