/* SPDX-License-Identifier: Apache-2.0
 *
 * mem_titans: the matrix memory of Titans (Behrouz et al. 2025), a delta rule with momentum and forgetting:
 *
 *     e_t = M_{t-1} k_t - v_t                             the error of what the memory says about k_t
 *     S_t = eta_t S_{t-1} - c theta_t e_t k_t'            surprise, with momentum       (paper, eqs. 9, 10 and 14)
 *     M_t = (1 - alpha_t) M_{t-1} + S_t                   forgetting                    (eqs. 13, 14)
 *     y_t = M_t q_t                                       the read                      (eq. 15)
 *
 * for each head, M and S [dv, dk]. The device's loci.scan/1 does the work; tests/unit/matrix.h is the formula in plain
 * loops. This file is the class: keys, gates, slots, and the call.
 *
 *  (1) Weights and states are the same in modes exact and sequential, so that one checkpoint serves both. Mode frozen
 *      has one state more, C, the memory at the start of the chunk in progress.
 *  (2) A gate that is switched off is not declared; the scan is given NULL for it. Without momentum S is not declared
 *      either.
 */
#include <loci/author.h>
#include <loci/ops.h>
#include <loci/scan.h>
#include <stdio.h>
#include <string.h>

#define fail(err, code, ...) loci_refuse(err, code, "memory/titans", __VA_ARGS__)

struct loci_module {
    const loci_host *host;
    const loci_scan *scan;
    const loci_ops *ops;
    int64_t H, dk, dv;
    int32_t mode, chunk, read_order;
    int momentum, forget, learned;
    double theta_max, loss_scale;
    uint32_t M, S, C, M0;       /* slots   */
    uint32_t alpha, eta, theta; /* gates   */
};

#define KEY(id, type, def, choices, lo, hi, help) \
    static const loci_key key_##id = {sizeof(loci_key), type, #id, def, help, choices, lo, hi}
KEY(mode, LOCI_KEY_ENUM, "exact", "exact|frozen|sequential", 0, 0,
    "exact: chunks, equal to the recurrence; frozen: the error is taken at the chunk's start; sequential: token by "
    "token.");
KEY(chunk, LOCI_KEY_INT, "0", NULL, 0, 65536, "Tokens of a chunk in modes exact and frozen; 0: 16.");
KEY(momentum, LOCI_KEY_BOOL, "yes", NULL, 0, 0, "Keep a momentum S of past surprise, with gate eta.");
KEY(forget, LOCI_KEY_BOOL, "yes", NULL, 0, 0, "Let the memory decay, with gate alpha.");
KEY(theta_max, LOCI_KEY_REAL, "1", NULL, 1e-6, 4,
    "Largest step; unit keys are stable for theta < (1 + eta)(2 - alpha).");
KEY(loss_scale, LOCI_KEY_REAL, "1", NULL, 1e-6, 1e6, "c: 1 for half the squared error, 2 for the squared error.");
KEY(read_order, LOCI_KEY_ENUM, "after_write", "after_write|before_write", 0, 0, "Which memory a token reads.");
KEY(init_state, LOCI_KEY_ENUM, "zero", "zero|learned", 0, 0, "The memory a document begins with.");
static const loci_key *const keys[] = {&key_mode,      &key_chunk,      &key_momentum,   &key_forget,
                                       &key_theta_max, &key_loss_scale, &key_read_order, &key_init_state};

/* ---- life ------------------------------------------------------------------------------------------------------- */

static loci_status fit(const loci_host *host, const loci_config *config, const loci_shape *shape, loci_fit *f)
{
    const loci_dtype t = shape->dtype, a = shape->acc;

    (void)config;
    f->score = 0;
    if (t.code != LOCI_FLOAT || (t.bits != 32 && t.bits != 64) || t.code != a.code || t.bits != a.bits)
        snprintf(f->reason, sizeof f->reason, "computes in float32 or float64, activations and state alike");
    else if (!host->get_ext(host, shape->device, LOCI_EXT_SCAN))
        snprintf(f->reason, sizeof f->reason, "the device offers no " LOCI_EXT_SCAN);
    else if (!host->get_ext(host, shape->device, LOCI_EXT_OPS))
        snprintf(f->reason, sizeof f->reason, "the device offers no " LOCI_EXT_OPS);
    else {
        f->score = 100;
        snprintf(f->reason, sizeof f->reason, "delta rule with momentum and forgetting by the device's scan");
    }
    return LOCI_OK;
}

static void destroy(loci_module *m)
{
    m->host->free(m->host, m);
}

