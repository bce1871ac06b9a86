/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/unit/host.h: the smallest host: the CPU device and nothing else, so that operations, scans and plugins can be
 * called without a model. What belongs to a model (declare, children, caches) is NULL.
 *
 *     struct ck_host h;
 *     CK_OK(ck_host_open(&h, 2, &ck_err));
 *     loci_exec x = ck_exec(&h);
 *     ck_host_close(&h);
 */
#ifndef LOCI_TESTS_HOST_H
#define LOCI_TESTS_HOST_H

#include "core/device/cpu.h"
#ifdef CK_CARD
#include "tests/simt/card.h"
#endif

struct ck_host {
    loci_host host; /* first, so that a loci_host * is a struct ck_host * */
    loci_module *dev;
    const loci_device_class *cls;
};

static inline void ck_host_log(const loci_host *h, int32_t level, const char *module, const char *msg)
{
    (void)h;
    (void)level;
    (void)module;
    (void)msg;
}

static inline void *ck_host_alloc(const loci_host *h, uint64_t bytes)
{
    (void)h;
    return loci_alloc((size_t)bytes);
}

static inline void ck_host_free(const loci_host *h, void *p)
{
    (void)h;
    loci_free(p);
}

static inline uint32_t ck_host_workers(const loci_host *h)
{
    const struct ck_host *c = (const struct ck_host *)h;
    return c->cls->workers(c->dev);
}

static inline loci_status ck_host_parallel_for(const loci_exec *x, int64_t n, int64_t grain, loci_task_fn fn, void *arg)
{
    const struct ck_host *c = (const struct ck_host *)x->host;
    return c->cls->parallel_for(c->dev, n, grain, fn, arg);
}

static inline const void *ck_host_get_ext(const loci_host *h, loci_device device, const char *id)
{
    const struct ck_host *c = (const struct ck_host *)h;
    return device.type == LOCI_CPU ? c->cls->get_ext(c->dev, id) : NULL;
}

static inline void ck_host_close(struct ck_host *c)
{
#ifdef CK_CARD
    ck_card_close(c->cls, c->dev);
#else
    loci_cpu_close(c->dev);
#endif
    c->dev = NULL;
}

/* threads: 0 for one per core. LOCI_CPU is read here. */
static inline loci_status ck_host_open(struct ck_host *c, int threads, loci_error *err)
{
    *c = (struct ck_host){
        .host =
            {
                .struct_size = sizeof(loci_host),
                .abi_major = LOCI_ABI_MAJOR,
                .abi_draft = LOCI_ABI_DRAFT,
                .name = "test",
                .version = "1",
                .log = ck_host_log,
                .alloc = ck_host_alloc,
                .free = ck_host_free,
                .workers = ck_host_workers,
                .parallel_for = ck_host_parallel_for,
                .get_ext = ck_host_get_ext,
            },
    };
#ifdef CK_CARD
    return ck_card_open(&c->host, &c->dev, &c->cls, threads, err);
#else
    return loci_cpu_open(&c->dev, &c->cls, threads, err);
#endif
}

/* Scratch, saved, host_scratch and flags are the test's to set. */
static inline loci_exec ck_exec(const struct ck_host *c)
{
    return (loci_exec){
        .struct_size = sizeof(loci_exec),
        .host = &c->host,
        .device = {LOCI_CPU, 0},
    };
}

#endif
