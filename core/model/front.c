/* SPDX-License-Identifier: Apache-2.0
 *
 * The front end of every memory: from a layer's input to a rule's q, k, v and gates, and from its y back.
 *
 *   p_s = x W_s',  c_s = conv_s(p_s),  a_s = silu(c_s)          for s in {q, k, v}
 *   q = l2(a_q),  k = l2(a_k),  v = a_v                         per head, x / sqrt(|x|^2 + 1e-12)
 *   gate = lo + (hi - lo) sigmoid(x W_g' + b_g),  or lo + softplus(...) when hi is infinite
 *                                                               one number per head, or as many as the rule declared
 *   y_r = rule(q, k, v, gates)
 *   y = ( rms(y_r) o silu(x W_z') ) W_o'                        rms per head, with gain
 *
 * (1) One implementation for all rules; each part has a switch in [memory].
 * (2) READ uses the q stream and the output path, WRITE the k and v streams and the gates, STEP everything. A stream that
 *     an op does not use keeps its convolution tail.
 * (3) Everything a backward needs is kept in `saved` in the order of carve(); without SAVE the same pieces lie in
 *     scratch. The rule's own scratch and saved come after.
 *
 * Source: Behrouz et al. 2025 (Titans), section 4.4: SiLU on q, k, v, l2 norm of q and k, a depthwise convolution after
 * each projection, normalisation and a linear gate before the output projection. The gate's activation (SiLU) is ours.
 */
#include "core/model/front.h"

static const char *const stream_names[] = {"q", "k", "v"};

loci_status loci_front_new(loci_node *n, const loci_shape *outer, loci_error *err)
{
    struct loci_front *f = loci_alloc(sizeof *f);
    const loci_conf *c = n->cx->conf;
    int l = n->layer;
    int64_t dk = loci_conf_int(c, l, "memory", "dk"), dv = loci_conf_int(c, l, "memory", "dv");

    if (!f)
        return loci_fail(err, LOCI_E_NOMEM, "out of memory for the front end of %s", n->path);
    n->front = f;
    f->dim = outer->dim;
    f->heads = loci_conf_int(c, l, "memory", "heads");
    if (dk == 0 && f->dim % f->heads)
        return loci_fail(err, LOCI_E_CONFIG, "%s: memory.heads = %lld does not divide model.dim = %lld: set memory.dk",
                         loci_conf_origin(c, l, "memory", "heads"), (long long)f->heads, (long long)f->dim);
    f->dk = dk ? dk : f->dim / f->heads;
    f->dv = dv ? dv : f->dk;
    f->init_std = loci_conf_real(c, -1, "model", "init_std");
    f->taps = loci_conf_int(c, l, "memory", "conv");
    f->silu = loci_conf_bool(c, l, "memory", "silu");
    f->l2 = !strcmp(loci_conf_str(c, l, "memory", "qk_norm"), "l2");
    f->out_norm = loci_conf_bool(c, l, "memory", "out_norm");
    f->out_gate = !strcmp(loci_conf_str(c, l, "memory", "out_gate"), "silu");
    f->out_proj = loci_conf_bool(c, l, "memory", "out_proj");
    f->gate_bias = loci_conf_str(c, l, "memory", "gate_bias");
    if (!f->out_proj && f->heads * f->dv != f->dim)
        return loci_fail(err, LOCI_E_CONFIG,
                         "%s: memory.out_proj = no needs heads x dv = model.dim, but %lld x %lld is not %lld",
                         loci_conf_origin(c, l, "memory", "out_proj"), (long long)f->heads, (long long)f->dv,
                         (long long)f->dim);
    n->shape.heads = n->shape.k_heads = n->shape.v_heads = f->heads;
    n->shape.dk = f->dk;
    n->shape.dv = f->dv;
    return LOCI_OK;
}

void loci_front_free(struct loci_front *f)
{
    loci_free(f);
}

uint32_t loci_front_params(const loci_node *n)
{
    return n->front->n_params;
}

static loci_status weight(loci_node *n, const loci_weight **out, const char *name, int64_t rows, int64_t cols,
                          uint32_t flags, int32_t init, double a, double b, loci_error *err)
{
    int64_t shape[] = {rows, cols};
    loci_slot slot = {.struct_size = sizeof slot, .flags = flags, .name = name, .ndim = cols > 0 ? 2 : 1,
                      .init = init, .shape = shape, .a = a, .b = b};
    loci_status status;

    if (n->n_params == LOCI_MAX_SLOTS)
        return loci_fail(err, LOCI_E_UNSUPPORTED, "%s: more than 48 weights with its front end", n->path);
    status = loci_weights_add(n->weights, n->path, &slot, n->shape.dtype, out, err);
    if (status == LOCI_OK) {
        n->params[n->n_params++] = *out;
        n->front->n_params++;
    }
    return status;
}

