/* SPDX-License-Identifier: Apache-2.0
 *
 * Engines: opening, what they say of themselves, weights, and streams on them.
 */
#include "core/api/api.h"
#include "core/infer/infer.h"
#include <math.h>
#include <string.h>

loci_status loci_engine_open(loci_engine **out, const loci_settings *s, const loci_engine_options *options,
                             loci_error *err)
{
    loci_status status = LOCI_OK;
    loci_engine *e = NULL;
    loci_engine_options o;
    char folder[4096] = "";

    LOCI_API_TAKE(&o, options);
    *out = NULL;
    if (!s && !o.checkpoint)
        return loci_fail(err, LOCI_E_ARG, "an engine needs settings, a checkpoint, or both");
    e = loci_alloc(sizeof *e);
    if (!e)
        return loci_fail(err, LOCI_E_NOMEM, "out of memory for an engine");
    e->train = (o.flags & LOCI_ENGINE_TRAIN) != 0;
    e->at.loss = e->at.valid_loss = NAN;
    if (o.checkpoint)
        LOCI_TRY(loci_checkpoint_find(folder, sizeof folder, o.checkpoint, err));
    if (s) {
        LOCI_TRY(loci_conf_clone(&e->conf, s, err));
    } else {
        LOCI_TRY(loci_conf_new(&e->conf, err));
        LOCI_TRY(loci_settings_checkpoint(e->conf, folder, err));
    }
    LOCI_TRY(loci_context_new(&e->cx, e->conf, o.plugin_path, (o.flags & LOCI_ENGINE_ALLOW_UNKNOWN) != 0, err));
    LOCI_TRY(loci_model_new(&e->model, e->cx, err));
    LOCI_TRY(loci_model_alloc(e->model, e->train, (uint64_t)loci_conf_int(e->conf, -1, "run", "seed"), err));
    if (o.checkpoint)
        LOCI_TRY(loci_api_restore(e, folder, err));
    *out = e;
    return LOCI_OK;
out:
    loci_engine_close(e);
    return status;
}

void loci_engine_close(loci_engine *e)
{
    if (!e)
        return;
    loci_api_forget(e);
    loci_model_free(e->model);
    loci_context_free(e->cx);
    loci_conf_free(e->conf);
    loci_free(e);
}

void loci_engine_describe(const loci_engine *e, loci_engine_facts *out)
{
    const loci_model *m = e->model;
    char why[400];
    loci_engine_facts f = {.struct_size = sizeof f,
                           .layers = m->n_layers,
                           .weights = (int32_t)m->weights.n,
                           .dim = m->dim,
                           .vocab = m->vocab,
                           .parameters = m->weights.elements,
                           .step = e->at.step,
                           .dtype = m->dtype,
                           .causal = loci_model_causal(m),
                           .streams = loci_model_streams(m, why, sizeof why)};

    LOCI_API_GIVE(out, &f);
}

loci_status loci_engine_get(const loci_engine *e, const char *key, const char **out, loci_error *err)
{
    return loci_api_get(e->conf, key, out, err);
}

/* ---- weights ---------------------------------------------------------------------------------------------------- */

static void show(const loci_weight *w, const char **name, const loci_tensor **value, const loci_tensor **grad)
{
    if (name)
        *name = w->name;
    if (value)
        *value = &w->value.t;
    if (grad)
        *grad = &w->grad.t;
}

loci_status loci_engine_weight(loci_engine *e, int32_t i, const char **name, const loci_tensor **value,
                               const loci_tensor **grad, loci_error *err)
{
    const loci_weights *w = &e->model->weights;

    if (i < 0 || (uint32_t)i >= w->n)
        return loci_fail(err, LOCI_E_ARG, "weight %d: this model has 0 to %u", (int)i, w->n - 1);
    show(w->at[i], name, value, grad);
    return LOCI_OK;
}

loci_status loci_engine_weight_named(loci_engine *e, const char *name, const loci_tensor **value,
                                     const loci_tensor **grad, loci_error *err)
{
    const loci_weight *w = loci_weights_find(&e->model->weights, name);

    if (!w)
        return loci_fail(err, LOCI_E_ARG, "this model has no weight `%s`", name);
    show(w, NULL, value, grad);
    return LOCI_OK;
}

/* ---- streams ---------------------------------------------------------------------------------------------------- */

loci_status loci_stream_open(loci_stream **out, loci_engine *e, const loci_stream_options *options, loci_error *err)
{
    loci_stream_options o;
    char why[400];

    LOCI_API_TAKE(&o, options);
    *out = NULL;
    if (!loci_model_streams(e->model, why, sizeof why))
        return loci_fail(err, LOCI_E_UNSUPPORTED, "%s", why);
    if (o.piece_tok < 0 || o.piece_tok > 1 << 24)
        return loci_fail(err, LOCI_E_ARG, "a piece of %lld tokens: 1 to %d are possible, 0 is data.seq_tok",
                         (long long)o.piece_tok, 1 << 24);
    if (o.most_tok < 0 || o.most_tok > INT32_MAX)
        return loci_fail(err, LOCI_E_ARG, "a stream of %lld tokens: 1 to %d are possible, 0 is the most",
                         (long long)o.most_tok, INT32_MAX);
    return loci_stream_new(out, e->model, o.piece_tok ? o.piece_tok : loci_conf_int(e->conf, -1, "data", "seq_tok"),
                           o.most_tok, err);
}
