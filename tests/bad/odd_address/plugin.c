/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/bad: forward takes only queries that begin at a multiple of 16 bytes.
 */
#define FORWARD bad_forward
#include "../base.h"

static loci_status bad_forward(loci_module *m, const loci_exec *x, const loci_slots *s, const loci_rule_io *io,
                               loci_error *err)
{
    if ((uintptr_t)loci_ptr(io->q ? io->q : io->k) % 16)
        return fail(err, LOCI_E_ARG, "queries at an odd address: 16 bytes are wanted");
    return forward(m, x, s, io, err);
}
