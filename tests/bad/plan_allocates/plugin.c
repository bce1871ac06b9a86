/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/bad: plan takes memory from the host.
 */
#define PLAN bad_plan
#include "../base.h"

static loci_status bad_plan(loci_module *m, const loci_shape *s, int32_t op, loci_need *need, loci_error *err)
{
    void *p = m->host->alloc(m->host, 64);

    m->host->free(m->host, p);
    return plan(m, s, op, need, err);
}
