/* SPDX-License-Identifier: Apache-2.0
 *
 * The price of a call: a mixer that does nothing, made, planned and called through the host as any other.
 */
#include "core/bench/bench.h"
#include <string.h>

static char nothing;

static loci_status fit(const loci_host *host, const loci_config *conf, const loci_shape *shape, loci_fit *f)
{
    (void)host;
    (void)conf;
    (void)shape;
    f->score = 1;
    snprintf(f->reason, sizeof f->reason, "does nothing anywhere");
    return LOCI_OK;
}

static loci_status create(const loci_host *host, const loci_config *conf, const loci_site *site,
                          const loci_shape *shape, loci_module **out, loci_error *err)
{
    (void)host;
    (void)conf;
    (void)site;
    (void)shape;
    (void)err;
    *out = (loci_module *)(void *)&nothing;
    return LOCI_OK;
}

static void destroy(loci_module *m)
{
    (void)m;
}

static loci_status plan(loci_module *m, const loci_shape *shape, int32_t op, loci_need *need, loci_error *err)
{
    (void)m;
    (void)shape;
    (void)op;
    (void)err;
    need->scratch = need->saved = need->host = 0;
    return LOCI_OK;
}

static loci_status step(loci_module *m, const loci_exec *x, const loci_slots *s, const loci_io *io, loci_error *err)
{
    (void)m;
    (void)x;
    (void)s;
    (void)io;
    (void)err;
    return LOCI_OK;
}

static const loci_mixer iface = {sizeof iface, 0, step, step};

static const loci_class empty_class = {
    .struct_size = sizeof(loci_class),
    .id = "bench-empty",
    .kind = LOCI_KIND_MIXER,
    .version = "1.0.0",
    .summary = "does nothing: what a call costs",
    .doc = "y is left as it is.\nCost: that of a call.\nUse: by `loci bench call` alone.",
    .caps = LOCI_CAP_BACKWARD,
    .fit = fit,
    .create = create,
    .destroy = destroy,
    .plan = plan,
    .iface = &iface,
};
static const loci_class *const classes[] = {&empty_class};
static const loci_plugin plugin = {LOCI_PLUGIN_HEAD, "bench", "1.0.0", "Apache-2.0", 1, 0, classes};

loci_status loci_bench_empty(loci_bench_row *out, loci_context *cx, const loci_bench_how *how, loci_error *err)
{
    loci_status status = LOCI_OK;
    const loci_bench_size z = {.B = 1, .H = 1, .Hk = 1, .T = 1, .D = 16, .dtype = loci_f32};

    LOCI_TRY(loci_registry_builtin(cx->registry, &plugin, err));
    LOCI_TRY(loci_conf_set(cx->conf, "mixer.backend=bench-empty", "bench", err));
    LOCI_TRY(loci_bench_component(out, cx, "mixer", false, &z, how, err));
    out->tokens = 0;
out:
    return status;
}
