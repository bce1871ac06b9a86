/* SPDX-License-Identifier: Apache-2.0
 *
 * mem_titans: the long-term memory of Titans (Behrouz et al. 2025), a network that learns at test time. Of one matrix
 * it is a delta rule with momentum and forgetting:
 *
 *     e_t = M_{t-1} k_t - v_t                             the error of what the memory says about k_t
 *     S_t = eta_t S_{t-1} - c theta_t e_t k_t'            surprise, with momentum       (paper, eqs. 9, 10 and 14)
 *     M_t = (1 - alpha_t) M_{t-1} + S_t                   forgetting                    (eqs. 13, 14)
 *     y_t = M_t q_t                                       the read                      (eq. 15)
 *
 * for each head, M and S [dv, dk]; of depth L > 1 it is W_L s(... s(W_1 x)), e k' becomes the gradient of half the
 * squared error with respect to each W_l, and W_l and S_l follow the same two lines (deep.h). This file is the class:
 * keys, gates, slots.
 *
 *  (1) Weights and states are the same in modes exact and sequential, so that one checkpoint serves both. Mode frozen
 *      has one state per layer more, C, the memory at the start of the chunk in progress.
 *  (2) A gate that is switched off is not declared; nor is S without momentum.
 *  (3) One matrix without a residual path is the device's scan M; everything else is deep. Deep memories have no exact
 *      chunk form, and one whose weights are all zero never learns: both are refused by name.
 */
#include "titans.h"
#include <math.h>
#include <string.h>

#define KEY(id, type, def, choices, lo, hi, help) \
    static const loci_key key_##id = {sizeof(loci_key), type, #id, def, help, choices, lo, hi}
KEY(mode, LOCI_KEY_ENUM, "auto", "auto|exact|frozen|sequential", 0, 0,
    "exact: chunks, equal to the recurrence; frozen: the error is taken at the chunk's start; sequential: token by "
    "token; auto: exact for depth 1, frozen for more.");
KEY(chunk, LOCI_KEY_INT, "0", NULL, 0, 65536, "Tokens of a chunk in modes exact and frozen; 0: 16.");
KEY(momentum, LOCI_KEY_BOOL, "yes", NULL, 0, 0, "Keep a momentum S of past surprise, with gate eta.");
KEY(forget, LOCI_KEY_BOOL, "yes", NULL, 0, 0, "Let the memory decay, with gate alpha.");
KEY(theta_max, LOCI_KEY_REAL, "0", NULL, 0, 4,
    "Largest step; 0: 1 for depth 1, where unit keys are stable for theta < (1 + eta)(2 - alpha), for more the smaller "
    "of "
    "0.1 and 1 / chunk.");
KEY(loss_scale, LOCI_KEY_REAL, "1", NULL, 1e-6, 1e6, "c: 1 for half the squared error, 2 for the squared error.");
KEY(read_order, LOCI_KEY_ENUM, "after_write", "after_write|before_write", 0, 0, "Which memory a token reads.");
KEY(init_state, LOCI_KEY_ENUM, "auto", "auto|zero|learned", 0, 0,
    "The memory a document begins with; auto: zero for depth 1, learned for more.");
KEY(depth, LOCI_KEY_INT, "1", NULL, 1, TITANS_DEPTH, "Layers of the memory; 1 is a matrix.");
KEY(expansion, LOCI_KEY_INT, "4", NULL, 1, 64, "Width of the hidden layers, as a multiple of dk.");
KEY(residual, LOCI_KEY_BOOL, "no", NULL, 0, 0, "The memory is M(x) + x; needs dk = dv.");
KEY(activation, LOCI_KEY_ENUM, "silu", "silu|gelu", 0, 0, "Between the layers.");
KEY(gates, LOCI_KEY_ENUM, "scalar", "scalar|per_layer", 0, 0,
    "scalar: a number per gate, head and token; per_layer: one for each weight matrix of the memory.");
static const loci_key *const keys[] = {&key_mode,       &key_chunk,      &key_momentum,   &key_forget, &key_theta_max,
                                       &key_loss_scale, &key_read_order, &key_init_state, &key_depth,  &key_expansion,
                                       &key_residual,   &key_activation, &key_gates};

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
        snprintf(f->reason, sizeof f->reason, "momentum and forgetting by the device's scan and products");
    }
    return LOCI_OK;
}

static void destroy(loci_module *m)
{
    m->host->free(m->host, m);
}

static int is(const loci_config *c, const char *key, const char *value)
{
    return !strcmp(c->get_str(c->ctx, key), value);
}