/* The activated initial value of a gate, as memory.gate_bias or the rule says. */
static loci_status gate_start(const loci_node *n, const struct gate *g, double *out, loci_error *err)
{
    const char *list = n->front->gate_bias, *at = list;
    size_t len = strlen(g->name);
    char *end;

    *out = g->init;
    while (*at) {
        at += strspn(at, ", \t");
        if (!strncmp(at, g->name, len) && strspn(at + len, " \t=") && strchr(at + len, '=')) {
            at = strchr(at, '=') + 1;
            *out = strtod(at, &end);
            if (end == at || !(*out > g->lo) || !(*out < g->hi))
                return loci_fail(err, LOCI_E_CONFIG, "%s: memory.gate_bias: %s must lie inside (%g, %g)",
                                 loci_conf_origin(n->cx->conf, n->layer, "memory", "gate_bias"), g->name, g->lo, g->hi);
        }
        at += strcspn(at, ",");
    }
    return LOCI_OK;
}

/* The inverse of the gate's activation. */
static double gate_inverse(const struct gate *g, double y)
{
    double u;

    if (isinf(g->hi)) {
        u = y - g->lo;
        return u > 30 ? u : log(expm1(fmax(u, 1e-12)));
    }
    u = fmin(fmax((y - g->lo) / (g->hi - g->lo), 1e-9), 1 - 1e-9);
    return log(u / (1 - u));
}

static loci_status declare_gates(loci_node *n, loci_error *err)
{
    loci_status status = LOCI_OK;
    struct loci_front *f = n->front;
    char name[160];
    double start = 0;

    for (uint32_t i = 0; i < n->n_gates; i++) {
        LOCI_TRY(gate_start(n, &n->gates[i], &start, err));
        snprintf(name, sizeof name, "front.gate.%s.weight", n->gates[i].name);
        LOCI_TRY(weight(n, &f->gate_w[i], name, f->heads * n->gates[i].width, f->dim, 0, LOCI_INIT_NORMAL, 0,
                        f->init_std, err));
        snprintf(name, sizeof name, "front.gate.%s.bias", n->gates[i].name);
        LOCI_TRY(weight(n, &f->gate_b[i], name, f->heads * n->gates[i].width, 0, LOCI_SLOT_NO_DECAY, LOCI_INIT_CONST,
                        gate_inverse(&n->gates[i], start), 0, err));
    }
out:
    return status;
}

loci_status loci_front_declare(loci_node *n, loci_error *err)
{
    loci_status status = LOCI_OK;
    struct loci_front *f = n->front;
    const loci_memory *m = n->cls->iface;
    char name[64];

    for (int s = 0; s < 3; s++) {
        int64_t width = f->heads * (s == 2 ? f->dv : f->dk);
        f->on[s] = (m->needs & (1u << s)) != 0;
        if (!f->on[s])
            continue;
        snprintf(name, sizeof name, "front.%s.weight", stream_names[s]);
        LOCI_TRY(weight(n, &f->w[s], name, width, f->dim, 0, LOCI_INIT_NORMAL, 0, f->init_std, err));
        if (f->taps > 0) {
            struct state_slot *t = &n->states[n->n_states];
            snprintf(name, sizeof name, "front.conv_%s.weight", stream_names[s]);
            LOCI_TRY(weight(n, &f->conv[s], name, width, f->taps, LOCI_SLOT_NO_DECAY, LOCI_INIT_UNIFORM,
                            -1 / sqrt((double)f->taps), 1 / sqrt((double)f->taps), err));
            if (n->n_states == LOCI_MAX_STATES) {
                status = loci_fail(err, LOCI_E_UNSUPPORTED, "%s: more than 64 states with its front end", n->path);
                goto out;
            }
            snprintf(name, sizeof name, "front.tail_%s", stream_names[s]);
            t->name = loci_strdup(name);
            if (!t->name) {
                status = loci_fail(err, LOCI_E_NOMEM, "out of memory at %s", n->path);
                goto out;
            }
            t->ndim = 3;
            t->shape[0] = -1;
            t->shape[1] = f->taps - 1;
            t->shape[2] = width;
            t->dtype = n->shape.acc;
            t->front = true;
            f->tail[s] = n->n_states++;
        }
    }
    LOCI_TRY(declare_gates(n, err));
    if (f->out_norm)
        LOCI_TRY(weight(n, &f->norm, "front.norm.weight", f->heads, f->dv, LOCI_SLOT_NO_DECAY, LOCI_INIT_CONST, 1, 0,
                        err));
    if (f->out_gate)
        LOCI_TRY(weight(n, &f->z, "front.out_gate.weight", f->heads * f->dv, f->dim, 0, LOCI_INIT_NORMAL, 0, 0.02,
                        err));
    if (f->out_proj)
        LOCI_TRY(weight(n, &f->o, "front.o.weight", f->dim, f->heads * f->dv, LOCI_SLOT_RESIDUAL, LOCI_INIT_NORMAL, 0,
                        f->init_std, err));
out:
    return status;
}
