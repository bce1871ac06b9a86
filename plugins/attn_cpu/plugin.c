/* SPDX-License-Identifier: Apache-2.0
 *
 * The entry of attn_cpu. It stands alone so that a test can link the class without it.
 */
#include "tile.h"

static const loci_class *const classes[] = {&loci_attn_cpu_class};

LOCI_EXPORT extern const loci_plugin loci_plugin_v1;
const loci_plugin loci_plugin_v1 = {LOCI_PLUGIN_HEAD, "attn_cpu", "1.0", "Apache-2.0", 1, 0, classes};
LOCI_PLUGIN_NOTE("class=attention/cpu\n");
