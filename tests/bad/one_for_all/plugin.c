/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/bad: every create answers with the same module.
 */
#define CREATE bad_create
#define DESTROY bad_destroy
#include "../base.h"

static loci_module *only;
static int users;

static loci_status bad_create(const loci_host *host, const loci_config *config, const loci_site *site,
                              const loci_shape *shape, loci_module **out, loci_error *err)
{
    if (!only)
        LOCI_RETURN_IF(create(host, config, site, shape, &only, err));
    users++;
    *out = only;
    return LOCI_OK;
}

static void bad_destroy(loci_module *m)
{
    if (--users == 0) {
        only = NULL;
        destroy(m);
    }
}
