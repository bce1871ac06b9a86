/* SPDX-License-Identifier: Apache-2.0
 *
 * plugins/attn_cuda/device: see device.h. The class, memory and copies, and the few services that need no kernel.
 */
#include "device.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

loci_status cuda_refuse(loci_error *err, loci_status code, const char *format, ...)
{
    va_list args;

    if (err && err->code == LOCI_OK) {
        err->code = code;
        err->where = "cuda";
        va_start(args, format);
        vsnprintf(err->msg, sizeof err->msg, format, args);
        va_end(args);
    }
    return code;
}

loci_status cuda_done(const char *op, const char *why, loci_error *err)
{
    return why ? cuda_refuse(err, LOCI_E_DEVICE, "%s: the card reports: %s", op, why) : LOCI_OK;
}

loci_module *cuda_device(const loci_exec *x)
{
    return (loci_module *)(uintptr_t)x->host->get_ext(x->host, x->device, CUDA_EXT_DEVICE);
}

/* ---- memory and copies ------------------------------------------------------------------------------------------ */

static void *device_alloc(loci_module *dev, uint64_t bytes)
{
    void *p = NULL;

    (void)dev;
    return bytes > UINT64_MAX / 2 || rt_malloc(&p, bytes) ? NULL : p;
}

static void device_free(loci_module *dev, void *p)
{
    (void)dev;
    rt_free(p);
}

static loci_status told(loci_module *dev, const char *what, const char *why)
{
    char text[256];

    if (!why)
        return LOCI_OK;
    snprintf(text, sizeof text, "%s: the card reports: %s", what, why);
    dev->host->log(dev->host, LOCI_LOG_ERROR, "cuda", text);
    return LOCI_E_DEVICE;
}

static loci_status device_zero(loci_module *dev, void *stream, void *dst, uint64_t bytes)
{
    return bytes ? told(dev, "zero", rt_zero(stream, dst, bytes)) : LOCI_OK;
}

static loci_status device_copy(loci_module *dev, void *stream, void *dst, const void *src, uint64_t bytes)
{
    return bytes ? told(dev, "copy", rt_copy(stream, dst, src, bytes)) : LOCI_OK;
}

static loci_status device_up(loci_module *dev, void *stream, void *dst, const void *src, uint64_t bytes)
{
    return bytes ? told(dev, "up", rt_up(stream, dst, src, bytes)) : LOCI_OK;
}

static loci_status device_down(loci_module *dev, void *stream, void *dst, const void *src, uint64_t bytes)
{
    return bytes ? told(dev, "down", rt_down(stream, dst, src, bytes)) : LOCI_OK;
}

/* ---- host work, which a component does beside its device's: the caller's thread alone ---- */

static uint32_t device_workers(loci_module *dev)
{
    (void)dev;
    return 1;
}

static loci_status device_parallel_for(loci_module *dev, int64_t n, int64_t grain, loci_task_fn fn, void *arg)
{
    (void)dev;
    for (int64_t at = 0; at < n; at += grain)
        fn(arg, at, at + grain < n ? at + grain : n, 0);
    return LOCI_OK;
}

static const void *device_get_ext(loci_module *dev, const char *id)
{
    if (strcmp(id, CUDA_EXT_DEVICE) == 0)
        return dev;
    if (strcmp(id, LOCI_EXT_OPS) == 0)
        return &loci_cuda_ops;
    if (strcmp(id, LOCI_EXT_SCAN) == 0)
        return &loci_cuda_scan;
    return NULL;
}

/* ---- life ------------------------------------------------------------------------------------------------------- */

/* NULL, or why the card cannot be used. */
static const char *usable(rt_card *card)
{
    const char *why = rt_probe(card);

    return why || card->major >= 8 ? why : "the card is older than compute capability 8.0, which the kernels need";
}

static loci_status device_fit(const loci_host *host, const loci_config *conf, const loci_shape *shape, loci_fit *fit)
{
    rt_card card;
    const char *why = usable(&card);

    (void)host;
    (void)conf;
    (void)shape;
    fit->score = why ? 0 : 200;
    if (why)
        snprintf(fit->reason, sizeof fit->reason, "%s", why);
    else
        snprintf(fit->reason, sizeof fit->reason, "%s, compute capability %d.%d, %d processors, %llu MiB", card.name,
                 card.major, card.minor, card.processors, (unsigned long long)(card.memory >> 20));
    return LOCI_OK;
}

static void device_destroy(loci_module *dev)
{
    if (!dev)
        return;
    (void)rt_wait(NULL);
    cuda_blas_close(&dev->blas);
    cuda_ring_close(&dev->ring);
    rt_free(dev->room);
    dev->host->free(dev->host, dev);
}

static loci_status device_create(const loci_host *host, const loci_config *conf, const loci_site *site,
                                 const loci_shape *shape, loci_module **out, loci_error *err)
{
    loci_module *dev = host->alloc(host, sizeof *dev);
    void *room = NULL;
    const char *why;

    (void)conf;
    (void)site;
    (void)shape;
    *out = NULL;
    if (!dev)
        return cuda_refuse(err, LOCI_E_NOMEM, "no memory for the cuda device");
    dev->host = host;
    if ((why = usable(&dev->card)) || (why = cuda_ring_open(&dev->ring)) || (why = rt_malloc(&room, CUDA_ROOM_BYTES))) {
        device_destroy(dev);
        return cuda_refuse(err, LOCI_E_DEVICE, "%s", why);
    }
    dev->room = room;
    cuda_blas_open(&dev->blas, host);
    *out = dev;
    return LOCI_OK;
}

static const loci_device_class iface = {
    .struct_size = sizeof(loci_device_class),
    .type = LOCI_CUDA,
    .alloc = device_alloc,
    .free = device_free,
    .zero = device_zero,
    .copy = device_copy,
    .up = device_up,
    .down = device_down,
    .workers = device_workers,
    .parallel_for = device_parallel_for,
    .get_ext = device_get_ext,
};

const loci_class loci_device_cuda_class = {
    .struct_size = sizeof(loci_class),
    .id = "cuda",
    .kind = LOCI_KIND_DEVICE,
    .version = "1.0",
    .summary = "an NVIDIA card of compute capability 8.0 or later",
    .doc =
        "Memory, copies, loci.ops/1 and loci.scan/1 on card 0. Products by cuBLAS where it can be opened, in full\n"
        "float32, else by a kernel of loci's. Lists that the host makes (runs, rows, positions) are staged; nothing\n"
        "else crosses inside a step.\n"
        "Cost: sums have one order, whatever the card; products are cuBLAS's, the same bits on one card and version.\n"
        "Use: where there is such a card and driver; run.device = cuda names it, auto tries it first.",
    .fit = device_fit,
    .create = device_create,
    .destroy = device_destroy,
    .iface = &iface,
};
