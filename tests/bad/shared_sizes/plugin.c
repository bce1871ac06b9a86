/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/bad: the sizes of an instance stand in a variable of the file, and destroy clears them.
 */
#define CREATE bad_create
#define DESTROY bad_destroy
#define PLAN bad_plan
#include "../base.h"

static int64_t heads;

static loci_status bad_create(const loci_host *host, const loci_config *config, const loci_site *site,
                              const loci_shape *shape, loci_module **out, loci_error *err)
{
    heads = shape->heads;
    return create(host, config, site, shape, out, err);
}

static loci_status bad_plan(loci_module *m, const loci_shape *s, int32_t op, loci_need *need, loci_error *err)
{
    LOCI_RETURN_IF(plan(m, s, op, need, err));
    need->host += 64 * (uint64_t)heads;
    return LOCI_OK;
}

static void bad_destroy(loci_module *m)
{
    heads = 0;
    destroy(m);
}
