/* SPDX-License-Identifier: Apache-2.0
 *
 * scan_forward_m.cu for the host.
 */
#include "plugins/attn_cuda/scan_forward_m.cu"
