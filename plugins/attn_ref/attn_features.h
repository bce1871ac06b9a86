/* SPDX-License-Identifier: Apache-2.0
 *
 * plugins/attn_ref/attn_features.h: feature n of the descriptor, switched on in a problem. Several may be combined.
 */
#ifndef ATTN_FEATURES_H
#define ATTN_FEATURES_H

#include "attn_cases.h"

#define ATTN_FEATURES 18

static inline void attn_feature(attn_prob *p, int n)
{
    int64_t TS = p->T * p->S;

    switch (n) {
    case 0:
        p->a.causal = 1;
        break;
    case 1:
        p->a.window_left = 3;
        break;
    case 2:
        p->a.window_right = 2;
        break;
    case 3:
        p->a.prefix = 2;
        break;
    case 4: /* positions in disorder, one key at -1 */
        p->q_pos = attn_ints(p->B * p->T, 2, 1);
        p->k_pos = attn_ints(p->B * p->S, -1, 1);
        for (int64_t j = 0; j < p->B * p->S; j++)
            p->k_pos[j] = (int32_t)((5 * j) % p->S) - 1;
        break;
    case 5:
        p->q_seg = attn_ints(p->B * p->T, 0, 0);
        p->k_seg = attn_ints(p->B * p->S, 0, 0);
        for (int64_t i = 0; i < p->B * p->T; i++)
            p->q_seg[i] = i % p->T > p->T / 2;
        for (int64_t j = 0; j < p->B * p->S; j++)
            p->k_seg[j] = j % p->S > p->S / 2;
        break;
    case 6:
        p->q_len = attn_ints(p->B, (int32_t)p->T - 1, 0);
        p->k_len = attn_ints(p->B, (int32_t)p->S, 0);
        p->k_len[0] = (int32_t)p->S / 2;
        break;
    case 7:
        p->mask_B = p->B;
        p->mask_H = 1;
        p->mask = attn_keep((size_t)(p->B * TS));
        for (int64_t x = 0; x < p->B * TS; x++)
            p->mask[x] = ck_rand() < 0.7;
        break;
    case 8:
        p->bias_B = 1;
        p->bias_H = p->H;
        p->bias = attn_real(p->H * TS, 1);
        break;
    case 9:
        p->bias_B = p->B;
        p->bias_H = 1;
        p->bias = attn_real(p->B * TS, 1);
        break;
    case 10:
        p->slopes = attn_real(p->H, 0.3);
        break;
    case 11:
        p->buckets = 8;
        p->table = attn_real(8 * p->H, 1);
        p->a.max_distance = 6;
        break;
    case 12:
        p->buckets = 8;
        p->table = attn_real(8 * p->H, 1);
        p->a.max_distance = 6;
        p->a.bidirectional = 1;
        break;
    case 13:
        p->a.softcap = 1.5;
        break;
    case 14:
        p->sink = attn_real(p->H, 1);
        break;
    case 15:
        p->a.dropout = 0.3;
        p->flags = LOCI_X_TRAIN;
        p->a.rng_stream = 5;
        p->ids = attn_keep((size_t)p->B * 8);
        for (int64_t b = 0; b < p->B; b++)
            p->ids[b] = 100 + b;
        break;
    case 16:
        p->block_tok = 3;
        p->k_len = p->k_len ? p->k_len : attn_ints(p->B, (int32_t)p->S, 0);
        break;
    case 17:
        p->bq = 4;
        p->bk = 3;
        p->sparse = attn_keep((size_t)(p->mask_H * TS));
        for (int64_t x = 0; x < p->mask_H * TS; x++)
            p->sparse[x] = (x % p->S / 3 + x / p->S % p->T / 4) % 3 != 1 && ck_rand() < 0.9;
        break;
    default:
        break;
    }
}

#endif
