/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/abi/golden_device.c: the golden plugin of devices: the class, and tables of loci.ops/1 and loci.scan/1 as a
 * host calls them.
 *
 * Memory is real. The services answer and compute nothing, but for sumsq, which says 42.
 */
#include "golden_parts.h"

#include <loci/device.h>
#include <loci/ops.h>
#include <loci/scan.h>
#include <stdlib.h>

LOCI_EXPORT extern const loci_plugin loci_plugin_v1;

struct loci_module {
    const loci_host *host;
};

/* loci_scan's plan is given no host. */
static const loci_host *the_host;

/* ---- loci.ops/1 ---- */

static loci_status gemm(const loci_exec *x, const loci_gemm *g, loci_error *err)
{
    HEARD(x->host, loci_ops, gemm, x, g, err);
    return LOCI_OK;
}

static loci_status fill(const loci_exec *x, const loci_tensor *out, double value, loci_error *err)
{
    HEARD(x->host, loci_ops, fill, x, out, value, err);
    return LOCI_OK;
}

static loci_status map1(const loci_exec *x, int32_t f, const loci_tensor *out, const loci_tensor *a, double alpha,
                        double beta, loci_error *err)
{
    HEARD(x->host, loci_ops, map1, x, f, out, a, alpha, beta, err);
    return LOCI_OK;
}

static loci_status map2(const loci_exec *x, int32_t f, const loci_tensor *out, const loci_tensor *a,
                        const loci_tensor *b, double alpha, double beta, loci_error *err)
{
    HEARD(x->host, loci_ops, map2, x, f, out, a, b, alpha, beta, err);
    return LOCI_OK;
}

static loci_status sum_rows(const loci_exec *x, const loci_tensor *out, const loci_tensor *a, double beta,
                            loci_error *err)
{
    HEARD(x->host, loci_ops, sum_rows, x, out, a, beta, err);
    return LOCI_OK;
}

static loci_status norm(const loci_exec *x, int32_t kind, const loci_tensor *y, const loci_tensor *in,
                        const loci_tensor *gain, const loci_tensor *stat, double eps, loci_error *err)
{
    HEARD(x->host, loci_ops, norm, x, kind, y, in, gain, stat, eps, err);
    return LOCI_OK;
}

static loci_status norm_back(const loci_exec *x, int32_t kind, const loci_tensor *dx, const loci_tensor *dgain,
                             const loci_tensor *in, const loci_tensor *gain, const loci_tensor *stat,
                             const loci_tensor *dy, loci_error *err)
{
    HEARD(x->host, loci_ops, norm_back, x, kind, dx, dgain, in, gain, stat, dy, err);
    return LOCI_OK;
}

static loci_status conv(const loci_exec *x, const loci_batch *batch, const loci_tensor *y, const loci_tensor *in,
                        const loci_tensor *w, const loci_tensor *tail_in, const loci_tensor *tail_out, loci_error *err)
{
    HEARD(x->host, loci_ops, conv, x, batch, y, in, w, tail_in, tail_out, err);
    return LOCI_OK;
}

static loci_status conv_back(const loci_exec *x, const loci_batch *batch, const loci_tensor *dx, const loci_tensor *dw,
                             const loci_tensor *tail_grad, const loci_tensor *in, const loci_tensor *w,
                             const loci_tensor *tail_in, const loci_tensor *dy, loci_error *err)
{
    HEARD(x->host, loci_ops, conv_back, x, batch, dx, dw, tail_grad, in, w, tail_in, dy, err);
    return LOCI_OK;
}

static loci_status take(const loci_exec *x, const loci_tensor *out, const loci_tensor *a, const loci_tensor *rows,
                        double beta, loci_error *err)
{
    HEARD(x->host, loci_ops, take, x, out, a, rows, beta, err);
    return LOCI_OK;
}

static loci_status put(const loci_exec *x, const loci_tensor *out, const loci_tensor *a, const loci_tensor *rows,
                       loci_error *err)
{
    HEARD(x->host, loci_ops, put, x, out, a, rows, err);
    return LOCI_OK;
}

static loci_status rope(const loci_exec *x, const loci_tensor *y, const loci_tensor *in, const loci_tensor *pos,
                        int64_t rot, double base, double dir, loci_error *err)
{
    HEARD(x->host, loci_ops, rope, x, y, in, pos, rot, base, dir, err);
    return LOCI_OK;
}

