/* SPDX-License-Identifier: Apache-2.0
 *
 * The kernels of toys.h.
 */
#include "plugins/attn_cuda/gpu.h"
#include "plugins/attn_cuda/attn_pair.h"
#include "toys.h"

__global__ void sum_kernel(const float *in, float *out)
{
    GPU_SHARED(bytes);
    float *part = (float *)bytes;
    int n = (int)threadIdx.x;

    part[n] = in[blockIdx.x * blockDim.x + threadIdx.x];
    __syncthreads();
    for (int half = (int)blockDim.x / 2; half; half /= 2) {
        if (n < half)
            part[n] += part[n + half];
        __syncthreads();
    }
    if (n == 0)
        out[blockIdx.x] = part[0];
}

extern "C" int toy_sum(const float *in, float *out, int blocks, int threads)
{
    return gpu_launch(sum_kernel, dim3((unsigned)blocks), dim3((unsigned)threads), (size_t)threads * 4, NULL, in, out);
}

__global__ void count_kernel(int *out)
{
    atomicAdd(out, 1);
}

extern "C" int toy_count(int *out, int blocks, int threads)
{
    return gpu_launch(count_kernel, dim3((unsigned)blocks), dim3((unsigned)threads), 0, NULL, out);
}

__global__ void wrong_kernel(int how, int *out)
{
    GPU_SHARED(bytes);
    int n = (int)threadIdx.x;

    if (how == TOY_TWO_LINES && n < 32)
        __syncthreads();
    else if (how == TOY_TWO_LINES)
        __syncthreads();
    if (how == TOY_ONE_LEAVES && n >= 32)
        return;
    if (how == TOY_ONE_LEAVES)
        __syncthreads();
    if (how == TOY_SHUFFLE_IN_BRANCH && n % 32 < 16)
        n = __shfl_sync(GPU_ALL, n, 3);
    if (how == TOY_TWO_SHUFFLES && n % 2)
        n = __shfl_sync(GPU_ALL, n, 3);
    else if (how == TOY_TWO_SHUFFLES)
        n = __shfl_sync(GPU_ALL, n, 5);
    if (how == TOY_PAST_THE_END && n == 0)
        bytes[64] = 1;
    if (how == TOY_COPY_IN_FLIGHT && n < 4) {
        gpu_copy16(bytes + 16 * n, out, 16);
        gpu_copy_commit();
    }
    if (how == TOY_ODD_ADDRESS && n == 0)
        gpu_copy16(bytes + 4, out, 16);
    __syncthreads();
    out[threadIdx.x] = n;
}

extern "C" int toy_wrong(int how, int *out)
{
    return gpu_launch(wrong_kernel, dim3(1), dim3(64), 64, NULL, how, out);
}

__global__ void fresh_kernel(float *out)
{
    GPU_SHARED(bytes);
    float *x = (float *)bytes;

    if (threadIdx.x < 16) {
        out[blockIdx.x * 16 + threadIdx.x] = x[threadIdx.x];
        x[threadIdx.x] = 1;
    }
}

extern "C" int toy_fresh(float *out)
{
    return gpu_launch(fresh_kernel, dim3(2), dim3(32), 64, NULL, out);
}

__global__ void copy_kernel(const float *in, float *before, float *after, int bytes)
{
    GPU_SHARED(room);
    float *mine = (float *)room + 4 * threadIdx.x;

    for (int n = 0; n < 4; n++)
        mine[n] = 7;
    gpu_copy16(mine, in + 4 * threadIdx.x, bytes);
    gpu_copy_commit();
    gpu_copy_commit();
    gpu_copy_wait<2>();
    for (int n = 0; n < 4; n++)
        before[4 * threadIdx.x + n] = mine[n];
    gpu_copy_wait<1>();
    for (int n = 0; n < 4; n++)
        after[4 * threadIdx.x + n] = mine[n];
}

extern "C" int toy_copy(const float *in, float *before, float *after, int bytes)
{
    return gpu_launch(copy_kernel, dim3(1), dim3(32), 512, NULL, in, before, after, bytes);
}

__global__ void product_kernel(const uint16_t *a, const uint16_t *b, float *c, int transposed, int fp16)
{
    GPU_SHARED(bytes);
    uint16_t *sa = (uint16_t *)bytes, *sb = sa + 256;
    int lane = (int)threadIdx.x, r = lane % 8, m = lane / 8;
    uint32_t fa[4], fb[4];
    float out[4] = {0, 0, 0, 0};

    for (int n = lane; n < 256; n += 32)
        sa[n] = a[n];
    for (int n = lane; n < 128; n += 32)
        sb[n] = b[n];
    __syncwarp();
    gpu_ldmatrix(fa, sa + (r + 8 * (m % 2)) * 16 + 8 * (m / 2));
    if (transposed) /* [16,8]: matrices 0 and 1 are k 0..7 and 8..15; 2 and 3 repeat them */
        gpu_ldmatrix_trans(fb, sb + (r + 8 * (m % 2)) * 8);
    else
        gpu_ldmatrix(fb, sb + r * 16 + 8 * (m % 2));
    if (fp16)
        gpu_mma_fp16(out, fa, fb);
    else
        gpu_mma_bf16(out, fa, fb);
    for (int n = 0; n < 4; n++)
        c[(lane / 4 + 8 * (n / 2)) * 8 + lane % 4 * 2 + n % 2] = out[n];
}

extern "C" int toy_product(const uint16_t *a, const uint16_t *b, float *c, int transposed, int fp16)
{
    return gpu_launch(product_kernel, dim3(1), dim3(32), 768, NULL, a, b, c, transposed, fp16);
}

__global__ void votes_kernel(uint32_t on, uint32_t *out)
{
    uint32_t lane = threadIdx.x;

    out[lane] = __ballot_sync(GPU_ALL, (int)(on >> lane & 1));
    out[32 + lane] = __shfl_up_sync(GPU_ALL, lane, 1);
    out[64 + lane] = __shfl_down_sync(GPU_ALL, lane, 1);
}

extern "C" int toy_votes(uint32_t on, uint32_t *out)
{
    return gpu_launch(votes_kernel, dim3(1), dim3(32), 0, NULL, on, out);
}

__global__ void round_kernel(const float *x, uint16_t *bf16, uint16_t *fp16, int n)
{
    for (int i = (int)threadIdx.x; i < n; i += 32) {
        bf16[i] = (uint16_t)gpu_pack_bf16(x[i], 0);
        fp16[i] = (uint16_t)gpu_pack_fp16(x[i], 0);
    }
}

extern "C" void toy_round(const float *x, uint16_t *bf16, uint16_t *fp16, int n)
{
    (void)gpu_launch(round_kernel, dim3(1), dim3(32), 0, NULL, x, bf16, fp16, n);
}

__global__ void philox_kernel(const uint32_t *counter, uint64_t key, uint32_t *out, int n)
{
    for (int i = (int)threadIdx.x; i < n; i += 32)
        out[i] = philox(counter[3 * i], counter[3 * i + 1], counter[3 * i + 2], (uint32_t)key, (uint32_t)(key >> 32));
}

extern "C" void toy_philox(const uint32_t *counter, uint64_t key, uint32_t *out, int n)
{
    (void)gpu_launch(philox_kernel, dim3(1), dim3(32), 0, NULL, counter, key, out, n);
}
