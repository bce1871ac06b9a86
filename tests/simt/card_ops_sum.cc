/* SPDX-License-Identifier: Apache-2.0
 *
 * ops_sum.cu for the host.
 */
#include "plugins/attn_cuda/ops_sum.cu"
