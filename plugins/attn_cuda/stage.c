/* SPDX-License-Identifier: Apache-2.0
 *
 * plugins/attn_cuda/stage: host lists on their way to the card. See device.h (2).
 */
#include "device.h"

#include <string.h>

#define HALF (CUDA_STAGE_BYTES / 2)

const char *cuda_ring_open(struct cuda_ring *ring)
{
    void *pinned = NULL, *device = NULL;
    const char *why = rt_pinned(&pinned, CUDA_STAGE_BYTES);

    ring->pinned = pinned;
    if (!why)
        why = rt_malloc(&device, CUDA_STAGE_BYTES);
    ring->device = device;
    for (int i = 0; i < 2 && !why; i++)
        why = rt_mark_new(&ring->mark[i]);
    return why;
}

void cuda_ring_close(struct cuda_ring *ring)
{
    for (int i = 0; i < 2; i++)
        rt_mark_free(ring->mark[i]);
    rt_free(ring->device);
    if (ring->pinned)
        rt_unpin(ring->pinned);
    *ring = (struct cuda_ring){.at = 0};
}

loci_status cuda_stage(const loci_exec *x, const char *op, uint64_t bytes, void **pinned, void **device,
                       loci_error *err)
{
    struct cuda_ring *ring = &cuda_device(x)->ring;
    uint64_t half = ring->at / HALF;
    const char *why = NULL;

    bytes = (bytes + 63) & ~UINT64_C(63);
    if (bytes > HALF)
        return cuda_refuse(err, LOCI_E_UNSUPPORTED,
                           "%s: a list of %llu bytes; the cuda device takes %llu at a time: use shorter batches", op,
                           (unsigned long long)bytes, (unsigned long long)HALF);
    if (ring->at % HALF + bytes > HALF || ring->at == CUDA_STAGE_BYTES) { /* leave this half, enter the other */
        half = ring->at == CUDA_STAGE_BYTES ? 1 : half;
        why = rt_mark(ring->mark[half], x->stream);
        ring->marked[half] = 1;
        half = 1 - half;
        if (!why && ring->marked[half])
            why = rt_mark_wait(ring->mark[half]);
        ring->marked[half] = 0;
        ring->at = half * HALF;
    }
    *pinned = ring->pinned + ring->at;
    *device = ring->device + ring->at;
    ring->at += bytes;
    return cuda_done(op, why, err);
}

loci_status cuda_send(const loci_exec *x, const char *op, const void *pinned, uint64_t bytes, loci_error *err)
{
    const struct cuda_ring *ring = &cuda_device(x)->ring;

    if (!bytes)
        return LOCI_OK;
    return cuda_done(op, rt_stage(x->stream, ring->device + ((const char *)pinned - ring->pinned), pinned, bytes), err);
}

loci_status cuda_list(const loci_exec *x, const char *op, const void *list, uint64_t bytes, const void **device,
                      loci_error *err)
{
    void *pinned, *there;
    loci_status status = cuda_stage(x, op, bytes, &pinned, &there, err);

    if (status != LOCI_OK)
        return status;
    if (bytes)
        memcpy(pinned, list, (size_t)bytes);
    *device = there;
    return cuda_send(x, op, pinned, bytes, err);
}
