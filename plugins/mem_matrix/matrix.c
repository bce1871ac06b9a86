/* SPDX-License-Identifier: Apache-2.0
 *
 * mem_matrix: see matrix.h.
 */
#include "matrix.h"
#include <math.h>

#define fail(err, code, ...) loci_refuse(err, code, matrix_who, __VA_ARGS__)

const loci_key matrix_key_chunk =
    MATRIX_KEY("chunk", LOCI_KEY_INT, "0", NULL, 0, 65536, "Tokens of a chunk; 0: 16. Mode sequential has none.");
const loci_key matrix_key_forget =
    MATRIX_KEY("forget", LOCI_KEY_BOOL, "yes", NULL, 0, 0, "Let the memory decay, with gate alpha.");
const loci_key matrix_key_read_order = MATRIX_KEY("read_order", LOCI_KEY_ENUM, "after_write",
                                                  "after_write|before_write", 0, 0, "Which memory a token reads.");
const loci_key matrix_key_init_state =
    MATRIX_KEY("init_state", LOCI_KEY_ENUM, "zero", "zero|learned", 0, 0, "The memory a document begins with.");
const loci_key matrix_key_q_scale =
    MATRIX_KEY("q_scale", LOCI_KEY_ENUM, "one", "one|rsqrt_dk", 0, 0,
               "Factor of what is read: 1, or 1/sqrt(dk) as published for gated DeltaNet.");

/* ---- life ------------------------------------------------------------------------------------------------------- */

loci_status matrix_fit(const loci_host *host, const loci_config *c, const loci_shape *shape, loci_fit *f)
{
    const loci_dtype t = shape->dtype, a = shape->acc;

    (void)c;
    f->score = 0;
    if (t.code != LOCI_FLOAT || (t.bits != 32 && t.bits != 64) || t.code != a.code || t.bits != a.bits)
        snprintf(f->reason, sizeof f->reason, "computes in float32 or float64, activations and state alike");
    else if (!host->get_ext(host, shape->device, LOCI_EXT_SCAN))
        snprintf(f->reason, sizeof f->reason, "the device offers no " LOCI_EXT_SCAN);
    else if (!host->get_ext(host, shape->device, LOCI_EXT_OPS))
        snprintf(f->reason, sizeof f->reason, "the device offers no " LOCI_EXT_OPS);
    else {
        f->score = 100;
        snprintf(f->reason, sizeof f->reason, "a matrix memory by the device's scan");
    }
    return LOCI_OK;
}

void matrix_destroy(loci_module *m)
{
    m->host->free(m->host, m);
}

loci_status matrix_create(const loci_host *host, const loci_config *c, const loci_shape *shape, loci_module **out,
                          loci_error *err)
{
    loci_module *m = host->alloc(host, sizeof *m);

    if (!m)
        return fail(err, LOCI_E_NOMEM, "out of memory");
    m->host = host;
    m->scan = host->get_ext(host, shape->device, LOCI_EXT_SCAN);
    m->ops = host->get_ext(host, shape->device, LOCI_EXT_OPS);
    m->H = shape->heads;
    m->dk = shape->dk;
    m->dv = shape->dv;
    m->mode = matrix_is(c, "mode", "exact")    ? LOCI_SCAN_EXACT
              : matrix_is(c, "mode", "frozen") ? LOCI_SCAN_FROZEN
                                               : LOCI_SCAN_SEQUENTIAL;
    m->chunk = (int32_t)c->get_int(c->ctx, "chunk");
    if (m->chunk == 0)
        m->chunk = 16;
    m->read_order = matrix_is(c, "read_order", "before_write") ? LOCI_SCAN_BEFORE_WRITE : LOCI_SCAN_AFTER_WRITE;
    m->learned = matrix_is(c, "init_state", "learned");
    m->scale = matrix_is(c, "q_scale", "rsqrt_dk") ? 1 / sqrt((double)m->dk) : 1;
    if (c->get_int(c->ctx, "forget"))
        m->gate[MATRIX_ALPHA] = (struct matrix_gate){.hi = 1, .init = 0.01};
    if (!m->scan || !m->ops) {
        fail(err, LOCI_E_DEVICE, "the device offers no %s: choose another device or memory",
             m->scan ? LOCI_EXT_OPS : LOCI_EXT_SCAN);
        matrix_destroy(m);
        return LOCI_E_DEVICE;
    }
    *out = m;
    return LOCI_OK;
}

