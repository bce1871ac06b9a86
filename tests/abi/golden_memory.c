/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/abi/golden_memory.c: the golden plugin of memory rules: keys, slots, gates, rule_io, and loci.scan/1.
 *
 * The rule answers every token with what the services said, so that a host that runs it knows y:
 *
 *     y[.., j] = r[j mod R]          S_t = S_{t-1} + 1, from S_0 = w[0]          no input has a gradient, w has
 */
#include "golden_parts.h"

#include <loci/scan.h>

LOCI_EXPORT extern const loci_plugin loci_plugin_v1;

struct loci_module {
    const loci_host *host;
    uint32_t w, s, gate;
    double keys;
};


#define R 10
#define TENSORS_BYTES 4096 /* of scratch: small tensors, then the scan's scratch, then its saved */
#define SCAN_BYTES 16384

/* ---- keys ---- */

static const char steps_name[] = "steps", rate_name[] = "rate", on_name[] = "on", form_name[] = "form",
                  note_name[] = "note";
static const loci_key steps = {sizeof steps, LOCI_KEY_INT, steps_name, "3", "How many.", NULL, 1, 9};
static const loci_key rate = {sizeof rate, LOCI_KEY_REAL, rate_name, "0.5", "How fast.", NULL, 0, 1};
static const loci_key on = {sizeof on, LOCI_KEY_BOOL, on_name, "yes", "Whether.", NULL, 0, 0};
static const loci_key form = {sizeof form, LOCI_KEY_ENUM, form_name, "round", "Which.", "round|square", 0, 0};
static const loci_key note = {sizeof note, LOCI_KEY_STR, note_name, "none", "What else.", NULL, 0, 0};
static const loci_key *const keys[] = {&steps, &rate, &on, &form, &note};

static void tell_key(const loci_host *h, const loci_key *k)
{
    TELL(h, loci_key, k, struct_size);
    TELL(h, loci_key, k, type);
    TELL(h, loci_key, k, name);
    TELL(h, loci_key, k, def);
    TELL(h, loci_key, k, help);
    TELL(h, loci_key, k, choices);
    TELL(h, loci_key, k, min);
    TELL(h, loci_key, k, max);
}

/* 3 + 0.5 + 1 + 5 + 4 as long as nothing is configured. */
static double read_keys(const loci_host *h, const loci_config *c)
{
    double sum;

    GOT(h, loci_config, c, struct_size);
    GOT(h, loci_config, c, reserved0);
    GOT(h, loci_config, c, ctx);
    GOT(h, loci_config, c, get_int);
    GOT(h, loci_config, c, get_real);
    GOT(h, loci_config, c, get_str);
    sum = (double)ASK(h, loci_config, c, get_int, c->ctx, steps_name);
    sum += ASK(h, loci_config, c, get_real, c->ctx, rate_name);
    sum += (double)ASK(h, loci_config, c, get_int, c->ctx, on_name);
    sum += (double)strlen(ASK(h, loci_config, c, get_str, c->ctx, form_name));
    return sum + (double)strlen(ASK(h, loci_config, c, get_str, c->ctx, note_name));
}

static void tell_rule(const loci_host *h, const loci_memory *rule)
{
    TELL(h, loci_memory, rule, struct_size);
    TELL(h, loci_memory, rule, needs);
    TELL(h, loci_memory, rule, state_init);
    TELL(h, loci_memory, rule, state_init_back);
    TELL(h, loci_memory, rule, forward);
    TELL(h, loci_memory, rule, backward);
}

/* ---- life ---- */

static loci_status fit(const loci_host *host, const loci_config *config, const loci_shape *shape, loci_fit *out)
{
    HEARD(host, loci_class, fit, host, config, shape, out);
    golden_tell_plugin(host, &loci_plugin_v1);
    tell_key(host, &form);
    tell_rule(host, loci_plugin_v1.classes[0]->iface);
    golden_read_shape(host, shape);
    golden_tell_fit(host, out);
    return LOCI_OK;
}

static loci_status create(const loci_host *host, const loci_config *config, const loci_site *site,
                          const loci_shape *shape, loci_module **out, loci_error *err)
{
    loci_module *m;
    void *spare;

    HEARD(host, loci_class, create, host, config, site, shape, out, err);
    golden_read_host(host);
    golden_read_site(host, site);
    m = ASK(host, loci_host, host, alloc, host, (uint64_t)sizeof *m);
    if (!m)
        return LOCI_E_NOMEM;
    CAME(host, loci_host, alloc, m);
    spare = host->alloc(host, 24);
    ASK(host, loci_host, host, free, host, spare);
    m->host = host;
    m->keys = read_keys(host, config);
    *out = m;
    ANSWER(host, loci_class, create, m);
    return LOCI_OK;
}

