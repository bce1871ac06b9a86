/* SPDX-License-Identifier: Apache-2.0
 *
 * oja_bare.c: the rule of oja.c on the bare ABI: loci/plugin.h, and loci/author.h for sentences. What loci/rule.h does
 * unseen is here in the open: keys, slots, gates, sizes, runs, ops, threads and the gradients' conventions.
 *
 *     M_i += beta v_i (k - v_i M_i)     y = M q                 see oja.c
 *
 *  (1) The file includes itself twice: the mathematics, at its end, is compiled for float and for double.
 *  (2) `saved` holds M before every token; loci/rule.h keeps sqrt(T) of them and computes the others again.
 *  (3) An item of parallel_for is a run and a head. No two write the same numbers, so threads change no bit.
 */
#ifndef REAL
#include <loci/author.h>
#include <string.h>

struct loci_module {
    const loci_host *host;
    int64_t heads, dk, dv;
    double beta_max;
    int bits;
    uint32_t M, beta;
};

typedef struct call {
    const loci_module *m;
    const loci_exec *x;
    const loci_slots *s;
    const loci_rule_io *io;
} call;

#define REAL float
#define NAME(f) f##_f32
#include "oja_bare.c"
#undef REAL
#undef NAME
#define REAL double
#define NAME(f) f##_f64
#include "oja_bare.c"

static const loci_key beta_max = {
    sizeof beta_max, LOCI_KEY_REAL, "beta_max", "0.5", "Largest step; stable for beta v^2 < 2.", NULL, 1e-6, 2};
static const loci_key *const keys[] = {&beta_max};

static loci_status fit(const loci_host *host, const loci_config *config, const loci_shape *shape, loci_fit *f)
{
    (void)host, (void)config;
    const loci_dtype t = shape->dtype;

    f->score = shape->device.type == LOCI_CPU && t.code == LOCI_FLOAT && t.bits == shape->acc.bits;
    snprintf(f->reason, sizeof f->reason, "%s", f->score ? "plain loops" : "float32 and float64 on the cpu only");
    return LOCI_OK;
}

static loci_status create(const loci_host *host, const loci_config *c, const loci_site *site, const loci_shape *shape,
                          loci_module **out, loci_error *err)
{
    loci_module *m = host->alloc(host, sizeof *m);

    (void)site;
    if (!m)
        return loci_refuse(err, LOCI_E_NOMEM, "memory/org.example.oja_bare", "out of memory");
    *m = (loci_module){.host = host, .heads = shape->heads, .dk = shape->dk, .dv = shape->dv, .bits = shape->acc.bits};
    m->beta_max = c->get_real(c->ctx, "beta_max");
    *out = m;
    return LOCI_OK;
}

static void destroy(loci_module *m)
{
    m->host->free(m->host, m);
}

static loci_status declare(loci_module *m, void *decl, loci_error *err)
{
    const int64_t shape[] = {-1, m->heads, m->dv, m->dk};
    const loci_slot slot = {
        .struct_size = sizeof slot, .flags = LOCI_SLOT_STATE, .name = "M", .ndim = 4, .shape = shape};
    const loci_gate gate = {sizeof gate, 0, "beta", 0, m->beta_max, m->beta_max / 2, 1};

    (void)err;
    LOCI_RETURN_IF(m->host->declare(m->host, decl, &slot, &m->M));
    return m->host->declare_gate(m->host, decl, &gate, &m->beta);
}

static loci_status plan(loci_module *m, const loci_shape *shape, int32_t op, loci_need *need, loci_error *err)
{
    LOCI_RETURN_IF(loci_countable(shape, "memory/org.example.oja_bare", err));
    if (op != LOCI_OP_READ && shape->flags & LOCI_X_SAVE)
        need->saved += (uint64_t)(shape->rows * shape->seq * m->heads * m->dv * m->dk) * (uint64_t)m->bits / 8;
    return LOCI_OK;
}

static loci_status run(loci_module *m, const loci_exec *x, const loci_slots *s, const loci_rule_io *io,
                       loci_task_fn item)
{
    call c = {m, x, s, io};

    return x->host->parallel_for(x, io->batch->n_runs * m->heads, 1, item, &c);
}

static loci_status forward(loci_module *m, const loci_exec *x, const loci_slots *s, const loci_rule_io *io,
                           loci_error *err)
{
    (void)err;
    return run(m, x, s, io, m->bits == 64 ? forward_f64 : forward_f32);
}

static loci_status backward(loci_module *m, const loci_exec *x, const loci_slots *s, const loci_rule_io *io,
                            loci_error *err)
{
    (void)err;
    return run(m, x, s, io, m->bits == 64 ? backward_f64 : backward_f32);
}

static const loci_memory iface = {sizeof iface, LOCI_MEM_Q | LOCI_MEM_K | LOCI_MEM_V, NULL, NULL, forward, backward};

static const loci_class oja = {
    .struct_size = sizeof oja,
    .state_version = 1,
    .id = "org.example.oja_bare",
    .kind = LOCI_KIND_MEMORY,
    .version = "1.0",
    .summary = "Oja's rule on the bare ABI",
    .doc = "M_i += beta v_i (k - v_i M_i);  y = M q\n"
           "Cost: 5 d^2 operations per token and head.\nSource: Oja 1982; Miconi, Clune, Stanley 2018.\nUse: as an example.",
    .caps = LOCI_CAP_BACKWARD | LOCI_CAP_STREAMING | LOCI_CAP_CAUSAL,
    .n_keys = 1,
    .keys = keys,
    .fit = fit,
    .create = create,
    .destroy = destroy,
    .declare = declare,
    .plan = plan,
    .iface = &iface,
};
static const loci_class *const classes[] = {&oja};

