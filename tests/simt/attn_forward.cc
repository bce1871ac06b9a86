/* SPDX-License-Identifier: Apache-2.0
 *
 * attn_forward.cu for the host.
 */
#include "plugins/attn_cuda/attn_forward.cu"