static void destroy(loci_module *m)
{
    HEARD(m->host, loci_class, destroy, m);
    m->host->free(m->host, m);
}

static void tell_slot(const loci_host *h, loci_slot *s, uint32_t flags, const char *name, int32_t ndim,
                      const int64_t *shape, int32_t init, double a)
{
    const loci_dtype as_is = {0, 0, 0};

    PUT(h, loci_slot, s, struct_size, sizeof *s);
    PUT(h, loci_slot, s, flags, flags);
    PUT(h, loci_slot, s, name, name);
    PUT(h, loci_slot, s, ndim, ndim);
    PUT(h, loci_slot, s, init, init);
    PUT(h, loci_slot, s, shape, shape);
    PUT(h, loci_slot, s, dtype, as_is);
    PUT(h, loci_slot, s, reserved0, 0);
    PUT(h, loci_slot, s, a, a);
    PUT(h, loci_slot, s, b, 0.125);
    PUT(h, loci_slot, s, window, 11);
}

static loci_status declare(loci_module *m, void *decl, loci_error *err)
{
    const loci_host *h = m->host;
    const int64_t weight[] = {1}, state[] = {-1, 1};
    loci_slot slot;
    loci_gate gate;
    loci_status status;

    HEARD(h, loci_class, declare, m, decl, err);
    tell_slot(h, &slot, LOCI_SLOT_NO_DECAY, "w", 1, weight, LOCI_INIT_CONST, 6.0);
    status = ASK(h, loci_host, h, declare, h, decl, &slot, &m->w);
    CAME(h, loci_host, declare, m->w);
    if (status != LOCI_OK)
        return status;
    tell_slot(h, &slot, LOCI_SLOT_STATE, "S", 2, state, LOCI_INIT_ZERO, 0.0);
    status = h->declare(h, decl, &slot, &m->s);
    if (status != LOCI_OK)
        return status;
    PUT(h, loci_gate, &gate, struct_size, sizeof gate);
    PUT(h, loci_gate, &gate, reserved0, 0);
    PUT(h, loci_gate, &gate, name, "g");
    PUT(h, loci_gate, &gate, lo, 0.25);
    PUT(h, loci_gate, &gate, hi, 0.75);
    PUT(h, loci_gate, &gate, init, 0.5);
    PUT(h, loci_gate, &gate, width, 2);
    return ASK(h, loci_host, h, declare_gate, h, decl, &gate, &m->gate);
}

/* ---- the scan: every member once, for plan, which reads only five of them ---- */

static void tell_scan(const loci_host *h, loci_scan_io *io, const loci_batch *batch, loci_tensor *t)
{
    PUT(h, loci_scan_io, io, struct_size, sizeof *io);
    PUT(h, loci_scan_io, io, scan, LOCI_SCAN_L);
    PUT(h, loci_scan_io, io, op, LOCI_OP_STEP);
    PUT(h, loci_scan_io, io, mode, LOCI_SCAN_SEQUENTIAL);
    PUT(h, loci_scan_io, io, chunk, 16);
    PUT(h, loci_scan_io, io, read_order, LOCI_SCAN_AFTER_WRITE);
    PUT(h, loci_scan_io, io, error, LOCI_SCAN_ERROR_UNDECAYED);
    PUT(h, loci_scan_io, io, reserved0, 0);
    PUT(h, loci_scan_io, io, scale, 0.5);
    PUT(h, loci_scan_io, io, loss_scale, 2.0);
    PUT(h, loci_scan_io, io, batch, batch);
    PUT(h, loci_scan_io, io, q, t++);
    PUT(h, loci_scan_io, io, k, t++);
    PUT(h, loci_scan_io, io, v, t++);
    PUT(h, loci_scan_io, io, g, t++);
    PUT(h, loci_scan_io, io, u, t++);
    PUT(h, loci_scan_io, io, w, t++);
    PUT(h, loci_scan_io, io, alpha, t++);
    PUT(h, loci_scan_io, io, eta, t++);
    PUT(h, loci_scan_io, io, theta, t++);
    PUT(h, loci_scan_io, io, y, t++);
    PUT(h, loci_scan_io, io, state_in, t++);
    PUT(h, loci_scan_io, io, state_out, t++);
    PUT(h, loci_scan_io, io, state_grad, t++);
    PUT(h, loci_scan_io, io, dy, t++);
    PUT(h, loci_scan_io, io, dq, t++);
    PUT(h, loci_scan_io, io, dk, t++);
    PUT(h, loci_scan_io, io, dv, t++);
    PUT(h, loci_scan_io, io, dg, t++);
    PUT(h, loci_scan_io, io, du, t++);
    PUT(h, loci_scan_io, io, dw, t++);
    PUT(h, loci_scan_io, io, dalpha, t++);
    PUT(h, loci_scan_io, io, deta, t++);
    PUT(h, loci_scan_io, io, dtheta, t++);
}

