/* SPDX-License-Identifier: Apache-2.0
 *
 * plugins/attn_cuda/device: the class device/cuda, and what its services share.
 *
 *  (1) A service finds the open device of its call through the host, as the private extension CUDA_EXT_DEVICE.
 *  (2) Host lists (runs, rows, positions, targets; ADR 0006) reach the card through a ring: a service copies its list
 *      into pinned memory, which the stream carries over, and the kernels read it at the address that cuda_stage gives,
 *      until the service's next but many lists. The ring has two halves; before one is used again the card must have
 *      passed what was enqueued when it was left. So a list costs a copy on the host and no waiting.
 *  (3) `room` is device memory for partial sums inside one service call. All services of a device run in one stream,
 *      one after the other, so one room serves them all.
 *  (4) Services are called by one thread at a time, as every call of a model is.
 */
#ifndef LOCI_ATTN_CUDA_DEVICE_H
#define LOCI_ATTN_CUDA_DEVICE_H

#include <loci/device.h>
#include <loci/ops.h>
#include <loci/scan.h>

#include "blas.h"
#include "rt.h"

#ifdef __cplusplus
extern "C" {
#endif

#define CUDA_EXT_DEVICE "loci.cuda.device/1"
#ifndef CUDA_STAGE_BYTES
#define CUDA_STAGE_BYTES (UINT64_C(16) << 20) /* of the ring, both halves */
#endif
#define CUDA_ROOM_BYTES (UINT64_C(16) << 20)

struct cuda_ring {
    char *pinned, *device;
    void *mark[2]; /* passed when half i is free */
    uint64_t at;   /* the next byte              */
    int marked[2];
};

struct loci_module {
    const loci_host *host;
    rt_card card;
    struct cuda_ring ring;
    char *room;
    cuda_blas blas; /* without a handle: products by gemm.cu */
};

extern const loci_class loci_device_cuda_class;
extern const loci_ops loci_cuda_ops;   /* ops.c */
extern const loci_scan loci_cuda_scan; /* scan.c */

loci_status cuda_refuse(loci_error *err, loci_status code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* LOCI_OK, or the failure of the runtime `why` as an error of `op`. */
loci_status cuda_done(const char *op, const char *why, loci_error *err);
/* The device of the call. */
loci_module *cuda_device(const loci_exec *x);

/* (2): *pinned is where to write `bytes` of a list; the card will find them at *device once cuda_send has been called.
 * Lists of a call are opened and sent one by one. */
loci_status cuda_stage(const loci_exec *x, const char *op, uint64_t bytes, void **pinned, void **device,
                       loci_error *err);
loci_status cuda_send(const loci_exec *x, const char *op, const void *pinned, uint64_t bytes, loci_error *err);
/* Both, for a list that lies ready. */
loci_status cuda_list(const loci_exec *x, const char *op, const void *list, uint64_t bytes, const void **device,
                      loci_error *err);

const char *cuda_ring_open(struct cuda_ring *ring);
void cuda_ring_close(struct cuda_ring *ring);

#ifdef __cplusplus
}
#endif
#endif
