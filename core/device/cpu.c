/* SPDX-License-Identifier: Apache-2.0
 *
 * core/device/cpu: see cpu.h. The class, the choice of kernels, and the few services that need no kernel.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif
#include "core/device/cpu.h"
#include "core/device/fused.h"
#include "core/device/gemm.h"
#include "core/device/gemm_tile.h"
#include "core/device/kern.h"
#include "core/device/pool.h"
#include "core/device/scan.h"
#include "isa/amx_may.h"

#include <stdlib.h>
#include <string.h>
#if LOCI_HAVE_ONEDNN
#include <dnnl.h>
#endif

struct loci_module {
    loci_pool *pool;
    loci_kern_set kern;
};

/* ---- the choice of kernels -------------------------------------------------------------------------------------- */

static int machine_level(void)
{
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
        if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
            __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl"))
            return LOCI_HAVE_AMX && amx_bits() && amx_permitted() ? LOCI_CPU_AMX : LOCI_CPU_AVX512;
        return LOCI_CPU_AVX2;
    }
#endif
    return LOCI_CPU_REF;
}

loci_status loci_cpu_level(int *level, loci_error *err)
{
    static const char *const names[] = {"ref", "avx2", "avx512", "amx"};
    const char *cap = getenv("LOCI_CPU");
    int have = machine_level();

    *level = have;
    if (!cap || !*cap)
        return LOCI_OK;
    for (int i = 0; i <= LOCI_CPU_AMX; i++)
        if (strcmp(cap, names[i]) == 0) {
            *level = i < have ? i : have;
            return LOCI_OK;
        }
    return loci_fail(err, LOCI_E_ARG, "environment LOCI_CPU is '%s': set it to ref, avx2, avx512 or amx, or unset it",
                     cap);
}

/* oneDNN takes a cap only before its first product; later the first one stays, which changes speed, not meaning. */
static void cap_libraries(int level)
{
#if LOCI_HAVE_ONEDNN
    if (level == LOCI_CPU_AVX2 && machine_level() > LOCI_CPU_AVX2)
        dnnl_set_max_cpu_isa(dnnl_cpu_isa_avx2);
    if (level == LOCI_CPU_AVX512 && machine_level() > LOCI_CPU_AVX512)
        dnnl_set_max_cpu_isa(dnnl_cpu_isa_avx512_core_bf16);
#else
    (void)level;
#endif
}

static void choose_kernels(loci_kern_set *set, int level)
{
    set->level = level;
    set->f64 = &loci_kern_f64;
#define LOCI_KERN(isa, need) \
    if (level >= (need)) \
        set->f32 = &loci_kern_f32_##isa;
#include "core/device/kern.inc"
#undef LOCI_KERN
}

/* ---- services --------------------------------------------------------------------------------------------------- */

static void *cpu_alloc(loci_module *dev, uint64_t bytes)
{
    (void)dev;
    return bytes > SIZE_MAX / 2 ? NULL : loci_alloc((size_t)bytes);
}

static void cpu_free(loci_module *dev, void *p)
{
    (void)dev;
    loci_free(p);
}

#define MOVED (INT64_C(1) << 17) /* bytes that a task zeroes or copies */

struct move {
    char *dst;
    const char *src;
};

static void zero_task(void *arg, int64_t begin, int64_t end, uint32_t worker)
{
    const struct move *m = arg;

    (void)worker;
    memset(m->dst + begin, 0, (size_t)(end - begin));
}

static void copy_task(void *arg, int64_t begin, int64_t end, uint32_t worker)
{
    const struct move *m = arg;

    (void)worker;
    memcpy(m->dst + begin, m->src + begin, (size_t)(end - begin));
}

static loci_status cpu_zero(loci_module *dev, void *stream, void *dst, uint64_t bytes)
{
    (void)stream;
    loci_pool_run(dev->pool, (int64_t)bytes, MOVED, zero_task, &(struct move){dst, NULL});
    return LOCI_OK;
}

static loci_status cpu_copy(loci_module *dev, void *stream, void *dst, const void *src, uint64_t bytes)
{
    const uintptr_t to = (uintptr_t)dst, from = (uintptr_t)src;

    (void)stream;
    if (to + bytes <= from || from + bytes <= to)
        loci_pool_run(dev->pool, (int64_t)bytes, MOVED, copy_task, &(struct move){dst, src});
    else
        memmove(dst, src, (size_t)bytes);
    return LOCI_OK;
}

static uint32_t cpu_workers(loci_module *dev)
{
    return loci_pool_workers(dev->pool);
}

static loci_status cpu_parallel_for(loci_module *dev, int64_t n, int64_t grain, loci_task_fn fn, void *arg)
{
    loci_pool_run(dev->pool, n, grain, fn, arg);
    return LOCI_OK;
}

