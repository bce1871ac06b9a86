/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/bad: plan asks for more each time it is asked.
 */
#define PLAN bad_plan
#include "../base.h"

static loci_status bad_plan(loci_module *m, const loci_shape *s, int32_t op, loci_need *need, loci_error *err)
{
    static uint64_t turn;

    LOCI_RETURN_IF(plan(m, s, op, need, err));
    need->scratch += 64 * turn++;
    return LOCI_OK;
}