/* Does the rule have this state? */
static int has(const loci_module *m, int state)
{
    return state == MATRIX_M || (state == MATRIX_S ? m->gate[MATRIX_ETA].hi > 0 : m->mode == LOCI_SCAN_FROZEN);
}

loci_status matrix_declare(loci_module *m, void *decl, loci_error *err)
{
    static const char *const states[] = {"M", "S", "C"}, *const gates[] = {"alpha", "eta", "theta"};
    const int64_t shape[] = {-1, m->H, m->dv, m->dk};
    const loci_slot initial = {.struct_size = sizeof initial,
                               .flags = LOCI_SLOT_NO_DECAY,
                               .name = "M0",
                               .ndim = 3,
                               .init = LOCI_INIT_NORMAL,
                               .shape = shape + 1,
                               .b = 0.02};
    loci_status status = LOCI_OK;

    for (int i = 0; i < MATRIX_STATES && status == LOCI_OK; i++) {
        const loci_slot slot = {.struct_size = sizeof slot,
                                .flags = LOCI_SLOT_STATE,
                                .name = states[i],
                                .ndim = 4,
                                .init = LOCI_INIT_ZERO,
                                .shape = shape};

        if (has(m, i))
            status = m->host->declare(m->host, decl, &slot, &m->state[i]);
    }
    if (status == LOCI_OK && m->learned)
        status = m->host->declare(m->host, decl, &initial, &m->M0);
    for (int i = 0; i < MATRIX_GATES && status == LOCI_OK; i++) {
        struct matrix_gate *g = &m->gate[i];
        const loci_gate gate = {.struct_size = sizeof gate, .name = gates[i], .hi = g->hi, .init = g->init, .width = 1};

        if (g->hi > 0)
            status = m->host->declare_gate(m->host, decl, &gate, &g->at);
    }
    if (status != LOCI_OK)
        return fail(err, status, "the host refused a slot or a gate");
    return LOCI_OK;
}

static loci_scan_io scan_io(const loci_module *m, int32_t op)
{
    return (loci_scan_io){.struct_size = sizeof(loci_scan_io),
                          .scan = LOCI_SCAN_M,
                          .op = op,
                          .mode = m->mode,
                          .chunk = m->chunk,
                          .read_order = m->read_order,
                          .error = m->error,
                          .scale = m->scale,
                          .loss_scale = 1};
}

loci_status matrix_plan(loci_module *m, const loci_shape *shape, int32_t op, loci_need *need, loci_error *err)
{
    const loci_scan_io io = scan_io(m, op);

    return m->scan->plan(&io, shape, need, err);
}

/* ---- the call --------------------------------------------------------------------------------------------------- */

/* The scan's states out of ours; one that is not declared is a tensor without data. */
static const loci_tensor *states_of(const loci_module *m, const loci_tensor *from, loci_tensor to[MATRIX_STATES])
{
    memset(to, 0, MATRIX_STATES * sizeof *to);
    for (int i = 0; i < MATRIX_STATES && from; i++)
        if (has(m, i))
            to[i] = from[m->state[i]];
    return from ? to : NULL;
}

/* Tensor of a gate; NULL where it is not wanted. */
#define GATE(m, r, which, i) ((m)->gate[i].hi > 0 ? (r)->which[(m)->gate[i].at] : NULL)

