/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/simt/simt.h: what a CUDA kernel sees when a host compiler compiles it: the words of the language, and the
 * operations of a warp and a block as functions of simt.cc and warp.cc. plugins/attn_cuda/gpu.h includes it when the
 * compiler is not nvcc; a kernel includes gpu.h only.
 *
 *  (1) Every thread of a block is a fiber. A fiber runs until it waits: at __syncthreads, at an operation of its warp,
 *      or when it returns. Which fiber runs next is the schedule's choice; a correct kernel gives the same bits in all.
 *  (2) Blocks run one after another. Dynamic shared memory is new for each block and full of 0xFF: NaN in f32, bf16 and
 *      fp16, -1 in integers. There is no static shared memory: GPU_SHARED is the only way to it.
 *  (3) A barrier or warp operation belongs to its file and line. Threads that meet at different lines, or that wait for
 *      one that waits elsewhere or has returned, end the launch with a message that holds both lines.
 *  (4) cp.async reads and writes when its group is waited for, never earlier: what is missing is the wait.
 *  (5) SIMT_SKIP=FILE:LINE in the environment removes the barrier, __syncwarp or cp.async wait of that line.
 * SIMT_SITES= PATH appends "what file:line" of each such line that ran to PATH when the program ends. tests/simt/mutate
 * uses both.
 *
 * It does not show: races between two points of waiting, bank conflicts, the memory model, speed.
 */
#ifndef LOCI_SIMT_H
#define LOCI_SIMT_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "schedule.h"

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __restrict__ __restrict

struct dim3 {
    unsigned x, y, z;
    dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_)
    {
    }
};

/* Where the running fiber stands. */
struct simt_place {
    dim3 thread, block, block_dim, grid_dim;
    unsigned char *shared;
};
extern simt_place simt_here;
#define threadIdx (simt_here.thread)
#define blockIdx (simt_here.block)
#define blockDim (simt_here.block_dim)
#define gridDim (simt_here.grid_dim)

/* The line that calls. */
#define SIMT_SITE const char *file = __builtin_FILE(), int line = __builtin_LINE()

/* ---- waiting ---- */

/* What a warp does together: fn gets each lane's argument, NULL for lanes outside the mask. */
typedef void simt_warp_fn(void *const lane[32]);
void simt_warp(const char *what, simt_warp_fn *fn, void *arg, uint32_t mask, const char *file, int line);
void simt_block(const char *file, int line);
void simt_warp_sync(uint32_t mask, const char *file, int line);
/* size bytes of shared memory, of which all after the first `bytes` become 0. */
void simt_copy(void *shared, const void *global, int bytes, int size, const char *file, int line);
void simt_copy_commit(void);
void simt_copy_wait(int groups, const char *file, int line);
/* Ends the launch with a message. Does not return. */
[[noreturn]] void simt_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

static inline void __syncthreads(SIMT_SITE)
{
    simt_block(file, line);
}

static inline void __syncwarp(uint32_t mask = 0xffffffffu, SIMT_SITE)
{
    simt_warp_sync(mask, file, line);
}

/* ---- operations of a warp ---- */

struct simt_word {
    uint32_t value, got;
    int from;
};
void simt_shuffle(void *const lane[32]);
void simt_ballot(void *const lane[32]);

/* The 32-bit value of lane `from`. */
static inline uint32_t simt_shfl(uint32_t mask, uint32_t value, int from, const char *file, int line)
{
    simt_word w = {value, 0, from};

    simt_warp("shuffle", simt_shuffle, &w, mask, file, line);
    return w.got;
}

static inline int simt_lane(void)
{
    return (int)((threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z)) % 32);
}

template <typename T> static inline T __shfl_sync(uint32_t mask, T value, int from, SIMT_SITE)
{
    static_assert(sizeof(T) == 4, "shuffles move 32 bits");
    uint32_t bits;

    memcpy(&bits, &value, 4);
    bits = simt_shfl(mask, bits, from & 31, file, line);
    memcpy(&value, &bits, 4);
    return value;
}

template <typename T> static inline T __shfl_xor_sync(uint32_t mask, T value, int with, SIMT_SITE)
{
    return __shfl_sync(mask, value, simt_lane() ^ with, file, line);
}

/* Past the end of the warp a lane gets its own value. */
template <typename T> static inline T __shfl_up_sync(uint32_t mask, T value, unsigned by, SIMT_SITE)
{
    int from = simt_lane() - (int)by;

    return __shfl_sync(mask, value, from < 0 ? simt_lane() : from, file, line);
}

template <typename T> static inline T __shfl_down_sync(uint32_t mask, T value, unsigned by, SIMT_SITE)
{
    int from = simt_lane() + (int)by;

    return __shfl_sync(mask, value, from > 31 ? simt_lane() : from, file, line);
}

static inline uint32_t __ballot_sync(uint32_t mask, int on, SIMT_SITE)
{
    simt_word w = {(uint32_t)(on != 0), 0, 0};

    simt_warp("ballot", simt_ballot, &w, mask, file, line);
    return w.got;
}

static inline int __any_sync(uint32_t mask, int on, SIMT_SITE)
{
    return __ballot_sync(mask, on, file, line) != 0;
}

static inline int __all_sync(uint32_t mask, int on, SIMT_SITE)
{
    return __ballot_sync(mask, on, file, line) == mask;
}

/* ---- tensor cores, as the PTX manual lays out the fragments of m16n8k16 and ldmatrix ---- */

struct simt_mma {
    float *c; /* 4 */
    const uint32_t *a, *b;
    int fp16;
};
void simt_mma_m16n8k16(void *const lane[32]);

struct simt_matrix {
    uint32_t *got; /* 4 */
    const void *row;
    int transposed;
};
void simt_ldmatrix_x4(void *const lane[32]);

/* ---- atomics: no fiber runs in between ---- */

template <typename T> static inline T atomicAdd(T *at, T value)
{
    T was = *at;

    *at = was + value;
    return was;
}

template <typename T> static inline T atomicMax(T *at, T value)
{
    T was = *at;

    *at = was < value ? value : was;
    return was;
}

template <typename T> static inline T atomicCAS(T *at, T expected, T value)
{
    T was = *at;

    *at = was == expected ? value : was;
    return was;
}

static inline void __threadfence(void)
{
}

/* ---- 16-bit numbers ---- */

uint16_t simt_to_bf16(float x);
uint16_t simt_to_fp16(float x);
float simt_from_bf16(uint16_t x);
float simt_from_fp16(uint16_t x);

/* ---- launching, for host code and tests ---- */

/* A list of the host's to device memory. */
void simt_up(void *to, const void *from, size_t bytes);
/* 0, or 1 after a message. */
int simt_launch(dim3 grid, dim3 block, size_t shared_bytes, void (*run)(void *), void *arg);

#endif
