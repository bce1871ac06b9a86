/* SPDX-License-Identifier: Apache-2.0
 *
 * plugins/attn_cuda/attn_load.h: rows of global memory into a tile, and what is done about numbers that are not finite.
 *
 *  (1) Where rows allow it 16 bytes go at a time by cp.async; otherwise element by element. Either way the rows have
 *      arrived for all threads after gpu_copy_wait and a barrier.
 *  (2) Rows outside [0, to) and columns after the width are 0.
 *  (3) 0 times NaN is NaN: a row of the streamed side that not everybody of the tile sees would spoil, as the right
 *      side of a product with weights, those who do not see it. `clean` takes such numbers out of the chunks its own
 *      thread loaded, before the barrier, and marks the row; who sees a marked row becomes NaN throughout. Marks are
 *      stamps, one per tile and load, so nothing has to be reset.
 */
#ifndef ATTN_CUDA_ATTN_LOAD_H
#define ATTN_CUDA_ATTN_LOAD_H

#include "attn_pair.h"
#include "attn_tile.h"

/* What a tile is loaded from: the rows first .. of x in (b, h), keys or queries. */
struct source {
    const attn_rows *x;
    int b, h, first, to, width;
    bool keys;
};

template <class E, int ROWS> struct loader {
    typedef typename E::elem elem;
    static const int PER = 16 / (int)sizeof(elem), CHUNKS = E::D / PER;

    static __device__ __forceinline__ const elem *row(const attn_args &a, const source &s, int n)
    {
        int j = s.first + n;

        return (const elem *)s.x->data + (s.keys ? key_at(a, *s.x, s.b, j, s.h) : query_at(*s.x, s.b, j, s.h));
    }

    static __device__ __forceinline__ void load(const attn_args &a, const source &s, elem *tile)
    {
        for (int n = (int)threadIdx.x; n < ROWS * CHUNKS; n += TILE_THREADS) {
            int r = n / CHUNKS, c = n % CHUNKS * PER;
            bool in = s.first + r < s.to;
            int count = in ? smaller(larger(s.width - c, 0), PER) : 0;
            const elem *from = count ? row(a, s, r) + c : (const elem *)s.x->data;
            elem *to = tile + r * E::STRIDE + c;

            if (a.aligned)
                gpu_copy16(to, from, count * (int)sizeof(elem));
            else
                for (int x = 0; x < PER; x++)
                    to[x] = x < count ? from[x] : (elem)0;
        }
    }

    static __device__ __forceinline__ void clean(elem *tile, int *marks, int stamp)
    {
        for (int n = (int)threadIdx.x; n < ROWS * CHUNKS; n += TILE_THREADS) {
            int r = n / CHUNKS, c = n % CHUNKS * PER;
            elem *at = tile + r * E::STRIDE + c;

            for (int x = 0; x < PER; x++)
                if (!(fabsf(E::num::get(at[x])) < INFINITY)) {
                    at[x] = 0;
                    marks[r] = stamp;
                }
        }
    }
};

#endif
