/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/bad: create calls a service of the device without asking whether there is one.
 */
#define CREATE bad_create
#include "../base.h"

#include <loci/ops.h>

static loci_status bad_create(const loci_host *host, const loci_config *config, const loci_site *site,
                              const loci_shape *shape, loci_module **out, loci_error *err)
{
    const loci_ops *ops = host->get_ext(host, shape->device, LOCI_EXT_OPS);
    const uint32_t size = ((const volatile loci_ops *)ops)->struct_size;

    if (size < sizeof *ops)
        return fail(err, LOCI_E_DEVICE, "the operations of the device are older than this plugin");
    return create(host, config, site, shape, out, err);
}
