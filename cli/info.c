/* SPDX-License-Identifier: Apache-2.0
 *
 * loci info KIND/ID: the keys, weights, state, gates and ports of one component, for the config given.
 *
 *  (1) A class's doc is read by its lines: those behind `Cost: `, `Source: ` and `Use: ` (and the lines that follow, up
 * to the next of these) are named so, the others are the formula.
 *  (2) The ports are those of `apply`, from the same list: a component is opened as apply opens it. A memory is its rule
 * alone, or with --layer behind its front end. Slots are the component's own, ports also those of what is below it.
 */
#include "cli/apply.h"
#include "cli/info.h"
#include "core/model/model.h"
#include "core/model/node_impl.h"
#include <math.h>
#include <string.h>

static const char *const type_names[] = {"int", "real", "bool", "enum", "str"};
static const char *const init_names[] = {"zero", "const", "normal", "uniform"};

static bool layer;

enum { KEY_LAYER = 2000 };

static const struct argp_option options[] = {
    {"layer", KEY_LAYER, 0, 0, "A memory with its front end, as it stands in a model", 1}, {0}};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    (void)arg;
    (void)state;
    if (key != KEY_LAYER)
        return ARGP_ERR_UNKNOWN;
    layer = true;
    return 0;
}

static const char *const doc_labels[] = {"Cost: ", "Source: ", "Use: "};

/* (1): what stands behind a label, or without one (NULL); lines joined by newlines in a formula, by spaces elsewhere.
 */
static json_t *doc_json(const char *doc, const char *label)
{
    loci_text t = {0};
    const char *in = NULL;
    json_t *j;

    for (const char *at = doc ? doc : ""; *at; at += strcspn(at, "\n"), at += *at == '\n') {
        size_t n = strcspn(at, "\n"), skip = 0;
        for (size_t i = 0; i < sizeof doc_labels / sizeof *doc_labels; i++)
            if (!strncmp(at, doc_labels[i], strlen(doc_labels[i]))) {
                in = doc_labels[i];
                skip = strlen(in);
            }
        if (in == label)
            loci_text_add(&t, "%s%.*s", !t.len ? "" : label ? " " : "\n", (int)(n - skip), at + skip);
    }
    j = cli_or_null(t.at);
    loci_text_free(&t);
    return j;
}

static json_t *keys_json(const loci_class *c)
{
    json_t *all = json_array();

    for (uint32_t i = 0; i < c->n_keys; i++) {
        const loci_key *k = c->keys[i];
        json_t *range = k->choices                   ? json_string(k->choices)
                        : k->min != 0 || k->max != 0 ? json_pack("[o, o]", cli_real(k->min), cli_real(k->max))
                                                     : json_null();
        json_array_append_new(all, json_pack("{s:s, s:s, s:s, s:o, s:s}", "name", k->name, "type",
                                             k->type >= 0 && k->type < 5 ? type_names[k->type] : "str", "default",
                                             k->def, "range", range, "doc", k->help));
    }
    return all;
}

static json_t *shape_json(int32_t n, const int64_t *shape)
{
    json_t *s = json_array();

    for (int32_t i = 0; i < n; i++)
        json_array_append_new(s, json_integer(shape[i]));
    return s;
}

static bool begins_otherwise(const loci_node *n)
{
    const loci_memory *m = n->cls->iface;

    return n->kind == LOCI_IS_MEMORY && LOCI_HAS_FN(m, loci_memory, state_init);
}

/* Weights of this component alone (not of its children), then its state. */
static json_t *slots_json(const loci_node *n)
{
    json_t *all = json_array();

    for (uint32_t i = 0; i < n->n_params; i++) {
        const loci_weight *w = n->params[i];
        const char *name = w->name + strlen(n->path) + 1;
        json_t *init = w->init == LOCI_INIT_ZERO ? json_string("zero")
                                                 : json_pack("[s, f, f]", init_names[w->init & 3], w->a, w->b);
        json_array_append_new(all, json_pack("{s:s, s:s, s:o, s:o}", "name", name, "role", "weight", "shape",
                                             shape_json(w->value.t.ndim, w->value.t.shape), "init", init));
    }
    for (uint32_t i = 0; i < n->n_states; i++)
        json_array_append_new(all, json_pack("{s:s, s:s, s:o, s:s}", "name", n->states[i].name, "role",
                                             n->states[i].flags & LOCI_SLOT_CACHE ? "cache" : "state", "shape",
                                             shape_json(n->states[i].ndim, n->states[i].shape), "init",
                                             i < n->n_rule_states && begins_otherwise(n) ? "rule" : "zero"));
    return all;
}

static json_t *gates_json(const loci_node *n)
{
    json_t *all = json_array();

    for (uint32_t i = 0; i < n->n_gates; i++)
        json_array_append_new(all, json_pack("{s:s, s:I, s:[f, o], s:f}", "name", n->gates[i].name, "width",
                                             (json_int_t)n->gates[i].width, "range", n->gates[i].lo,
                                             isinf(n->gates[i].hi) ? json_string("inf") : json_real(n->gates[i].hi),
                                             "init", n->gates[i].init));
    return all;
}

