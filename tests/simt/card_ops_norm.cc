/* SPDX-License-Identifier: Apache-2.0
 *
 * ops_norm.cu for the host.
 */
#include "plugins/attn_cuda/ops_norm.cu"
