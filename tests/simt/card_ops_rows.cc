/* SPDX-License-Identifier: Apache-2.0
 *
 * ops_rows.cu for the host.
 */
#include "plugins/attn_cuda/ops_rows.cu"
