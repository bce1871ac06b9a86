/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/bad: the message of a failure is a sentence with capital and full stop.
 */
#define CREATE bad_create
#include "../base.h"

static loci_status bad_create(const loci_host *host, const loci_config *config, const loci_site *site,
                              const loci_shape *shape, loci_module **out, loci_error *err)
{
    if (shape->dk < 2)
        return fail(err, LOCI_E_UNSUPPORTED, "Narrow heads are not supported.");
    return create(host, config, site, shape, out, err);
}
