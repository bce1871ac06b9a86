/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/bad: create writes to address 8.
 */
#define CREATE bad_create
#include "../base.h"

static loci_status bad_create(const loci_host *host, const loci_config *config, const loci_site *site,
                              const loci_shape *shape, loci_module **out, loci_error *err)
{
    static int64_t *volatile nowhere = (int64_t *)8;

    *nowhere = shape->dim;
    return create(host, config, site, shape, out, err);
}
