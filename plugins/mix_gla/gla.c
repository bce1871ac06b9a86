/* SPDX-License-Identifier: Apache-2.0
 *
 * mix_gla: gated linear attention (Yang et al. 2024): a matrix per head that decays, channel by channel of the keys, as
 * the token says.
 *
 *     q = L_q(x)    k = L_k(x)    v = L_v(x)                 L = projection [then convolution and silu]
 *     g = log sigmoid(Wu Wd x + b) / normalizer              log decay, one number per key channel
 *     S_t = S_{t-1} diag(exp g_t) + v_t k_t'                 per head, [dv, dk]
 *     o_t = S_t q_t / sqrt(dk)
 *     y = Wo ( silu(Wz x) o rms(o) )                         gate and norm each where it is switched on
 *
 * This file is the class: keys, slots, sizes. call.c is the mathematics; the device's loci.scan/1 is the recurrence.
 *
 * The three modes are one function: `chunk` cuts a call into chunks of so many tokens, `parallel` makes the whole call
 * one chunk, `sequential` goes token by token. They declare the same slots and agree up to rounding.
 */
#include "gla.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

#define fail(err, code, ...) loci_refuse(err, code, "mixer/gla", __VA_ARGS__)

#define KEY(id, type, def, choices, lo, hi, help) \
    static const loci_key key_##id = {sizeof(loci_key), type, #id, def, help, choices, lo, hi}
KEY(heads, LOCI_KEY_INT, "4", NULL, 1, 1024, "Heads.");
KEY(expand_k, LOCI_KEY_REAL, "0.5", NULL, 0.001, 64, "Width of all queries, and of all keys, as a multiple of dim.");
KEY(expand_v, LOCI_KEY_REAL, "1", NULL, 0.001, 64, "Width of all values as a multiple of dim.");
KEY(gate_low_rank, LOCI_KEY_INT, "16", NULL, 1, 4096, "Rank of the projection that makes the decay.");
KEY(gate_normalizer, LOCI_KEY_REAL, "16", NULL, 1e-3, 1e6,
    "What the logarithm of the decay is divided by: more means slower forgetting.");
KEY(out_norm, LOCI_KEY_BOOL, "yes", NULL, 0, 0, "RMS norm of each head's output, with a learned gain.");
KEY(norm_eps, LOCI_KEY_REAL, "1e-5", NULL, 1e-12, 1, "Added to the mean square inside the norm.");
KEY(out_gate, LOCI_KEY_ENUM, "silu", "none|silu", 0, 0, "Gate on the output, made from the input.");
KEY(conv, LOCI_KEY_INT, "0", NULL, 0, 64,
    "Taps of a causal convolution after each projection, SiLU behind it; 0: none.");
KEY(mode, LOCI_KEY_ENUM, "chunk", "chunk|parallel|sequential", 0, 0,
    "How the recurrence is computed, equal up to rounding: in chunks, a call as one chunk, token by token.");
KEY(chunk, LOCI_KEY_INT, "64", NULL, 1, LONGEST_CHUNK, "Tokens of a chunk in mode chunk.");
static const loci_key *const keys[] = {
    &key_heads,    &key_expand_k, &key_expand_v, &key_gate_low_rank, &key_gate_normalizer, &key_out_norm, &key_norm_eps,
    &key_out_gate, &key_conv,     &key_mode,     &key_chunk};

/* ---- life ------------------------------------------------------------------------------------------------------- */

static loci_status fit(const loci_host *host, const loci_config *config, const loci_shape *shape, loci_fit *f)
{
    const loci_dtype t = shape->dtype, a = shape->acc;

    (void)config;
    if (t.code != LOCI_FLOAT || (t.bits != 32 && t.bits != 64) || t.code != a.code || t.bits != a.bits)
        snprintf(f->reason, sizeof f->reason, "computes in float32 or float64, activations and state alike");
    else if (!host->get_ext(host, shape->device, LOCI_EXT_OPS))
        snprintf(f->reason, sizeof f->reason, "the device offers no " LOCI_EXT_OPS);
    else if (!host->get_ext(host, shape->device, LOCI_EXT_SCAN))
        snprintf(f->reason, sizeof f->reason, "the device offers no " LOCI_EXT_SCAN);
    else {
        f->score = 100;
        snprintf(f->reason, sizeof f->reason, "gated linear attention by the device's scan");
    }
    return LOCI_OK;
}

