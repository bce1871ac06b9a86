/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/bad: create waits for what never comes.
 */
#define CREATE bad_create
#include "../base.h"

#include <unistd.h>

static loci_status bad_create(const loci_host *host, const loci_config *config, const loci_site *site,
                              const loci_shape *shape, loci_module **out, loci_error *err)
{
    while (shape->dim)
        pause();
    return create(host, config, site, shape, out, err);
}
