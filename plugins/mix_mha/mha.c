/* SPDX-License-Identifier: Apache-2.0
 *
 * mix_mha: multi-head softmax attention as a mixer (Vaswani et al. 2017), with grouped key-value heads (Ainslie et al.
 * 2023), rotary positions (Su et al. 2021) or ALiBi (Press et al. 2022), a sliding window, QK norm and short
 * convolutions. This file is the class: keys, slots, sizes. call.c is the mathematics.
 */
#include "mha.h"
#include <stdio.h>
#include <string.h>

#define KEY(id, type, def, choices, lo, hi, help) \
    static const loci_key key_##id = {sizeof(loci_key), type, #id, def, help, choices, lo, hi}
KEY(heads, LOCI_KEY_INT, "4", NULL, 1, 1024, "Query heads.");
KEY(kv_heads, LOCI_KEY_INT, "0", NULL, 0, 1024, "Key and value heads; divides heads; 0: as many as heads.");
KEY(dk, LOCI_KEY_INT, "0", NULL, 0, 4096, "Width of a query and key head; 0: dim / heads.");
KEY(dv, LOCI_KEY_INT, "0", NULL, 0, 4096, "Width of a value head; 0: dk.");
KEY(window_tok, LOCI_KEY_INT, "0", NULL, 0, 1e9, "Tokens a query sees, itself included; 0: all before it.");
KEY(qk_norm, LOCI_KEY_ENUM, "none", "none|rms", 0, 0, "Norm of queries and keys per head, with a learned gain.");
KEY(pos, LOCI_KEY_ENUM, "rope", "rope|alibi|none", 0, 0, "How positions enter.");
KEY(rope_base, LOCI_KEY_REAL, "10000", NULL, 1.0001, 1e12, "Base of the rotary angles.");
KEY(rope_rot, LOCI_KEY_INT, "0", NULL, 0, 4096, "Rotated channels of each head, even; 0: all.");
KEY(softcap, LOCI_KEY_REAL, "0", NULL, 0, 1e6, "Scores become c tanh(s / c); 0: as they are.");
KEY(dropout, LOCI_KEY_REAL, "0", NULL, 0, 0.99, "Share of attention weights dropped in training.");
KEY(conv, LOCI_KEY_INT, "0", NULL, 0, 64, "Taps of a causal convolution after each projection; 0: none.");
static const loci_key *const keys[] = {&key_heads,      &key_kv_heads, &key_dk,      &key_dv,
                                       &key_window_tok, &key_qk_norm,  &key_pos,     &key_rope_base,
                                       &key_rope_rot,   &key_softcap,  &key_dropout, &key_conv};
static const loci_want want_attention = {sizeof(loci_want), 0, "attention", LOCI_KIND_ATTENTION, LOCI_CAP_BACKWARD};
static const loci_want *const wants[] = {&want_attention};

static loci_status fit(const loci_host *host, const loci_config *config, const loci_shape *shape, loci_fit *f)
{
    (void)config;
    if (shape->dtype.code != LOCI_FLOAT || (shape->dtype.bits != 32 && shape->dtype.bits != 64))
        snprintf(f->reason, sizeof f->reason, "computes in float32 or float64 only");
    else if (!host->get_ext(host, shape->device, LOCI_EXT_OPS))
        snprintf(f->reason, sizeof f->reason, "the device offers no " LOCI_EXT_OPS);
    else {
        f->score = 50;
        snprintf(f->reason, sizeof f->reason, "softmax attention over the services of the device");
    }
    return LOCI_OK;
}

/* Sizes from keys, and what cannot be. */
static loci_status sizes(struct loci_module *m, const loci_config *c, loci_error *err)
{
    int64_t dk = c->get_int(c->ctx, "dk"), dv = c->get_int(c->ctx, "dv"), rot = c->get_int(c->ctx, "rope_rot");

    m->heads = c->get_int(c->ctx, "heads");
    m->kv_heads = c->get_int(c->ctx, "kv_heads");
    if (m->kv_heads == 0)
        m->kv_heads = m->heads;
    if (m->heads % m->kv_heads != 0)
        return loci_refuse(err, LOCI_E_CONFIG, "mixer/mha", "heads = %lld is not a multiple of kv_heads = %lld: change one",
                        (long long)m->heads, (long long)m->kv_heads);
    if (dk == 0 && m->dim % m->heads != 0)
        return loci_refuse(err, LOCI_E_CONFIG, "mixer/mha", "dim = %lld is not a multiple of heads = %lld: change one or set dk",
                        (long long)m->dim, (long long)m->heads);
    m->dk = dk ? dk : m->dim / m->heads;
    m->dv = dv ? dv : m->dk;
    m->rot = rot ? rot : m->dk;
    if (m->pos == POS_ROPE && m->rot > m->dk)
        return loci_refuse(err, LOCI_E_CONFIG, "mixer/mha", "rope_rot = %lld is more than a head's %lld channels: lower it",
                        (long long)m->rot, (long long)m->dk);
    if (m->pos == POS_ROPE && m->rot % 2 != 0)
        return loci_refuse(err, LOCI_E_CONFIG, "mixer/mha", "rotary positions need an even number of channels, not %lld: set rope_rot",
                        (long long)m->rot);
    return LOCI_OK;
}