static loci_status create(const loci_host *host, const loci_config *c, const loci_site *site, const loci_shape *shape,
                          loci_module **out, loci_error *err)
{
    const char *mode = c->get_str(c->ctx, "mode");
    loci_module *m = host->alloc(host, sizeof *m);

    (void)site;
    if (!m)
        return fail(err, LOCI_E_NOMEM, "out of memory");
    m->host = host;
    m->scan = host->get_ext(host, shape->device, LOCI_EXT_SCAN);
    m->ops = host->get_ext(host, shape->device, LOCI_EXT_OPS);
    m->H = shape->heads;
    m->dk = shape->dk;
    m->dv = shape->dv;
    m->mode = !strcmp(mode, "frozen")  ? LOCI_SCAN_FROZEN
              : !strcmp(mode, "exact") ? LOCI_SCAN_EXACT
                                       : LOCI_SCAN_SEQUENTIAL;
    m->chunk = (int32_t)c->get_int(c->ctx, "chunk");
    if (m->chunk == 0)
        m->chunk = 16;
    m->momentum = c->get_int(c->ctx, "momentum") != 0;
    m->forget = c->get_int(c->ctx, "forget") != 0;
    m->learned = !strcmp(c->get_str(c->ctx, "init_state"), "learned");
    m->theta_max = c->get_real(c->ctx, "theta_max");
    m->loss_scale = c->get_real(c->ctx, "loss_scale");
    m->read_order =
        !strcmp(c->get_str(c->ctx, "read_order"), "before_write") ? LOCI_SCAN_BEFORE_WRITE : LOCI_SCAN_AFTER_WRITE;
    if (!m->scan || !m->ops) {
        destroy(m);
        return fail(err, LOCI_E_DEVICE, "the device offers no %s: choose another device or memory",
                    m->scan ? LOCI_EXT_OPS : LOCI_EXT_SCAN);
    }
    *out = m;
    return LOCI_OK;
}

static loci_status gate(loci_module *m, void *decl, const char *name, double hi, double init, uint32_t *index)
{
    const loci_gate g = {sizeof g, 0, name, 0, hi, init};

    return m->host->declare_gate(m->host, decl, &g, index);
}

static loci_status declare(loci_module *m, void *decl, loci_error *err)
{
    const int64_t shape[] = {-1, m->H, m->dv, m->dk};
    const struct {
        const char *name;
        uint32_t *index;
        int wanted;
    } states[] = {{"M", &m->M, 1}, {"S", &m->S, m->momentum}, {"C", &m->C, m->mode == LOCI_SCAN_FROZEN}};
    const loci_slot initial = {.struct_size = sizeof initial,
                               .flags = LOCI_SLOT_NO_DECAY,
                               .name = "M0",
                               .ndim = 3,
                               .init = LOCI_INIT_NORMAL,
                               .shape = shape + 1,
                               .b = 0.02};
    loci_status status = LOCI_OK;

    for (int i = 0; i < 3 && status == LOCI_OK; i++) {
        const loci_slot slot = {.struct_size = sizeof slot,
                                .flags = LOCI_SLOT_STATE,
                                .name = states[i].name,
                                .ndim = 4,
                                .init = LOCI_INIT_ZERO,
                                .shape = shape};

        if (states[i].wanted)
            status = m->host->declare(m->host, decl, &slot, states[i].index);
    }
    if (status == LOCI_OK && m->learned)
        status = m->host->declare(m->host, decl, &initial, &m->M0);
    if (status == LOCI_OK && m->forget)
        status = gate(m, decl, "alpha", 1, 0.01, &m->alpha);
    if (status == LOCI_OK && m->momentum)
        status = gate(m, decl, "eta", 1, 0.5, &m->eta);
    if (status == LOCI_OK)
        status = gate(m, decl, "theta", m->theta_max, m->theta_max > 0.2 ? 0.1 : m->theta_max / 2, &m->theta);
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
                          .scale = 1,
                          .loss_scale = m->loss_scale};
}

static loci_status plan(loci_module *m, const loci_shape *shape, int32_t op, loci_need *need, loci_error *err)
{
    const loci_scan_io io = scan_io(m, op);

    return m->scan->plan(&io, shape, need, err);
}

/* ---- the call --------------------------------------------------------------------------------------------------- */

/* The scan's states M, Z, C out of ours; an undeclared S is a tensor without data. */
static const loci_tensor *states(const loci_module *m, const loci_tensor *from, loci_tensor to[3])
{
    if (!from)
        return NULL;
    memset(to, 0, 3 * sizeof *to);
    to[0] = from[m->M];
    if (m->momentum)
        to[1] = from[m->S];
    if (m->mode == LOCI_SCAN_FROZEN)
        to[2] = from[m->C];
    return to;
}

