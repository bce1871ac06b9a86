/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/bad: forward takes a list from malloc and never gives it back.
 */
#define FORWARD bad_forward
#include "../base.h"

#include <stdlib.h>

static void *volatile last;

static loci_status bad_forward(loci_module *m, const loci_exec *x, const loci_slots *s, const loci_rule_io *io,
                               loci_error *err)
{
    last = malloc(200);
    return forward(m, x, s, io, err);
}
