/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/bad: create returns one status and leaves another in the error.
 */
#define CREATE bad_create
#include "../base.h"

static loci_status bad_create(const loci_host *host, const loci_config *config, const loci_site *site,
                              const loci_shape *shape, loci_module **out, loci_error *err)
{
    if (shape->dk < 2) {
        fail(err, LOCI_E_CONFIG, "heads of width %lld: 2 at least", (long long)shape->dk);
        return LOCI_E_UNSUPPORTED;
    }
    return create(host, config, site, shape, out, err);
}
