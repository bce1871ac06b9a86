/* SPDX-License-Identifier: Apache-2.0
 *
 * ops_loss.cu for the host.
 */
#include "plugins/attn_cuda/ops_loss.cu"
