/* SPDX-License-Identifier: Apache-2.0
 *
 * scan_heads.cu for the host.
 */
#include "plugins/attn_cuda/scan_heads.cu"
