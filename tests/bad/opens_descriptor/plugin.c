/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/bad: create opens a file and keeps it.
 */
#define CREATE bad_create
#include "../base.h"

#include <fcntl.h>

static loci_status bad_create(const loci_host *host, const loci_config *config, const loci_site *site,
                              const loci_shape *shape, loci_module **out, loci_error *err)
{
    if (open("/dev/null", O_RDONLY) < 0)
        return fail(err, LOCI_E_IO, "/dev/null cannot be opened");
    return create(host, config, site, shape, out, err);
}
