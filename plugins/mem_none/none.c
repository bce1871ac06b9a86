/* SPDX-License-Identifier: Apache-2.0
 *
 * mem_none: two memories that remember nothing.
 *
 *     zero        y = 0     the composition with its memory switched off, but still in place
 *     identity    y = v     the memory replaced by a pointwise map: front end and output path stay, time does not mix
 *
 *  (1) Neither has state. zero needs no stream, so the host projects nothing; identity needs v.
 *  (2) READ carries no v: identity reads 0, for an empty memory answers nothing.
 *  (3) Tokens outside the runs are left alone.
 */
#include <loci/author.h>
#include <loci/ops.h>
#include <stdio.h>

#define fail(err, code, ...) loci_refuse(err, code, "memory/none", __VA_ARGS__)

struct loci_module {
    const loci_host *host;
    const loci_ops *ops;
    int identity;
};

static loci_status fit(const loci_host *host, const loci_config *config, const loci_shape *shape, loci_fit *f)
{
    (void)config;
    f->score = 0;
    if (shape->dtype.code != LOCI_FLOAT || (shape->dtype.bits != 32 && shape->dtype.bits != 64))
        snprintf(f->reason, sizeof f->reason, "copies float32 or float64 only");
    else if (!host->get_ext(host, shape->device, LOCI_EXT_OPS))
        snprintf(f->reason, sizeof f->reason, "the device offers no " LOCI_EXT_OPS);
    else {
        f->score = 100;
        snprintf(f->reason, sizeof f->reason, "nothing to compute");
    }
    return LOCI_OK;
}

static void destroy(loci_module *m)
{
    m->host->free(m->host, m);
}

static loci_status create(const loci_host *host, const loci_shape *shape, int identity, loci_module **out,
                          loci_error *err)
{
    loci_module *m = host->alloc(host, sizeof *m);

    if (!m)
        return fail(err, LOCI_E_NOMEM, "out of memory");
    m->host = host;
    m->ops = host->get_ext(host, shape->device, LOCI_EXT_OPS);
    m->identity = identity;
    if (!m->ops) {
        destroy(m);
        return fail(err, LOCI_E_DEVICE, "the device offers no " LOCI_EXT_OPS ": choose another device");
    }
    *out = m;
    return LOCI_OK;
}

static loci_status create_zero(const loci_host *host, const loci_config *config, const loci_site *site,
                               const loci_shape *shape, loci_module **out, loci_error *err)
{
    (void)config;
    (void)site;
    return create(host, shape, 0, out, err);
}

static loci_status create_identity(const loci_host *host, const loci_config *config, const loci_site *site,
                                   const loci_shape *shape, loci_module **out, loci_error *err)
{
    (void)config;
    (void)site;
    return create(host, shape, 1, out, err);
}

static loci_status plan(loci_module *m, const loci_shape *shape, int32_t op, loci_need *need, loci_error *err)
{
    (void)m;
    (void)shape;
    (void)op;
    (void)need;
    (void)err;
    return LOCI_OK;
}

/* A run's tokens of a tensor [B,T,H,e], as [len,H,e]; shape is room for its three sizes. */
static loci_tensor tokens(const loci_tensor *of, const loci_run *r, int64_t shape[3])
{
    loci_tensor t = *of;

    shape[0] = r->len;
    shape[1] = of->shape[2];
    shape[2] = of->shape[3];
    t.ndim = 3;
    t.shape = shape;
    t.strides = of->strides + 1;
    t.byte_offset += (uint64_t)(r->row * of->strides[0] + r->begin * of->strides[1]) * (t.dtype.bits / 8);
    return t;
}

static loci_status forward(loci_module *m, const loci_exec *x, const loci_slots *s, const loci_rule_io *io,
                           loci_error *err)
{
    loci_status status = LOCI_OK;

    (void)s;
    for (uint32_t i = 0; io->op != LOCI_OP_WRITE && i < io->batch->n_runs && status == LOCI_OK; i++) {
        const loci_run *r = &io->batch->runs[i];
        int64_t shape[2][3];

        if (r->len == 0)
            continue;
        const loci_tensor y = tokens(io->y, r, shape[0]);

        if (m->identity && io->op == LOCI_OP_STEP) {
            const loci_tensor v = tokens(io->v, r, shape[1]);

            status = m->ops->map1(x, LOCI_MAP_COPY, &y, &v, 1, 0, err);
        } else {
            status = m->ops->fill(x, &y, 0, err);
        }
    }
    return status;
}

static loci_status backward(loci_module *m, const loci_exec *x, const loci_slots *s, const loci_rule_io *io,
                            loci_error *err)
{
    loci_status status = LOCI_OK;

    (void)s;
    if (!m->identity || io->op != LOCI_OP_STEP || !io->dv)
        return LOCI_OK;
    for (uint32_t i = 0; i < io->batch->n_runs && status == LOCI_OK; i++) {
        const loci_run *r = &io->batch->runs[i];
        int64_t shape[2][3];

        if (r->len == 0)
            continue;
        const loci_tensor dv = tokens(io->dv, r, shape[0]), dy = tokens(io->dy, r, shape[1]);

        status = m->ops->map1(x, LOCI_MAP_COPY, &dv, &dy, 1, 1, err);
    }
    return status;
}

static const loci_memory zero_iface = {.struct_size = sizeof(loci_memory), .forward = forward, .backward = backward};
static const loci_memory identity_iface = {
    .struct_size = sizeof(loci_memory), .needs = LOCI_MEM_V, .forward = forward, .backward = backward};

#define CLASS(name, text, formula) \
    static const loci_class name = {.struct_size = sizeof(loci_class), \
                                    .id = #name, \
                                    .kind = LOCI_KIND_MEMORY, \
                                    .version = "1.0", \
                                    .summary = text, \
                                    .doc = formula, \
                                    .caps = LOCI_CAP_BACKWARD | LOCI_CAP_STREAMING | LOCI_CAP_CAUSAL, \
                                    .fit = fit, \
                                    .create = create_##name, \
                                    .destroy = destroy, \
                                    .plan = plan, \
                                    .iface = &name##_iface}
CLASS(zero, "a memory that answers 0: the control of every comparison", "y = 0. No state.\n"
      "Cost: none.\n"
      "Use: what a composition reaches with its memory silenced; a memory that is no better than this does nothing.");
CLASS(identity, "a memory that answers v: a pointwise layer in its place",
      "y = v, and 0 for a READ, which carries no v. No state.\n"
      "Cost: a copy.\n"
      "Use: what the parameters of the front end reach without any memory behind them.");

static const loci_class *const classes[] = {&zero, &identity};

LOCI_EXPORT extern const loci_plugin loci_plugin_v1;
const loci_plugin loci_plugin_v1 = {LOCI_PLUGIN_HEAD, "mem_none", "1.0", "Apache-2.0", 2, 0, classes};
LOCI_PLUGIN_NOTE("class=memory/zero\nclass=memory/identity\n");
