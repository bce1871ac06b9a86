/* SPDX-License-Identifier: Apache-2.0
 *
 * scan_channels.cu for the host.
 */
#include "plugins/attn_cuda/scan_channels.cu"
