/* SPDX-License-Identifier: Apache-2.0
 *
 * gemm.cu for the host.
 */
#include "plugins/attn_cuda/gemm.cu"
