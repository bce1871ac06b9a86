/* SPDX-License-Identifier: Apache-2.0
 *
 * loci inspect --gates: what the gates of a checkpoint did over one batch, and how its memories grew.
 */
#include "cli/inspect.h"
#include "core/train/probe.h"
#include "core/train/train.h"
#include <math.h>
#include <string.h>

enum { PIECES = 16 };

/* The gate that says how much is forgotten; the name is a convention of all rules. */
#define FORGET "alpha"

static json_t *gate_json(loci_probe_gate *g)
{
    static const struct {
        const char *name;
        double q;
    } quantiles[] = {{"q05", 0.05}, {"q25", 0.25}, {"q50", 0.5}, {"q75", 0.75}, {"q95", 0.95}};
    loci_named all = {.name = g->name,
                      .dtype = loci_f64,
                      .ndim = 1,
                      .shape = {(int64_t)g->values.n},
                      .data = g->values.at,
                      .bytes = g->values.n * sizeof(double)};
    loci_figures f = loci_figures_of(&all);
    json_t *j = json_pack("{s:i, s:s, s:s, s:[f, o], s:I, s:o, s:o, s:o, s:o, s:o}", "layer", loci_node_layer(g->node),
                          "component", loci_node_id(g->node), "gate", g->name, "range", g->lo,
                          isinf(g->hi) ? json_string("inf") : json_real(g->hi), "n", (json_int_t)f.n, "mean",
                          cli_real(f.mean), "std", cli_real(f.std), "min", cli_real(f.min), "max", cli_real(f.max),
                          "saturated", cli_real(loci_gate_saturated(g)));

    if (!strcmp(g->name, FORGET) && g->hi == 1)
        json_object_set_new(j, "half_life_tok", cli_real(loci_gate_half_life(g)));
    loci_numbers_sort(&g->values);
    for (size_t i = 0; i < sizeof quantiles / sizeof *quantiles; i++)
        json_object_set_new(j, quantiles[i].name, cli_real(loci_numbers_quantile(&g->values, quantiles[i].q)));
    return j;
}

static json_t *norm_json(const loci_probe_norm *n)
{
    json_t *rows = json_array();

    for (size_t i = 0; i < n->positions.n; i++)
        json_array_append_new(rows, inspect_array(n->norms.at + i * (size_t)n->heads, (size_t)n->heads));
    return json_pack("{s:i, s:s, s:s, s:o, s:o}", "layer", loci_node_layer(n->node), "component", loci_node_id(n->node),
                     "state", n->state, "positions", inspect_array(n->positions.at, n->positions.n), "norms", rows);
}

static json_t *probe_json(loci_probe *p)
{
    json_t *gates = json_array(), *norms = json_array();

    for (uint32_t i = 0; i < p->n_gates; i++)
        json_array_append_new(gates, gate_json(&p->gates[i]));
    for (uint32_t i = 0; i < p->n_norms; i++)
        json_array_append_new(norms, norm_json(&p->norms[i]));
    return json_pack("{s:I, s:I, s:I, s:o, s:o, s:o}", "rows", (json_int_t)p->rows, "seq_tok", (json_int_t)p->seq,
                     "tokens", (json_int_t)p->tokens, "loss_nats", cli_real(p->loss), "gates", gates, "memory", norms);
}

/* The config that came with the checkpoint, with the text to read laid over it. */
static loci_status config_of(loci_conf **out, const char *folder, const char *text, const struct options *o,
                             loci_error *err)
{
    loci_status status = LOCI_OK;
    char *base = loci_format("%s/config.ini", folder);
    char *train = text ? loci_format("data.train=%s", text) : NULL,
         *valid = text ? loci_format("data.valid=%s", text) : NULL;

    if (!base || (text && (!train || !valid))) {
        status = loci_fail(err, LOCI_E_NOMEM, "out of memory");
        goto out;
    }
    LOCI_TRY(cli_config(out, o, base, err));
    if (text) {
        LOCI_TRY(loci_conf_set(*out, "data.source=text", "--text", err));
        LOCI_TRY(loci_conf_set(*out, train, "--text", err));
        LOCI_TRY(loci_conf_set(*out, valid, "--text", err));
    }
out:
    loci_free(base);
    loci_free(train);
    loci_free(valid);
    return status;
}

