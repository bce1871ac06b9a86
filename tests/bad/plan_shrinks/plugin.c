/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/bad: for full chunks plan asks for less than for a part of one.
 */
#define PLAN bad_plan
#include "../base.h"

static loci_status bad_plan(loci_module *m, const loci_shape *s, int32_t op, loci_need *need, loci_error *err)
{
    LOCI_RETURN_IF(plan(m, s, op, need, err));
    need->host += s->seq % 16 ? 4096 : 0;
    return LOCI_OK;
}
