/* SPDX-License-Identifier: Apache-2.0
 *
 * plugins/attn_cuda/attn_launch.h: what the launches of all attention kernels ask about a call.
 */
#ifndef ATTN_CUDA_ATTN_LAUNCH_H
#define ATTN_CUDA_ATTN_LAUNCH_H

#include "attn_load.h"

/* Does the call need more than scale, causality, windows, offset and lengths? The sink is outside of the pairs. */
static inline bool attn_general(const attn_args *a)
{
    return a->q_pos || a->k_pos || a->q_seg || a->mask.data || a->bias.data || a->slopes.data || a->table.data ||
           a->keys || a->prefix || a->softcap > 0 || a->list.map;
}

static inline int attn_width(const attn_args *a)
{
    return a->d > a->e ? a->d : a->e;
}

#endif
