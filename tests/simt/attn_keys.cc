/* SPDX-License-Identifier: Apache-2.0
 *
 * attn_keys.cu for the host.
 */
#include "plugins/attn_cuda/attn_keys.cu"