/* The width of a head: dim times `by`, shared among the heads. */
static loci_status head_width(const loci_module *m, const char *key, double by, int64_t *out, loci_error *err)
{
    const double width = (double)m->dim * by;
    const int64_t whole = (int64_t)(width + 0.5);

    if (whole < 1 || fabs(width - (double)whole) > 1e-6 * width || whole % m->heads != 0)
        return fail(err, LOCI_E_CONFIG, "dim = %lld times %s = %g is %g, not a multiple of heads = %lld: change one",
                    (long long)m->dim, key, by, width, (long long)m->heads);
    *out = whole / m->heads;
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
    loci_status status = LOCI_OK;

    (void)site;
    if (!m)
        return fail(err, LOCI_E_NOMEM, "out of memory");
    m->host = host;
    m->ops = host->get_ext(host, shape->device, LOCI_EXT_OPS);
    m->scan = host->get_ext(host, shape->device, LOCI_EXT_SCAN);
    m->dim = shape->dim;
    m->dtype = shape->dtype;
    m->heads = c->get_int(c->ctx, "heads");
    m->rank = c->get_int(c->ctx, "gate_low_rank");
    m->taps = c->get_int(c->ctx, "conv");
    m->normalizer = c->get_real(c->ctx, "gate_normalizer");
    m->eps = c->get_real(c->ctx, "norm_eps");
    m->norm = c->get_int(c->ctx, "out_norm") != 0;
    m->gate = !strcmp(c->get_str(c->ctx, "out_gate"), "silu");
    m->mode = !strcmp(mode, "sequential") ? LOCI_SCAN_SEQUENTIAL : LOCI_SCAN_EXACT;
    m->chunk = !strcmp(mode, "parallel") ? LONGEST_CHUNK : (int32_t)c->get_int(c->ctx, "chunk");
    if (!m->ops || !m->scan)
        status = fail(err, LOCI_E_DEVICE, "the device offers no %s: choose another device or mixer",
                      m->ops ? LOCI_EXT_SCAN : LOCI_EXT_OPS);
    if (status == LOCI_OK)
        status = head_width(m, "expand_k", c->get_real(c->ctx, "expand_k"), &m->dk, err);
    if (status == LOCI_OK)
        status = head_width(m, "expand_v", c->get_real(c->ctx, "expand_v"), &m->dv, err);
    if (status != LOCI_OK) {
        destroy(m);
        return status;
    }
    *out = m;
    return LOCI_OK;
}

/* ---- slots ------------------------------------------------------------------------------------------------------ */

static loci_status matrix(loci_module *m, void *decl, const char *name, int64_t rows, int64_t cols, uint32_t flags,
                          uint32_t *index)
{
    const loci_slot s = {sizeof s, flags, name, 2, LOCI_INIT_NORMAL, (int64_t[]){rows, cols}, {0, 0, 0}, 0, 0, 0.02, 0};

    return m->host->declare(m->host, decl, &s, index);
}

static loci_status row(loci_module *m, void *decl, const char *name, int64_t n, double value, uint32_t *index)
{
    const loci_slot s = {sizeof s, LOCI_SLOT_NO_DECAY, name, 1, LOCI_INIT_CONST, &n, {0, 0, 0}, 0, value, 0, 0};

    return m->host->declare(m->host, decl, &s, index);
}

static loci_status state(loci_module *m, void *decl, const char *name, int32_t ndim, const int64_t *shape,
                         uint32_t *index)
{
    const loci_slot s = {sizeof s, LOCI_SLOT_STATE, name, ndim, LOCI_INIT_ZERO, shape, {0, 0, 0}, 0, 0, 0, 0};

    return m->host->declare(m->host, decl, &s, index);
}

/* The weights of a convolution over `width` channels, each tap within 1 / sqrt(taps) as PyTorch starts a depthwise
 * Conv1d, and its tail: the last taps - 1 inputs. */
static loci_status conv(loci_module *m, void *decl, const char *name, const char *tail, int64_t width, int lane)
{
    const double bound = 1 / sqrt((double)m->taps);
    const loci_slot s = {sizeof s, 0,      name,  2, LOCI_INIT_UNIFORM, (int64_t[]){width, m->taps}, {0, 0, 0},
                         0,        -bound, bound, 0};
    const loci_status status = m->host->declare(m->host, decl, &s, &m->conv[lane]);

    return status == LOCI_OK ? state(m, decl, tail, 3, (int64_t[]){-1, m->taps - 1, width}, &m->tail[lane]) : status;
}

