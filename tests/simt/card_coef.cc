/* SPDX-License-Identifier: Apache-2.0
 *
 * coef.cu for the host.
 */
#include "plugins/attn_cuda/coef.cu"