static const loci_scan *scan_of(const loci_host *h, loci_device device)
{
    const loci_scan *scan = ASK(h, loci_host, h, get_ext, h, device, LOCI_EXT_SCAN);

    CAME(h, loci_host, get_ext, scan);
    GOT(h, loci_scan, scan, struct_size);
    GOT(h, loci_scan, scan, reserved0);
    GOT(h, loci_scan, scan, plan);
    GOT(h, loci_scan, scan, forward);
    GOT(h, loci_scan, scan, backward);
    GOT(h, loci_scan, scan, coef);
    GOT(h, loci_scan, scan, coef_back);
    return scan;
}

static loci_status plan(loci_module *m, const loci_shape *shape, int32_t op, loci_need *need, loci_error *err)
{
    const loci_host *h = m->host;
    const loci_scan *scan = scan_of(h, shape->device);
    loci_shape one = *shape;
    loci_need sub = {sizeof sub, 0, 0, 0, 0};
    loci_tensor tensors[32] = {{0}};
    loci_batch batch = {sizeof batch, 0, NULL, NULL};
    loci_scan_io io;
    loci_status status;

    HEARD(h, loci_class, plan, m, shape, op, need, err);
    if (op == GOLDEN_NO_OP)
        return golden_refuse(h, err);
    PUT(h, loci_shape, &one, struct_size, sizeof one);
    one.rows = one.seq = one.ctx = one.runs = one.states = one.heads = one.k_heads = one.v_heads = one.dk = one.dv = 1;
    one.flags = LOCI_X_SAVE;
    tell_scan(h, &io, &batch, tensors);
    status = ASK(h, loci_scan, scan, plan, &io, &one, &sub, err);
    if (status != LOCI_OK)
        return status;
    GOT(h, loci_need, &sub, scratch);
    GOT(h, loci_need, &sub, saved);
    if (sub.scratch > SCAN_BYTES || sub.saved > SCAN_BYTES)
        return LOCI_E_INTERNAL;
    golden_tell_need(h, need, TENSORS_BYTES + 2 * SCAN_BYTES, 64, 64);
    return LOCI_OK;
}

/* One token of one head of width 1, k = 3, v = 2, q = 5, scale 1/2: S = 6, y = 15; dq = 3, dv = 7.5 for dy = 1. */
static loci_status ask_scan(const loci_host *h, const loci_exec *x, const loci_scan *scan, double *r, double **at,
                            loci_error *err)
{
    const int64_t one[] = {1, 1, 1, 1};
    const loci_run run = {0, 0, 1, 0, 1, 7};
    const loci_batch batch = {sizeof batch, 1, &run, NULL};
    golden_view v[16];
    loci_scan_io io;
    loci_status status;

    memset(&io, 0, sizeof io);
    io.struct_size = sizeof io;
    io.scan = LOCI_SCAN_L;
    io.op = LOCI_OP_STEP;
    io.chunk = 16;
    io.scale = 0.5;
    io.loss_scale = 1;
    io.batch = &batch;
    io.q = golden_make(&v[0], at, one, 5, 0);
    io.k = golden_make(&v[1], at, one, 3, 0);
    io.v = golden_make(&v[2], at, one, 2, 0);
    io.y = golden_make(&v[3], at, one, 0, 0);
    io.state_in = golden_make(&v[4], at, one, 0, 0);
    io.state_out = golden_make(&v[5], at, one, 0, 0);
    status = ASK(h, loci_scan, scan, forward, x, &io, err);
    r[0] = golden_first(io.y);
    r[1] = golden_first(io.state_out);
    if (status != LOCI_OK)
        return status;
    io.dy = golden_make(&v[6], at, one, 1, 0);
    io.state_grad = golden_make(&v[7], at, one, 0, 0);
    io.dq = golden_make(&v[8], at, one, 0, 0);
    io.dk = golden_make(&v[9], at, one, 0, 0);
    io.dv = golden_make(&v[10], at, one, 0, 0);
    status = ASK(h, loci_scan, scan, backward, x, &io, err);
    r[2] = golden_first(io.dq);
    r[3] = golden_first(io.dv);
    return status;
}