/* Mode and start of document, whose defaults depend on the depth; (3). */
static loci_status choose(loci_module *m, const loci_config *c, loci_error *err)
{
    if (m->residual && m->dk != m->dv)
        return fail(err, LOCI_E_CONFIG,
                    "memory.titans.residual = yes adds keys to values, but dk = %lld is not dv = %lld: set memory.dv = "
                    "%lld or residual = no",
                    (long long)m->dk, (long long)m->dv, (long long)m->dk);
    if (m->deep && is(c, "mode", "exact"))
        return fail(
            err, LOCI_E_CONFIG,
            "memory.titans.mode = exact exists for depth = 1 without residual, not for depth = %d%s: set mode = "
            "frozen or sequential",
            (int)m->L, m->residual ? " with residual" : "");
    if (m->L > 1 && is(c, "init_state", "zero"))
        return fail(err, LOCI_E_CONFIG,
                    "memory.titans.init_state = zero: a memory of depth = %d that is all zero never learns: set "
                    "init_state = learned",
                    (int)m->L);
    m->mode = is(c, "mode", "sequential")                                     ? LOCI_SCAN_SEQUENTIAL
              : is(c, "mode", "exact") || (is(c, "mode", "auto") && !m->deep) ? LOCI_SCAN_EXACT
                                                                              : LOCI_SCAN_FROZEN;
    m->learned = is(c, "init_state", "learned") || (is(c, "init_state", "auto") && m->L > 1);
    return LOCI_OK;
}

/* W1, S1, C1, W1.init and so on; a memory of one matrix calls them M, S, C and M0. */
static void name_slots(loci_module *m)
{
    static const char *const matrix[4] = {"M", "S", "C", "M0"}, *const layer[4] = {"W%d", "S%d", "C%d", "W%d.init"};

    for (int i = 0; i < 4; i++)
        for (int l = 1; l <= m->L; l++) {
            if (m->deep)
                snprintf(m->name[i][l], sizeof m->name[i][l], layer[i], l);
            else
                snprintf(m->name[i][l], sizeof m->name[i][l], "%s", matrix[i]);
        }
}

static loci_status create(const loci_host *host, const loci_config *c, const loci_site *site, const loci_shape *shape,
                          loci_module **out, loci_error *err)
{
    loci_module *m = host->alloc(host, sizeof *m);
    loci_status status = LOCI_OK;
    int gelu;

    (void)site;
    if (!m)
        return fail(err, LOCI_E_NOMEM, "out of memory");
    m->host = host;
    m->scan = host->get_ext(host, shape->device, LOCI_EXT_SCAN);
    m->ops = host->get_ext(host, shape->device, LOCI_EXT_OPS);
    m->H = shape->heads;
    m->dk = shape->dk;
    m->dv = shape->dv;
    m->L = (int32_t)c->get_int(c->ctx, "depth");
    for (int l = 0; l <= m->L; l++)
        m->width[l] = l == m->L ? m->dv : l == 0 ? m->dk : m->dk * c->get_int(c->ctx, "expansion");
    m->residual = c->get_int(c->ctx, "residual") != 0;
    m->deep = m->L > 1 || m->residual;
    m->resident = shape->device.type == LOCI_CPU;
    m->per_layer = m->L > 1 && is(c, "gates", "per_layer");
    gelu = is(c, "activation", "gelu");
    m->f = gelu ? LOCI_MAP_GELU : LOCI_MAP_SILU;
    m->f_back = gelu ? LOCI_MAP_GELU_BACK : LOCI_MAP_SILU_BACK;
    m->f_back2 = gelu ? LOCI_MAP_GELU_BACK2 : LOCI_MAP_SILU_BACK2;
    m->chunk = (int32_t)c->get_int(c->ctx, "chunk");
    if (m->chunk == 0)
        m->chunk = 16;
    m->momentum = c->get_int(c->ctx, "momentum") != 0;
    m->forget = c->get_int(c->ctx, "forget") != 0;
    m->theta_max = c->get_real(c->ctx, "theta_max");
    if (m->theta_max <= 0)
        m->theta_max = !m->deep ? 1 : m->chunk > 10 && !is(c, "mode", "sequential") ? 1.0 / m->chunk : 0.1;
    m->loss_scale = c->get_real(c->ctx, "loss_scale");
    m->read_order = is(c, "read_order", "before_write") ? LOCI_SCAN_BEFORE_WRITE : LOCI_SCAN_AFTER_WRITE;
    name_slots(m);
    if (!m->scan || !m->ops)
        status = fail(err, LOCI_E_DEVICE, "the device offers no %s: choose another device or memory",
                      m->scan ? LOCI_EXT_OPS : LOCI_EXT_SCAN);
    if (status == LOCI_OK)
        status = choose(m, c, err);
    if (status != LOCI_OK)
        destroy(m);
    else
        *out = m;
    return status;
}

static loci_status gate(loci_module *m, void *decl, const char *name, double hi, double init, uint32_t *index)
{
    const loci_gate g = {
        .struct_size = sizeof g, .name = name, .hi = hi, .init = init, .width = m->per_layer ? m->L : 1};

    return m->host->declare_gate(m->host, decl, &g, index);
}

static loci_status declare_states(loci_module *m, void *decl)
{
    uint32_t *const index[3] = {m->W, m->S, m->C};
    const int wanted[3] = {1, m->momentum, m->mode == LOCI_SCAN_FROZEN};
    loci_status status = LOCI_OK;

    for (int i = 0; i < 3; i++)
        for (int l = 1; l <= m->L && wanted[i] && status == LOCI_OK; l++) {
            const int64_t shape[] = {-1, m->H, m->width[l], m->width[l - 1]};
            const loci_slot slot = {.struct_size = sizeof slot,
                                    .flags = LOCI_SLOT_STATE,
                                    .name = m->name[i][l],
                                    .ndim = 4,
                                    .init = LOCI_INIT_ZERO,
                                    .shape = shape};

            status = m->host->declare(m->host, decl, &slot, &index[i][l]);
        }
    return status;
}

