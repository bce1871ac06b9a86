/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/bad: fit gives a score and says nothing.
 */
#define FIT bad_fit
#include "../base.h"

static loci_status bad_fit(const loci_host *host, const loci_config *config, const loci_shape *s, loci_fit *out)
{
    const loci_status status = fit(host, config, s, out);

    out->reason[0] = '\0';
    return status;
}