static const void *cpu_get_ext(loci_module *dev, const char *id)
{
    if (strcmp(id, LOCI_EXT_KERN) == 0)
        return &dev->kern;
    if (strcmp(id, LOCI_EXT_OPS) == 0)
        return &loci_cpu_ops;
    if (strcmp(id, LOCI_EXT_FUSED) == 0)
        return &loci_cpu_fused;
    if (strcmp(id, LOCI_EXT_SCAN) == 0)
        return loci_cpu_scan();
    return NULL;
}

/* ---- life ------------------------------------------------------------------------------------------------------- */

static loci_status open_device(loci_module **out, int threads, loci_error *err)
{
    loci_module *dev;
    int level;
    loci_status status = loci_cpu_level(&level, err);

    *out = NULL;
    if (status != LOCI_OK)
        return status;
    dev = loci_alloc(sizeof *dev);
    if (!dev || !(dev->pool = loci_pool_new(threads))) {
        loci_free(dev);
        return loci_fail(err, LOCI_E_NOMEM, "no memory for the threads of the cpu device");
    }
    choose_kernels(&dev->kern, level);
    cap_libraries(level);
    *out = dev;
    return LOCI_OK;
}

loci_status loci_cpu_round_with(loci_module *dev, const loci_tiles *tiles, size_t room, loci_error *err)
{
    if (dev->kern.bf16)
        return LOCI_OK;
    dev->kern.bf16 = loci_rooms_new(loci_pool_workers(dev->pool), room);
    dev->kern.tiles = tiles;
    return dev->kern.bf16 ? LOCI_OK : loci_fail(err, LOCI_E_NOMEM, "no memory for products in bf16");
}

loci_status loci_cpu_round_products(loci_module *dev, loci_error *err)
{
#if LOCI_HAVE_AMX
    if (dev->kern.level >= LOCI_CPU_AMX)
        return loci_cpu_round_with(dev, &loci_tiles_amx, LOCI_TILE_ROOM, err);
#endif
    if (dev->kern.level < LOCI_CPU_AVX512 || !loci_library_has_bf16())
        return loci_fail(
            err, LOCI_E_UNSUPPORTED,
            "products in bf16 need a processor with AMX, or oneDNN and one with AVX512-BF16, that LOCI_CPU "
            "does not cap: set run.compute = f32");
    return loci_cpu_round_with(dev, NULL, LOCI_BF16_ROOM, err);
}

void loci_cpu_close(loci_module *dev)
{
    if (!dev)
        return;
    loci_pool_free(dev->pool);
    loci_rooms_free(dev->kern.bf16);
    loci_free(dev);
}

static loci_status cpu_fit(const loci_host *host, const loci_config *conf, const loci_shape *shape, loci_fit *fit)
{
    (void)host;
    (void)conf;
    (void)shape;
    fit->score = 100;
    snprintf(fit->reason, sizeof fit->reason, "every machine has one");
    return LOCI_OK;
}

static loci_status cpu_create(const loci_host *host, const loci_config *conf, const loci_site *site,
                              const loci_shape *shape, loci_module **out, loci_error *err)
{
    (void)host;
    (void)conf;
    (void)site;
    (void)shape;
    return open_device(out, 0, err);
}

static const loci_device_class iface = {
    .struct_size = sizeof(loci_device_class),
    .type = LOCI_CPU,
    .alloc = cpu_alloc,
    .free = cpu_free,
    .zero = cpu_zero,
    .copy = cpu_copy,
    .up = cpu_copy,
    .down = cpu_copy,
    .workers = cpu_workers,
    .parallel_for = cpu_parallel_for,
    .get_ext = cpu_get_ext,
};

static const loci_class cpu_class = {
    .struct_size = sizeof(loci_class),
    .id = "cpu",
    .kind = LOCI_KIND_DEVICE,
    .version = "1.0.0",
    .summary = "host memory and a pool of threads",
    .doc =
        "Products by oneDNN or a CBLAS, one thread per block of C, those of bf16 by AMX; everything else by loops\n"
        "compiled for baseline x86-64, AVX2 and AVX-512. LOCI_CPU = ref, avx2, avx512, amx caps the instruction set.\n"
        "Cost: the bits of a result do not depend on the number of threads, the time does.\n"
        "Use: always there; run.device = cpu names it.",
    .fit = cpu_fit,
    .create = cpu_create,
    .destroy = loci_cpu_close,
    .iface = &iface,
};

static const loci_class *const classes[] = {&cpu_class};

const loci_plugin loci_cpu_plugin = {LOCI_PLUGIN_HEAD, "cpu", "1.0.0", "Apache-2.0", 1, 0, classes};

loci_status loci_cpu_open(loci_module **out, const loci_device_class **cls, int threads, loci_error *err)
{
    *cls = &iface;
    return open_device(out, threads, err);
}
