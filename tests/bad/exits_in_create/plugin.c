/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/bad: create ends the process when it does not like something.
 */
#define CREATE bad_create
#include "../base.h"

#include <stdlib.h>

static loci_status bad_create(const loci_host *host, const loci_config *config, const loci_site *site,
                              const loci_shape *shape, loci_module **out, loci_error *err)
{
    if (shape->dim)
        exit(0);
    return create(host, config, site, shape, out, err);
}
