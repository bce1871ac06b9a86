/* SPDX-License-Identifier: Apache-2.0
 *
 * Making a node: choose the class, create it, create its children, bind, declare.
 *
 * (1) A named backend is that backend or an error. `auto` asks every class of the kind and takes the best score; the
 *     line on who won and why is kept in the context and logged once per distinct choice.
 * (2) Children are made after their parent's create, because only the parent knows what it will ask of them.
 */
#include "core/model/node_impl.h"
#include <string.h>

static const char *const kind_names[] = {"attention", "mixer", "memory", "compose"};

loci_status loci_node_config(loci_context *cx, int layer, const loci_class *cls, loci_config *out, loci_error *err)
{
    loci_status status;
    char *section = loci_format("%s.%s", loci_kind_short(cls->kind), cls->id);

    if (!section)
        return loci_fail(err, LOCI_E_NOMEM, "out of memory for the config of %s", cls->id);
    status = loci_conf_schema(cx->conf, section, cls->keys, cls->n_keys, err);
    if (status == LOCI_OK)
        status = loci_conf_view(out, cx->conf, layer, section, err);
    loci_free(section);
    return status;
}

struct asker {
    loci_context *cx;
    int layer;
};

static loci_status config_of(void *arg, const loci_class *cls, loci_config *out, loci_error *err)
{
    const struct asker *a = arg;

    return loci_node_config(a->cx, a->layer, cls, out, err);
}

static void note_choice(loci_context *cx, const char *path, const char *kind, const loci_candidate *c, uint32_t n)
{
    loci_text line = {0};

    loci_text_add(&line, "%s: %s (score %d: %s)", kind, c[0].id, (int)c[0].score, c[0].reason);
    for (uint32_t i = 1; i < n; i++)
        loci_text_add(&line, "%s %s (%d: %s)", i == 1 ? "; not" : ",", c[i].id, (int)c[i].score, c[i].reason);
    if (!line.failed && (!cx->choices.at || !strstr(cx->choices.at, line.at))) {
        loci_text_add(&cx->choices, "%s%s", cx->choices.len ? "\n" : "", line.at);
        loci_log(LOCI_LOG_INFO, "select", "%s", line.at);
    }
    (void)path;
    loci_text_free(&line);
}

static loci_status choose_auto(loci_node *n, const loci_shape *shape, loci_error *err)
{
    loci_status status = LOCI_OK;
    struct asker asker = {n->cx, n->layer};
    loci_candidate *c = NULL;
    loci_text all = {0};
    uint32_t count = 0;
    const char *kind = kind_names[n->kind];

    LOCI_TRY(loci_registry_candidates(n->cx->registry, &c, &count, kind, &n->cx->host, shape, config_of, &asker, err));
    if (count == 0 || c[0].score <= 0 || !c[0].cls) {
        for (uint32_t i = 0; i < count; i++)
            loci_text_add(&all, "%s%s (%s)", i ? ", " : "", c[i].id, c[i].reason);
        status = loci_fail(err, LOCI_E_PLUGIN, "%s: no %s fits: %s", n->path, kind,
                           count && all.at ? all.at : "none is installed; look at `loci list` and --plugin-path");
        goto out;
    }
    n->cls = c[0].cls;
    note_choice(n->cx, n->path, kind, c, count);
out:
    loci_text_free(&all);
    loci_free(c);
    return status;
}

static void note_score(loci_context *cx, const loci_class *cls, int32_t score)
{
    for (uint32_t i = 0; i < cx->n_scores; i++)
        if (cx->scores[i].cls == cls)
            return;
    if (cx->n_scores < sizeof cx->scores / sizeof *cx->scores)
        cx->scores[cx->n_scores++] = (struct loci_score){cls, score};
}

static loci_status choose(loci_node *n, const loci_shape *shape, loci_error *err)
{
    loci_status status = LOCI_OK;
    const char *id = loci_conf_str(n->cx->conf, n->layer, n->section, "backend");
    const char *origin = loci_conf_origin(n->cx->conf, n->layer, n->section, "backend");
    loci_fit fit = {sizeof fit, 0, ""};
    char *wanted = NULL;

    if (!strcmp(id, "auto")) {
        LOCI_TRY(choose_auto(n, shape, err));
    } else {
        wanted = loci_format("%s: %s.backend = %s", origin, n->section, id);
        LOCI_TRY(loci_registry_find(n->cx->registry, &n->cls, kind_names[n->kind], id, wanted, err));
    }
    LOCI_TRY(loci_node_config(n->cx, n->layer, n->cls, &n->config, err));
    LOCI_TRY(n->cls->fit(&n->cx->host, &n->config, shape, &fit));
    note_score(n->cx, n->cls, fit.score);
    if (fit.score <= 0) {
        status = loci_fail(err, LOCI_E_PLUGIN, "%s: %s/%s (chosen at %s) does not fit: %s", n->path,
                           kind_names[n->kind], n->cls->id, origin, fit.reason);
        goto out;
    }
out:
    loci_free(wanted);
    return status;
}

