/* SPDX-License-Identifier: Apache-2.0
 *
 * Building a model from a config: its blocks, and the weights that are the host's own.
 */
#include "core/model/model.h"
#include <math.h>
#include <string.h>

static loci_status weight(loci_model *m, const loci_weight **out, int layer, const char *name, int64_t rows,
                          int64_t cols, uint32_t flags, double init, loci_error *err)
{
    int64_t shape[] = {rows, cols};
    char prefix[32] = "";
    loci_slot slot = {.struct_size = sizeof slot,
                      .flags = flags,
                      .name = name,
                      .ndim = cols > 0 ? 2 : 1,
                      .init = cols > 0 ? LOCI_INIT_NORMAL : LOCI_INIT_CONST,
                      .shape = shape,
                      .a = cols > 0 ? 0 : init,
                      .b = init};

    if (layer >= 0)
        snprintf(prefix, sizeof prefix, "layer.%d", layer);
    return loci_weights_add(&m->weights, prefix, &slot, m->dtype, out, err);
}

static int64_t hidden_width(const loci_model *m)
{
    double mult = loci_conf_real(m->cx->conf, -1, "model", "ffn_mult");

    if (mult > 0)
        return (int64_t)ceil(mult * (double)m->dim);
    if (m->ffn == LOCI_FFN_GELU)
        return 4 * m->dim;
    return ((8 * m->dim + 2) / 3 + 15) / 16 * 16;
}

static loci_status build_layer(loci_model *m, int i, double std, loci_error *err)
{
    loci_status status = LOCI_OK;
    struct loci_layer *l = &m->layers[i];
    loci_shape shape = {.struct_size = sizeof shape,
                        .dim = m->dim,
                        .dtype = m->dtype,
                        .acc = m->dtype.bits == 64 ? loci_f64 : loci_f32,
                        .device = m->cx->device};
    char path[48];

    snprintf(path, sizeof path, "layer.%d.compose", i);
    LOCI_TRY(weight(m, &l->norm1, i, "norm1.weight", m->dim, 0, LOCI_SLOT_NO_DECAY, 1, err));
    LOCI_TRY(loci_node_new(&l->compose, m->cx, &m->weights, "compose", i, m->n_layers, path, &shape,
                           LOCI_CAP_BACKWARD, err));
    m->caps &= loci_node_caps(l->compose);
    if (m->ffn == LOCI_FFN_NONE)
        return LOCI_OK;
    LOCI_TRY(weight(m, &l->norm2, i, "norm2.weight", m->dim, 0, LOCI_SLOT_NO_DECAY, 1, err));
    LOCI_TRY(weight(m, &l->up, i, "ffn.up.weight", m->hidden, m->dim, 0, std, err));
    if (m->ffn == LOCI_FFN_SWIGLU)
        LOCI_TRY(weight(m, &l->gate, i, "ffn.gate.weight", m->hidden, m->dim, 0, std, err));
    LOCI_TRY(weight(m, &l->down, i, "ffn.down.weight", m->dim, m->hidden, LOCI_SLOT_RESIDUAL, std, err));
out:
    return status;
}

loci_status loci_model_new(loci_model **out, loci_context *cx, loci_error *err)
{
    loci_status status = LOCI_OK;
    loci_model *m = loci_alloc(sizeof *m);
    const loci_conf *c = cx->conf;
    const char *ffn = loci_conf_str(c, -1, "model", "ffn");
    double std = loci_conf_real(c, -1, "model", "init_std");

    *out = NULL;
    if (!m)
        return loci_fail(err, LOCI_E_NOMEM, "out of memory for the model");
    m->cx = cx;
    m->caps = ~UINT64_C(0);
    m->dtype = !strcmp(loci_conf_str(c, -1, "run", "dtype"), "f64") ? loci_f64 : loci_f32;
    m->n_layers = (int32_t)loci_conf_int(c, -1, "model", "layers");
    m->dim = loci_conf_int(c, -1, "model", "dim");
    m->vocab = loci_conf_int(c, -1, "model", "vocab");
    m->eps = loci_conf_real(c, -1, "model", "norm_eps");
    m->ffn = !strcmp(ffn, "none") ? LOCI_FFN_NONE : !strcmp(ffn, "gelu") ? LOCI_FFN_GELU : LOCI_FFN_SWIGLU;
    m->recompute = !strcmp(loci_conf_str(c, -1, "train", "recompute"), "layer");
    m->hidden = m->ffn == LOCI_FFN_NONE ? 0 : hidden_width(m);
    m->weights.n_layers = m->n_layers;
    m->weights.residual_scale = loci_conf_bool(c, -1, "model", "residual_scale");
    m->layers = loci_alloc((size_t)m->n_layers * sizeof *m->layers);
    if (!m->layers) {
        status = loci_fail(err, LOCI_E_NOMEM, "out of memory for %d layers", (int)m->n_layers);
        goto out;
    }
    LOCI_TRY(weight(m, &m->embed, -1, "embed.weight", m->vocab, m->dim, 0, std, err));
    for (int i = 0; i < m->n_layers; i++)
        LOCI_TRY(build_layer(m, i, std, err));
    LOCI_TRY(weight(m, &m->norm, -1, "norm.weight", m->dim, 0, LOCI_SLOT_NO_DECAY, 1, err));
    m->head = m->embed;
    if (!loci_conf_bool(c, -1, "model", "tied"))
        LOCI_TRY(weight(m, &m->head, -1, "head.weight", m->vocab, m->dim, 0, std, err));
    *out = m;
    return LOCI_OK;
out:
    loci_model_free(m);
    return status;
}

loci_status loci_model_alloc(loci_model *m, bool train, uint64_t seed, loci_error *err)
{
    loci_status status = loci_weights_alloc(&m->weights, m->cx, train, train, err);

    return status == LOCI_OK ? loci_weights_init(&m->weights, m->cx, seed, err) : status;
}

bool loci_model_causal(const loci_model *m)
{
    return (m->caps & LOCI_CAP_CAUSAL) != 0;
}

void loci_model_warn(const loci_model *m)
{
    const loci_node *n = NULL;

    for (int32_t i = m->n_layers; i-- > 0;)
        if (!(loci_node_caps(m->layers[i].compose) & LOCI_CAP_CAUSAL))
            n = m->layers[i].compose;
    if (n)
        loci_log(LOCI_LOG_WARN, "model", "%s: compose/%s promises no causality with this config: the model " LOCI_NOT_CAUSAL,
                 loci_node_path(n), loci_node_id(n));
}

void loci_model_free(loci_model *m)
{
    if (!m)
        return;
    for (int i = 0; m->layers && i < m->n_layers; i++)
        loci_node_free(m->layers[i].compose);
    loci_weights_free(&m->weights, m->cx);
    loci_free(m->layers);
    loci_free(m);
}
