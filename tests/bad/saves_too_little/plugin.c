/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/bad: plan asks for 8 bytes less than forward saves.
 */
#define PLAN bad_plan
#include "../base.h"

static loci_status bad_plan(loci_module *m, const loci_shape *s, int32_t op, loci_need *need, loci_error *err)
{
    LOCI_RETURN_IF(plan(m, s, op, need, err));
    need->saved -= need->saved ? 8 : 0;
    return LOCI_OK;
}
