/* SPDX-License-Identifier: Apache-2.0
 *
 * scan_rows.cu for the host.
 */
#include "plugins/attn_cuda/scan_rows.cu"
