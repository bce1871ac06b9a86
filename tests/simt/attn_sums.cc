/* SPDX-License-Identifier: Apache-2.0
 *
 * attn_sums.cu for the host.
 */
#include "plugins/attn_cuda/attn_sums.cu"