static loci_status xent(const loci_exec *x, const loci_tensor *loss, const loci_tensor *dlogits,
                        const loci_tensor *logits, const loci_tensor *target, double scale, loci_error *err)
{
    HEARD(x->host, loci_ops, xent, x, loss, dlogits, logits, target, scale, err);
    return LOCI_OK;
}

static loci_status sumsq(const loci_exec *x, const loci_tensor *a, double *out, loci_error *err)
{
    HEARD(x->host, loci_ops, sumsq, x, a, out, err);
    *out = 42;
    return LOCI_OK;
}

static loci_status adamw(const loci_exec *x, const loci_tensor *p, const loci_tensor *g, const loci_tensor *m,
                         const loci_tensor *v, const loci_adamw *step, loci_error *err)
{
    HEARD(x->host, loci_ops, adamw, x, p, g, m, v, step, err);
    return LOCI_OK;
}

static loci_status dot(const loci_exec *x, const loci_tensor *out, const loci_tensor *a, const loci_tensor *b,
                       double alpha, double beta, loci_error *err)
{
    HEARD(x->host, loci_ops, dot, x, out, a, b, alpha, beta, err);
    return LOCI_OK;
}

static const loci_ops ops = {.struct_size = sizeof ops,
                             .gemm = gemm,
                             .fill = fill,
                             .map1 = map1,
                             .map2 = map2,
                             .sum_rows = sum_rows,
                             .norm = norm,
                             .norm_back = norm_back,
                             .conv = conv,
                             .conv_back = conv_back,
                             .take = take,
                             .put = put,
                             .rope = rope,
                             .xent = xent,
                             .sumsq = sumsq,
                             .adamw = adamw,
                             .dot = dot};

/* ---- loci.scan/1 ---- */

static loci_status scan_plan(const loci_scan_io *io, const loci_shape *shape, loci_need *need, loci_error *err)
{
    HEARD(the_host, loci_scan, plan, io, shape, need, err);
    golden_tell_need(the_host, need, 16, 32, 48);
    return LOCI_OK;
}

static loci_status scan_forward(const loci_exec *x, const loci_scan_io *io, loci_error *err)
{
    HEARD(x->host, loci_scan, forward, x, io, err);
    return LOCI_OK;
}

static loci_status scan_backward(const loci_exec *x, const loci_scan_io *io, loci_error *err)
{
    HEARD(x->host, loci_scan, backward, x, io, err);
    return LOCI_OK;
}

static loci_status coef(const loci_exec *x, const loci_coef *c, loci_error *err)
{
    HEARD(x->host, loci_scan, coef, x, c, err);
    return LOCI_OK;
}

static loci_status coef_back(const loci_exec *x, const loci_coef *c, loci_error *err)
{
    HEARD(x->host, loci_scan, coef_back, x, c, err);
    return LOCI_OK;
}

static const loci_scan scan = {.struct_size = sizeof scan,
                               .plan = scan_plan,
                               .forward = scan_forward,
                               .backward = scan_backward,
                               .coef = coef,
                               .coef_back = coef_back};

/* ---- the device ---- */

static void *device_alloc(loci_module *m, uint64_t bytes)
{
    void *p = aligned_alloc(64, (size_t)((bytes + 63) & ~UINT64_C(63)));

    HEARD(m->host, loci_device_class, alloc, m, bytes);
    ANSWER(m->host, loci_device_class, alloc, p);
    return p;
}

static void device_free(loci_module *m, void *p)
{
    HEARD(m->host, loci_device_class, free, m, p);
    free(p);
}

static loci_status zero(loci_module *m, void *stream, void *dst, uint64_t bytes)
{
    HEARD(m->host, loci_device_class, zero, m, stream, dst, bytes);
    memset(dst, 0, (size_t)bytes);
    return LOCI_OK;
}

static loci_status copy(loci_module *m, void *stream, void *dst, const void *src, uint64_t bytes)
{
    HEARD(m->host, loci_device_class, copy, m, stream, dst, src, bytes);
    memcpy(dst, src, (size_t)bytes);
    return LOCI_OK;
}

