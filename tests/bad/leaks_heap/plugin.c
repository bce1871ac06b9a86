/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/bad: create takes a block from malloc that nobody frees.
 */
#define CREATE bad_create
#include "../base.h"

#include <stdlib.h>

static void *volatile last;

static loci_status bad_create(const loci_host *host, const loci_config *config, const loci_site *site,
                              const loci_shape *shape, loci_module **out, loci_error *err)
{
    last = malloc(200);
    return create(host, config, site, shape, out, err);
}
