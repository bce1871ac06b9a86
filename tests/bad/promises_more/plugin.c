/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/bad: with its config it promises more than its class does.
 */
#include <loci/plugin.h>
#define CAPS (LOCI_CAP_BACKWARD | LOCI_CAP_CAUSAL)
#define PROMISES promises_all
#include "../base.h"

static uint64_t promises_all(const loci_config *config)
{
    (void)config;
    return LOCI_CAP_BACKWARD | LOCI_CAP_CAUSAL | LOCI_CAP_STREAMING;
}
