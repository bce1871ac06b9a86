/* SPDX-License-Identifier: Apache-2.0
 *
 * core/check/attn: a problem for an attention backend, and the features of loci_attn_desc that make one.
 */
#ifndef LOCI_CORE_CHECK_ATTN_H
#define LOCI_CORE_CHECK_ATTN_H

#include "core/check/subject.h"

enum { MAX_B = 2, MAX_T = 48, MAX_S = 150, MAX_BLOCKS = 64 };

struct problem {
    loci_scene scene;
    loci_attn_desc desc;
    bool d_lse, train;
    uint64_t accepts; /* LOCI_A_* that fit does not decline */
    loci_view v[16];
    uint8_t mask[MAX_B * MAX_T * MAX_S], sparse[MAX_T * MAX_S];
    int32_t q_len[MAX_B], k_len[MAX_B], q_pos[MAX_B * MAX_T], k_pos[MAX_B * MAX_S], q_seg[MAX_B * MAX_T],
        k_seg[MAX_B * MAX_S], table[MAX_B * MAX_BLOCKS];
    int64_t ids[MAX_B];
    int32_t ptr[MAX_T + 1], col[MAX_T * MAX_S], kind[MAX_T * MAX_S], t_ptr[MAX_S + 1], t_col[MAX_T * MAX_S],
        t_kind[MAX_T * MAX_S];
    loci_blocks blocks;
};

/* Switches variant n of a feature on; the words say which. NULL: there are no more. */
typedef const char *feature_fn(struct problem *p, int n);
feature_fn feature_plain, feature_causal, feature_window, feature_prefix, feature_offset, feature_positions,
    feature_segments, feature_lengths, feature_mask, feature_bias, feature_slopes, feature_table, feature_softcap,
    feature_sink, feature_dropout, feature_paged, feature_blocks, feature_heads, feature_empty, feature_d_lse,
    feature_all;

#endif
