/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/bad: forward looks at what lies behind its scratch.
 */
#define FORWARD bad_forward
#include "../base.h"

static loci_status bad_forward(loci_module *m, const loci_exec *x, const loci_slots *s, const loci_rule_io *io,
                               loci_error *err)
{
    const volatile unsigned char *end = (const volatile unsigned char *)x->scratch + x->scratch_bytes;

    (void)end[64];
    return forward(m, x, s, io, err);
}