static void destroy(loci_module *m)
{
    m->host->free(m->host, m);
}

static loci_status create(const loci_host *host, const loci_config *c, const loci_site *site, const loci_shape *shape,
                          loci_module **out, loci_error *err)
{
    struct loci_module *m = host->alloc(host, sizeof *m);
    const char *pos = c->get_str(c->ctx, "pos");
    loci_status status;

    (void)site;
    if (!m)
        return loci_refuse(err, LOCI_E_NOMEM, "mixer/mha", "out of memory");
    m->host = host;
    m->ops = host->get_ext(host, shape->device, LOCI_EXT_OPS);
    m->dim = shape->dim;
    m->dtype = shape->dtype;
    m->acc = shape->acc;
    m->pos = !strcmp(pos, "rope") ? POS_ROPE : !strcmp(pos, "alibi") ? POS_ALIBI : POS_NONE;
    m->norm = !strcmp(c->get_str(c->ctx, "qk_norm"), "rms");
    m->window_tok = c->get_int(c->ctx, "window_tok");
    m->taps = c->get_int(c->ctx, "conv");
    m->rope_base = c->get_real(c->ctx, "rope_base");
    m->softcap = c->get_real(c->ctx, "softcap");
    m->dropout = c->get_real(c->ctx, "dropout");
    status = m->ops ? sizes(m, c, err) : loci_refuse(err, LOCI_E_DEVICE, "mixer/mha", "the device offers no " LOCI_EXT_OPS);
    if (status != LOCI_OK) {
        destroy(m);
        return status;
    }
    *out = m;
    return LOCI_OK;
}

/* A composition may pass a window, rows at position -1 and positions of its own, so these are always asked for. */
static loci_status child_shape(loci_module *m, uint32_t want, loci_shape *shape, loci_error *err)
{
    (void)want;
    (void)err;
    shape->heads = m->heads;
    shape->k_heads = shape->v_heads = m->kv_heads;
    shape->dk = m->dk;
    shape->dv = m->dv;
    shape->features = LOCI_A_POS | LOCI_A_LENGTHS | LOCI_A_PREFIX | LOCI_A_WINDOW;
    shape->features |= m->pos == POS_ALIBI ? LOCI_A_SLOPES : 0;
    shape->features |= m->softcap > 0 ? LOCI_A_SOFTCAP : 0;
    shape->features |= m->dropout > 0 ? LOCI_A_DROPOUT : 0;
    return LOCI_OK;
}

static loci_status bind(loci_module *m, uint32_t n, const loci_child *const *children, loci_error *err)
{
    if (n != 1 || !children[0])
        return loci_refuse(err, LOCI_E_ARG, "mixer/mha", "an attention backend is needed");
    m->attention = children[0];
    return LOCI_OK;
}

static loci_status weight(loci_module *m, void *decl, const char *name, int64_t a, int64_t b, uint32_t flags,
                          uint32_t *index)
{
    loci_slot s = {sizeof s, flags, name, b ? 2 : 1, LOCI_INIT_NORMAL, (int64_t[]){a, b}, {0, 0, 0}, 0, 0, 0.02, 0};

    return m->host->declare(m->host, decl, &s, index);
}

static loci_status gain(loci_module *m, void *decl, const char *name, uint32_t *index)
{
    loci_slot s = {sizeof s, LOCI_SLOT_NO_DECAY, name, 1, LOCI_INIT_CONST, &m->dk, {0, 0, 0}, 0, 1, 0, 0};

    return m->host->declare(m->host, decl, &s, index);
}

/* The weights of a convolution over `width` channels, and its tail: the last taps - 1 inputs. Each tap starts within
 * 1 / sqrt(taps), PyTorch's bound for a depthwise Conv1d. */
static loci_status conv(loci_module *m, void *decl, const char *name, const char *tail, int64_t width, uint32_t *w,
                        uint32_t *t)
{
    const double bound = 1 / __builtin_sqrt((double)m->taps);
    loci_slot c = {sizeof c, 0,      name,  2, LOCI_INIT_UNIFORM, (int64_t[]){width, m->taps}, {0, 0, 0},
                   0,        -bound, bound, 0};
    loci_slot s = {
        sizeof s, LOCI_SLOT_STATE, tail, 3, LOCI_INIT_ZERO, (int64_t[]){-1, m->taps - 1, width}, m->dtype, 0, 0, 0, 0};
    loci_status status = m->host->declare(m->host, decl, &c, w);

    return status == LOCI_OK ? m->host->declare(m->host, decl, &s, t) : status;
}

static loci_status cache(loci_module *m, void *decl, const char *name, int64_t width, uint32_t *index)
{
    const loci_dtype i32 = {LOCI_INT, 32, 1};
    loci_slot s = {sizeof s,
                   LOCI_SLOT_STATE | LOCI_SLOT_CACHE,
                   name,
                   width ? 4 : 2,
                   LOCI_INIT_ZERO,
                   (int64_t[]){-1, -2, m->kv_heads, width},
                   width ? m->dtype : i32,
                   0,
                   0,
                   0,
                   m->window_tok};

    return m->host->declare(m->host, decl, &s, index);
}

