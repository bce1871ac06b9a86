/* SPDX-License-Identifier: Apache-2.0
 *
 * The context: registry, device and the table of services that every plugin sees.
 *
 * (1) The table only forwards: memory and parallel work to the device, children and caches to the nodes.
 * (2) The device is chosen once: the first of run.order whose class is there and fits, or the one that run.device names.
 */
#include "core/model/node_impl.h"
#include "core/device/cpu.h"
#include "core/device/fused.h"
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif
#include <string.h>

#ifndef LOCI_VERSION
#define LOCI_VERSION PACKAGE_VERSION
#endif

#define SELF(h) ((loci_context *)(uintptr_t)(h))

static void host_log(const loci_host *h, int32_t level, const char *module, const char *msg)
{
    (void)h;
    loci_log(level, module, "%s", msg);
}

static void *host_alloc(const loci_host *h, uint64_t bytes)
{
    (void)h;
    return bytes > SIZE_MAX / 2 ? NULL : loci_alloc((size_t)bytes);
}

static void host_free(const loci_host *h, void *p)
{
    (void)h;
    loci_free(p);
}

static uint32_t host_workers(const loci_host *h)
{
    return SELF(h)->device_class->workers(SELF(h)->device_module);
}

static loci_status host_parallel_for(const loci_exec *x, int64_t n, int64_t grain, loci_task_fn fn, void *arg)
{
    return SELF(x->host)->device_class->parallel_for(SELF(x->host)->device_module, n, grain, fn, arg);
}

static const void *host_get_ext(const loci_host *h, loci_device device, const char *id)
{
    if (device.type != SELF(h)->device.type)
        return NULL;
    return SELF(h)->device_class->get_ext(SELF(h)->device_module, id);
}

static loci_status host_child_need(const loci_child *c, const loci_shape *shape, int32_t op, loci_need *need,
                                   loci_error *err)
{
    return loci_node_need(LOCI_NODE(c), shape, op, need, err);
}

static uint64_t host_child_state_bytes(const loci_child *c, const loci_shape *shape)
{
    return loci_node_state_bytes(LOCI_NODE(c), shape->session);
}

static uint64_t host_child_caps(const loci_child *c)
{
    return loci_node_caps(LOCI_NODE(c));
}

static loci_status host_child_forward(const loci_child *c, const loci_exec *x, const loci_io *io, loci_error *err)
{
    return loci_node_forward(LOCI_NODE(c), x, io, err);
}

static loci_status host_child_backward(const loci_child *c, const loci_exec *x, const loci_io *io, loci_error *err)
{
    return loci_node_backward(LOCI_NODE(c), x, io, err);
}

static loci_status host_child_copy(const loci_child *c, const loci_exec *x, const loci_batch *b, uint32_t parts,
                                   void *dst, const void *src, loci_error *err)
{
    return loci_node_copy(LOCI_NODE(c), x, b, parts, dst, src, err);
}

static loci_status host_child_add(const loci_child *c, const loci_exec *x, const loci_batch *b, uint32_t parts,
                                  void *dst, const void *src, loci_error *err)
{
    return src ? loci_node_add(LOCI_NODE(c), x, b, parts, dst, src, err)
               : loci_node_copy(LOCI_NODE(c), x, b, parts, dst, NULL, err);
}

static void fill_host(loci_context *cx)
{
    cx->host = (loci_host){.struct_size = sizeof(loci_host),
                           .abi_major = LOCI_ABI_MAJOR,
                           .abi_draft = LOCI_ABI_DRAFT,
                           .name = "loci",
                           .version = LOCI_VERSION,
                           .log = host_log,
                           .alloc = host_alloc,
                           .free = host_free,
                           .declare = loci_host_declare,
                           .declare_gate = loci_host_declare_gate,
                           .declare_sub = loci_host_declare_sub,
                           .workers = host_workers,
                           .parallel_for = host_parallel_for,
                           .get_ext = host_get_ext,
                           .child_need = host_child_need,
                           .child_state_bytes = host_child_state_bytes,
                           .child_forward = host_child_forward,
                           .child_backward = host_child_backward,
                           .child_copy = host_child_copy,
                           .child_add = host_child_add,
                           .append = loci_host_append,
                           .append_back = loci_host_append_back,
                           .attend = loci_host_attend,
                           .attend_back = loci_host_attend_back,
                           .child_caps = host_child_caps};
}

/* ---- the registry and the sections that need a class ------------------------------------------------------------ */

struct loading {
    loci_context *cx;
    bool allow_unknown;
    loci_status status;
    loci_error *err;
};

