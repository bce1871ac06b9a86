/* SPDX-License-Identifier: Apache-2.0
 *
 * plugins/attn_cuda/attn_tile.h: what a block of 128 threads does with tiles: two products, and the place of each
 * number in the registers. Two engines with one interface, so that each kernel is one text for all types:
 *
 *   tile_mma   16-bit numbers on tensor cores, mma.sync m16n8k16; a warp owns 16 M rows
 *   tile_fma   float, multiply and add; eight lanes own N rows
 *
 *   product(s, a, b)        s[ROWS,COLS] = a[ROWS,D] b[COLS,D]'          a, b in shared memory
 *   add(out, p, b, room)    out[ROWS,D] += p[ROWS,COLS] b[COLS,D]        p in registers, b in shared memory
 *   row(r), col(c), out(x)  which row and column a thread's number (r, c) of s, or (r, x) of out, is
 *   row_max, row_sum, row_any   over the lanes that share a row
 *
 *  (1) A tile in shared memory has rows of STRIDE = D + 16 bytes: the eight rows of an ldmatrix, and the eight columns
 *      of a product in float, then lie in different banks.
 *  (2) Widths are D = 32, 64, 128, 256; columns after d, and rows after the last, are loaded as 0.
 *  (3) `room` holds p on its way between the lanes that share a row, in float only: ROWS * (COLS + 4) floats.
 */
#ifndef ATTN_CUDA_ATTN_TILE_H
#define ATTN_CUDA_ATTN_TILE_H

#include "attn.h"
#include "gpu.h"

#define TILE_THREADS 128
/* One block per multiprocessor at least: without it ptxas spills to reach a rounder number of blocks. */
#define TILE_KERNEL __global__ void __launch_bounds__(TILE_THREADS, 1)

GPU_FN int lane_of(void)
{
    return (int)threadIdx.x % 32;
}

GPU_FN int warp_of(void)
{
    return (int)threadIdx.x / 32;
}

/* ---- the types of elements ---- */

template <int TYPE> struct number;

template <> struct number<ATTN_F32> {
    typedef float elem;
    static __device__ __forceinline__ float get(elem x)
    {
        return x;
    }
    static __device__ __forceinline__ elem put(float x)
    {
        return x;
    }
};

template <> struct number<ATTN_BF16> {
    typedef uint16_t elem;
    static __device__ __forceinline__ float get(elem x)
    {
        return gpu_from_bf16(x);
    }
    static __device__ __forceinline__ elem put(float x)
    {
        return (elem)gpu_pack_bf16(x, 0);
    }
    static __device__ __forceinline__ uint32_t pack(float low, float high)
    {
        return gpu_pack_bf16(low, high);
    }
    static __device__ __forceinline__ void mma(float c[4], const uint32_t a[4], const uint32_t b[2])
    {
        gpu_mma_bf16(c, a, b);
    }
};

template <> struct number<ATTN_FP16> {
    typedef uint16_t elem;
    static __device__ __forceinline__ float get(elem x)
    {
        return gpu_from_fp16(x);
    }
    static __device__ __forceinline__ elem put(float x)
    {
        return (elem)gpu_pack_fp16(x, 0);
    }
    static __device__ __forceinline__ uint32_t pack(float low, float high)
    {
        return gpu_pack_fp16(low, high);
    }
    static __device__ __forceinline__ void mma(float c[4], const uint32_t a[4], const uint32_t b[2])
    {
        gpu_mma_fp16(c, a, b);
    }
};

/* ---- tensor cores ---- */

template <int TYPE_, int D_, int M, int COLS_> struct tile_mma {
    typedef number<TYPE_> num;
    typedef typename num::elem elem;
    static const int TYPE = TYPE_, D = D_, ROWS = 64 * M, COLS = COLS_, NR = 2 * M, NC = COLS / 4, NO = D / 4;
    static const int STRIDE = D + 8, ROOM = 0;

    template <int N> struct numbers {
        float x[M][N / 2][4];
        __device__ __forceinline__ float &at(int r, int c)
        {
            return x[r / 2][c / 2][r % 2 * 2 + c % 2];
        }
    };
    typedef numbers<NC> scores;
    typedef numbers<NO> sums;

    static __device__ __forceinline__ int row(int r)
    {
        return warp_of() * 16 * M + r / 2 * 16 + r % 2 * 8 + lane_of() / 4;
    }
    static __device__ __forceinline__ int col(int c)
    {
        return c / 2 * 8 + lane_of() % 4 * 2 + c % 2;
    }
    static __device__ __forceinline__ int out(int x)
    {
        return col(x);
    }
    static __device__ __forceinline__ float row_max(float x)
    {
        x = fmaxf(x, __shfl_xor_sync(GPU_ALL, x, 1));
        return fmaxf(x, __shfl_xor_sync(GPU_ALL, x, 2));
    }
    static __device__ __forceinline__ float row_sum(float x)
    {
        x += __shfl_xor_sync(GPU_ALL, x, 1);
        return x + __shfl_xor_sync(GPU_ALL, x, 2);
    }
    static __device__ __forceinline__ unsigned row_any(unsigned x)
    {
        x |= __shfl_xor_sync(GPU_ALL, x, 1);
        return x | __shfl_xor_sync(GPU_ALL, x, 2);
    }

    static __device__ __forceinline__ void product(scores &s, const elem *a, const elem *b)
    {
        const elem *at_a = a + (warp_of() * 16 * M + lane_of() % 16) * STRIDE + lane_of() / 16 * 8;
        const elem *at_b = b + (lane_of() % 8 + lane_of() / 16 * 8) * STRIDE + lane_of() / 8 % 2 * 8;

        s = scores{};
        GPU_UNROLL
        for (int k = 0; k < D / 16; k++) {
            uint32_t fa[M][4], fb[4];

            GPU_UNROLL
            for (int m = 0; m < M; m++)
                gpu_ldmatrix(fa[m], at_a + m * 16 * STRIDE + k * 16);
            GPU_UNROLL
            for (int n = 0; n < COLS / 16; n++) {
                gpu_ldmatrix(fb, at_b + n * 16 * STRIDE + k * 16);
                GPU_UNROLL
                for (int m = 0; m < M; m++) {
                    num::mma(s.x[m][2 * n], fa[m], fb);
                    num::mma(s.x[m][2 * n + 1], fa[m], fb + 2);
                }
            }
        }
    }

    /* The registers of a product are those of the next one's left side. */
    static __device__ __forceinline__ void add(sums &to, const scores &p, const elem *b, float *room)
    {
        const elem *at_b = b + lane_of() % 16 * STRIDE + lane_of() / 16 * 8;

        (void)room;
        GPU_UNROLL
        for (int k = 0; k < COLS / 16; k++) {
            uint32_t fa[M][4], fb[4];

            GPU_UNROLL
            for (int m = 0; m < M; m++)
                GPU_UNROLL
            for (int f = 0; f < 4; f++)
                fa[m][f] = num::pack(p.x[m][2 * k + f / 2][f % 2 * 2], p.x[m][2 * k + f / 2][f % 2 * 2 + 1]);
            GPU_UNROLL
            for (int n = 0; n < D / 16; n++) {
                gpu_ldmatrix_trans(fb, at_b + k * 16 * STRIDE + n * 16);
                GPU_UNROLL
                for (int m = 0; m < M; m++) {
                    num::mma(to.x[m][2 * n], fa[m], fb);
                    num::mma(to.x[m][2 * n + 1], fa[m], fb + 2);
                }
            }
        }
    }
};