/* The tables of one token, alpha = 1/4, eta = 1/2, theta = 3, c = 2: beta_1 = 3/4, f_1 = m_1 = 1/2, G = N = 6. A cotangent
 * of 1 of beta_1 is -1 of alpha, of f_1 is +1 of eta, of G is c of theta. */
static loci_status ask_coef(const loci_host *h, const loci_exec *x, const loci_scan *scan, double *r, double **at,
                            loci_error *err)
{
    const int64_t gates[] = {1, 1, 1, 0}, table[] = {1, 1, 2, 0}, matrix[] = {1, 1, 2, 1}, last[] = {1, 1, 1, 0};
    golden_view v[16];
    loci_coef c;
    loci_status status;

    PUT(h, loci_coef, &c, struct_size, sizeof c);
    PUT(h, loci_coef, &c, reserved0, 0);
    PUT(h, loci_coef, &c, loss_scale, 2.0);
    PUT(h, loci_coef, &c, alpha, golden_make(&v[0], at, gates, 0.25, 0));
    PUT(h, loci_coef, &c, eta, golden_make(&v[1], at, gates, 0.5, 0));
    PUT(h, loci_coef, &c, theta, golden_make(&v[2], at, gates, 3, 0));
    PUT(h, loci_coef, &c, beta, golden_make(&v[3], at, table, 0, 0));
    PUT(h, loci_coef, &c, f, golden_make(&v[4], at, table, 0, 0));
    PUT(h, loci_coef, &c, m, golden_make(&v[5], at, table, 0, 0));
    PUT(h, loci_coef, &c, G, golden_make(&v[6], at, matrix, 0, 0));
    PUT(h, loci_coef, &c, N, golden_make(&v[7], at, matrix, 0, 0));
    PUT(h, loci_coef, &c, dbeta, golden_make(&v[8], at, table, 0, 1));
    PUT(h, loci_coef, &c, df, golden_make(&v[9], at, table, 0, 1));
    PUT(h, loci_coef, &c, dm, golden_make(&v[10], at, last, 0, 0));
    PUT(h, loci_coef, &c, dG, golden_make(&v[11], at, matrix, 0, 1));
    PUT(h, loci_coef, &c, dN, golden_make(&v[12], at, last, 0, 0));
    PUT(h, loci_coef, &c, dalpha, golden_make(&v[13], at, gates, 0, 0));
    PUT(h, loci_coef, &c, deta, golden_make(&v[14], at, gates, 0, 0));
    PUT(h, loci_coef, &c, dtheta, golden_make(&v[15], at, gates, 0, 0));
    status = ASK(h, loci_scan, scan, coef, x, &c, err);
    r[0] = ((const double *)c.beta->data)[1];
    r[1] = ((const double *)c.f->data)[1];
    r[2] = ((const double *)c.G->data)[1];
    if (status == LOCI_OK)
        status = ASK(h, loci_scan, scan, coef_back, x, &c, err);
    r[3] = golden_first(c.dalpha) + 10 * golden_first(c.deta) + 100 * golden_first(c.dtheta);
    return status;
}

/* ---- the rule ---- */

static void read_rule(const loci_host *h, const loci_rule_io *io)
{
    GOT(h, loci_rule_io, io, struct_size);
    GOT(h, loci_rule_io, io, op);
    GOT(h, loci_rule_io, io, batch);
    GOT(h, loci_rule_io, io, q);
    GOT(h, loci_rule_io, io, k);
    GOT(h, loci_rule_io, io, v);
    GOT(h, loci_rule_io, io, gate);
    GOT(h, loci_rule_io, io, y);
    GOT(h, loci_rule_io, io, dy);
    GOT(h, loci_rule_io, io, dq);
    GOT(h, loci_rule_io, io, dk);
    GOT(h, loci_rule_io, io, dv);
    GOT(h, loci_rule_io, io, dgate);
}