LOCI_EXPORT extern const loci_plugin loci_plugin_v1;
const loci_plugin loci_plugin_v1 = {LOCI_PLUGIN_HEAD, "mem_oja_bare", "1.0", "Apache-2.0", 1, 0, classes};
LOCI_PLUGIN_NOTE("class=memory/org.example.oja_bare\n");

#else /* ---- the mathematics, in REAL ---- */

/* Element n of token i of a run at head h in a [B,T,H,...] tensor. Inputs may broadcast: the last stride is 1 or 0. */
static REAL *NAME(at)(const loci_tensor *t, const loci_run *r, int64_t i, int64_t h, int64_t n)
{
    const int64_t last = t->ndim > 3 ? t->strides[3] : 0;

    return (REAL *)loci_ptr(t) + r->row * t->strides[0] + (r->begin + i) * t->strides[1] + h * t->strides[2] + n * last;
}

/* Row n of M in a state tensor, and of M before token i in `saved`. */
static REAL *NAME(row)(const loci_tensor *t, const loci_run *r, int64_t h, int64_t n)
{
    return (REAL *)loci_ptr(t) + r->state * t->strides[0] + h * t->strides[1] + n * t->strides[2];
}

static REAL *NAME(kept)(const call *c, const loci_run *r, int64_t i, int64_t h, int64_t n)
{
    const int64_t token = r->row * c->io->v->shape[1] + r->begin + i;

    return (REAL *)c->x->saved + ((token * c->m->heads + h) * c->m->dv + n) * c->m->dk;
}

static void NAME(forward_row)(const call *c, const loci_run *r, int64_t h, int64_t n)
{
    const loci_rule_io *io = c->io;
    const int64_t dk = c->m->dk;
    const REAL *old = NAME(row)(&c->s->state_in[c->m->M], r, h, n);
    REAL *M = NAME(row)(&c->s->state_out[c->m->M], r, h, n);

    memmove(M, old, (size_t)dk * sizeof *M);
    for (int64_t i = 0; i < r->len; i++) {
        if (io->op != LOCI_OP_READ) {
            const REAL v = *NAME(at)(io->v, r, i, h, n), push = *NAME(at)(io->gate[c->m->beta], r, i, h, 0) * v;

            if (c->x->flags & LOCI_X_SAVE)
                memcpy(NAME(kept)(c, r, i, h, n), M, (size_t)dk * sizeof *M);
            for (int64_t x = 0; x < dk; x++)
                M[x] = (1 - push * v) * M[x] + push * *NAME(at)(io->k, r, i, h, x);
        }
        if (io->op != LOCI_OP_WRITE) {
            REAL y = 0;

            for (int64_t x = 0; x < dk; x++)
                y += M[x] * *NAME(at)(io->q, r, i, h, x);
            *NAME(at)(io->y, r, i, h, n) = y;
        }
    }
}

/* G is the row of state_grad: the gradient of M after the token, then before it. See oja.c for the adjoint. */
static void NAME(backward_row)(const call *c, const loci_run *r, int64_t h, int64_t n)
{
    const loci_rule_io *io = c->io;
    const int64_t dk = c->m->dk;
    REAL *G = NAME(row)(&c->s->state_grad[c->m->M], r, h, n);

    for (int64_t i = r->len - 1; i >= 0; i--) {
        const int writes = io->op != LOCI_OP_READ;
        const REAL *M = writes ? NAME(kept)(c, r, i, h, n) : NAME(row)(&c->s->state_in[c->m->M], r, h, n);
        const REAL dy = io->op != LOCI_OP_WRITE ? *NAME(at)(io->dy, r, i, h, n) : 0;
        const REAL v = writes ? *NAME(at)(io->v, r, i, h, n) : 0;
        const REAL beta = writes ? *NAME(at)(io->gate[c->m->beta], r, i, h, 0) : 0, push = beta * v;
        REAL gk = 0, gm = 0;

        for (int64_t x = 0; x < dk; x++) {
            const REAL k = writes ? *NAME(at)(io->k, r, i, h, x) : 0;

            if (io->op != LOCI_OP_WRITE) { /* it read M after the write */
                *NAME(at)(io->dq, r, i, h, x) += dy * ((1 - push * v) * M[x] + push * k);
                G[x] += dy * *NAME(at)(io->q, r, i, h, x);
            }
            gk += G[x] * k;
            gm += G[x] * M[x];
            if (writes)
                *NAME(at)(io->dk, r, i, h, x) += push * G[x];
            G[x] *= 1 - push * v;
        }
        if (writes) {
            *NAME(at)(io->dgate[c->m->beta], r, i, h, 0) += v * (gk - v * gm);
            *NAME(at)(io->dv, r, i, h, n) += beta * (gk - 2 * v * gm);
        }
    }
}

static void NAME(items)(const call *c, int64_t begin, int64_t end,
                        void row(const call *, const loci_run *, int64_t, int64_t))
{
    for (int64_t item = begin; item < end; item++)
        for (int64_t n = 0; n < c->m->dv; n++)
            row(c, &c->io->batch->runs[item / c->m->heads], item % c->m->heads, n);
}

static void NAME(forward)(void *arg, int64_t begin, int64_t end, uint32_t worker)
{
    (void)worker;
    NAME(items)(arg, begin, end, NAME(forward_row));
}

static void NAME(backward)(void *arg, int64_t begin, int64_t end, uint32_t worker)
{
    (void)worker;
    NAME(items)(arg, begin, end, NAME(backward_row));
}

#endif
