/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/bad: it claims a backward, and has none.
 */
#define BACKWARD bad_backward
#include "../base.h"

static loci_status bad_backward(loci_module *m, const loci_exec *x, const loci_slots *s, const loci_rule_io *io,
                                loci_error *err)
{
    (void)m;
    (void)x;
    (void)s;
    (void)io;
    return fail(err, LOCI_E_UNSUPPORTED, "no backward yet: choose another memory");
}
