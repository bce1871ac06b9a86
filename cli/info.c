/* SPDX-License-Identifier: Apache-2.0
 *
 * loci info KIND/ID: the keys, weights, state and gates of one component, for the config given.
 */
#include "cli/cli.h"
#include "core/model/model.h"
#include "core/model/node_impl.h"
#include <math.h>
#include <string.h>

static const char *const type_names[] = {"int", "real", "bool", "enum", "str"};
static const char *const init_names[] = {"zero", "const", "normal", "uniform"};

static json_t *keys_json(const loci_class *c)
{
    json_t *all = json_array();

    for (uint32_t i = 0; i < c->n_keys; i++) {
        const loci_key *k = c->keys[i];
        json_t *range = k->choices            ? json_string(k->choices)
                        : k->min != 0 || k->max != 0 ? json_pack("[f, f]", k->min, k->max)
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

/* Weights of this component alone (not of its children), then its state. */
static json_t *slots_json(const loci_node *n)
{
    json_t *all = json_array();

    for (uint32_t i = 0; i < n->n_params; i++) {
        const loci_weight *w = n->params[i];
        const char *name = w->name + strlen(n->path) + 1;
        json_t *init = w->init == LOCI_INIT_ZERO
                           ? json_string("zero")
                           : json_pack("[s, f, f]", init_names[w->init & 3], w->a, w->b);
        json_array_append_new(all, json_pack("{s:s, s:s, s:o, s:o}", "name", name, "role", "weight", "shape",
                                             shape_json(w->value.t.ndim, w->value.t.shape), "init", init));
    }
    for (uint32_t i = 0; i < n->n_states; i++)
        json_array_append_new(all, json_pack("{s:s, s:s, s:o, s:s}", "name", n->states[i].name, "role",
                                             n->states[i].flags & LOCI_SLOT_CACHE ? "cache" : "state", "shape",
                                             shape_json(n->states[i].ndim, n->states[i].shape), "init", "zero"));
    return all;
}

static json_t *gates_json(const loci_node *n)
{
    json_t *all = json_array();

    for (uint32_t i = 0; i < n->n_gates; i++)
        json_array_append_new(all, json_pack("{s:s, s:[f, o]}", "name", n->gates[i].name, "range", n->gates[i].lo,
                                             isinf(n->gates[i].hi) ? json_string("inf") : json_real(n->gates[i].hi)));
    return all;
}

/* What it promises with this config. */
static json_t *promises_json(const loci_node *n)
{
    json_t *all = json_array();
    uint64_t cap;
    const char *name;

    for (uint32_t i = 0; (name = loci_cap_name(i, &cap)); i++)
        if (loci_node_caps(n) & cap)
            json_array_append_new(all, json_string(name));
    return all;
}

static json_t *ports_json(const loci_node *n, bool out)
{
    static const char *const in_of[][4] = {{"q", "k", "v", NULL}, {"x", "context", NULL}, {NULL}, {"x", NULL}};
    static const char *const out_of[][3] = {{"o", "lse", NULL}, {"y", NULL}, {"y", NULL}, {"y", NULL}};
    const loci_memory *m = n->cls->iface;
    json_t *all = json_array();
    char name[128];

    for (const char *const *s = out ? out_of[n->kind] : in_of[n->kind]; *s; s++)
        json_array_append_new(all, json_string(*s));
    if (!out && n->kind == LOCI_IS_MEMORY) {
        for (int i = 0; i < 3; i++)
            if (m->needs & (1u << i))
                json_array_append_new(all, json_string((const char *[]){"q", "k", "v"}[i]));
        for (uint32_t i = 0; i < n->n_gates; i++) {
            snprintf(name, sizeof name, "gate.%s", n->gates[i].name);
            json_array_append_new(all, json_string(name));
        }
    }
    return all;
}

static void print_shape(const json_t *shape)
{
    printf("[");
    for (size_t i = 0; i < json_array_size(shape); i++) {
        json_int_t n = json_integer_value(json_array_get(shape, i));
        if (n == -1)
            printf("%sstates", i ? ", " : "");
        else if (n == -2)
            printf("%srows", i ? ", " : "");
        else
            printf("%s%lld", i ? ", " : "", (long long)n);
    }
    printf("]");
}

static void print_text(const loci_node *n, const json_t *doc)
{
    const json_t *slots = json_object_get(doc, "slots"), *keys = json_object_get(doc, "keys"),
                 *promises = json_object_get(doc, "promises");

    printf("%s %s: %s\n", json_string_value(json_object_get(doc, "id")), n->cls->version, n->cls->summary);
    if (n->cls->doc)
        printf("\n%s\n", n->cls->doc);
    printf("\nkeys of [%s.%s]\n", n->section, n->cls->id);
    for (size_t i = 0; i < json_array_size(keys); i++) {
        const json_t *k = json_array_get(keys, i);
        char *range = json_dumps(json_object_get(k, "range"), JSON_ENCODE_ANY | JSON_REAL_PRECISION(6));
        printf("  %-18s %-5s default %-10s %s  %s\n", json_string_value(json_object_get(k, "name")),
               json_string_value(json_object_get(k, "type")), json_string_value(json_object_get(k, "default")),
               json_string_value(json_object_get(k, "doc")), range && strcmp(range, "null") ? range : "");
        free(range);
    }
    printf("\npromises with this config:");
    for (size_t i = 0; i < json_array_size(promises); i++)
        printf("%s %s", i ? "," : "", json_string_value(json_array_get(promises, i)));
    printf("%s\n\nslots\n", n->kind >= LOCI_IS_MIXER && !(loci_node_caps(n) & LOCI_CAP_CAUSAL)
                                  ? "; not causality: a model with it " LOCI_NOT_CAUSAL
                                  : "");
    for (size_t i = 0; i < json_array_size(slots); i++) {
        const json_t *s = json_array_get(slots, i);
        printf("  %-24s %-7s ", json_string_value(json_object_get(s, "name")),
               json_string_value(json_object_get(s, "role")));
        print_shape(json_object_get(s, "shape"));
        printf("\n");
    }
    if (n->n_gates)
        printf("\ngates\n");
    for (uint32_t i = 0; i < n->n_gates; i++)
        printf("  %-24s [%g, %g)  starts at %g\n", n->gates[i].name, n->gates[i].lo, n->gates[i].hi, n->gates[i].init);
}

static loci_status run(const struct options *o, loci_error *err)
{
    loci_status status = LOCI_OK;
    loci_conf *conf = NULL;
    loci_context *cx = NULL;
    loci_weights weights = {0};
    loci_node *n = NULL;
    const char *slash = o->n_words == 1 ? strchr(o->words[0], '/') : NULL;
    char *kind = NULL, *set = NULL;
    loci_shape shape = {.struct_size = sizeof shape};
    json_t *doc = NULL;

    if (!slash)
        return loci_fail(err, LOCI_E_ARG, "info takes one component as KIND/ID, like memory/titans; `loci list` has them");
    kind = loci_format("%.*s", (int)(slash - o->words[0]), o->words[0]);
    set = loci_format("%s.backend=%s", kind, slash + 1);
    if (!kind || !set) {
        status = loci_fail(err, LOCI_E_NOMEM, "out of memory");
        goto out;
    }
    if (!loci_kind_long(kind) || !strcmp(kind, "device")) {
        status = loci_fail(err, LOCI_E_ARG, "`%s` is no kind with keys: use attention, mixer, memory or compose", kind);
        goto out;
    }
    LOCI_TRY(cli_config(&conf, o, NULL, err));
    LOCI_TRY(loci_conf_set(conf, set, "info", err));
    if (!strcmp(kind, "compose") && !loci_conf_is_set(conf, -1, "memory", "backend")) /* it wants a memory: any will do */
        LOCI_TRY(loci_conf_set(conf, "memory.backend=titans", "info", err));
    LOCI_TRY(loci_context_new(&cx, conf, o->plugin_path, o->allow_unknown, err));
    shape.dim = loci_conf_int(conf, -1, "model", "dim");
    shape.heads = shape.k_heads = shape.v_heads = 4;
    shape.dk = shape.dv = shape.dim / 4;
    shape.dtype = !strcmp(loci_conf_str(conf, -1, "run", "dtype"), "f64") ? loci_f64 : loci_f32;
    shape.acc = shape.dtype;
    shape.device = cx->device;
    LOCI_TRY(loci_node_new(&n, cx, &weights, kind, 0, 1, kind, &shape, 0, err));
    doc = json_pack("{s:s, s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o}", "id", o->words[0], "kind", kind, "version",
                    n->cls->version, "doc", n->cls->summary, "keys", keys_json(n->cls), "slots", slots_json(n), "gates",
                    gates_json(n), "inputs", ports_json(n, false), "outputs", ports_json(n, true), "promises", promises_json(n));
    if (!doc) {
        status = loci_fail(err, LOCI_E_NOMEM, "out of memory");
    } else if (o->json) {
        status = cli_print_json(doc, err);
    } else {
        print_text(n, doc);
        json_decref(doc);
    }
out:
    loci_node_free(n);
    if (cx)
        loci_weights_free(&weights, cx);
    loci_context_free(cx);
    loci_conf_free(conf);
    loci_free(kind);
    loci_free(set);
    return status;
}

const struct verb verb_info = {
    "info", "KIND/ID", "keys, slots and gates of one component",
    "Describe one component: its keys with ranges and defaults, the weights and state it declares for this config, and its "
    "gates.\v  loci info memory/titans\n  loci info mixer/mha --set mixer.mha.kv_heads=1 --json",
    NULL, NULL, run};
