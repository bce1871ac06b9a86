/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/bad: create sets a variable for a library that it does not even use.
 */
#define CREATE bad_create
#include "../base.h"

#include <stdlib.h>

static loci_status bad_create(const loci_host *host, const loci_config *config, const loci_site *site,
                              const loci_shape *shape, loci_module **out, loci_error *err)
{
    setenv("OMP_NUM_THREADS", "1", 1);
    return create(host, config, site, shape, out, err);
}
