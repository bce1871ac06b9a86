/* SPDX-License-Identifier: Apache-2.0
 *
 * plugins/attn_cuda/gpu.h: the header by which kernels are written. A .cu file includes it and nothing else of CUDA, so
 * that nvcc compiles it for a GPU and a host compiler for tests/simt, which runs it as fibers.
 *
 *  (1) Dynamic shared memory is GPU_SHARED(name): bytes, aligned to 128, undefined at the start of a block. Static
 *      shared memory is not used. Blocks are multiples of 32 threads.
 *  (2) Kernels are launched by gpu_launch. Its stream is the `stream` of the call; NULL is the default stream.
 *  (3) Everything that is PTX is one of the functions below, a line each. Barriers, shuffles, ballots and atomics are
 *      written as in CUDA.
 *  (4) 16-bit numbers are uint16_t in memory; arithmetic is in float.
 *  (5) No collective stands inside a branch that lanes of one warp take differently.
 */
#ifndef ATTN_CUDA_GPU_H
#define ATTN_CUDA_GPU_H

#include <stddef.h>
#include <stdint.h>

#define GPU_FN static __device__ __forceinline__
#define GPU_BOTH static __host__ __device__ __forceinline__ /* for the host as well */
#define GPU_ALL 0xffffffffu

#ifdef __CUDACC__

#include <cuda_runtime.h>

#define GPU_UNROLL _Pragma("unroll")
#define GPU_SHARED(name) extern __shared__ __align__(128) unsigned char name[]

/* 0, or what rt_error (rt.h) has words for. */
template <typename... P, typename... A>
static inline int gpu_launch(void (*kernel)(P...), dim3 grid, dim3 block, size_t shared_bytes, void *stream, A... args)
{
    cudaError_t e = cudaSuccess;

    if (shared_bytes > (size_t)48 << 10)
        e = cudaFuncSetAttribute((const void *)kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, (int)shared_bytes);
    if (e == cudaSuccess) {
        kernel<<<grid, block, shared_bytes, (cudaStream_t)stream>>>(args...);
        e = cudaGetLastError();
    }
    return (int)e;
}

/* From host memory, which may change when this returns, in the order of the stream. */
static inline int gpu_up(void *to, const void *from, size_t bytes, void *stream)
{
    return (int)cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, (cudaStream_t)stream);
}

GPU_FN unsigned gpu_shared_at(const void *p)
{
    return (unsigned)__cvta_generic_to_shared(p);
}

/* 16 bytes, of which all after the first `bytes` become 0. Both addresses are divisible by 16. */
GPU_FN void gpu_copy16(void *shared, const void *global, int bytes)
{
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;\n" ::"r"(gpu_shared_at(shared)), "l"(global), "r"(bytes)
                 : "memory");
}

/* One element of 4 or 8 bytes. */
template <typename T> GPU_FN void gpu_copy_one(T *shared, const T *global)
{
    static_assert(sizeof(T) == 4 || sizeof(T) == 8, "cp.async moves 4, 8 or 16 bytes");
    asm volatile("cp.async.ca.shared.global [%0], [%1], %2;\n" ::"r"(gpu_shared_at(shared)), "l"(global),
                 "n"((int)sizeof(T))
                 : "memory");
}

GPU_FN void gpu_copy_commit(void)
{
    asm volatile("cp.async.commit_group;\n" ::: "memory");
}

/* All groups of this thread but the latest N have landed. For other threads a barrier has to follow. */
template <int N> GPU_FN void gpu_copy_wait(void)
{
    asm volatile("cp.async.wait_group %0;\n" ::"n"(N) : "memory");
}

GPU_FN void gpu_mma_bf16(float c[4], const uint32_t a[4], const uint32_t b[2])
{
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
                 "{%0,%1,%2,%3};\n"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

GPU_FN void gpu_mma_fp16(float c[4], const uint32_t a[4], const uint32_t b[2])
{
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
                 "{%0,%1,%2,%3};\n"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

/* Four 8x8 matrices; lane 8n+r gives the address of row r of matrix n. */
GPU_FN void gpu_ldmatrix(uint32_t got[4], const void *row)
{
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];\n"
                 : "=r"(got[0]), "=r"(got[1]), "=r"(got[2]), "=r"(got[3])
                 : "r"(gpu_shared_at(row))
                 : "memory");
}

GPU_FN void gpu_ldmatrix_trans(uint32_t got[4], const void *row)
{
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];\n"
                 : "=r"(got[0]), "=r"(got[1]), "=r"(got[2]), "=r"(got[3])
                 : "r"(gpu_shared_at(row))
                 : "memory");
}