/* [memory.titans] is named in a config: load the class, so that its keys can be checked even if another arm uses it. */
static void load_section(void *arg, const char *section)
{
    struct loading *l = arg;
    char kind[64];
    const char *dot = strchr(section, '.');
    const loci_class *cls = NULL;
    size_t n = dot ? (size_t)(dot - section) : 0;
    char *wanted;
    loci_error err = LOCI_ERROR_INIT;

    if (l->status != LOCI_OK || n == 0 || n >= sizeof kind)
        return;
    memcpy(kind, section, n);
    kind[n] = '\0';
    if (!loci_kind_long(kind))
        return; /* no kind: the check reports an unknown section */
    wanted = loci_format("section [%s]", section);
    l->status = loci_registry_find(l->cx->registry, &cls, kind, dot + 1, wanted, &err);
    if (l->status == LOCI_OK)
        l->status = loci_conf_schema(l->cx->conf, section, cls->keys, cls->n_keys, &err);
    if (l->status != LOCI_OK && l->allow_unknown) {
        loci_log(LOCI_LOG_WARN, "config", "%s", err.msg);
        l->status = LOCI_OK;
    } else if (l->status != LOCI_OK) {
        loci_fail(l->err, l->status, "%s", err.msg);
    }
    loci_free(wanted);
}

static loci_status add_path_item(void *arg, const char *item, loci_error *err)
{
    return loci_registry_path(arg, item, true, err);
}

/* [plugin.ID] file = PATH: that file, whatever the folders hold. */
static void load_named_file(void *arg, const char *section, const char *key, const char *value, const char *origin)
{
    struct loading *l = arg;
    loci_error err = LOCI_ERROR_INIT;

    if (l->status != LOCI_OK || strncmp(section, "plugin.", 7) || strcmp(key, "file"))
        return;
    l->status = loci_registry_load_file(l->cx->registry, value, &err);
    if (l->status != LOCI_OK)
        loci_fail(l->err, l->status, "%s: %s", origin, err.msg);
}

loci_status loci_context_registry(loci_registry **out, const loci_conf *conf, const char *path_option, loci_error *err)
{
    loci_status status = LOCI_OK;
    const char *how = loci_conf_str(conf, -1, "plugins", "ownership");
    char *defaults = NULL;

    LOCI_TRY(loci_registry_new(out,
                               !strcmp(how, "check")  ? LOCI_OWNERSHIP_CHECK
                               : !strcmp(how, "warn") ? LOCI_OWNERSHIP_WARN
                                                      : LOCI_OWNERSHIP_OFF,
                               err));
    LOCI_TRY(loci_registry_builtin(*out, &loci_cpu_plugin, err));
    if (path_option)
        LOCI_TRY(loci_registry_path(*out, path_option, true, err));
    if (loci_plugin_env_path())
        LOCI_TRY(loci_registry_path(*out, loci_plugin_env_path(), true, err));
    LOCI_TRY(loci_conf_split(loci_conf_str(conf, -1, "plugins", "path"), add_path_item, *out, err));
    defaults = loci_plugin_default_path();
    LOCI_TRY(defaults ? loci_registry_path(*out, defaults, false, err)
                      : loci_fail(err, LOCI_E_NOMEM, "out of memory for the plugin path"));
out:
    loci_free(defaults);
    return status;
}

/* ---- the device -------------------------------------------------------------------------------------------------- */

struct order {
    loci_context *cx;
    bool done, named;
};

static loci_status try_device(void *arg, const char *id, loci_error *err)
{
    loci_status status = LOCI_OK;
    struct order *o = arg;
    loci_context *cx = o->cx;
    const loci_class *cls = NULL;
    loci_fit fit = {sizeof fit, 0, ""};
    loci_shape shape = {.struct_size = sizeof shape};
    loci_config config = {.struct_size = sizeof config};
    loci_site site = {sizeof site, 0, 0, 0, "device"};
    loci_error why = LOCI_ERROR_INIT;
    bool there = false;

    if (o->done)
        return LOCI_OK;
    for (uint32_t i = 0; i < loci_registry_n(cx->registry); i++)
        if (!strcmp(loci_registry_entry(cx->registry, i)->kind, "device") &&
            !strcmp(loci_registry_entry(cx->registry, i)->id, id))
            there = true;
    if (!there && !o->named) {
        loci_log(LOCI_LOG_DEBUG, "select", "device %s: no plugin provides it", id);
        return LOCI_OK;
    }
    if (!strcmp(id, "cpu")) {
        LOCI_TRY(loci_cpu_open(&cx->device_module, &cx->device_class,
                               (int)loci_conf_int(cx->conf, -1, "run", "threads"), err));
        LOCI_TRY(loci_registry_find(cx->registry, &cx->device_meta, "device", id, NULL, err));
    } else {
        status = loci_registry_find(cx->registry, &cls, "device", id, "run.device", &why);
        if (status == LOCI_OK)
            status = cls->fit(&cx->host, &config, &shape, &fit);
        if (status == LOCI_OK && fit.score > 0)
            status = cls->create(&cx->host, &config, &site, &shape, &cx->device_module, &why);
        if (status != LOCI_OK || fit.score <= 0) {
            const char *reason = status != LOCI_OK ? why.msg : fit.reason;
            if (o->named)
                return loci_fail(err, LOCI_E_PLUGIN, "%s: run.device = %s, but %s; run.device = auto goes on without it",
                                 loci_conf_origin(cx->conf, -1, "run", "device"), id, reason);
            loci_log(LOCI_LOG_INFO, "select", "device %s: not used: %s", id, reason);
            return LOCI_OK;
        }
        cx->device_class = cls->iface;
        cx->device_meta = cls;
    }
    cx->device = (loci_device){cx->device_class->type, 0};
    cx->ops = cx->device_class->get_ext(cx->device_module, LOCI_EXT_OPS);
    cx->fused = cx->device_class->get_ext(cx->device_module, LOCI_EXT_FUSED);
    o->done = true;
out:
    return status;
}