static loci_status make_children(loci_node *n, loci_error *err)
{
    loci_status status = LOCI_OK;
    const loci_child *handles[LOCI_MAX_CHILDREN];
    char *path = NULL;

    if (n->cls->n_wants > LOCI_MAX_CHILDREN) {
        status = loci_fail(err, LOCI_E_UNSUPPORTED, "%s/%s wants %u children; at most 4 are served",
                           kind_names[n->kind], n->cls->id, n->cls->n_wants);
        goto out;
    }
    for (uint32_t i = 0; i < n->cls->n_wants; i++) {
        const loci_want *w = n->cls->wants[i];
        loci_shape shape = n->shape;
        loci_free(path);
        path = loci_format("layer.%d.%s", n->layer, w->role);
        if (!path) {
            status = loci_fail(err, LOCI_E_NOMEM, "out of memory below %s", n->path);
            goto out;
        }
        if (n->cls->child_shape) {
            status = n->cls->child_shape(n->module, i, &shape, err);
            LOCI_TRY(status);
        }
        LOCI_TRY(loci_node_new(&n->children[i], n->cx, n->weights, w->role, n->layer, n->n_layers, path, &shape,
                               w->caps, err));
        if (!n->children[i] && !w->optional) {
            status = loci_fail(err, LOCI_E_CONFIG, "%s: %s/%s needs a %s, but %s.backend is none: name one", n->path,
                               kind_names[n->kind], n->cls->id, w->role, w->role);
            goto out;
        }
        if (n->children[i])
            n->children[i]->parent = n;
        n->n_children = i + 1;
    }
    for (uint32_t i = 0; i < n->n_children; i++)
        handles[i] = (const loci_child *)(const void *)n->children[i];
    if (n->cls->bind)
        LOCI_TRY(n->cls->bind(n->module, n->n_children, handles, err));
out:
    loci_free(path);
    return status;
}

/* front: a memory gets its front end. */
static loci_status make(loci_node **out, loci_context *cx, loci_weights *weights, const char *section, int layer,
                        int n_layers, const char *path, const loci_shape *shape, uint64_t caps, bool front,
                        loci_error *err)
{
    loci_status status = LOCI_OK;
    loci_node *n = loci_alloc(sizeof *n);
    loci_site site = {sizeof site, layer, n_layers, 0, NULL};

    *out = NULL;
    if (!n)
        return loci_fail(err, LOCI_E_NOMEM, "out of memory at %s", path);
    n->cx = cx;
    n->weights = weights;
    n->layer = layer;
    n->n_layers = n_layers;
    n->shape = *shape;
    n->section = loci_strdup(section);
    n->path = loci_strdup(path);
    if (!n->section || !n->path) {
        status = loci_fail(err, LOCI_E_NOMEM, "out of memory at %s", path);
        goto out;
    }
    n->path_hash = loci_hash(path, strlen(path), 0);
    for (n->kind = LOCI_IS_ATTENTION; strcmp(kind_names[n->kind], section); n->kind++)
        if (n->kind == LOCI_IS_COMPOSE) {
            status = loci_fail(err, LOCI_E_UNSUPPORTED, "%s: children of the role `%s` are not served", path, section);
            goto out;
        }
    if (n->kind == LOCI_IS_MEMORY && front)
        LOCI_TRY(loci_front_new(n, shape, err));
    LOCI_TRY(choose(n, &n->shape, err));
    LOCI_TRY(loci_node_promise(n, err));
    LOCI_TRY(loci_node_demand(n, caps, err));
    site.path = n->path;
    status = n->cls->create(&cx->host, &n->config, &site, &n->shape, &n->module, err);
    if (status != LOCI_OK) {
        loci_fail_in(err, status, "%s: %s/%s", path, section, n->cls->id);
        goto out;
    }
    LOCI_TRY(make_children(n, err));
    loci_node_promise_with_children(n);
    LOCI_TRY(loci_node_demand(n, caps, err));
    if (n->cls->declare) {
        status = n->cls->declare(n->module, n, err);
        loci_declared_error(n, err);
        if (status != LOCI_OK) {
            loci_fail(err, status, "%s: %s/%s could not declare its slots", path, section, n->cls->id);
            goto out;
        }
    }
    n->n_rule_states = n->n_states;
    if (n->front)
        LOCI_TRY(loci_front_declare(n, err));
    *out = n;
    return LOCI_OK;
out:
    loci_node_free(n);
    return status;
}

loci_status loci_node_new(loci_node **out, loci_context *cx, loci_weights *weights, const char *section, int layer,
                          int n_layers, const char *path, const loci_shape *shape, uint64_t caps, loci_error *err)
{
    *out = NULL;
    if (!strcmp(section, "memory") && !strcmp(loci_conf_str(cx->conf, layer, section, "backend"), "none"))
        return LOCI_OK;
    return make(out, cx, weights, section, layer, n_layers, path, shape, caps, true, err);
}

loci_status loci_rule_new(loci_node **out, loci_context *cx, loci_weights *weights, int layer, int n_layers,
                          const char *path, const loci_shape *shape, loci_error *err)
{
    return make(out, cx, weights, "memory", layer, n_layers, path, shape, 0, false, err);
}

void loci_node_free(loci_node *n)
{
    if (!n)
        return;
    if (n->module)
        n->cls->destroy(n->module);
    for (uint32_t i = 0; i < LOCI_MAX_CHILDREN; i++)
        loci_node_free(n->children[i]);
    for (uint32_t i = 0; i < n->n_states; i++)
        loci_free(n->states[i].name);
    for (uint32_t i = 0; i < n->n_gates; i++)
        loci_free(n->gates[i].name);
    for (uint32_t i = 0; i < n->n_subs; i++)
        loci_free(n->subs[i].name);
    loci_front_free(n->front);
    loci_free(n->section);
    loci_free(n->path);
    loci_free(n);
}

const char *loci_node_id(const loci_node *n)
{
    return n->cls->id;
}

const char *loci_node_path(const loci_node *n)
{
    return n->path;
}

const loci_class *loci_node_class(const loci_node *n)
{
    return n->cls;
}

uint32_t loci_node_n_children(const loci_node *n)
{
    return n->n_children;
}

loci_node *loci_node_child(const loci_node *n, uint32_t i)
{
    return i < n->n_children ? n->children[i] : NULL;
}
