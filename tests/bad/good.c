/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/bad/good.c: the smallest complete plugin, the memory that answers every query with the query: y = q.
 *
 * The files beside it are this one with a single thing wrong. Each defines what it spoils and includes this text, so
 * that a check which refuses one of them can have no other reason.
 */
#include <loci/plugin.h>

#include <stdio.h>
#include <string.h>

#ifndef ID
#define ID "identity"
#endif
#ifndef NOTE
#define NOTE "class=memory/identity\n"
#endif
#ifndef HEAD
#define HEAD LOCI_PLUGIN_HEAD
#endif
#ifndef ENTRY
#define ENTRY loci_plugin_v1
#endif
#ifndef FORWARD
#define FORWARD forward
#endif
#ifndef KEYS
#define KEYS .n_keys = 0
#endif

struct loci_module {
    const loci_host *host;
};

static loci_status fit(const loci_host *host, const loci_config *config, const loci_shape *s, loci_fit *out)
{
    const int real = s->dtype.code == LOCI_FLOAT && (s->dtype.bits == 32 || s->dtype.bits == 64);
    const char *why = !real                        ? "float32 and float64 only"
                      : s->dk != s->dv             ? "queries and values must have one width"
                      : s->device.type != LOCI_CPU ? "memory of the cpu only"
                                                   : "copies queries";
    (void)host;
    (void)config;
    out->score = real && s->dk == s->dv && s->device.type == LOCI_CPU ? 50 : 0;
    snprintf(out->reason, sizeof out->reason, "%s", why);
    return LOCI_OK;
}

static loci_status create(const loci_host *host, const loci_config *config, const loci_site *site,
                          const loci_shape *shape, loci_module **out, loci_error *err)
{
    (void)config;
    (void)site;
    (void)shape;
    *out = host->alloc(host, sizeof **out);
    if (!*out) {
        LOCI_SET(err, loci_error, code, LOCI_E_NOMEM);
        if (LOCI_HAS(err, loci_error, msg))
            snprintf(err->msg, sizeof err->msg, "out of memory");
        return LOCI_E_NOMEM;
    }
    (*out)->host = host;
    return LOCI_OK;
}

static void destroy(loci_module *m)
{
    m->host->free(m->host, m);
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

/* to += or := from, for every token of the runs; both are [B,T,H,d]. */
static void each_token(const loci_batch *batch, const loci_tensor *to, const loci_tensor *from, int add)
{
    const int64_t heads = to->shape[2], width = to->shape[3], bytes = to->dtype.bits / 8;
    for (uint32_t i = 0; i < batch->n_runs; i++) {
        const loci_run *r = &batch->runs[i];
        for (int64_t t = r->begin; t < (int64_t)r->begin + r->len; t++)
            for (int64_t h = 0; h < heads; h++) {
                char *a =
                    (char *)loci_ptr(to) + bytes * (r->row * to->strides[0] + t * to->strides[1] + h * to->strides[2]);
                const char *b = (const char *)loci_ptr(from) +
                                bytes * (r->row * from->strides[0] + t * from->strides[1] + h * from->strides[2]);
                if (!add)
                    memcpy(a, b, (size_t)(bytes * width));
                for (int64_t c = 0; add && c < width; c++) {
                    if (bytes == 8)
                        ((double *)(void *)a)[c] += ((const double *)(const void *)b)[c];
                    else
                        ((float *)(void *)a)[c] += ((const float *)(const void *)b)[c];
                }
            }
    }
}

static loci_status forward(loci_module *m, const loci_exec *exec, const loci_slots *slots, const loci_rule_io *io,
                           loci_error *err)
{
    (void)m;
    (void)exec;
    (void)slots;
    (void)err;
    if (io->op != LOCI_OP_WRITE)
        each_token(io->batch, io->y, io->q, 0);
    return LOCI_OK;
}

static loci_status backward(loci_module *m, const loci_exec *exec, const loci_slots *slots, const loci_rule_io *io,
                            loci_error *err)
{
    (void)m;
    (void)exec;
    (void)slots;
    (void)err;
    if (io->op != LOCI_OP_WRITE && io->dq)
        each_token(io->batch, io->dq, io->dy, 1);
    return LOCI_OK;
}

/* A spoiled file may leave forward out of the table. */
static const void *const used[] __attribute__((used)) = {(const void *)&forward};

static const loci_memory rule = {
    .struct_size = sizeof rule, .needs = LOCI_MEM_Q, .forward = FORWARD, .backward = backward};

static const loci_class identity = {.struct_size = sizeof identity,
                                    .id = ID,
                                    .kind = LOCI_KIND_MEMORY,
                                    .version = "1.0",
                                    .summary = "answers a query with the query",
                                    .doc = "y = q",
                                    .caps = LOCI_CAP_BACKWARD | LOCI_CAP_STREAMING | LOCI_CAP_CAUSAL,
                                    KEYS,
                                    .fit = fit,
                                    .create = create,
                                    .destroy = destroy,
                                    .plan = plan,
                                    .iface = &rule};
static const loci_class *const classes[] = {&identity};

LOCI_EXPORT extern const loci_plugin ENTRY;
const loci_plugin ENTRY = {HEAD, "identity", "1.0", "Apache-2.0", 1, 0, classes};
#ifndef NO_NOTE
LOCI_PLUGIN_NOTE(NOTE);
#endif
