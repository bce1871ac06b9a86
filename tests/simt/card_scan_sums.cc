/* SPDX-License-Identifier: Apache-2.0
 *
 * scan_sums.cu for the host.
 */
#include "plugins/attn_cuda/scan_sums.cu"
