/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/abi/golden_memory.c: the golden plugin of memory rules: keys, slots, gates, rule_io, and loci.scan/1.
 *
 * The rule answers every token with what the services said, so that a host that runs it knows y:
 *
 *     y[.., j] = r[j mod R]          S_t = S_{t-1} + 1, from S_0 = w[0]          no input has a gradient, w has
 */
#include "golden_scan.h"

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

static loci_status plan(loci_module *m, const loci_shape *shape, int32_t op, loci_need *need, loci_error *err)
{
    const loci_host *h = m->host;
    const loci_scan *scan = golden_scan_of(h, shape->device);
    loci_shape one;
    loci_need sub = {sizeof sub, 0, 0, 0, 0};
    loci_tensor tensors[32] = {{0}};
    loci_batch batch = {sizeof batch, 0, NULL, NULL};
    loci_scan_io io;
    loci_status status;

    HEARD(h, loci_class, plan, m, shape, op, need, err);
    if (op == GOLDEN_NO_OP)
        return golden_refuse(h, err);
    LOCI_COPY(&one, shape);
    PUT(h, loci_shape, &one, struct_size, sizeof one);
    one.rows = one.seq = one.ctx = one.runs = one.states = one.heads = one.k_heads = one.v_heads = one.dk = one.dv = 1;
    one.flags = LOCI_X_SAVE;
    golden_tell_scan(h, &io, &batch, tensors);
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
    const loci_scan *scan = golden_scan_of(h, x->device);
    loci_exec own;
    double r[R] = {0}, *at = x->scratch;
    loci_status status;

    HEARD(h, loci_memory, forward, m, x, slots, io, err);
    golden_read_exec(h, x);
    golden_read_slots(h, slots);
    read_rule(h, io);
    LOCI_COPY(&own, x);
    PUT(h, loci_exec, &own, struct_size, sizeof own);
    own.flags = LOCI_X_SAVE;
    own.scratch = (char *)x->scratch + TENSORS_BYTES;
    own.scratch_bytes = SCAN_BYTES;
    own.saved = (char *)x->scratch + TENSORS_BYTES + SCAN_BYTES;
    own.saved_bytes = SCAN_BYTES;
    r[0] = m->keys;
    r[1] = golden_first(&slots->params[m->w]);
    status = golden_ask_scan(h, &own, scan, r + 2, &at, err);
    if (status == LOCI_OK)
        status = golden_ask_coef(h, &own, scan, r + 6, &at, err);
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

static loci_status state_init_back(loci_module *m, const loci_exec *x, const loci_slots *slots, const loci_batch *batch,
                                   loci_error *err)
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
