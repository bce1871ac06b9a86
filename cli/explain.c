/* SPDX-License-Identifier: Apache-2.0
 *
 * loci explain: what a config would choose, and why: device, composition, mixer, memory and attention of every layer,
 * what each of their rivals says, and how much memory it would take. Nodes are made and sizes planned; no weight is
 * allocated.
 *
 *  (1) One document is made, and printed either as it is or as text. Layers whose parts are equal in it share an entry.
 */
#include "cli/explain.h"
#include "core/train/machine.h"
#include "core/train/train.h"
#include <string.h>

static const char *arm;

enum { KEY_ARM = 2000 };

static const struct argp_option options[] = {
    {"arm", KEY_ARM, "NAME", 0, "Explain this arm of a config that holds several", 1}, {0}};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    (void)state;
    if (key != KEY_ARM)
        return ARGP_ERR_UNKNOWN;
    arm = arg;
    return 0;
}

/* ---- a component ------------------------------------------------------------------------------------------------ */

static const loci_entry *entry_of(const loci_context *cx, const loci_class *cls)
{
    for (uint32_t i = 0; i < loci_registry_n(cx->registry); i++)
        if (loci_registry_entry(cx->registry, i)->cls == cls)
            return loci_registry_entry(cx->registry, i);
    return NULL;
}

struct gathering {
    json_t *keys;
    const loci_conf *conf;
    int layer;
    const char *role, *section; /* "memory", "memory.titans" */
};

static void add_key(void *arg, const char *section, const loci_key *key)
{
    struct gathering *g = arg;

    if (strcmp(section, g->section) && (strcmp(section, g->role) || !strcmp(key->name, "backend")))
        return;
    json_array_append_new(g->keys, json_pack("{s:s, s:s, s:s, s:s, s:b}", "section", section, "key", key->name, "value",
                                             loci_conf_str(g->conf, g->layer, section, key->name), "origin",
                                             loci_conf_origin(g->conf, g->layer, section, key->name), "set",
                                             (int)loci_conf_is_set(g->conf, g->layer, section, key->name)));
}

static json_t *keys_json(const loci_conf *conf, int layer, const char *role, const char *section)
{
    struct gathering g = {json_array(), conf, layer, role, section};

    loci_conf_each_key(conf, add_key, &g);
    return g.keys;
}

/* The winner's own words into *mine, the others' into the array. */
static json_t *others_json(const loci_candidate *c, uint32_t n, const char *id, const loci_candidate **mine)
{
    json_t *all = json_array();

    for (uint32_t i = 0; i < n; i++)
        if (!strcmp(c[i].id, id))
            *mine = &c[i];
        else
            json_array_append_new(
                all, json_pack("{s:s, s:i, s:s}", "id", c[i].id, "score", (int)c[i].score, "reason", c[i].reason));
    return all;
}

static loci_status part_json(json_t **out, const loci_node *n, loci_context *cx, loci_error *err)
{
    loci_status status = LOCI_OK;
    const loci_class *cls = loci_node_class(n);
    const loci_entry *e = entry_of(cx, cls);
    const char *role = loci_node_section(n);
    int layer = loci_node_layer(n);
    loci_candidate *c = NULL;
    const loci_candidate *mine = NULL;
    char id[300], section[300];
    uint32_t count = 0;
    json_t *others;

    *out = NULL;
    snprintf(id, sizeof id, "%s/%s", loci_kind_short(cls->kind), cls->id);
    snprintf(section, sizeof section, "%s.%s", loci_kind_short(cls->kind), cls->id);
    LOCI_TRY(loci_node_candidates(n, &c, &count, err));
    others = others_json(c, count, cls->id, &mine);
    *out = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:i, s:s, s:o, s:I, s:o, s:o}", "role", role, "id", id, "version",
                     cls->version, "path", e ? e->path : "", "backend", loci_conf_str(cx->conf, layer, role, "backend"),
                     "origin", loci_conf_origin(cx->conf, layer, role, "backend"), "score", mine ? (int)mine->score : 0,
                     "reason", mine ? mine->reason : "", "promises", cli_promises(loci_node_caps(n)), "parameters",
                     (json_int_t)loci_node_parameters(n), "others", others, "keys",
                     keys_json(cx->conf, layer, role, section));
out:
    loci_free(c);
    return status;
}

