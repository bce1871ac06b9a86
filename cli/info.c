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

/* Names of inputs or outputs, without weights and state. */
static json_t *names_json(loci_trial *t, bool out)
{
    json_t *all = json_array();

    for (uint32_t i = 0; i < loci_trial_n_ports(t); i++) {
        const loci_port *p = loci_trial_port(t, i);
        if (out ? p->role == LOCI_PORT_OUTPUT : p->role == LOCI_PORT_INPUT || p->role == LOCI_PORT_GATE)
            json_array_append_new(all, json_string(p->name));
    }
    return all;
}

/* What a call decides is a letter: B rows, T tokens, S keys or context rows, `rows` of a cache. */
static json_t *port_shape(const loci_port *p)
{
    const bool context = !strcmp(p->name, "context"), tokens = p->role != LOCI_PORT_WEIGHT;
    json_t *s = json_array();

    for (int32_t i = 0; i < p->ndim; i++)
        json_array_append_new(s, tokens && i == 0                             ? json_string("B")
                                 : p->role == LOCI_PORT_STATE && i == 1 && p->cache ? json_string("rows")
                                 : p->role == LOCI_PORT_STATE || !tokens || i > 1   ? json_integer((json_int_t)p->shape[i])
                                                                                    : json_string(context ? "S" : "T"));
    return s;
}

static json_t *words(const char *text)
{
    json_t *s = json_array();

    for (const char *at = text; *at; at += strcspn(at, " "), at += *at == ' ')
        json_array_append_new(s, json_stringn(at, strcspn(at, " ")));
    return s;
}

static void add_port(json_t *all, const loci_port *p, json_t *shape, bool needed)
{
    static const char *const roles[] = {"input", "gate", "weight", "state", "output"};
    json_t *one = json_pack("{s:s, s:s, s:s, s:o, s:b, s:b}", "name", p->name, "role", roles[p->role], "dtype",
                            loci_dtype_name(p->dtype), "shape", shape, "needed", (int)needed, "gradient", (int)p->real);

    if (p->role == LOCI_PORT_GATE)
        json_object_set_new(one, "range",
                            json_pack("[f, o]", p->lo, isinf(p->hi) ? json_string("inf") : json_real(p->hi)));
    json_array_append_new(all, one);
}

static json_t *ports_json(loci_trial *t)
{
    json_t *all = json_array();

    for (uint32_t i = 0; i < loci_trial_n_ports(t); i++) {
        const loci_port *p = loci_trial_port(t, i);
        add_port(all, p, port_shape(p),
                 (p->role == LOCI_PORT_INPUT && strcmp(p->name, "positions") && strcmp(p->name, "context")) ||
                     p->role == LOCI_PORT_GATE);
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

/* Inputs and outputs; weights and states are among the slots. */
static void print_ports(const json_t *ports)
{
    bool any = false;

    for (size_t i = 0; i < json_array_size(ports); i++) {
        const json_t *p = json_array_get(ports, i), *shape = json_object_get(p, "shape");
        const char *role = cli_text(p, "role");
        if (!strcmp(role, "weight") || !strcmp(role, "state"))
            continue;
        if (!any)
            printf("\ninputs and outputs of `loci apply`\n");
        any = true;
        printf("  %-24s %-7s [", cli_text(p, "name"), role);
        for (size_t k = 0; k < json_array_size(shape); k++) {
            const json_t *axis = json_array_get(shape, k);
            printf(json_is_string(axis) ? "%s%s" : "%s%.0s", k ? ", " : "", json_string_value(axis));
            if (!json_is_string(axis))
                printf("%lld", (long long)json_integer_value(axis));
        }
        printf("]%s\n", json_is_false(json_object_get(p, "needed")) && !strcmp(role, "input") ? "  or without" : "");
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
    print_ports(json_object_get(doc, "ports"));
    if (json_is_false(json_object_get(doc, "layer")))
        printf("\nwith its front end, as in a model: loci info %s --layer\n", cli_text(doc, "id"));
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

/* An attention is asked for nothing but q, k and v, and then for each other tensor: those that it serves are listed. */
static const loci_trial_size small = {.docs = 1, .seq = 1, .keys = 1, .blocks = 1, .heads = 1, .k_heads = 1,
                                      .v_heads = 1, .dk = 1, .dv = 1};

static json_t *attention_ports(loci_context *cx, loci_trial *t, loci_dtype dtype)
{
    static const char *const axes[] = {"B T H d", "B S Hk d", "B S Hv e", "B T H e", "B H T"};
    const int64_t ones[] = {1, 1, 1, 1};
    json_t *all = json_array();
    loci_view view, lengths;

    for (uint32_t i = 0; i < loci_trial_n_ports(t); i++)
        add_port(all, loci_trial_port(t, i), words(axes[i]), i < 3);
    for (size_t i = 0; i < cli_n_optionals; i++) {
        const struct cli_optional *o = &cli_optionals[i];
        loci_attn_desc desc = {.struct_size = sizeof desc, .scale = 1, .window_left = -1, .window_right = -1,
                               .max_distance = 1, .block_tok = 1};
        loci_trial_size size = small;
        loci_trial *with = NULL;
        loci_error why = LOCI_ERROR_INIT;
        const loci_port *p;
        int32_t ndim = 1;
        for (const char *at = o->axes; *at; at++)
            ndim += *at == ' ';
        *(const loci_tensor **)(void *)((char *)&desc + o->at) =
            loci_view_set(&view, NULL, cx->device, loci_i32, ndim, ones);
        if (!strcmp(o->name, "segment_ids"))
            desc.k_seg = desc.q_seg;
        if (desc.block_table)
            desc.k_len = loci_view_set(&lengths, NULL, cx->device, loci_i32, 1, ones);
        size.dtype = dtype;
        size.desc = &desc;
        if (loci_trial_open(&with, cx, "attention", LOCI_TRIAL_AS_IS, &size, &why) == LOCI_OK) {
            p = loci_trial_find(with, o->name);
            add_port(all, p, words(o->axes), false);
        }
        loci_trial_free(with);
    }
    return all;
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
    loci_trial_size size = small;
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
    json_object_set_new(*out, "inputs", names_json(t, false));
    json_object_set_new(*out, "outputs", names_json(t, true));
    json_object_set_new(*out, "ports", attention ? attention_ports(c->cx, t, size.dtype) : ports_json(t));
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
        print_text(doc);
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
