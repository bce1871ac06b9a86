/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/bad: the gradient of the gate eta is left out.
 */
#define BACKWARD bad_backward
#include "../base.h"

static loci_status bad_backward(loci_module *m, const loci_exec *x, const loci_slots *s, const loci_rule_io *io,
                                loci_error *err)
{
    loci_tensor *dgate[3] = {io->dgate ? io->dgate[ALPHA] : NULL, NULL, io->dgate ? io->dgate[THETA] : NULL};
    loci_rule_io own = *io;

    own.dgate = dgate;
    return backward(m, x, s, &own, err);
}