/* ---- float ---- */

struct alignas(16) float_4 {
    float x[4];
};

template <int D_, int N, int COLS_> struct tile_fma {
    typedef number<ATTN_F32> num;
    typedef float elem;
    static const int TYPE = ATTN_F32, D = D_, ROWS = 16 * N, COLS = COLS_, NR = N, NC = COLS / 8, NO = D / 8;
    static const int STRIDE = D + 4, ROOM = ROWS * (COLS + 4);

    template <int C> struct numbers {
        float x[N][C];
        __device__ __forceinline__ float &at(int r, int c)
        {
            return x[r][c];
        }
    };
    typedef numbers<NC> scores;
    typedef numbers<NO> sums;

    static __device__ __forceinline__ int row(int r)
    {
        return (warp_of() * 4 + lane_of() / 8) * N + r;
    }
    static __device__ __forceinline__ int col(int c)
    {
        return c * 8 + lane_of() % 8;
    }
    static __device__ __forceinline__ int out(int x)
    {
        return x / 4 * 32 + lane_of() % 8 * 4 + x % 4;
    }
    static __device__ __forceinline__ float row_max(float x)
    {
        x = fmaxf(x, __shfl_xor_sync(GPU_ALL, x, 1));
        x = fmaxf(x, __shfl_xor_sync(GPU_ALL, x, 2));
        return fmaxf(x, __shfl_xor_sync(GPU_ALL, x, 4));
    }
    static __device__ __forceinline__ float row_sum(float x)
    {
        x += __shfl_xor_sync(GPU_ALL, x, 1);
        x += __shfl_xor_sync(GPU_ALL, x, 2);
        return x + __shfl_xor_sync(GPU_ALL, x, 4);
    }
    static __device__ __forceinline__ unsigned row_any(unsigned x)
    {
        x |= __shfl_xor_sync(GPU_ALL, x, 1);
        x |= __shfl_xor_sync(GPU_ALL, x, 2);
        return x | __shfl_xor_sync(GPU_ALL, x, 4);
    }

    static __device__ __forceinline__ void product(scores &s, const elem *a, const elem *b)
    {
        s = scores{};
        for (int k = 0; k < D; k += 4) {
            float_4 fa[N], fb[NC];

            GPU_UNROLL
            for (int r = 0; r < N; r++)
                fa[r] = *(const float_4 *)(a + row(r) * STRIDE + k);
            GPU_UNROLL
            for (int c = 0; c < NC; c++)
                fb[c] = *(const float_4 *)(b + col(c) * STRIDE + k);
            GPU_UNROLL
            for (int x = 0; x < 4; x++)
                GPU_UNROLL
            for (int r = 0; r < N; r++)
                GPU_UNROLL
            for (int c = 0; c < NC; c++)
                s.x[r][c] += fa[r].x[x] * fb[c].x[x];
        }
    }

    static __device__ __forceinline__ void add(sums &to, scores &p, const elem *b, float *room)
    {
        const float *mine = room + row(0) * (COLS + 4);

        __syncwarp(); /* the lanes of a row have read what the last call left here */
        GPU_UNROLL
        for (int r = 0; r < N; r++)
            GPU_UNROLL
        for (int c = 0; c < NC; c++)
            room[row(r) * (COLS + 4) + col(c)] = p.x[r][c];
        __syncwarp();
        for (int j = 0; j < COLS; j++) {
            GPU_UNROLL
            for (int x = 0; x < NO; x += 4) {
                float_4 fb = *(const float_4 *)(b + j * STRIDE + out(x));

                GPU_UNROLL
                for (int r = 0; r < N; r++)
                    GPU_UNROLL
                for (int y = 0; y < 4; y++)
                    to.x[r][x + y] += mine[r * (COLS + 4) + j] * fb.x[y];
            }
        }
    }
};

#endif