/* Two floats as one word, the first in the low half. To nearest, ties to even. */
GPU_FN uint32_t gpu_pack_bf16(float low, float high)
{
    uint32_t w;

    asm("cvt.rn.bf16x2.f32 %0, %1, %2;\n" : "=r"(w) : "f"(high), "f"(low));
    return w;
}

GPU_FN uint32_t gpu_pack_fp16(float low, float high)
{
    uint32_t w;

    asm("cvt.rn.f16x2.f32 %0, %1, %2;\n" : "=r"(w) : "f"(high), "f"(low));
    return w;
}

GPU_FN float gpu_from_fp16(uint16_t x)
{
    float y;

    asm("cvt.f32.f16 %0, %1;\n" : "=f"(y) : "h"(x));
    return y;
}

GPU_FN float gpu_from_bf16(uint16_t x)
{
    return __uint_as_float((uint32_t)x << 16);
}

/* 2^x in two units in the last place; 2^-inf is 0. */
GPU_FN float gpu_exp2(float x)
{
    float y;

    asm("ex2.approx.ftz.f32 %0, %1;\n" : "=f"(y) : "f"(x));
    return y;
}

#else

#include "tests/simt/simt.h"

#define GPU_UNROLL
#define GPU_SHARED(name) unsigned char *const name = simt_here.shared

template <typename F> static inline void gpu_call(void *f)
{
    (*(F *)f)();
}

template <typename... P, typename... A>
static inline int gpu_launch(void (*kernel)(P...), dim3 grid, dim3 block, size_t shared_bytes, void *stream, A... args)
{
    auto run = [=] { kernel(args...); };

    (void)stream;
    return simt_launch(grid, block, shared_bytes, gpu_call<decltype(run)>, (void *)&run);
}

static inline int gpu_up(void *to, const void *from, size_t bytes, void *stream)
{
    (void)stream;
    simt_up(to, from, bytes);
    return 0;
}

GPU_FN void gpu_copy16(void *shared, const void *global, int bytes, SIMT_SITE)
{
    simt_copy(shared, global, bytes, 16, file, line);
}

template <typename T> GPU_FN void gpu_copy_one(T *shared, const T *global, SIMT_SITE)
{
    static_assert(sizeof(T) == 4 || sizeof(T) == 8, "cp.async moves 4, 8 or 16 bytes");
    simt_copy(shared, global, sizeof(T), sizeof(T), file, line);
}

GPU_FN void gpu_copy_commit(void)
{
    simt_copy_commit();
}

template <int N> GPU_FN void gpu_copy_wait(SIMT_SITE)
{
    simt_copy_wait(N, file, line);
}

GPU_FN void gpu_mma_bf16(float c[4], const uint32_t a[4], const uint32_t b[2], SIMT_SITE)
{
    simt_mma m = {c, a, b, 0};

    simt_warp("mma", simt_mma_m16n8k16, &m, GPU_ALL, file, line);
}

GPU_FN void gpu_mma_fp16(float c[4], const uint32_t a[4], const uint32_t b[2], SIMT_SITE)
{
    simt_mma m = {c, a, b, 1};

    simt_warp("mma", simt_mma_m16n8k16, &m, GPU_ALL, file, line);
}

GPU_FN void gpu_ldmatrix(uint32_t got[4], const void *row, SIMT_SITE)
{
    simt_matrix m = {got, row, 0};

    simt_warp("ldmatrix", simt_ldmatrix_x4, &m, GPU_ALL, file, line);
}

GPU_FN void gpu_ldmatrix_trans(uint32_t got[4], const void *row, SIMT_SITE)
{
    simt_matrix m = {got, row, 1};

    simt_warp("ldmatrix", simt_ldmatrix_x4, &m, GPU_ALL, file, line);
}

GPU_FN uint32_t gpu_pack_bf16(float low, float high)
{
    return simt_to_bf16(low) | (uint32_t)simt_to_bf16(high) << 16;
}

GPU_FN uint32_t gpu_pack_fp16(float low, float high)
{
    return simt_to_fp16(low) | (uint32_t)simt_to_fp16(high) << 16;
}

GPU_FN float gpu_from_fp16(uint16_t x)
{
    return simt_from_fp16(x);
}

GPU_FN float gpu_from_bf16(uint16_t x)
{
    return simt_from_bf16(x);
}

GPU_FN float gpu_exp2(float x)
{
    return exp2f(x);
}

#endif
#endif
