/* SPDX-License-Identifier: Apache-2.0
 *
 * loci info KIND/ID: the keys, weights, state and gates of one component, for the config given.
 *
 *  (1) A class's doc is read by its lines: those behind `Cost: `, `Source: ` and `Use: ` (and the lines that follow, up
 * to the next of these) are named so, the others are the formula.
 */
#include "cli/cli.h"
#include "core/model/model.h"
#include "core/model/node_impl.h"
#include <math.h>
#include <string.h>

static const char *const type_names[] = {"int", "real", "bool", "enum", "str"};
static const char *const init_names[] = {"zero", "const", "normal", "uniform"};

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
                                             shape_json(n->states[i].ndim, n->states[i].shape), "init", "zero"));
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

/* "[0, 65536]", "exact|frozen"; "" without limits. */
static void print_range(loci_text *t, const json_t *range)
{
    if (json_is_string(range))
        loci_text_add(t, "; %s", json_string_value(range));
    else if (json_is_array(range) && json_is_null(json_array_get(range, 1)))
        loci_text_add(t, "; %.10g or more", json_number_value(json_array_get(range, 0)));
    else if (json_is_array(range))
        loci_text_add(t, "; %.10g to %.10g", json_number_value(json_array_get(range, 0)),
                      json_number_value(json_array_get(range, 1)));
}

static void print_keys(const json_t *doc)
{
    const json_t *keys = json_object_get(doc, "keys");

    if (json_array_size(keys))
        printf("\nkeys of [%s.%s]\n", cli_text(doc, "kind"), strchr(cli_text(doc, "id"), '/') + 1);
    for (size_t i = 0; i < json_array_size(keys); i++) {
        const json_t *k = json_array_get(keys, i);
        loci_text t = {0};
        char label[160];
        snprintf(label, sizeof label, "  %-20s %-4s ", cli_text(k, "name"), cli_text(k, "type"));
        loci_text_add(&t, "%s", *cli_text(k, "default") ? cli_text(k, "default") : "(empty)");
        print_range(&t, json_object_get(k, "range"));
        loci_text_add(&t, "\n%s", cli_text(k, "doc"));
        cli_wrap(label, 28, t.at ? t.at : "");
        loci_text_free(&t);
    }
}

static void print_text(const json_t *doc)
{
    static const char *const parts[] = {"cost", "source", "use"};
    const json_t *slots = json_object_get(doc, "slots"), *gates = json_object_get(doc, "gates");
    const json_t *promises = json_object_get(doc, "promises");
    loci_text t = {0};

    loci_text_add(&t, "%s %s: %s", cli_text(doc, "id"), cli_text(doc, "version"), cli_text(doc, "doc"));
    cli_wrap("", 0, t.at ? t.at : "");
    loci_text_free(&t);
    if (*cli_text(doc, "formula"))
        printf("\n%s\n\n", cli_text(doc, "formula"));
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (*cli_text(doc, parts[i]))
            cli_wrap(parts[i], 10, cli_text(doc, parts[i]));
    for (size_t i = 0; i < json_array_size(promises); i++)
        loci_text_add(&t, "%s%s", i ? ", " : "with this config: ", json_string_value(json_array_get(promises, i)));
    if (t.len && json_is_false(json_object_get(doc, "causal")))
        loci_text_add(&t, "; not causality: a model with it " LOCI_NOT_CAUSAL);
    if (t.len)
        cli_wrap("promises", 10, t.at);
    loci_text_free(&t);
    print_keys(doc);
    if (json_array_size(slots))
        printf("\nslots\n");
    for (size_t i = 0; i < json_array_size(slots); i++) {
        const json_t *s = json_array_get(slots, i);
        printf("  %-24s %-7s ", cli_text(s, "name"), cli_text(s, "role"));
        print_shape(json_object_get(s, "shape"));
        printf("\n");
    }
    if (json_array_size(gates))
        printf("\ngates\n");
    for (size_t i = 0; i < json_array_size(gates); i++) {
        const json_t *g = json_array_get(gates, i), *range = json_object_get(g, "range");
        const json_t *hi = json_array_get(range, 1);
        printf("  %-24s [%g, ", cli_text(g, "name"), json_number_value(json_array_get(range, 0)));
        printf(json_is_string(hi) ? "inf" : "%g", json_number_value(hi));
        printf(")  starts at %g", json_number_value(json_object_get(g, "init")));
        if (json_integer_value(json_object_get(g, "width")) > 1)
            printf("  %lld numbers per head", (long long)json_integer_value(json_object_get(g, "width")));
        putchar('\n');
    }
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
    for (const char *const *key = (const char *const[]){"slots", "gates", "inputs", "outputs", NULL}; *key; key++)
        json_object_set_new(*out, *key, json_array());
    json_object_set_new(*out, "promises", cli_promises(cls->caps));
    return LOCI_OK;
}

