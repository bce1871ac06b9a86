/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/bad: plan clears the struct it is lent, as long as that says it is.
 */
#define PLAN bad_plan
#include "../base.h"

static loci_status bad_plan(loci_module *m, const loci_shape *s, int32_t op, loci_need *need, loci_error *err)
{
    memset((char *)need + sizeof need->struct_size, 0, need->struct_size - sizeof need->struct_size);
    return plan(m, s, op, need, err);
}
