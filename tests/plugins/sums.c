/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/plugins/sums.c: the smallest mixer with a state: it takes no context but its own input, and what it promises
 * depends on its config.
 *
 *     s_t = s_{t-1} / 2 + x_t        y_t = w o s_t        backwards: s_t = s_{t+1} / 2 + x_t within the run
 *
 * `boaster` is the same mixer, but it promises with every config what its class does not.
 */
#include <loci/author.h>

struct loci_module {
    const loci_host *host;
    int64_t dim;
    int backwards;
    uint32_t w, s;
};

static const loci_key backwards = {sizeof backwards,
                                   LOCI_KEY_BOOL,
                                   "backwards",
                                   "no",
                                   "Sum from the end of a run, not from its beginning.",
                                   NULL,
                                   0,
                                   0};
static const loci_key *const keys[] = {&backwards};

static loci_status fit(const loci_host *host, const loci_config *config, const loci_shape *s, loci_fit *out)
{
    const int ok = s->dtype.code == LOCI_FLOAT && s->dtype.bits == 64 && s->device.type == LOCI_CPU;

    (void)host;
    (void)config;
    out->score = ok ? 50 : 0;
    snprintf(out->reason, sizeof out->reason, "%s", ok ? "running sums" : "float64 on the cpu only");
    return LOCI_OK;
}

static loci_status create(const loci_host *host, const loci_config *config, const loci_site *site,
                          const loci_shape *shape, loci_module **out, loci_error *err)
{
    loci_module *m = host->alloc(host, sizeof *m);

    (void)site;
    if (!m)
        return loci_refuse(err, LOCI_E_NOMEM, "mixer/sums", "out of memory");
    m->host = host;
    m->dim = shape->dim;
    m->backwards = config->get_int(config->ctx, "backwards") != 0;
    *out = m;
    return LOCI_OK;
}

static void destroy(loci_module *m)
{
    m->host->free(m->host, m);
}

static loci_status declare(loci_module *m, void *decl, loci_error *err)
{
    const int64_t state[] = {-1, m->dim};
    const loci_slot w = {
        .struct_size = sizeof w, .name = "scale.weight", .ndim = 1, .init = LOCI_INIT_CONST, .shape = &m->dim, .a = 1};
    const loci_slot s = {.struct_size = sizeof s, .flags = LOCI_SLOT_STATE, .name = "s", .ndim = 2, .shape = state};

    (void)err;
    LOCI_RETURN_IF(m->host->declare(m->host, decl, &w, &m->w));
    return m->host->declare(m->host, decl, &s, &m->s);
}

static loci_status plan(loci_module *m, const loci_shape *shape, int32_t op, loci_need *need, loci_error *err)
{
    (void)op;
    (void)err;
    if (shape->flags & LOCI_X_SAVE) /* the sums of every token */
        need->saved += (uint64_t)(shape->rows * shape->seq * m->dim) * 8;
    return LOCI_OK;
}

/* Token i, in the order of the sum, of a run of t [B,T,D]. */
static double *token(const loci_module *m, const loci_tensor *t, const loci_run *r, int64_t i)
{
    const int64_t at = r->begin + (m->backwards ? r->len - 1 - i : i);

    return (double *)loci_ptr(t) + r->row * t->strides[0] + at * t->strides[1];
}

static double *state(const loci_module *m, const loci_tensor *t, const loci_run *r)
{
    return (double *)loci_ptr(&t[m->s]) + r->state * m->dim;
}

static double *saved(const loci_module *m, const loci_exec *x, const loci_io *io, const loci_run *r, int64_t i)
{
    return (double *)x->saved + (r->row * io->x->shape[1] + r->begin + i) * m->dim;
}

static loci_status forward(loci_module *m, const loci_exec *x, const loci_slots *s, const loci_io *io, loci_error *err)
{
    const double *w = loci_ptr(&s->params[m->w]);

    if (io->ctx && io->ctx != io->x)
        return loci_refuse(err, LOCI_E_UNSUPPORTED, "mixer/sums", "a context other than x came: this mixer takes none");
    for (uint32_t k = 0; k < io->q->n_runs; k++) {
        const loci_run *r = &io->q->runs[k];
        const double *from = state(m, s->state_in, r);
        double *to = state(m, s->state_out, r);
        for (int64_t d = 0; d < m->dim; d++) {
            double sum = m->backwards ? 0 : from[d];
            for (int64_t i = 0; i < r->len; i++) {
                sum = sum / 2 + token(m, io->x, r, i)[d];
                token(m, io->y, r, i)[d] = w[d] * sum;
                if (x->flags & LOCI_X_SAVE)
                    saved(m, x, io, r, i)[d] = sum;
            }
            to[d] = m->backwards ? from[d] : sum;
        }
    }
    return LOCI_OK;
}

static loci_status backward(loci_module *m, const loci_exec *x, const loci_slots *s, const loci_io *io, loci_error *err)
{
    const double *w = loci_ptr(&s->params[m->w]);
    double *dw = loci_ptr(&s->grads[m->w]);

    (void)err;
    for (uint32_t k = 0; k < io->q->n_runs; k++) {
        const loci_run *r = &io->q->runs[k];
        double *g = state(m, s->state_grad, r);
        for (int64_t d = 0; d < m->dim; d++) {
            double sum = m->backwards ? 0 : g[d]; /* d(s_t) */
            for (int64_t i = r->len; i-- > 0; sum /= 2) {
                const double dy = token(m, io->dy, r, i)[d];
                dw[d] += dy * saved(m, x, io, r, i)[d];
                sum += dy * w[d];
                if (io->dx)
                    token(m, io->dx, r, i)[d] += sum;
            }
            if (!m->backwards)
                g[d] = sum;
        }
    }
    return LOCI_OK;
}

#define CAPS (LOCI_CAP_BACKWARD | LOCI_CAP_STREAMING | LOCI_CAP_CAUSAL)

static uint64_t promises(const loci_config *config)
{
    return config->get_int(config->ctx, "backwards") ? LOCI_CAP_BACKWARD : CAPS;
}

static uint64_t boasts(const loci_config *config)
{
    (void)config;
    return CAPS | LOCI_CAP_CONTEXT;
}

static const loci_mixer iface = {sizeof iface, 0, forward, backward};

#define CLASS(name, promises_) \
    static const loci_class class_##name = {.struct_size = sizeof class_##name, \
                                            .id = #name, \
                                            .kind = LOCI_KIND_MIXER, \
                                            .version = "1.0", \
                                            .summary = "running sums", \
                                            .doc = "s = s / 2 + x, y = w o s", \
                                            .caps = CAPS, \
                                            .n_keys = 1, \
                                            .keys = keys, \
                                            .fit = fit, \
                                            .create = create, \
                                            .destroy = destroy, \
                                            .declare = declare, \
                                            .plan = plan, \
                                            .iface = &iface, \
                                            .promises = promises_}
CLASS(sums, promises);
CLASS(boaster, boasts);
static const loci_class *const classes[] = {&class_sums, &class_boaster};

LOCI_EXPORT extern const loci_plugin loci_plugin_v1;
const loci_plugin loci_plugin_v1 = {LOCI_PLUGIN_HEAD, "sums", "1.0", "Apache-2.0", 2, 0, classes};
LOCI_PLUGIN_NOTE("class=mixer/sums\nclass=mixer/boaster\n");