/* A matrix starts near zero, where a document that says nothing reads nothing; layers as layers do, N(0, 1/fan in). */
static loci_status declare_weights(loci_module *m, void *decl)
{
    loci_status status = LOCI_OK;

    for (int l = 1; l <= m->L && m->learned && status == LOCI_OK; l++) {
        const int64_t shape[] = {m->H, m->width[l], m->width[l - 1]};
        const loci_slot slot = {.struct_size = sizeof slot,
                                .flags = LOCI_SLOT_NO_DECAY,
                                .name = m->name[3][l],
                                .ndim = 3,
                                .init = LOCI_INIT_NORMAL,
                                .shape = shape,
                                .b = m->deep ? 1 / sqrt((double)m->width[l - 1]) : 0.02};

        status = m->host->declare(m->host, decl, &slot, &m->W0[l]);
    }
    return status;
}

static loci_status declare(loci_module *m, void *decl, loci_error *err)
{
    loci_status status = declare_states(m, decl);

    if (status == LOCI_OK)
        status = declare_weights(m, decl);
    if (status == LOCI_OK && m->forget)
        status = gate(m, decl, "alpha", 1, 0.01, &m->alpha);
    if (status == LOCI_OK && m->momentum)
        status = gate(m, decl, "eta", 1, 0.5, &m->eta);
    if (status == LOCI_OK)
        status = gate(m, decl, "theta", m->theta_max, m->theta_max > 0.2 ? 0.1 : m->theta_max / 2, &m->theta);
    if (status != LOCI_OK)
        return fail(err, status, "the host refused a slot or a gate");
    m->matrix = (matrix_scan){.scan = m->scan,
                              .mode = m->mode,
                              .chunk = m->chunk,
                              .read_order = m->read_order,
                              .scale = 1,
                              .loss_scale = m->loss_scale,
                              .gate = {{m->forget, m->alpha}, {m->momentum, m->eta}, {1, m->theta}},
                              .state = {{1, m->W[1]}, {m->momentum, m->S[1]}, {m->mode == LOCI_SCAN_FROZEN, m->C[1]}}};
    return LOCI_OK;
}

/* ---- the call --------------------------------------------------------------------------------------------------- */

static loci_status plan(loci_module *m, const loci_shape *shape, int32_t op, loci_need *need, loci_error *err)
{
    return m->deep ? deep_plan(m, shape, op, need, err) : matrix_scan_plan(&m->matrix, shape, op, need, err);
}

static loci_status forward(loci_module *m, const loci_exec *x, const loci_slots *s, const loci_rule_io *r,
                           loci_error *err)
{
    return m->deep ? deep_forward(m, x, s, r, err) : matrix_scan_forward(&m->matrix, x, s, r, err);
}

static loci_status backward(loci_module *m, const loci_exec *x, const loci_slots *s, const loci_rule_io *r,
                            loci_error *err)
{
    return m->deep ? deep_backward(m, x, s, r, err) : matrix_scan_backward(&m->matrix, x, s, r, err);
}

/* A document's memory is a copy of the learned weights, or zero; momentum and the memory of the chunk are zero. */
static loci_status state_init(loci_module *m, const loci_exec *x, const loci_slots *s, const loci_batch *batch,
                              loci_error *err)
{
    return matrix_start(m->ops, x, s, batch, m->learned ? m->L : 0, m->W + 1, m->W0 + 1, err);
}

static loci_status state_init_back(loci_module *m, const loci_exec *x, const loci_slots *s, const loci_batch *batch,
                                   loci_error *err)
{
    return matrix_start_back(m->ops, x, s, batch, m->learned ? m->L : 0, m->W + 1, m->W0 + 1, err);
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
    .summary = "memory that learns at test time, a matrix or an MLP: momentum, forgetting",
    .doc =
        "e = M k - v;  S = eta S - c theta e k';  M = (1 - alpha) M + S;  y = M q\n"
        "depth > 1: M is an MLP, e k' its gradient; every layer has its S and follows the same lines.\n"
        "Cost: 9 dk dv [depth = 1] + expansion dk (6 dk + 8 (depth - 2) expansion dk + 8 dv) [depth > 1]\n"
        "operations per token and head: of an MLP to read, to evaluate and for the gradient; executed, d = dk = dv,\n"
        "12 d^2 + 4 C d in exact chunks of C, by an MLP of depth 2 and expansion 4 about 88 d^2 + 10 C d in frozen "
        "ones.\n"
        "Source: Behrouz, Zhong, Mirrokni 2025, Titans: Learning to Memorize at Test Time, sections 3.1 and 3.2.\n"
        "Use: the memory of the paper; momentum = no or forget = no leave a part out, depth > 1 makes it deep.",
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
