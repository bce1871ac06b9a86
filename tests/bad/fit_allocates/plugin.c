/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/bad: fit takes memory from the host.
 */
#define FIT bad_fit
#include "../base.h"

static loci_status bad_fit(const loci_host *host, const loci_config *config, const loci_shape *s, loci_fit *out)
{
    void *p = host->alloc(host, 64);
    const loci_status status = fit(host, config, s, out);

    host->free(host, p);
    return status;
}
