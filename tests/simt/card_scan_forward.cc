/* SPDX-License-Identifier: Apache-2.0
 *
 * scan_forward.cu for the host.
 */
#include "plugins/attn_cuda/scan_forward.cu"