static loci_status forward(loci_module *m, const loci_exec *x, const loci_slots *slots, const loci_rule_io *io,
                           loci_error *err)
{
    const loci_host *h = m->host;
    const loci_scan *scan = scan_of(h, x->device);
    loci_exec own = *x;
    double r[R] = {0}, *at = x->scratch;
    loci_status status;

    HEARD(h, loci_memory, forward, m, x, slots, io, err);
    golden_read_exec(h, x);
    golden_read_slots(h, slots);
    read_rule(h, io);
    PUT(h, loci_exec, &own, struct_size, sizeof own);
    own.flags = LOCI_X_SAVE;
    own.scratch = (char *)x->scratch + TENSORS_BYTES;
    own.scratch_bytes = SCAN_BYTES;
    own.saved = (char *)x->scratch + TENSORS_BYTES + SCAN_BYTES;
    own.saved_bytes = SCAN_BYTES;
    r[0] = m->keys;
    r[1] = golden_first(&slots->params[m->w]);
    status = ask_scan(h, &own, scan, r + 2, &at, err);
    if (status == LOCI_OK)
        status = ask_coef(h, &own, scan, r + 6, &at, err);
    for (uint32_t i = 0; status == LOCI_OK && i < io->batch->n_runs; i++) {
        const loci_run *run = &io->batch->runs[i];
        const loci_tensor *y = io->y, *from = &slots->state_in[m->s], *to = &slots->state_out[m->s];
        ((double *)loci_ptr(to))[run->state * to->strides[0]] =
            ((const double *)loci_ptr(from))[run->state * from->strides[0]] + run->len;
        for (int64_t t = run->begin; y && t < (int64_t)run->begin + run->len; t++)
            for (int64_t head = 0; head < y->shape[2]; head++)
                for (int64_t j = 0; j < y->shape[3]; j++)
                    ((double *)loci_ptr(y))[run->row * y->strides[0] + t * y->strides[1] + head * y->strides[2] + j] =
                        r[j % R];
    }
    return status;
}

static loci_status backward(loci_module *m, const loci_exec *x, const loci_slots *slots, const loci_rule_io *io,
                            loci_error *err)
{
    HEARD(m->host, loci_memory, backward, m, x, slots, io, err);
    golden_read_exec(m->host, x);
    golden_read_slots(m->host, slots);
    read_rule(m->host, io);
    return LOCI_OK;
}

static loci_status state_init(loci_module *m, const loci_exec *x, const loci_slots *slots, const loci_batch *batch,
                              loci_error *err)
{
    const loci_tensor *s = &slots->state_out[m->s];

    HEARD(m->host, loci_memory, state_init, m, x, slots, batch, err);
    for (uint32_t i = 0; i < batch->n_runs; i++)
        ((double *)loci_ptr(s))[batch->runs[i].state * s->strides[0]] = golden_first(&slots->params[m->w]);
    return LOCI_OK;
}

static loci_status state_init_back(loci_module *m, const loci_exec *x, const loci_slots *slots,
                                   const loci_batch *batch, loci_error *err)
{
    const loci_tensor *s = &slots->state_grad[m->s];

    HEARD(m->host, loci_memory, state_init_back, m, x, slots, batch, err);
    for (uint32_t i = 0; i < batch->n_runs; i++)
        *(double *)loci_ptr(&slots->grads[m->w]) += ((double *)loci_ptr(s))[batch->runs[i].state * s->strides[0]];
    return LOCI_OK;
}

static uint64_t promises(const loci_config *config)
{
    (void)config; /* no host comes along: the test reads the answer */
    return LOCI_CAP_BACKWARD | LOCI_CAP_CAUSAL;
}

static const loci_memory rule = {
    sizeof rule, LOCI_MEM_Q | LOCI_MEM_K | LOCI_MEM_V, state_init, state_init_back, forward, backward};

static const loci_class golden = {.struct_size = sizeof golden,
                                  .state_version = 4,
                                  .id = "golden",
                                  .kind = LOCI_KIND_MEMORY,
                                  .version = "1.0",
                                  .summary = "touches everything",
                                  .doc = "y = what the services said",
                                  .caps = LOCI_CAP_BACKWARD | LOCI_CAP_CAUSAL | LOCI_CAP_STREAMING,
                                  .n_keys = 5,
                                  .keys = keys,
                                  .fit = fit,
                                  .create = create,
                                  .destroy = destroy,
                                  .declare = declare,
                                  .plan = plan,
                                  .iface = &rule,
                                  .promises = promises};
static const loci_class *const classes[] = {&golden};

const loci_plugin loci_plugin_v1 = {LOCI_PLUGIN_HEAD, "golden", "1.0", "Apache-2.0", 1, 0, classes};
LOCI_PLUGIN_NOTE("class=memory/golden\n");