loci_status inspect_gates(json_t **out, const char *folder, const char *text, const struct options *o, loci_error *err)
{
    loci_status status = LOCI_OK;
    loci_conf *conf = NULL;
    loci_context *cx = NULL;
    loci_model *m = NULL;
    loci_data *d = NULL;
    loci_probe probe = {0};
    loci_saved saved;
    int64_t rows, seq, pieces = PIECES;

    *out = NULL;
    LOCI_TRY(config_of(&conf, folder, text, o, err));
    LOCI_TRY(loci_context_new(&cx, conf, o->plugin_path, o->allow_unknown, err));
    rows = loci_conf_int(conf, -1, "train", "batch");
    seq = loci_conf_int(conf, -1, "data", "seq_tok");
    LOCI_TRY(loci_data_open(&d, conf, seq, err));
    LOCI_TRY(loci_model_new(&m, cx, err));
    LOCI_TRY(loci_data_fits(d, m->vocab, conf, err));
    LOCI_TRY(loci_model_alloc(m, false, 0, err));
    LOCI_TRY(loci_checkpoint_read(&saved, folder, m, NULL, false, err));
    for (int i = 0; i < m->n_layers; i++)
        if (!(loci_node_caps(m->layers[i].compose) & LOCI_CAP_STREAMING))
            pieces = 1;
    LOCI_TRY(loci_probe_run(&probe, m, d, rows, seq, pieces, err));
    *out = probe_json(&probe);
    if (!*out)
        status = loci_fail(err, LOCI_E_NOMEM, "out of memory");
out:
    loci_probe_free(&probe);
    loci_model_free(m);
    loci_data_free(d);
    loci_context_free(cx);
    loci_conf_free(conf);
    return status;
}

/* ---- as text ---------------------------------------------------------------------------------------------------- */

static double at(const json_t *j, const char *key)
{
    return json_number_value(json_object_get(j, key));
}

static void print_gate(const json_t *g)
{
    const json_t *half = json_object_get(g, "half_life_tok");

    printf("%5d  %-10s %8.3g %8.3g %8.3g %8.3g %8.3g %8.3g %8.0f %%\n", (int)at(g, "layer"), cli_text(g, "gate"),
           at(g, "mean"), at(g, "std"), at(g, "min"), at(g, "q50"), at(g, "q95"), at(g, "max"),
           100 * at(g, "saturated"));
    if (json_is_number(half))
        printf("       half of what is written is forgotten after %.3g tokens\n", json_number_value(half));
    else if (half)
        printf("       nothing is forgotten\n");
}

/* Mean over the heads, position by position; then each head at the last one. */
static void print_norm(const json_t *n)
{
    const json_t *positions = json_object_get(n, "positions"), *rows = json_object_get(n, "norms"), *last = NULL;
    loci_text t = {0};
    char label[160];

    for (size_t i = 0; i < json_array_size(positions); i++) {
        double sum = 0;
        last = json_array_get(rows, i);
        for (size_t h = 0; h < json_array_size(last); h++)
            sum += json_number_value(json_array_get(last, h));
        loci_text_add(&t, " %.0f:%.3g", json_number_value(json_array_get(positions, i)),
                      sum / (double)json_array_size(last));
    }
    snprintf(label, sizeof label, "%5d  %s", (int)at(n, "layer"), cli_text(n, "state"));
    cli_wrap(label, 18, t.at ? t.at + 1 : "");
    loci_text_free(&t);
    loci_text_add(&t, "by head at the end:");
    for (size_t h = 0; h < json_array_size(last); h++)
        loci_text_add(&t, " %.3g", json_number_value(json_array_get(last, h)));
    cli_wrap("", 18, t.at ? t.at : "");
    loci_text_free(&t);
}

void inspect_print_gates(const json_t *doc)
{
    const json_t *gates = json_object_get(doc, "gates"), *norms = json_object_get(doc, "memory");

    printf("\ngates over %d rows of %d tokens, loss %.4f nats\n", (int)at(doc, "rows"), (int)at(doc, "seq_tok"),
           at(doc, "loss_nats"));
    if (!json_array_size(gates))
        printf("  none: no memory of this model has gates\n");
    else
        printf("%5s  %-10s %8s %8s %8s %8s %8s %8s %10s\n", "layer", "gate", "mean", "std", "min", "median", "95 %",
               "max", "saturated");
    for (size_t i = 0; i < json_array_size(gates); i++)
        print_gate(json_array_get(gates, i));
    if (json_array_size(norms))
        printf("\nnorm of the state, after so many tokens: mean over rows and heads\n");
    for (size_t i = 0; i < json_array_size(norms); i++)
        print_norm(json_array_get(norms, i));
}
