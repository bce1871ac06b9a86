/* SPDX-License-Identifier: Apache-2.0
 *
 * ops_map.cu for the host.
 */
#include "plugins/attn_cuda/ops_map.cu"
