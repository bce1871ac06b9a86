/* SPDX-License-Identifier: Apache-2.0
 *
 * plugins/attn_ref/attn_naive.h: the oracle of the oracle: every score of a problem materialised, in double, written
 * from the comment of loci_attn_desc alone and sharing nothing with attention/ref.
 */
#ifndef ATTN_NAIVE_H
#define ATTN_NAIVE_H

#include <Random123/philox.h>
#include <loci/random.h>

#include "attn_cases.h"

static int64_t pos_q(const attn_prob *p, int64_t b, int64_t i)
{
    return p->q_pos ? p->q_pos[b * p->T + i] : p->a.offset + i;
}

static int64_t pos_k(const attn_prob *p, int64_t b, int64_t j)
{
    return j < p->a.prefix ? -1 : p->k_pos ? p->k_pos[b * p->S + j] : j;
}

static int sees(const attn_prob *p, int64_t b, int64_t h, int64_t i, int64_t j)
{
    int64_t pq = pos_q(p, b, i), pk = pos_k(p, b, j);

    if ((p->k_len && j >= p->k_len[b]) || (p->q_len && i >= p->q_len[b]))
        return 0;
    if (p->mask &&
        !p->mask[((p->mask_B > 1 ? b * p->mask_H : 0) + (p->mask_H > 1 ? h : 0)) * p->T * p->S + i * p->S + j])
        return 0;
    if (p->sparse && !p->sparse[(p->mask_H > 1 ? h : 0) * p->T * p->S + i * p->S + j])
        return 0;
    if (pk < 0)
        return 1;
    if (p->q_seg && p->q_seg[b * p->T + i] != p->k_seg[b * p->S + j])
        return 0;
    if (p->a.causal && pk > pq)
        return 0;
    if (p->a.window_left >= 0 && pq - pk > p->a.window_left)
        return 0;
    return p->a.window_right < 0 || pk - pq <= p->a.window_right;
}

/* mesh_tensorflow's relative_position_bucket, rounding included. */
static int64_t bucket(int64_t rel, int64_t n, int64_t most, int both)
{
    int64_t ret = 0, back = -rel, far;

    if (both) {
        n /= 2;
        ret = back < 0 ? n : 0;
        back = back < 0 ? -back : back;
    } else
        back = back < 0 ? 0 : back;
    if (back < n / 2)
        return ret + back;
    far = n / 2 +
          (int64_t)(log((double)back / (double)(n / 2)) / log((double)most / (double)(n / 2)) * (double)(n - n / 2));
    return ret + (far < n - 1 ? far : n - 1);
}

static double naive_score(const attn_prob *p, int64_t b, int64_t h, int64_t i, int64_t j)
{
    int64_t rel = pos_k(p, b, j) - pos_q(p, b, i), kh = h / (p->H / p->Hk);
    double s = 0;

    for (int64_t x = 0; x < p->d; x++)
        s += p->q[((b * p->T + i) * p->H + h) * p->d + x] * p->k[((b * p->S + j) * p->Hk + kh) * p->d + x];
    s *= p->a.scale;
    if (p->a.softcap > 0)
        s = p->a.softcap * tanh(s / p->a.softcap);
    if (p->bias)
        s += p->bias[((p->bias_B > 1 ? b * p->bias_H : 0) + (p->bias_H > 1 ? h : 0)) * p->T * p->S + i * p->S + j];
    if (p->slopes && pos_k(p, b, j) >= 0)
        s += p->slopes[h] * (double)rel;
    if (p->table && pos_k(p, b, j) >= 0)
        s += p->table[bucket(rel, p->buckets, p->a.max_distance, p->a.bidirectional) * p->H + h];
    return s;
}

static double naive_keep(const attn_prob *p, int64_t b, int64_t h, int64_t i, int64_t j)
{
    uint64_t key = loci_random_key(p->seed, p->step, p->ids ? (uint64_t)p->ids[b] : 0, p->a.rng_stream);
    philox4x32_ctr_t c = {{(uint32_t)pos_q(p, b, i), (uint32_t)pos_k(p, b, j), (uint32_t)h, 0}};
    philox4x32_key_t k = {{(uint32_t)key, (uint32_t)(key >> 32)}};

    if (p->a.dropout == 0 || !(p->flags & LOCI_X_TRAIN))
        return 1;
    return (double)philox4x32(c, k).v[0] >= p->a.dropout * 4294967296.0 ? 1 / (1 - p->a.dropout) : 0;
}

static attn_out *naive(const attn_prob *p)
{
    attn_out *out = attn_out_new(p);
    double *s = attn_real(p->S + 1, 0);

    for (int64_t b = 0; b < p->B; b++)
        for (int64_t h = 0; h < p->H; h++)
            for (int64_t i = 0; i < p->T; i++) {
                double top = p->sink ? p->sink[h] : -INFINITY, sum = 0;
                int64_t vh = h / (p->H / p->Hv);

                for (int64_t j = 0; j < p->S; j++) {
                    s[j] = sees(p, b, h, i, j) ? naive_score(p, b, h, i, j) : -INFINITY;
                    top = fmax(top, s[j]);
                }
                out->lse[(b * p->H + h) * p->T + i] = -INFINITY;
                if (top == -INFINITY)
                    continue;
                for (int64_t j = 0; j < p->S; j++)
                    sum += exp(s[j] - top);
                sum += p->sink ? exp(p->sink[h] - top) : 0;
                out->lse[(b * p->H + h) * p->T + i] = top + log(sum);
                for (int64_t j = 0; j < p->S; j++)
                    for (int64_t x = 0; x < p->e && s[j] > -INFINITY; x++)
                        out->o[((b * p->T + i) * p->H + h) * p->e + x] +=
                            exp(s[j] - top) / sum * naive_keep(p, b, h, i, j) *
                            p->v[((b * p->S + j) * p->Hv + vh) * p->e + x];
            }
    return out;
}

#endif
