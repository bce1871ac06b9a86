/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/bad: forward sets the locale to print a number, and leaves it so.
 */
#define FORWARD bad_forward
#include "../base.h"

#include <locale.h>

static loci_status bad_forward(loci_module *m, const loci_exec *x, const loci_slots *s, const loci_rule_io *io,
                               loci_error *err)
{
    setlocale(LC_ALL, "C.UTF-8");
    return forward(m, x, s, io, err);
}
