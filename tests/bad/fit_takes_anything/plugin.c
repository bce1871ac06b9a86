/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/bad: fit takes every dtype and every device.
 */
#define FIT bad_fit
#include "../base.h"

static loci_status bad_fit(const loci_host *host, const loci_config *config, const loci_shape *s, loci_fit *out)
{
    (void)host;
    (void)config;
    (void)s;
    out->score = 50;
    snprintf(out->reason, sizeof out->reason, "loops over tokens");
    return LOCI_OK;
}
