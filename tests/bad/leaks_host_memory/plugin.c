/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/bad: create takes a block that destroy forgets.
 */
#define CREATE bad_create
#include "../base.h"

static loci_status bad_create(const loci_host *host, const loci_config *config, const loci_site *site,
                              const loci_shape *shape, loci_module **out, loci_error *err)
{
    const loci_status status = create(host, config, site, shape, out, err);

    if (status == LOCI_OK && !host->alloc(host, 256)) {
        destroy(*out);
        *out = NULL;
        return fail(err, LOCI_E_NOMEM, "out of memory");
    }
    return status;
}