static loci_scan_io call_io(const loci_module *m, const loci_rule_io *r)
{
    loci_scan_io io = scan_io(m, r->op);

    io.batch = r->batch;
    if (r->op != LOCI_OP_WRITE) {
        io.q = r->q, io.dq = r->dq;
        io.y = r->y, io.dy = r->dy;
    }
    if (r->op != LOCI_OP_READ) {
        io.k = r->k, io.dk = r->dk;
        io.v = r->v, io.dv = r->dv;
        io.alpha = GATE(m, r, gate, MATRIX_ALPHA);
        io.eta = GATE(m, r, gate, MATRIX_ETA);
        io.theta = GATE(m, r, gate, MATRIX_THETA);
    }
    if (r->op != LOCI_OP_READ && r->dgate) {
        io.dalpha = GATE(m, r, dgate, MATRIX_ALPHA);
        io.deta = GATE(m, r, dgate, MATRIX_ETA);
        io.dtheta = GATE(m, r, dgate, MATRIX_THETA);
    }
    return io;
}

static loci_status forward(loci_module *m, const loci_exec *x, const loci_slots *s, const loci_rule_io *r,
                           loci_error *err)
{
    loci_scan_io io = call_io(m, r);
    loci_tensor in[MATRIX_STATES], out[MATRIX_STATES];

    io.state_in = states_of(m, s->state_in, in);
    io.state_out = states_of(m, s->state_out, out);
    return m->scan->forward(x, &io, err);
}

static loci_status backward(loci_module *m, const loci_exec *x, const loci_slots *s, const loci_rule_io *r,
                            loci_error *err)
{
    loci_scan_io io = call_io(m, r);
    loci_tensor in[MATRIX_STATES], out[MATRIX_STATES], grad[MATRIX_STATES];

    io.state_in = states_of(m, s->state_in, in);
    io.state_out = states_of(m, s->state_out, out);
    io.state_grad = states_of(m, s->state_grad, grad);
    return m->scan->backward(x, &io, err);
}

/* ---- the first state -------------------------------------------------------------------------------------------- */

/* Row `at` of a state tensor: [H, dv, dk]. */
static loci_tensor row(const loci_tensor *state, int64_t at)
{
    loci_tensor t = *state;

    t.ndim = 3;
    t.shape = state->shape + 1;
    t.strides = state->strides + 1;
    t.byte_offset += (uint64_t)(at * state->strides[0]) * (t.dtype.bits / 8);
    return t;
}

static loci_status state_init(loci_module *m, const loci_exec *x, const loci_slots *s, const loci_batch *batch,
                              loci_error *err)
{
    for (uint32_t r = 0; r < batch->n_runs; r++)
        for (uint32_t i = 0; i < s->n_state; i++) {
            const loci_tensor to = row(&s->state_out[i], batch->runs[r].state);

            if (i == m->state[MATRIX_M] && m->learned)
                LOCI_RETURN_IF(m->ops->map1(x, LOCI_MAP_COPY, &to, &s->params[m->M0], 1, 0, err));
            else
                LOCI_RETURN_IF(m->ops->fill(x, &to, 0, err));
        }
    return LOCI_OK;
}

static loci_status state_init_back(loci_module *m, const loci_exec *x, const loci_slots *s, const loci_batch *batch,
                                   loci_error *err)
{
    for (uint32_t r = 0; m->learned && r < batch->n_runs; r++) {
        const loci_tensor from = row(&s->state_grad[m->state[MATRIX_M]], batch->runs[r].state);

        LOCI_RETURN_IF(m->ops->map1(x, LOCI_MAP_COPY, &s->grads[m->M0], &from, 1, 1, err));
    }
    return LOCI_OK;
}

const loci_memory matrix_iface = {
    .struct_size = sizeof(loci_memory),
    .needs = LOCI_MEM_Q | LOCI_MEM_K | LOCI_MEM_V,
    .state_init = state_init,
    .state_init_back = state_init_back,
    .forward = forward,
    .backward = backward,
};
