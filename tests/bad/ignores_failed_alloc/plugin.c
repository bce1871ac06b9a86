/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/bad: create writes through what alloc answered, whatever that was.
 */
#define CREATE bad_create
#include "../base.h"

static loci_status bad_create(const loci_host *host, const loci_config *config, const loci_site *site,
                              const loci_shape *shape, loci_module **out, loci_error *err)
{
    (void)site;
    (void)err;
    *out = host->alloc(host, sizeof **out);
    (*out)->host = host;
    **out = (loci_module){host,      shape->heads, shape->dk,
                          shape->dv, config->get_real(config->ctx, "alpha_max"), shape->acc};
    return LOCI_OK;
}
