/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/bad: create demands structs of exactly the size it knows.
 */
#define CREATE bad_create
#include "../base.h"

static loci_status bad_create(const loci_host *host, const loci_config *config, const loci_site *site,
                              const loci_shape *shape, loci_module **out, loci_error *err)
{
    if (shape->struct_size != sizeof *shape)
        return fail(err, LOCI_E_ARG, "a shape of %u bytes where %zu are known", shape->struct_size, sizeof *shape);
    return create(host, config, site, shape, out, err);
}
