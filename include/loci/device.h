/* SPDX-License-Identifier: Apache-2.0
 *
 * loci/device.h: the fifth kind, loci.device/1: where tensors live and the services there.
 *
 * Only the author of a device includes it. A device class is registered like any other; its module is the device
 * opened. The host sends every service call of a run to the device of that run.
 */
#ifndef LOCI_DEVICE_H
#define LOCI_DEVICE_H

#include <loci/plugin.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LOCI_KIND_DEVICE "loci.device/1"

typedef struct loci_device_class {
    uint32_t struct_size;
    int32_t type; /* LOCI_CPU, LOCI_CUDA */
    /* 64-byte aligned, contents undefined; NULL when there is no memory. free accepts NULL. */
    void *(*alloc)(loci_module *, uint64_t bytes);
    void (*free)(loci_module *, void *);
    /* Whole ranges of bytes, in the order of the stream: within the device, and between it and host memory. `down` has
     * finished when it returns. */
    loci_status (*zero)(loci_module *, void *stream, void *dst, uint64_t bytes);
    loci_status (*copy)(loci_module *, void *stream, void *dst, const void *src, uint64_t bytes);
    loci_status (*up)(loci_module *, void *stream, void *device_dst, const void *host_src, uint64_t bytes);
    loci_status (*down)(loci_module *, void *stream, void *host_dst, const void *device_src, uint64_t bytes);
    uint32_t (*workers)(loci_module *);
    loci_status (*parallel_for)(loci_module *, int64_t n, int64_t grain, loci_task_fn, void *arg);
    const void *(*get_ext)(loci_module *, const char *id); /* loci.ops/1, loci.scan/1 */
} loci_device_class;

#ifdef __cplusplus
}
#endif
#endif
