/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/bad: plan multiplies in 32 bits.
 */
#define PLAN bad_plan
#include "../base.h"

static loci_status bad_plan(loci_module *m, const loci_shape *s, int32_t op, loci_need *need, loci_error *err)
{
    const uint32_t tokens = (uint32_t)s->rows * (uint32_t)s->seq, each = (uint32_t)(m->H * m->e * m->d) * 16;

    (void)err;
    need->scratch += 4 * (uint64_t)(m->H * m->e * m->d) * sizeof(double);
    if ((s->flags & LOCI_X_SAVE) && op != LOCI_OP_READ)
        need->saved += tokens * each;
    return LOCI_OK;
}
