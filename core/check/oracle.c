/* SPDX-License-Identifier: Apache-2.0
 *
 * core/check: see oracle.h.
 */
#include "core/check/oracle.h"
#include "core/device/rng.h"

#include <math.h>

/* ---- what a query sees ------------------------------------------------------------------------------------------- */

static int64_t pos_q(const loci_oracle *a, int64_t b, int64_t i)
{
    return a->q_pos ? (int64_t)a->q_pos[b * a->T + i] : a->desc.offset + i;
}

static int64_t pos_k(const loci_oracle *a, int64_t b, int64_t j)
{
    return j < a->desc.prefix ? -1 : a->k_pos ? (int64_t)a->k_pos[b * a->S + j] : j;
}

static bool visible(const loci_oracle *a, int64_t b, int64_t h, int64_t i, int64_t j)
{
    const int64_t pq = pos_q(a, b, i), pk = pos_k(a, b, j), tile = i * a->S + j, TS = a->T * a->S;
    const loci_attn_desc *d = &a->desc;

    if ((a->k_len && j >= (int64_t)a->k_len[b]) || (a->q_len && i >= (int64_t)a->q_len[b]))
        return false;
    if (a->mask && a->mask[((a->mask_B > 1 ? b * a->mask_H : 0) + (a->mask_H > 1 ? h : 0)) * TS + tile] == 0)
        return false;
    if (a->blocks && !a->blocks[tile])
        return false;
    if (pk < 0)
        return true;
    return (!a->q_seg || a->q_seg[b * a->T + i] == a->k_seg[b * a->S + j]) && (!d->causal || pk <= pq) &&
           (d->window_left < 0 || pq - pk <= d->window_left) && (d->window_right < 0 || pk - pq <= d->window_right);
}

int64_t loci_oracle_bucket(int64_t distance, int64_t buckets, int64_t most, bool both)
{
    int64_t first = 0, back = -distance, near, far;

    if (both) {
        buckets /= 2;
        first = distance > 0 ? buckets : 0;
        back = distance < 0 ? -distance : distance;
    } else if (back < 0) {
        back = 0;
    }
    near = buckets / 2;
    if (back < near)
        return first + back;
    far = near +
          (int64_t)(log((double)back / (double)near) / log((double)most / (double)near) * (double)(buckets - near));
    return first + (far < buckets ? far : buckets - 1);
}

/* ---- scores ------------------------------------------------------------------------------------------------------ */

/* Where key j of row b begins in k and v: rows of [.., heads, width]. */
static int64_t key_row(const loci_oracle *a, int64_t b, int64_t j)
{
    const int64_t tok = (int64_t)a->desc.block_tok;

    return a->block_table ? (int64_t)a->block_table[b * a->n_blocks + j / tok] * tok + j % tok : b * a->S + j;
}

static int64_t at_q(const loci_oracle *a, int64_t b, int64_t i, int64_t h)
{
    return ((b * a->T + i) * a->H + h) * a->d;
}

static int64_t at_k(const loci_oracle *a, int64_t b, int64_t j, int64_t h)
{
    return (key_row(a, b, j) * a->Hk + h / (a->H / a->Hk)) * a->d;
}

static int64_t at_v(const loci_oracle *a, int64_t b, int64_t j, int64_t h)
{
    return (key_row(a, b, j) * a->Hv + h / (a->H / a->Hv)) * a->e;
}

static int64_t at_o(const loci_oracle *a, int64_t b, int64_t i, int64_t h)
{
    return ((b * a->T + i) * a->H + h) * a->e;
}

static int64_t at_bias(const loci_oracle *a, int64_t b, int64_t h, int64_t i, int64_t j)
{
    return ((a->bias_B > 1 ? b * a->bias_H : 0) + (a->bias_H > 1 ? h : 0)) * a->T * a->S + i * a->S + j;
}

static int64_t at_table(const loci_oracle *a, int64_t h, int64_t distance)
{
    return loci_oracle_bucket(distance, a->buckets, a->desc.max_distance, a->desc.bidirectional) * a->H + h;
}

static double dot(const double *x, const double *y, int64_t n)
{
    double sum = 0;

    for (int64_t i = 0; i < n; i++)
        sum += x[i] * y[i];
    return sum;
}

/* cap(scale q.k), and its derivative by q.k. */
static double capped(const loci_oracle *a, double qk, double *slope)
{
    const double x = a->desc.scale * qk, cap = a->desc.softcap;
    const double t = cap > 0 ? tanh(x / cap) : 0;

    *slope = a->desc.scale * (1 - t * t);
    return cap > 0 ? cap * t : x;
}