static loci_status node_json(json_t **out, loci_context *cx, loci_weights *weights, const char *word, const char *kind,
                             loci_error *err)
{
    loci_status status = LOCI_OK;
    loci_node *n = NULL;
    loci_shape shape = {.struct_size = sizeof shape};

    shape.dim = loci_conf_int(cx->conf, -1, "model", "dim");
    shape.heads = shape.k_heads = shape.v_heads = 4;
    shape.dk = shape.dv = shape.dim / 4;
    shape.dtype = !strcmp(loci_conf_str(cx->conf, -1, "run", "dtype"), "f64") ? loci_f64 : loci_f32;
    shape.acc = shape.dtype;
    shape.device = cx->device;
    LOCI_TRY(loci_node_new(&n, cx, weights, kind, 0, 1, kind, &shape, 0, err));
    *out = class_json(n->cls, word, kind);
    json_object_set_new(*out, "promises", cli_promises(loci_node_caps(n)));
    if (n->kind >= LOCI_IS_MIXER)
        json_object_set_new(*out, "causal", json_boolean(loci_node_caps(n) & LOCI_CAP_CAUSAL));
    json_object_set_new(*out, "slots", slots_json(n));
    json_object_set_new(*out, "gates", gates_json(n));
    json_object_set_new(*out, "inputs", ports_json(n, false));
    json_object_set_new(*out, "outputs", ports_json(n, true));
out:
    loci_node_free(n);
    return status;
}

static loci_status run(const struct options *o, loci_error *err)
{
    loci_status status = LOCI_OK;
    loci_conf *conf = NULL;
    loci_context *cx = NULL;
    loci_weights weights = {0};
    const char *slash = o->n_words == 1 ? strchr(o->words[0], '/') : NULL;
    char *kind = NULL, *set = NULL;
    json_t *doc = NULL;
    bool device;

    if (!slash)
        return loci_fail(err, LOCI_E_ARG,
                         "info takes one component as KIND/ID, like memory/titans; `loci list` has them");
    kind = loci_format("%.*s", (int)(slash - o->words[0]), o->words[0]);
    set = loci_format("%s.backend=%s", kind, slash + 1);
    if (!kind || !set) {
        status = loci_fail(err, LOCI_E_NOMEM, "out of memory");
        goto out;
    }
    if (!loci_kind_long(kind)) {
        status = loci_fail(err, LOCI_E_ARG, "`%s` is no kind: use attention, mixer, memory, compose or device", kind);
        goto out;
    }
    device = !strcmp(kind, "device");
    LOCI_TRY(cli_config(&conf, o, NULL, err));
    if (!device)
        LOCI_TRY(loci_conf_set(conf, set, "info", err));
    if (!strcmp(kind, "compose") &&
        !loci_conf_is_set(conf, -1, "memory", "backend")) /* it wants a memory: any will do */
        LOCI_TRY(loci_conf_set(conf, "memory.backend=titans", "info", err));
    LOCI_TRY(loci_context_new(&cx, conf, o->plugin_path, o->allow_unknown, err));
    LOCI_TRY(device ? device_json(&doc, cx, o->words[0], slash + 1, err)
                    : node_json(&doc, cx, &weights, o->words[0], kind, err));
    if (!doc) {
        status = loci_fail(err, LOCI_E_NOMEM, "out of memory");
    } else if (o->json) {
        status = cli_print_json(doc, err);
    } else {
        print_text(doc);
        json_decref(doc);
    }
out:
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
    "Describe one component: formula, cost, source and when to use it; its keys with ranges and defaults, the weights and "
    "state it declares for this config, and its gates.\v  loci info memory/titans\n  loci info mixer/mha --set mixer.mha.kv_heads=1 --json",
    NULL, NULL, run};
