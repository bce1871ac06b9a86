/* SPDX-License-Identifier: Apache-2.0
 *
 * Useful work, counted as (4) of bench.h says. A product of an m x k and a k x n matrix is 2 m n k operations.
 *
 *     forward     S = Q K'   O = P V                                               2 products a pair
 *     backward    S again   dV = P' dO   dP = dO V'   dQ = dS K   dK = dS' Q        5
 */
#include "core/bench/bench.h"

double loci_bench_pairs(int64_t T, int64_t S, int64_t offset, bool causal, int64_t window_tok)
{
    double pairs = 0;

    for (int64_t t = 0; t < T; t++) {
        const int64_t at = offset + t;
        int64_t from = 0, to = S;
        if (window_tok > 0 && at - window_tok + 1 > from)
            from = at - window_tok + 1;
        if (window_tok > 0 && at + window_tok < to)
            to = at + window_tok;
        if (causal && at + 1 < to)
            to = at + 1;
        pairs += to > from ? (double)(to - from) : 0;
    }
    return pairs;
}

static double pairs_of(const loci_bench_size *z)
{
    const bool decode = z->pass == LOCI_BENCH_DECODE;

    return (double)z->B * (decode ? loci_bench_pairs(1, z->T, z->T - 1, !z->full, z->window_tok)
                                  : loci_bench_pairs(z->T, z->T, 0, !z->full, z->window_tok));
}

double loci_bench_attention_flops(const loci_bench_size *z)
{
    const double products = z->pass == LOCI_BENCH_BACKWARD ? 5 : 2;

    return pairs_of(z) * (double)z->H * 2 * products * (double)z->D;
}

double loci_bench_decode_bytes(const loci_bench_size *z)
{
    const double queries = (double)z->B * (double)z->H, keys = pairs_of(z) * (double)z->Hk;

    return (2 * queries + 2 * keys) * (double)z->D * z->dtype.bits / 8;
}