/* run.compute = bf16 is of float32 and of the cpu. */
static loci_status set_compute(loci_context *cx, loci_error *err)
{
    const char *origin = loci_conf_origin(cx->conf, -1, "run", "compute");
    loci_error why = LOCI_ERROR_INIT;

    if (strcmp(loci_conf_str(cx->conf, -1, "run", "compute"), "bf16") != 0)
        return LOCI_OK;
    if (!strcmp(loci_conf_str(cx->conf, -1, "run", "dtype"), "f64"))
        return loci_fail(err, LOCI_E_CONFIG, "%s: run.compute = bf16 rounds float32, and run.dtype is f64: change one",
                         origin);
    if (cx->device.type != LOCI_CPU)
        return loci_fail(err, LOCI_E_UNSUPPORTED, "%s: run.compute = bf16 is of the cpu only: set run.device = cpu",
                         origin);
    if (loci_cpu_round_products(cx->device_module, &why) != LOCI_OK)
        return loci_fail(err, LOCI_E_UNSUPPORTED, "%s: %s", origin, why.msg);
    return LOCI_OK;
}

static loci_status open_device(loci_context *cx, loci_error *err)
{
    loci_status status = LOCI_OK;
    const char *want = loci_conf_str(cx->conf, -1, "run", "device");
    struct order o = {cx, false, strcmp(want, "auto") != 0};

    if (o.named)
        LOCI_TRY(try_device(&o, want, err));
    else
        LOCI_TRY(loci_conf_split(loci_conf_str(cx->conf, -1, "run", "order"), try_device, &o, err));
    if (!o.done)
        status = loci_fail(err, LOCI_E_PLUGIN, "none of the devices of run.order = %s can be used: add cpu to it",
                           loci_conf_str(cx->conf, -1, "run", "order"));
    else if (!cx->ops)
        status = loci_fail(err, LOCI_E_PLUGIN, "the device has no %s", LOCI_EXT_OPS);
out:
    return status;
}

loci_status loci_context_new(loci_context **out, loci_conf *conf, const char *path_option, bool allow_unknown,
                             loci_error *err)
{
    loci_status status = LOCI_OK;
    loci_context *cx = loci_alloc(sizeof *cx);
    struct loading loading = {cx, allow_unknown, LOCI_OK, err};

    *out = NULL;
    if (!cx)
        return loci_fail(err, LOCI_E_NOMEM, "out of memory for the context");
    cx->conf = conf;
    cx->declare_error = (loci_error)LOCI_ERROR_INIT;
    fill_host(cx);
    LOCI_TRY(loci_context_registry(&cx->registry, conf, path_option, err));
    if (loci_conf_each(conf, load_named_file, &loading) != LOCI_OK)
        LOCI_TRY(loci_fail(err, LOCI_E_NOMEM, "out of memory for the sections of the config"));
    LOCI_TRY(loading.status);
    loci_conf_unknown_sections(conf, load_section, &loading);
    LOCI_TRY(loading.status);
    LOCI_TRY(loci_conf_check(conf, allow_unknown, err));
    LOCI_TRY(open_device(cx, err));
    LOCI_TRY(set_compute(cx, err));
    *out = cx;
    return LOCI_OK;
out:
    loci_context_free(cx);
    return status;
}

void loci_context_free(loci_context *cx)
{
    if (!cx)
        return;
    if (cx->device_module)
        cx->device_meta->destroy(cx->device_module);
    loci_registry_free(cx->registry);
    loci_text_free(&cx->choices);
    loci_free(cx);
}

void *loci_device_alloc(loci_context *cx, uint64_t bytes)
{
    void *p = bytes > SIZE_MAX / 2 ? NULL : cx->device_class->alloc(cx->device_module, bytes);

    if (p && cx->device_class->zero(cx->device_module, NULL, p, bytes) != LOCI_OK) {
        cx->device_class->free(cx->device_module, p);
        p = NULL;
    }
    return p;
}

void loci_device_free(loci_context *cx, void *p)
{
    cx->device_class->free(cx->device_module, p);
}
