/* SPDX-License-Identifier: Apache-2.0
 *
 * The entry of attn_cuda.
 */
#include "attn_call.h"
#include "device.h"

static const loci_class *const classes[] = {&loci_device_cuda_class, &loci_attn_cuda_class};

LOCI_EXPORT extern const loci_plugin loci_plugin_v1;
const loci_plugin loci_plugin_v1 = {
    LOCI_PLUGIN_HEAD, "attn_cuda", "1.0", "Apache-2.0", sizeof classes / sizeof *classes, 0, classes};
LOCI_PLUGIN_NOTE("class=device/cuda\nclass=attention/cuda\n");
