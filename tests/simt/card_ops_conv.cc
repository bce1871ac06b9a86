/* SPDX-License-Identifier: Apache-2.0
 *
 * ops_conv.cu for the host.
 */
#include "plugins/attn_cuda/ops_conv.cu"
