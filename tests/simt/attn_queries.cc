/* SPDX-License-Identifier: Apache-2.0
 *
 * attn_queries.cu for the host.
 */
#include "plugins/attn_cuda/attn_queries.cu"
