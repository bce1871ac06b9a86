/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/bad: create says on standard output that it was called.
 */
#define CREATE bad_create
#include "../base.h"

static loci_status bad_create(const loci_host *host, const loci_config *config, const loci_site *site,
                              const loci_shape *shape, loci_module **out, loci_error *err)
{
    printf("a memory of %lld heads\n", (long long)shape->heads);
    return create(host, config, site, shape, out, err);
}