static loci_status declare(loci_module *m, void *decl, loci_error *err)
{
    static const char *const names[LANES][3] = {{"q.weight", "q_conv.weight", "tail.q"},
                                                {"k.weight", "k_conv.weight", "tail.k"},
                                                {"v.weight", "v_conv.weight", "tail.v"}};
    const int64_t nk = m->heads * m->dk, nv = m->heads * m->dv, width[LANES] = {nk, nk, nv};

    (void)err; /* the host says what it refused */
    LOCI_RETURN_IF(state(m, decl, "S", 4, (int64_t[]){-1, m->heads, m->dv, m->dk}, &m->S));
    for (int i = 0; i < LANES; i++) {
        LOCI_RETURN_IF(matrix(m, decl, names[i][0], width[i], m->dim, 0, &m->w[i]));
        if (m->taps > 0)
            LOCI_RETURN_IF(conv(m, decl, names[i][1], names[i][2], width[i], i));
    }
    LOCI_RETURN_IF(matrix(m, decl, "decay.down.weight", m->rank, m->dim, 0, &m->down));
    LOCI_RETURN_IF(matrix(m, decl, "decay.up.weight", nk, m->rank, 0, &m->up));
    LOCI_RETURN_IF(row(m, decl, "decay.bias", nk, 0, &m->bias));
    if (m->norm)
        LOCI_RETURN_IF(row(m, decl, "norm.weight", m->dv, 1, &m->gain));
    if (m->gate)
        LOCI_RETURN_IF(matrix(m, decl, "out_gate.weight", nv, m->dim, 0, &m->wz));
    return matrix(m, decl, "o.weight", m->dim, nv, LOCI_SLOT_RESIDUAL, &m->wo);
}

/* ---- sizes ------------------------------------------------------------------------------------------------------ */

loci_scan_io gla_scan(const loci_module *m)
{
    return (loci_scan_io){.struct_size = sizeof(loci_scan_io),
                          .scan = LOCI_SCAN_L,
                          .op = LOCI_OP_STEP,
                          .mode = m->mode,
                          .chunk = m->chunk,
                          .scale = 1 / sqrt((double)m->dk),
                          .loss_scale = 1};
}

static loci_status plan(loci_module *m, const loci_shape *shape, int32_t op, loci_need *need, loci_error *err)
{
    const loci_scan_io io = gla_scan(m);
    loci_need scan = {.struct_size = sizeof scan};
    loci_shape inner;

    LOCI_COPY(&inner, shape);
    if (op != LOCI_OP_MIX)
        return fail(err, LOCI_E_UNSUPPORTED, "a mixer knows one operation, not number %d", (int)op);
    LOCI_RETURN_IF(loci_countable(shape, "mixer/gla", err));
    inner.heads = inner.k_heads = inner.v_heads = m->heads;
    inner.dk = m->dk;
    inner.dv = m->dv;
    LOCI_RETURN_IF(m->scan->plan(&io, &inner, &scan, err));
    gla_need(m, shape->rows * shape->seq, shape->flags, need);
    need->scratch += scan.scratch;
    need->saved += scan.saved;
    return LOCI_OK;
}

/* ---- the class -------------------------------------------------------------------------------------------------- */

static const loci_mixer iface = {sizeof iface, 0, gla_forward, gla_backward};
static const loci_class cls = {
    .struct_size = sizeof cls,
    .state_version = 1,
    .id = "gla",
    .kind = LOCI_KIND_MIXER,
    .version = "1.0",
    .summary = "gated linear attention: a matrix per head that decays channel by channel, as each token says",
    .doc = "S = S diag(exp g) + v k';  o = S q / sqrt(dk);  y = Wo (silu(Wz x) o rms(o))\n"
           "g = log sigmoid(Wu Wd x + b) / c\n"
           "Cost: 2 N + 5 expand_k expand_v D^2 / heads operations per token: its N weights, and 5 dk dv a head.\n"
           "A state of H dk dv numbers per stream, whatever the length of the text.\n"
           "Source: Yang et al. 2024, Gated Linear Attention Transformers with Hardware-Efficient Training.\n"
           "Use: in place of mha where a long stream must stay small; it takes no context, so not below mac.",
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
static const loci_class *const classes[] = {&cls};

LOCI_EXPORT extern const loci_plugin loci_plugin_v1;
const loci_plugin loci_plugin_v1 = {LOCI_PLUGIN_HEAD, "mix_gla", "1.0", "Apache-2.0", 1, 0, classes};
LOCI_PLUGIN_NOTE("class=mixer/gla\n");
