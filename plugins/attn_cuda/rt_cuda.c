/* SPDX-License-Identifier: Apache-2.0
 *
 * plugins/attn_cuda/rt_cuda: rt.h by the CUDA runtime.
 *
 * cudaMallocHost and events are of ordinal 0, which rt_probe has made current: the process uses one card.
 */
#include "rt.h"

#include <cuda_runtime_api.h>
#include <stdio.h>
#include <string.h>

static const char *said(cudaError_t e)
{
    return e == cudaSuccess ? NULL : cudaGetErrorString(e);
}

const char *rt_probe(rt_card *card)
{
    struct cudaDeviceProp p;
    int n = 0;
    cudaError_t e = cudaGetDeviceCount(&n);

    if (e == cudaErrorInsufficientDriver)
        return "no NVIDIA driver is loaded, or it is older than the CUDA this plugin was built with";
    if (e != cudaSuccess || n < 1)
        return e == cudaSuccess || e == cudaErrorNoDevice ? "no CUDA card is visible to this process" : said(e);
    if ((e = cudaSetDevice(0)) != cudaSuccess || (e = cudaGetDeviceProperties(&p, 0)) != cudaSuccess)
        return said(e);
    snprintf(card->name, sizeof card->name, "%.*s", (int)sizeof card->name - 1, p.name);
    card->major = p.major;
    card->minor = p.minor;
    card->processors = p.multiProcessorCount;
    card->memory = p.totalGlobalMem;
    return NULL;
}

const char *rt_malloc(void **p, uint64_t bytes)
{
    cudaError_t e = cudaMalloc(p, bytes ? (size_t)bytes : 1);

    if (e != cudaSuccess) {
        *p = NULL;
        (void)cudaGetLastError(); /* asked and answered: not an error of the next launch */
    }
    return said(e);
}

void rt_free(void *p)
{
    (void)cudaFree(p);
}

const char *rt_pinned(void **p, uint64_t bytes)
{
    return said(cudaMallocHost(p, (size_t)bytes));
}

void rt_unpin(void *p)
{
    (void)cudaFreeHost(p);
}

const char *rt_zero(void *stream, void *dst, uint64_t bytes)
{
    return said(cudaMemsetAsync(dst, 0, (size_t)bytes, stream));
}

const char *rt_copy(void *stream, void *dst, const void *src, uint64_t bytes)
{
    return said(cudaMemcpyAsync(dst, src, (size_t)bytes, cudaMemcpyDeviceToDevice, stream));
}

const char *rt_up(void *stream, void *dst, const void *src, uint64_t bytes)
{
    cudaError_t e = cudaMemcpyAsync(dst, src, (size_t)bytes, cudaMemcpyHostToDevice, stream);

    return said(e == cudaSuccess ? cudaStreamSynchronize(stream) : e);
}

const char *rt_stage(void *stream, void *dst, const void *pinned, uint64_t bytes)
{
    return said(cudaMemcpyAsync(dst, pinned, (size_t)bytes, cudaMemcpyHostToDevice, stream));
}

const char *rt_down(void *stream, void *dst, const void *src, uint64_t bytes)
{
    cudaError_t e = cudaMemcpyAsync(dst, src, (size_t)bytes, cudaMemcpyDeviceToHost, stream);

    return said(e == cudaSuccess ? cudaStreamSynchronize(stream) : e);
}

const char *rt_wait(void *stream)
{
    return said(cudaStreamSynchronize(stream));
}

const char *rt_error(int e)
{
    return said((cudaError_t)e);
}

const char *rt_mark_new(void **mark)
{
    cudaEvent_t event = NULL;
    cudaError_t e = cudaEventCreateWithFlags(&event, cudaEventDisableTiming);

    *mark = event;
    return said(e);
}

void rt_mark_free(void *mark)
{
    if (mark)
        (void)cudaEventDestroy(mark);
}

const char *rt_mark(void *mark, void *stream)
{
    return said(cudaEventRecord(mark, stream));
}

const char *rt_mark_wait(void *mark)
{
    return said(cudaEventSynchronize(mark));
}