static double score(const loci_oracle *a, int64_t b, int64_t h, int64_t i, int64_t j)
{
    const int64_t pk = pos_k(a, b, j), distance = pk - pos_q(a, b, i);
    double slope, s = capped(a, dot(a->q + at_q(a, b, i, h), a->k + at_k(a, b, j, h), a->d), &slope);

    s += a->bias ? a->bias[at_bias(a, b, h, i, j)] : 0;
    if (pk < 0)
        return s;
    return s + (a->slopes ? a->slopes[h] * (double)distance : 0) + (a->table ? a->table[at_table(a, h, distance)] : 0);
}

/* z */
static double kept(const loci_oracle *a, int64_t b, int64_t h, int64_t i, int64_t j)
{
    const uint64_t id = a->ids ? (uint64_t)a->ids[b] : 0;
    const uint32_t counter[4] = {(uint32_t)pos_q(a, b, i), (uint32_t)pos_k(a, b, j), (uint32_t)h, 0};
    uint32_t drawn[4];

    if (!(a->desc.dropout > 0) || !a->train)
        return 1;
    loci_random_u32x4(loci_random_key(a->seed, a->step, id, a->desc.rng_stream), counter, drawn);
    return (double)drawn[0] >= a->desc.dropout * 0x1p32 ? 1 / (1 - a->desc.dropout) : 0;
}

/* ---- forwards and backwards -------------------------------------------------------------------------------------- */

static void forward_row(const loci_oracle *a, int64_t b, int64_t h, int64_t i)
{
    double *o = a->o + at_o(a, b, i, h), *lse = a->lse + (b * a->H + h) * a->T + i;
    double top = a->sink ? a->sink[h] : -INFINITY, sum = 0;

    for (int64_t x = 0; x < a->e; x++)
        o[x] = 0;
    for (int64_t j = 0; j < a->S; j++) {
        a->score[j] = visible(a, b, h, i, j) ? score(a, b, h, i, j) : -INFINITY;
        top = a->score[j] > top ? a->score[j] : top;
    }
    *lse = -INFINITY;
    if (isinf(top))
        return;
    for (int64_t j = 0; j < a->S; j++)
        sum += exp(a->score[j] - top);
    sum += a->sink ? exp(a->sink[h] - top) : 0;
    *lse = top + log(sum);
    for (int64_t j = 0; j < a->S; j++) {
        const double p = exp(a->score[j] - *lse) * kept(a, b, h, i, j);
        for (int64_t x = 0; !isinf(a->score[j]) && x < a->e; x++)
            o[x] += p * a->v[at_v(a, b, j, h) + x];
    }
}

void loci_oracle_forward(const loci_oracle *a)
{
    for (int64_t b = 0; b < a->B; b++)
        for (int64_t h = 0; h < a->H; h++)
            for (int64_t i = 0; i < a->T; i++)
                forward_row(a, b, h, i);
}

/* ds of one pair, into everything that made its score. */
static void score_back(const loci_oracle *a, int64_t b, int64_t h, int64_t i, int64_t j, double ds)
{
    const double *q = a->q + at_q(a, b, i, h), *k = a->k + at_k(a, b, j, h);
    const int64_t pk = pos_k(a, b, j), distance = pk - pos_q(a, b, i);
    double slope;

    capped(a, dot(q, k, a->d), &slope);
    for (int64_t x = 0; x < a->d; x++) {
        a->dq[at_q(a, b, i, h) + x] += slope * ds * k[x];
        a->dk[at_k(a, b, j, h) + x] += slope * ds * q[x];
    }
    if (a->bias)
        a->dbias[at_bias(a, b, h, i, j)] += ds;
    if (a->slopes && pk >= 0)
        a->dslopes[h] += ds * (double)distance;
    if (a->table && pk >= 0)
        a->dtable[at_table(a, h, distance)] += ds;
}

static void backward_row(const loci_oracle *a, int64_t b, int64_t h, int64_t i)
{
    const double *d_o = a->d_o + at_o(a, b, i, h), lse = a->lse[(b * a->H + h) * a->T + i];
    const double d_lse = a->d_lse ? a->d_lse[(b * a->H + h) * a->T + i] : 0;
    const double D = dot(d_o, a->o + at_o(a, b, i, h), a->e);

    if (isinf(lse))
        return;
    for (int64_t j = 0; j < a->S; j++) {
        double p, z;
        if (!visible(a, b, h, i, j))
            continue;
        p = exp(score(a, b, h, i, j) - lse);
        z = kept(a, b, h, i, j);
        score_back(a, b, h, i, j, p * (z * dot(d_o, a->v + at_v(a, b, j, h), a->e) - D + d_lse));
        for (int64_t x = 0; x < a->e; x++)
            a->dv[at_v(a, b, j, h) + x] += p * z * d_o[x];
    }
    if (a->sink)
        a->dsink[h] += exp(a->sink[h] - lse) * (d_lse - D);
}

void loci_oracle_backward(const loci_oracle *a)
{
    for (int64_t b = 0; b < a->B; b++)
        for (int64_t h = 0; h < a->H; h++)
            for (int64_t i = 0; i < a->T; i++)
                backward_row(a, b, h, i);
}
