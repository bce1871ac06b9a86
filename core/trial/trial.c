/* SPDX-License-Identifier: Apache-2.0
 *
 * Opening a trial: the component at the place of layer 0, so that its weights are those of that layer of a model with
 * the same seed, and its ports.
 */
#include "core/trial/impl.h"
#include <limits.h>
#include <math.h>
#include <string.h>

static const char *const kinds[] = {"attention", "mixer", "memory", "compose"};

static loci_status check_size(const loci_trial_size *z, enum loci_kind kind, loci_error *err)
{
    const struct {
        const char *name;
        int64_t n, least;
        bool used;
    } all[] = {{"documents", z->docs, 0, true},
               {"tokens", z->seq, 0, true},
               {"keys", z->keys, 0, true},
               {"dim", z->dim, 1, kind == LOCI_IS_MIXER || kind == LOCI_IS_COMPOSE},
               {"heads", z->heads, 1, kind == LOCI_IS_ATTENTION},
               {"key heads", z->k_heads, 1, kind == LOCI_IS_ATTENTION},
               {"value heads", z->v_heads, 1, kind == LOCI_IS_ATTENTION},
               {"dk", z->dk, 1, kind == LOCI_IS_ATTENTION},
               {"dv", z->dv, 1, kind == LOCI_IS_ATTENTION},
               {"capacity", z->capacity, 0, true}};

    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (all[i].used && (all[i].n < all[i].least || all[i].n > INT32_MAX))
            return loci_fail(err, LOCI_E_ARG, "%s = %lld: from %lld to %d are served", all[i].name, (long long)all[i].n,
                             (long long)all[i].least, INT32_MAX);
    return LOCI_OK;
}

static loci_status make_node(loci_trial *t, const char *kind, loci_error *err)
{
    loci_status status = LOCI_OK;
    const loci_session none = {0};
    const loci_trial_size *z = &t->size;
    loci_shape shape;
    char path[32];

    snprintf(path, sizeof path, "layer.0.%s", kind);
    loci_session_shape(&shape, &none, t->cx, z->dim, z->dtype);
    shape.session = NULL;
    if (t->kind == LOCI_IS_ATTENTION) {
        shape.features = loci__features(&t->desc);
        shape.heads = z->heads;
        shape.k_heads = z->k_heads;
        shape.v_heads = z->v_heads;
        shape.dk = z->dk;
        shape.dv = z->dv;
    }
    t->weights.n_layers = (int32_t)loci_conf_int(t->cx->conf, -1, "model", "layers");
    t->weights.residual_scale = loci_conf_bool(t->cx->conf, -1, "model", "residual_scale");
    if (t->kind == LOCI_IS_MEMORY && t->form == LOCI_TRIAL_AS_IS) {
        shape.heads = shape.k_heads = shape.v_heads = z->heads;
        shape.dk = z->dk;
        shape.dv = z->dv;
        LOCI_TRY(loci_rule_new(&t->node, t->cx, &t->weights, 0, t->weights.n_layers, path, &shape, err));
    } else {
        LOCI_TRY(loci_node_new(&t->node, t->cx, &t->weights, kind, 0, t->weights.n_layers, path, &shape, 0, err));
    }
    if (!t->node) {
        status = loci_fail(err, LOCI_E_ARG, "memory.backend is none: name a memory to run");
        goto out;
    }
    LOCI_TRY(loci_weights_alloc(&t->weights, t->cx, true, false, err));
    LOCI_TRY(loci_weights_init(&t->weights, t->cx, (uint64_t)loci_conf_int(t->cx->conf, -1, "run", "seed"), err));
out:
    return status;
}

static loci_status take_weights(loci_trial *t, loci_error *err)
{
    loci_status status = LOCI_OK;

    for (uint32_t i = 0; i < t->n; i++) {
        struct trial_port *p = &t->ports[i];
        if (!p->p.weight)
            continue;
        LOCI_TRY(loci__tensor_get(t->cx, &p->p.weight->value.t, p->p.value, 0, err));
        memcpy(p->start, p->p.value, p->p.elements * sizeof *p->start);
    }
out:
    return status;
}

