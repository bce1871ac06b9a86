/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/bad/device.h: a small device that is right, to be made wrong in one way, as base.h is for a memory: host memory
 * and one thread. Replaceable: COPY, PARALLEL_FOR.
 */
#include <loci/author.h>
#include <loci/device.h>

#include <stdlib.h>
#include <string.h>

#ifndef COPY
#define COPY copy
#endif
#ifndef PARALLEL_FOR
#define PARALLEL_FOR parallel_for
#endif

struct loci_module {
    const loci_host *host;
};

typedef loci_status copy_fn(loci_module *, void *, void *, const void *, uint64_t);
typedef loci_status parallel_fn(loci_module *, int64_t, int64_t, loci_task_fn, void *);
__attribute__((unused)) static copy_fn copy, COPY;
__attribute__((unused)) static parallel_fn parallel_for, PARALLEL_FOR;

static loci_status fit(const loci_host *host, const loci_config *config, const loci_shape *s, loci_fit *out)
{
    (void)host;
    (void)config;
    (void)s;
    out->score = 1;
    snprintf(out->reason, sizeof out->reason, "one thread, for tests");
    return LOCI_OK;
}

static loci_status create(const loci_host *host, const loci_config *config, const loci_site *site,
                          const loci_shape *shape, loci_module **out, loci_error *err)
{
    (void)config;
    (void)site;
    (void)shape;
    *out = host->alloc(host, sizeof **out);
    if (!*out)
        return loci_refuse(err, LOCI_E_NOMEM, "device/plain", "out of memory");
    (*out)->host = host;
    return LOCI_OK;
}

static void destroy(loci_module *m)
{
    m->host->free(m->host, m);
}

static void *dev_alloc(loci_module *m, uint64_t bytes)
{
    (void)m;
    return bytes > UINT64_C(1) << 40 ? NULL : aligned_alloc(64, (bytes + 64) & ~UINT64_C(63));
}

static void dev_free(loci_module *m, void *p)
{
    (void)m;
    free(p);
}

static loci_status zero(loci_module *m, void *stream, void *dst, uint64_t bytes)
{
    (void)m;
    (void)stream;
    memset(dst, 0, bytes);
    return LOCI_OK;
}

static loci_status copy(loci_module *m, void *stream, void *dst, const void *src, uint64_t bytes)
{
    (void)m;
    (void)stream;
    memmove(dst, src, bytes);
    return LOCI_OK;
}

static uint32_t workers(loci_module *m)
{
    (void)m;
    return 1;
}

static loci_status parallel_for(loci_module *m, int64_t n, int64_t grain, loci_task_fn fn, void *arg)
{
    (void)m;
    for (int64_t i = 0; i < n; i += grain)
        fn(arg, i, i + grain < n ? i + grain : n, 0);
    return LOCI_OK;
}

static const void *get_ext(loci_module *m, const char *id)
{
    (void)m;
    (void)id;
    return NULL;
}

static const loci_device_class iface = {.struct_size = sizeof iface,
                                        .type = LOCI_CPU,
                                        .alloc = dev_alloc,
                                        .free = dev_free,
                                        .zero = zero,
                                        .copy = COPY,
                                        .up = copy,
                                        .down = copy,
                                        .workers = workers,
                                        .parallel_for = PARALLEL_FOR,
                                        .get_ext = get_ext};
static const loci_class plain = {.struct_size = sizeof plain,
                                 .id = "plain",
                                 .kind = LOCI_KIND_DEVICE,
                                 .version = "1.0",
                                 .summary = "host memory and one thread, for tests",
                                 .doc = "Loops.\nUse: in tests.",
                                 .fit = fit,
                                 .create = create,
                                 .destroy = destroy,
                                 .iface = &iface};
static const loci_class *const classes[] = {&plain};

LOCI_EXPORT extern const loci_plugin loci_plugin_v1;
const loci_plugin loci_plugin_v1 = {LOCI_PLUGIN_HEAD, "plain", "1.0", "Apache-2.0", 1, 0, classes};
LOCI_PLUGIN_NOTE("class=device/plain\n");
