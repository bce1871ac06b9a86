/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/bad: plan refuses long sequences without a word.
 */
#define PLAN bad_plan
#include "../base.h"

static loci_status bad_plan(loci_module *m, const loci_shape *s, int32_t op, loci_need *need, loci_error *err)
{
    if (s->seq > 1 << 20)
        return LOCI_E_UNSUPPORTED;
    return plan(m, s, op, need, err);
}