static loci_status declare(loci_module *m, void *decl, loci_error *err)
{
    const int64_t nq = m->heads * m->dk, nk = m->kv_heads * m->dk, nv = m->kv_heads * m->dv;
    loci_status status;

    (void)err; /* the host says what it refused */
    if ((status = weight(m, decl, "q.weight", nq, m->dim, 0, &m->wq)) != LOCI_OK ||
        (status = weight(m, decl, "k.weight", nk, m->dim, 0, &m->wk)) != LOCI_OK ||
        (status = weight(m, decl, "v.weight", nv, m->dim, 0, &m->wv)) != LOCI_OK ||
        (status = weight(m, decl, "o.weight", m->dim, m->heads * m->dv, LOCI_SLOT_RESIDUAL, &m->wo)) != LOCI_OK)
        return status;
    if (m->norm && ((status = gain(m, decl, "q_norm.weight", &m->gq)) != LOCI_OK ||
                    (status = gain(m, decl, "k_norm.weight", &m->gk)) != LOCI_OK))
        return status;
    if ((status = cache(m, decl, "k", m->dk, &m->k_slot)) != LOCI_OK ||
        (status = cache(m, decl, "v", m->dv, &m->v_slot)) != LOCI_OK ||
        (status = cache(m, decl, "pos", 0, &m->pos_slot)) != LOCI_OK)
        return status;
    if (m->taps > 0 && ((status = conv(m, decl, "q_conv.weight", "tail.q", nq, &m->cq, &m->tq)) != LOCI_OK ||
                        (status = conv(m, decl, "k_conv.weight", "tail.k", nk, &m->ck, &m->tk)) != LOCI_OK ||
                        (status = conv(m, decl, "v_conv.weight", "tail.v", nv, &m->cv, &m->tv)) != LOCI_OK))
        return status;
    return LOCI_OK;
}

static loci_status plan(loci_module *m, const loci_shape *shape, int32_t op, loci_need *need, loci_error *err)
{
    const int64_t ctx = shape->ctx > shape->seq ? shape->ctx : shape->seq;
    loci_shape sub;
    loci_need child = {.struct_size = sizeof child};
    loci_status status;

    LOCI_COPY(&sub, shape);
    if (op != LOCI_OP_MIX)
        return loci_refuse(err, LOCI_E_UNSUPPORTED, "mixer/mha", "a mixer knows one operation, not number %d", (int)op);
    LOCI_RETURN_IF(loci_countable(shape, "mixer/mha", err));
    child_shape(m, 0, &sub, NULL);
    sub.ctx = ctx;
    status = m->host->child_need(m->attention, &sub, LOCI_OP_MIX, &child, err);
    if (status != LOCI_OK)
        return status;
    mha_need(m, shape->rows * shape->seq, shape->rows * ctx, shape->flags, need);
    need->scratch += child.scratch;
    need->saved += child.saved;
    need->host += child.host;
    return LOCI_OK;
}

static const loci_mixer iface = {sizeof iface, 0, mha_forward, mha_backward};
static const loci_class cls = {
    .struct_size = sizeof cls,
    .id = "mha",
    .kind = LOCI_KIND_MIXER,
    .version = "1.0",
    .summary = "multi-head attention with a key-value cache: grouped heads, RoPE or ALiBi, window, QK norm",
    .doc = "o = softmax(q k' / sqrt(dk)) v per head, y = Wo o; q = Wq x, k = Wk c, v = Wv c over the context c.\n"
           "Cost: 2 N + 2 H (dk + dv) seen(window_tok) operations per token: its N weights, and attention to\n"
           "the keys a query sees.\n"
           "Source: Vaswani et al. 2017; grouped heads: Ainslie et al. 2023; RoPE: Su et al. 2021; ALiBi: Press et al.\n"
           "2022.\n"
           "Use: the softmax layer of every composition; window_tok bounds its cost, kv_heads its cache.",
    .caps = LOCI_CAP_BACKWARD | LOCI_CAP_STREAMING | LOCI_CAP_CAUSAL | LOCI_CAP_CONTEXT,
    .n_keys = sizeof keys / sizeof *keys,
    .n_wants = 1,
    .keys = keys,
    .wants = wants,
    .fit = fit,
    .create = create,
    .destroy = destroy,
    .child_shape = child_shape,
    .bind = bind,
    .declare = declare,
    .plan = plan,
    .iface = &iface,
};
static const loci_class *const classes[] = {&cls};

LOCI_EXPORT extern const loci_plugin loci_plugin_v1;
const loci_plugin loci_plugin_v1 = {LOCI_PLUGIN_HEAD, "mix_mha", "1.0", "Apache-2.0", 1, 0, classes};
LOCI_PLUGIN_NOTE("class=mixer/mha\n");
