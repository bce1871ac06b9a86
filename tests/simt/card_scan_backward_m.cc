/* SPDX-License-Identifier: Apache-2.0
 *
 * scan_backward_m.cu for the host.
 */
#include "plugins/attn_cuda/scan_backward_m.cu"