/* A node and what hangs on it, in the order of the wants; a role that is left empty is told as well. */
static loci_status add_parts(json_t *parts, const loci_node *n, loci_context *cx, loci_error *err)
{
    loci_status status = LOCI_OK;
    const loci_class *cls = loci_node_class(n);
    int layer = loci_node_layer(n);
    json_t *one = NULL;

    LOCI_TRY(part_json(&one, n, cx, err));
    json_array_append_new(parts, one);
    for (uint32_t i = 0; i < cls->n_wants; i++) {
        const char *role = cls->wants[i]->role;
        if (loci_node_child(n, i))
            LOCI_TRY(add_parts(parts, loci_node_child(n, i), cx, err));
        else
            json_array_append_new(parts, json_pack("{s:s, s:n, s:s, s:s}", "role", role, "id", "backend",
                                                   loci_conf_str(cx->conf, layer, role, "backend"), "origin",
                                                   loci_conf_origin(cx->conf, layer, role, "backend")));
    }
out:
    return status;
}

/* ---- the device ------------------------------------------------------------------------------------------------- */

static loci_status device_config(void *arg, const loci_class *cls, loci_config *out, loci_error *err)
{
    (void)arg;
    (void)cls;
    (void)err;
    *out = (loci_config){.struct_size = sizeof *out};
    return LOCI_OK;
}

static loci_status device_json(json_t **out, loci_context *cx, loci_error *err)
{
    loci_status status = LOCI_OK;
    loci_candidate *c = NULL;
    const loci_candidate *mine = NULL;
    const loci_entry *e = entry_of(cx, cx->device_meta);
    loci_shape shape = {.struct_size = sizeof shape};
    char id[300];
    uint32_t count = 0;
    json_t *others;

    LOCI_TRY(loci_registry_candidates(cx->registry, &c, &count, "device", &cx->host, &shape, device_config, NULL, err));
    others = others_json(c, count, cx->device_meta->id, &mine);
    snprintf(id, sizeof id, "device/%s", cx->device_meta->id);
    *out =
        json_pack("{s:s, s:s, s:s, s:s, s:s, s:i, s:s, s:s, s:i, s:o}", "id", id, "version", cx->device_meta->version,
                  "path", e ? e->path : "", "device", loci_conf_str(cx->conf, -1, "run", "device"), "origin",
                  loci_conf_origin(cx->conf, -1, "run", "device"), "score", mine ? (int)mine->score : 0, "reason",
                  mine ? mine->reason : "", "order", loci_conf_str(cx->conf, -1, "run", "order"), "threads",
                  (int)cx->device_class->workers(cx->device_module), "others", others);
out:
    loci_free(c);
    return status;
}

/* ---- the whole -------------------------------------------------------------------------------------------------- */

static loci_status layers_json(json_t *layers, const loci_model *m, int64_t capacity, loci_error *err)
{
    loci_status status = LOCI_OK;
    const loci_session stream = {1, 1, 1, 1, capacity, 0};

    for (int i = 0; i < m->n_layers; i++) {
        const loci_node *compose = m->layers[i].compose;
        json_t *parts = json_array(), *last = json_array_get(layers, json_array_size(layers) - 1);
        json_int_t state = (json_int_t)loci_node_state_bytes(compose, &stream);
        status = add_parts(parts, compose, m->cx, err);
        if (status == LOCI_OK && json_equal(json_object_get(last, "parts"), parts) &&
            json_integer_value(json_object_get(last, "state_bytes")) == state) { /* (1) */
            json_object_set_new(last, "last", json_integer(i));
            json_decref(parts);
        } else {
            json_array_append_new(
                layers, json_pack("{s:i, s:i, s:I, s:o}", "first", i, "last", i, "state_bytes", state, "parts", parts));
        }
        LOCI_TRY(status);
    }
out:
    return status;
}

static loci_status sizes_json(json_t **out, loci_model *m, const loci_conf *conf, loci_error *err)
{
    loci_status status = LOCI_OK;
    int64_t rows = loci_conf_int(conf, -1, "train", "batch"), seq = loci_conf_int(conf, -1, "data", "seq_tok");
    int64_t capacity = seq;
    uint64_t weights = m->weights.elements * loci_dtype_bytes(m->dtype), state = 0;
    loci_pass *train = NULL, *eval = NULL;
    loci_data *d = NULL;

    if (loci_conf_bool(conf, -1, "data", "carry")) { /* how long a document is decides how much must be kept */
        LOCI_TRY(loci_data_open(&d, conf, seq, err));
        capacity = loci_data_longest(d, rows, seq);
    }
    LOCI_TRY(loci_pass_new(&train, m, rows, seq, rows, rows, capacity, LOCI_X_SAVE | LOCI_X_TRAIN, err));
    LOCI_TRY(loci_pass_new(&eval, m, rows, seq, rows, rows, seq, 0, err));
    loci_pass_losses_alone(eval);
    loci_pass_borrow(eval, train);
    LOCI_TRY(loci_stream_bytes(&state, m, seq, err));
    *out = json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "parameters", (json_int_t)m->weights.elements,
                     "state_bytes", (json_int_t)state, "weights_bytes", (json_int_t)weights, "optimiser_bytes",
                     (json_int_t)(3 * weights), "activations_bytes", (json_int_t)loci_pass_bytes(train),
                     "evaluation_bytes", (json_int_t)loci_pass_bytes(eval), "train_bytes",
                     (json_int_t)(4 * weights + loci_pass_bytes(train) + loci_pass_bytes(eval)), "free_bytes",
                     (json_int_t)loci_machine_memory());