/* What follows from the class alone. */
static json_t *class_json(const loci_class *c, const char *id, const char *kind)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o}", "id", id, "kind", kind, "version",
                     c->version, "doc", c->summary, "formula", doc_json(c->doc, NULL), "cost",
                     doc_json(c->doc, doc_labels[0]), "source", doc_json(c->doc, doc_labels[1]), "use",
                     doc_json(c->doc, doc_labels[2]), "caps", cli_promises(c->caps), "keys", keys_json(c));
}

/* A device has neither slots nor gates, and stands in no layer. */
static loci_status device_json(json_t **out, loci_context *cx, const char *word, const char *id, loci_error *err)
{
    const loci_class *cls = NULL;
    loci_status status = loci_registry_find(cx->registry, &cls, "device", id, NULL, err);

    if (status != LOCI_OK)
        return status;
    *out = class_json(cls, word, "device");
    for (const char *const *key = (const char *const[]){"slots", "gates", "inputs", "outputs", "ports", NULL}; *key; key++)
        json_object_set_new(*out, *key, json_array());
    json_object_set_new(*out, "promises", cli_promises(cls->caps));
    return LOCI_OK;
}

/* The sizes that the front end would give a rule. */
static void rule_size(loci_trial_size *z, const loci_conf *c)
{
    const int64_t dk = loci_conf_int(c, -1, "memory", "dk"), dv = loci_conf_int(c, -1, "memory", "dv");

    z->heads = loci_conf_int(c, -1, "memory", "heads");
    z->dk = dk > 0 ? dk : z->dim / z->heads;
    z->dv = dv > 0 ? dv : z->dk;
    if (z->dk == 0)
        z->dk = z->dv = 1;
}

static loci_status node_json(json_t **out, struct component *c, loci_error *err)
{
    loci_status status = LOCI_OK;
    const bool attention = !strcmp(c->kind, "attention"), memory = !strcmp(c->kind, "memory");
    loci_trial_size size = info_small;
    loci_trial *t = NULL;
    const loci_node *n;

    size.dim = loci_conf_int(c->conf, -1, "model", "dim");
    size.dtype = !strcmp(loci_conf_str(c->conf, -1, "run", "dtype"), "f64") ? loci_f64 : loci_f32;
    if (memory && !layer)
        rule_size(&size, c->conf);
    size.keys = attention;
    LOCI_TRY(loci_trial_open(&t, c->cx, c->kind, layer ? LOCI_TRIAL_LAYER : LOCI_TRIAL_AS_IS, &size, err));
    if (!strcmp(c->kind, "mixer") && loci_node_caps(loci_trial_node(t)) & LOCI_CAP_CONTEXT) { /* with one it has a port more */
        loci_trial_free(t);
        size.keys = 1;
        LOCI_TRY(loci_trial_open(&t, c->cx, c->kind, LOCI_TRIAL_AS_IS, &size, err));
    }
    n = loci_trial_node(t);
    *out = class_json(n->cls, c->word, c->kind);
    json_object_set_new(*out, "promises", cli_promises(loci_node_caps(n)));
    if (n->kind >= LOCI_IS_MIXER)
        json_object_set_new(*out, "causal", json_boolean(loci_node_caps(n) & LOCI_CAP_CAUSAL));
    if (memory)
        json_object_set_new(*out, "layer", json_boolean(layer));
    json_object_set_new(*out, "slots", slots_json(n));
    json_object_set_new(*out, "gates", gates_json(n));
    json_object_set_new(*out, "inputs", info_names(t, false));
    json_object_set_new(*out, "outputs", info_names(t, true));
    json_object_set_new(*out, "ports", attention ? info_attention_ports(c->cx, t, size.dtype) : info_ports(t));
    if (!memory)
        json_object_set_new(*out, "desc", apply_desc_json(attention));
out:
    loci_trial_free(t);
    return status;
}

static loci_status run(const struct options *o, loci_error *err)
{
    loci_status status = LOCI_OK;
    struct component c = {0};
    json_t *doc = NULL;
    bool device;

    LOCI_TRY(cli_component_config(&c, o, "info", err));
    device = !strcmp(c.kind, "device");
    if (layer && strcmp(c.kind, "memory")) {
        status = loci_fail(err, LOCI_E_ARG, "--layer puts the front end before a memory; %s is none", c.word);
        goto out;
    }
    LOCI_TRY(cli_component_context(&c, o, err));
    LOCI_TRY(device ? device_json(&doc, c.cx, c.word, c.id, err) : node_json(&doc, &c, err));
    if (!doc) {
        status = loci_fail(err, LOCI_E_NOMEM, "out of memory");
    } else if (o->json) {
        status = cli_print_json(doc, err);
    } else {
        info_print(doc);
        json_decref(doc);
    }
out:
    cli_component_close(&c);
    return status;
}

const struct verb verb_info = {
    "info", "KIND/ID", "keys, slots and gates of one component",
    "Describe one component: formula, cost, source and when to use it; its keys with ranges and defaults, the weights and "
    "state it declares for this config, its gates, and the tensors that `loci apply` takes and gives.\v"
    "  loci info memory/titans\n  loci info memory/titans --layer --json\n"
    "  loci info mixer/mha --set mixer.mha.kv_heads=1 --json",
    options, parse, run};