static void fill_io(const loci_module *m, loci_scan_io *io, const loci_rule_io *r)
{
    const int write = r->op != LOCI_OP_READ, read = r->op != LOCI_OP_WRITE;

    io->batch = r->batch;
    if (read) {
        io->q = r->q;
        io->y = r->y;
        io->dy = r->dy;
        io->dq = r->dq;
    }
    if (!write)
        return;
    io->k = r->k;
    io->v = r->v;
    io->dk = r->dk;
    io->dv = r->dv;
    io->alpha = m->forget ? r->gate[m->alpha] : NULL;
    io->eta = m->momentum ? r->gate[m->eta] : NULL;
    io->theta = r->gate[m->theta];
    if (r->dgate) {
        io->dalpha = m->forget ? r->dgate[m->alpha] : NULL;
        io->deta = m->momentum ? r->dgate[m->eta] : NULL;
        io->dtheta = r->dgate[m->theta];
    }
}

static loci_status forward(loci_module *m, const loci_exec *x, const loci_slots *s, const loci_rule_io *r,
                           loci_error *err)
{
    loci_scan_io io = scan_io(m, r->op);
    loci_tensor in[3], out[3];

    fill_io(m, &io, r);
    io.state_in = states(m, s->state_in, in);
    io.state_out = states(m, s->state_out, out);
    return m->scan->forward(x, &io, err);
}

static loci_status backward(loci_module *m, const loci_exec *x, const loci_slots *s, const loci_rule_io *r,
                            loci_error *err)
{
    loci_scan_io io = scan_io(m, r->op);
    loci_tensor in[3], out[3], grad[3];

    fill_io(m, &io, r);
    io.state_in = states(m, s->state_in, in);
    io.state_out = states(m, s->state_out, out);
    io.state_grad = states(m, s->state_grad, grad);
    return m->scan->backward(x, &io, err);
}

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
    loci_status status = LOCI_OK;

    for (uint32_t r = 0; r < batch->n_runs && status == LOCI_OK; r++)
        for (uint32_t i = 0; i < s->n_state && status == LOCI_OK; i++) {
            const loci_tensor to = row(&s->state_out[i], batch->runs[r].state);

            status = i == m->M && m->learned ? m->ops->map1(x, LOCI_MAP_COPY, &to, &s->params[m->M0], 1, 0, err)
                                             : m->ops->fill(x, &to, 0, err);
        }
    return status;
}

static loci_status state_init_back(loci_module *m, const loci_exec *x, const loci_slots *s, const loci_batch *batch,
                                   loci_error *err)
{
    loci_status status = LOCI_OK;

    for (uint32_t r = 0; m->learned && r < batch->n_runs && status == LOCI_OK; r++) {
        const loci_tensor from = row(&s->state_grad[m->M], batch->runs[r].state);

        status = m->ops->map1(x, LOCI_MAP_COPY, &s->grads[m->M0], &from, 1, 1, err);
    }
    return status;
}

/* ---- the class -------------------------------------------------------------------------------------------------- */

static const loci_memory iface = {
    .struct_size = sizeof(loci_memory),
    .needs = LOCI_MEM_Q | LOCI_MEM_K | LOCI_MEM_V,
    .state_init = state_init,
    .state_init_back = state_init_back,
    .forward = forward,
    .backward = backward,
};

static const loci_class titans = {
    .struct_size = sizeof(loci_class),
    .state_version = 1,
    .id = "titans",
    .kind = LOCI_KIND_MEMORY,
    .version = "1.0",
    .summary = "matrix memory that learns at test time: delta rule, momentum, forgetting",
    .doc = "e = M k - v;  S = eta S - c theta e k';  M = (1 - alpha) M + S;  y = M q\n"
           "Cost per token and head, d = dk = dv: 9 d^2 token by token, 12 d^2 + 4 C d in exact chunks of C.\n"
           "Behrouz, Zhong, Mirrokni 2025, Titans: Learning to Memorize at Test Time, sections 3.1 and 3.2.",
    .caps = LOCI_CAP_BACKWARD | LOCI_CAP_STREAMING | LOCI_CAP_CAUSAL,
    .n_keys = sizeof keys / sizeof *keys,
    .keys = keys,
    .fit = fit,
    .create = create,
    .destroy = destroy,
    .declare = declare,
    .plan = plan,
    .iface = &iface,
};

static const loci_class *const classes[] = {&titans};

LOCI_EXPORT extern const loci_plugin loci_plugin_v1;
const loci_plugin loci_plugin_v1 = {LOCI_PLUGIN_HEAD, "mem_titans", "1.0", "Apache-2.0", 1, 0, classes};
LOCI_PLUGIN_NOTE("class=memory/titans\n");
