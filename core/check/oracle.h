/* SPDX-License-Identifier: Apache-2.0
 *
 * core/check/oracle: attention as the comment of loci_attn_desc says it, in float64, every score by itself: what a
 * backend is held against. It shares nothing with any backend.
 *
 *     P_ij = exp(s_ij - lse_i)           o_i = sum_j P_ij z_ij v_j           D_i = d_o_i . o_i
 *     ds_ij = P_ij (z_ij d_o_i . v_j - D_i + d_lse_i)                        d_sink = exp(sink - lse_i) (d_lse_i - D_i)
 *     d(q.k) = scale (1 - (cap / softcap)^2) ds;   dbias, dslope, dtable take ds, times what they were multiplied by
 *
 * The backward takes o and lse as given: they may belong to more keys than these.
 */
#ifndef LOCI_CORE_CHECK_ORACLE_H
#define LOCI_CORE_CHECK_ORACLE_H

#include "core/base/base.h"

/* Contiguous tensors of the header's shapes, whole numbers too; NULL: absent. Of desc only the numbers count. */
typedef struct loci_oracle {
    int64_t B, T, S, H, Hk, Hv, d, e;
    loci_attn_desc desc;
    const double *q, *k, *v, *mask, *bias, *slopes, *table, *sink;
    const double *q_len, *k_len, *q_pos, *k_pos, *q_seg, *k_seg, *ids;
    const double *block_table; /* [B, n_blocks] of desc.block_tok keys */
    int64_t n_blocks, mask_B, mask_H, bias_B, bias_H, buckets;
    const uint8_t *blocks; /* [T, S], visible in all heads, or NULL */
    bool train;            /* dropout, keyed by: */
    uint64_t seed, step;
    double *o, *lse;
    const double *d_o, *d_lse;
    double *dq, *dk, *dv, *dbias, *dslopes, *dtable, *dsink; /* added to */
    double *score;                                           /* [S], room */
} loci_oracle;

/* o and lse. */
void loci_oracle_forward(const loci_oracle *a);
/* The gradients, from o, lse, d_o and d_lse. */
void loci_oracle_backward(const loci_oracle *a);
/* T5's bucket of a distance key - query (Raffel et al. 2020, as in mesh_tensorflow). */
int64_t loci_oracle_bucket(int64_t distance, int64_t buckets, int64_t most, bool both);

#endif