static loci_status up(loci_module *m, void *stream, void *dst, const void *src, uint64_t bytes)
{
    HEARD(m->host, loci_device_class, up, m, stream, dst, src, bytes);
    memcpy(dst, src, (size_t)bytes);
    return LOCI_OK;
}

static loci_status down(loci_module *m, void *stream, void *dst, const void *src, uint64_t bytes)
{
    HEARD(m->host, loci_device_class, down, m, stream, dst, src, bytes);
    memcpy(dst, src, (size_t)bytes);
    return LOCI_OK;
}

static uint32_t workers(loci_module *m)
{
    HEARD(m->host, loci_device_class, workers, m);
    ANSWER(m->host, loci_device_class, workers, 3);
    return 3;
}

static loci_status parallel_for(loci_module *m, int64_t n, int64_t grain, loci_task_fn fn, void *arg)
{
    const uint32_t worker = 2;

    HEARD(m->host, loci_device_class, parallel_for, m, n, grain, fn, arg);
    SAY_CELLS(m->host, "ask", "loci_task_fn", arg, (int64_t)0, n, worker);
    fn(arg, 0, n, worker);
    return LOCI_OK;
}

static const void *get_ext(loci_module *m, const char *id)
{
    const void *table = !strcmp(id, LOCI_EXT_OPS) ? (const void *)&ops : !strcmp(id, LOCI_EXT_SCAN) ? &scan : NULL;

    HEARD(m->host, loci_device_class, get_ext, m, id);
    ANSWER(m->host, loci_device_class, get_ext, table);
    return table;
}

static const loci_device_class device = {.struct_size = sizeof device,
                                         .type = LOCI_CPU,
                                         .alloc = device_alloc,
                                         .free = device_free,
                                         .zero = zero,
                                         .copy = copy,
                                         .up = up,
                                         .down = down,
                                         .workers = workers,
                                         .parallel_for = parallel_for,
                                         .get_ext = get_ext};

static void tell_tables(const loci_host *h)
{
    TELL(h, loci_device_class, &device, struct_size);
    TELL(h, loci_device_class, &device, type);
    TELL(h, loci_device_class, &device, alloc);
    TELL(h, loci_device_class, &device, free);
    TELL(h, loci_device_class, &device, zero);
    TELL(h, loci_device_class, &device, copy);
    TELL(h, loci_device_class, &device, up);
    TELL(h, loci_device_class, &device, down);
    TELL(h, loci_device_class, &device, workers);
    TELL(h, loci_device_class, &device, parallel_for);
    TELL(h, loci_device_class, &device, get_ext);
}

/* ---- the class ---- */

static loci_status fit(const loci_host *host, const loci_config *config, const loci_shape *shape, loci_fit *out)
{
    HEARD(host, loci_class, fit, host, config, shape, out);
    golden_tell_plugin(host, &loci_plugin_v1);
    tell_tables(host);
    golden_read_shape(host, shape);
    golden_tell_fit(host, out);
    return LOCI_OK;
}

static loci_status create(const loci_host *host, const loci_config *config, const loci_site *site,
                          const loci_shape *shape, loci_module **out, loci_error *err)
{
    loci_module *m = host->alloc(host, sizeof *m);

    HEARD(host, loci_class, create, host, config, site, shape, out, err);
    golden_read_host(host);
    golden_read_site(host, site);
    if (!m)
        return LOCI_E_NOMEM;
    m->host = the_host = host;
    *out = m;
    ANSWER(host, loci_class, create, m);
    return LOCI_OK;
}

static void destroy(loci_module *m)
{
    HEARD(m->host, loci_class, destroy, m);
    m->host->free(m->host, m);
}

static const loci_class golden = {.struct_size = sizeof golden,
                                  .state_version = 1,
                                  .id = "golden",
                                  .kind = LOCI_KIND_DEVICE,
                                  .version = "1.0",
                                  .summary = "touches everything",
                                  .doc = "memory, and services that answer",
                                  .fit = fit,
                                  .create = create,
                                  .destroy = destroy,
                                  .iface = &device};
static const loci_class *const classes[] = {&golden};

const loci_plugin loci_plugin_v1 = {LOCI_PLUGIN_HEAD, "golden", "1.0", "Apache-2.0", 1, 0, classes};
LOCI_PLUGIN_NOTE("class=device/golden\n");
