/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/bad: create refuses narrow heads and does not say why.
 */
#define CREATE bad_create
#include "../base.h"

static loci_status bad_create(const loci_host *host, const loci_config *config, const loci_site *site,
                              const loci_shape *shape, loci_module **out, loci_error *err)
{
    if (shape->dk < 2)
        return LOCI_E_UNSUPPORTED;
    return create(host, config, site, shape, out, err);
}