loci_status loci_trial_open(loci_trial **out, loci_context *cx, const char *kind, enum loci_trial_form form,
                            const loci_trial_size *size, loci_error *err)
{
    loci_status status = LOCI_OK;
    loci_trial *t = loci_alloc(sizeof *t);
    int64_t capacity;

    *out = NULL;
    if (!t)
        return loci_fail(err, LOCI_E_NOMEM, "out of memory for a trial");
    t->cx = cx;
    t->form = form;
    t->size = *size;
    while (t->kind < LOCI_IS_COMPOSE && strcmp(kinds[t->kind], kind))
        t->kind++;
    if (strcmp(kinds[t->kind], kind)) {
        status =
            loci_fail(err, LOCI_E_ARG, "`%s` is no kind that runs alone: attention, mixer, memory or compose", kind);
        goto out;
    }
    t->desc = (loci_attn_desc){.struct_size = sizeof t->desc, .window_left = -1, .window_right = -1};
    t->desc.scale = size->dk > 0 ? 1 / sqrt((double)size->dk) : 1;
    if (size->desc)
        t->desc = *size->desc;
    LOCI_TRY(check_size(size, t->kind, err));
    LOCI_TRY(make_node(t, kind, err));
    if (loci__is_context(t) && !(loci_node_caps(t->node) & LOCI_CAP_CONTEXT)) {
        status =
            loci_fail(err, LOCI_E_UNSUPPORTED, "mixer/%s takes no context of its own: leave it out", t->node->cls->id);
        goto out;
    }
    t->mask = size->mask ? *size->mask : (loci_mask){sizeof t->mask, !loci__is_context(t), -1, -1};
    if (t->kind == LOCI_IS_MEMORY) {
        t->size.heads = t->node->shape.heads;
        t->size.dk = t->node->shape.dk;
        t->size.dv = t->node->shape.dv;
    }
    capacity = size->capacity > 0 ? size->capacity : size->seq;
    if (loci__is_context(t) && capacity < size->keys)
        capacity = size->keys;
    capacity = capacity > 0 ? capacity : 1;
    t->size.capacity = capacity;
    t->session = (loci_session){size->docs, capacity, size->docs, size->docs, capacity, LOCI_X_SAVE};
    t->state_bytes = loci_node_state_bytes(t->node, &t->session);
    t->len = loci_alloc((size_t)size->docs * sizeof *t->len);
    t->pos0 = loci_alloc((size_t)size->docs * sizeof *t->pos0);
    if (!t->len || !t->pos0) {
        status = loci_fail(err, LOCI_E_NOMEM, "out of memory for %lld documents", (long long)size->docs);
        goto out;
    }
    for (int64_t d = 0; d < size->docs; d++)
        t->len[d] = size->seq;
    LOCI_TRY(loci__ports_make(t, err));
    LOCI_TRY(take_weights(t, err));
    *out = t;
    return LOCI_OK;
out:
    loci_trial_free(t);
    return status;
}

void loci_trial_free(loci_trial *t)
{
    if (!t)
        return;
    loci__ports_free(t);
    loci_node_free(t->node);
    loci_weights_free(&t->weights, t->cx);
    loci_free(t->len);
    loci_free(t->pos0);
    loci_free(t);
}

const loci_node *loci_trial_node(const loci_trial *t)
{
    return t->node;
}

uint32_t loci_trial_n_ports(const loci_trial *t)
{
    return t->n;
}

loci_port *loci_trial_port(loci_trial *t, uint32_t i)
{
    return i < t->n ? &t->ports[i].p : NULL;
}

loci_port *loci_trial_find(loci_trial *t, const char *name)
{
    for (uint32_t i = 0; i < t->n; i++)
        if (!strcmp(t->ports[i].p.name, name))
            return &t->ports[i].p;
    return NULL;
}

void loci_trial_length(loci_trial *t, int64_t d, int64_t len, int64_t pos0)
{
    t->len[d] = len;
    t->pos0[d] = pos0;
}

int64_t loci_trial_rows(const loci_trial *t, const loci_port *p, int64_t d)
{
    const struct trial_port *q = (const struct trial_port *)(const void *)p;

    return !p->cache || !q->top ? 0 : loci__is_context(t) ? t->size.keys : t->pos0[d] + t->len[d];
}