out:
    loci_pass_free(eval);
    loci_pass_free(train);
    loci_data_free(d);
    return status;
}

static void add_warning(json_t *warnings, char *text)
{
    if (text)
        json_array_append_new(warnings, json_string(text));
    loci_free(text);
}

static json_t *warnings_json(const loci_context *cx, const loci_model *m)
{
    json_t *all = json_array();

    for (uint32_t i = 0; i < loci_registry_n(cx->registry); i++) {
        const loci_entry *e = loci_registry_entry(cx->registry, i);
        if (e->broken)
            add_warning(all, loci_format("broken: %s", e->broken));
        else if (e->shadowed_by)
            add_warning(all, loci_format("%s/%s of %s is shadowed by %s", e->kind, e->id, e->path, e->shadowed_by));
    }
    for (int i = 0; i < m->n_layers; i++)
        if (!(loci_node_caps(m->layers[i].compose) & LOCI_CAP_CAUSAL))
            add_warning(
                all,
                loci_format("layer %d: compose/%s promises no causality with this config: the model " LOCI_NOT_CAUSAL,
                            i, loci_node_id(m->layers[i].compose)));
    return all;
}

static json_t *arms_json(const loci_conf *conf)
{
    json_t *all = json_array();

    for (uint32_t i = 0; i < loci_conf_n_arms(conf); i++)
        json_array_append_new(all, json_string(loci_conf_arm_name(conf, i)));
    return all;
}

/* ---- the verb --------------------------------------------------------------------------------------------------- */

static loci_status run(const struct options *o, loci_error *err)
{
    loci_status status = LOCI_OK;
    struct options own = {0};
    loci_conf *conf = NULL, *base = NULL;
    loci_context *cx = NULL;
    loci_model *m = NULL;
    json_t *device = NULL, *sizes = NULL, *layers = json_array(), *doc = NULL;

    LOCI_TRY(cli_join_words(&own, o, err));
    LOCI_TRY(cli_config(&conf, &own, NULL, err));
    if (arm) {
        base = conf;
        conf = NULL;
        LOCI_TRY(loci_conf_arm(&conf, base, arm, err));
    }
    LOCI_TRY(loci_context_new(&cx, conf, o->plugin_path, o->allow_unknown, err));
    LOCI_TRY(loci_model_new(&m, cx, err));
    LOCI_TRY(device_json(&device, cx, err));
    LOCI_TRY(layers_json(layers, m, loci_conf_int(conf, -1, "data", "seq_tok"), err));
    LOCI_TRY(sizes_json(&sizes, m, conf, err));
    doc =
        json_pack("{s:O, s:O, s:b, s:O, s:o, s:o}", "device", device, "layers", layers, "causal",
                  (int)loci_model_causal(m), "sizes", sizes, "warnings", warnings_json(cx, m), "arms", arms_json(conf));
    if (!doc) {
        status = loci_fail(err, LOCI_E_NOMEM, "out of memory");
    } else if (o->json) {
        status = cli_print_json(doc, err);
    } else {
        explain_print(doc);
        json_decref(doc);
    }
out:
    json_decref(device);
    json_decref(sizes);
    json_decref(layers);
    loci_model_free(m);
    loci_context_free(cx);
    loci_conf_free(conf);
    loci_conf_free(base);
    loci_free(own.configs);
    return status;
}

const struct verb verb_explain = {
    "explain", "[CONFIG...]", "what a config would choose, and why",
    "Say for every layer which composition, mixer, memory and attention the config chooses, from which file, where its "
    "backend key was set, what it says of itself and what every other of its kind would say; then the sizes and the memory "
    "a training would take. Nothing is trained.\v"
    "  loci explain etc/mac.ini\n  loci explain etc/mag.ini --set attention.backend=ref --json",
    options, parse, run};
