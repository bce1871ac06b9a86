/* SPDX-License-Identifier: Apache-2.0
 *
 * scan_pieces.cu for the host.
 */
#include "plugins/attn_cuda/scan_pieces.cu"
