/* SPDX-License-Identifier: Apache-2.0
 *
 * The host's side of declare(): slots, gates and named states of children are copied into the node. A refusal is kept
 * in the node's slot of the context until the component's declare returns, so that the message survives a component
 * that passes on only the status.
 */
#include "core/model/node_impl.h"
#include <string.h>

static loci_status refuse(loci_node *n, loci_status code, const char *what, const char *name)
{
    loci_error *err = &n->cx->declare_error;

    return loci_fail(err, code, "%s/%s: %s `%s`", loci_kind_short(n->cls->kind), n->cls->id, what, name ? name : "");
}

static bool well_named(const char *s)
{
    size_t n = s ? strlen(s) : 0;

    return n > 0 && n < 100 && strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.") == n;
}

static loci_status add_state(loci_node *n, const loci_slot *slot, uint32_t *index)
{
    struct state_slot *s = &n->states[n->n_states];

    if (n->n_states == LOCI_MAX_STATES)
        return refuse(n, LOCI_E_UNSUPPORTED, "more than 64 state slots, at", slot->name);
    if (slot->ndim < 1 || slot->ndim > LOCI_MAX_DIM || slot->shape[0] != -1)
        return refuse(n, LOCI_E_PLUGIN, "the shape of a state must begin with -1, at", slot->name);
    if ((slot->flags & LOCI_SLOT_CACHE) && (slot->ndim < 2 || slot->shape[1] != -2))
        return refuse(n, LOCI_E_PLUGIN, "the shape of a cache must begin with -1, -2, at", slot->name);
    s->name = loci_strdup(slot->name);
    if (!s->name)
        return refuse(n, LOCI_E_NOMEM, "out of memory at", slot->name);
    s->ndim = slot->ndim;
    memcpy(s->shape, slot->shape, (size_t)slot->ndim * sizeof *s->shape);
    s->dtype = slot->dtype.bits ? slot->dtype : n->shape.acc;
    s->flags = slot->flags;
    s->window = LOCI_HAS(slot, loci_slot, window) ? slot->window : 0;
    if (index)
        *index = n->n_states;
    n->n_states++;
    return LOCI_OK;
}

loci_status loci_host_declare(const loci_host *h, void *decl, const loci_slot *slot, uint32_t *index)
{
    loci_node *n = decl;
    const loci_weight *w = NULL;
    loci_status status;

    (void)h;
    if (!slot || !well_named(slot->name))
        return refuse(n, LOCI_E_PLUGIN, "a slot must be named [a-zA-Z0-9_.]+, not", slot ? slot->name : NULL);
    if (slot->flags & LOCI_SLOT_STATE)
        return add_state(n, slot, index);
    if (n->n_params == LOCI_MAX_SLOTS)
        return refuse(n, LOCI_E_UNSUPPORTED, "more than 48 weights, at", slot->name);
    if (slot->ndim < 1 || slot->ndim > LOCI_MAX_DIM)
        return refuse(n, LOCI_E_PLUGIN, "a weight needs 1 to 8 dimensions, at", slot->name);
    status = loci_weights_add(n->weights, n->path, slot, slot->dtype.bits ? slot->dtype : n->shape.dtype, &w,
                              &n->cx->declare_error);
    if (status == LOCI_OK) {
        if (index)
            *index = n->n_params;
        n->params[n->n_params++] = w;
    }
    return status;
}

loci_status loci_host_declare_gate(const loci_host *h, void *decl, const loci_gate *gate, uint32_t *index)
{
    loci_node *n = decl;
    struct gate *g = &n->gates[n->n_gates];

    (void)h;
    if (n->kind != LOCI_IS_MEMORY)
        return refuse(n, LOCI_E_PLUGIN, "only a memory rule has gates; found", gate->name);
    if (n->n_gates == LOCI_MAX_GATES)
        return refuse(n, LOCI_E_UNSUPPORTED, "more than 8 gates, at", gate->name);
    if (!well_named(gate->name) || !(gate->lo < gate->hi) || !(gate->init >= gate->lo && gate->init <= gate->hi))
        return refuse(n, LOCI_E_PLUGIN, "a gate needs a name and lo <= init <= hi, at", gate->name);
    if (LOCI_HAS(gate, loci_gate, width) && (gate->width < 0 || gate->width > LOCI_MAX_GATE_WIDTH))
        return refuse(n, LOCI_E_PLUGIN, "a gate has 1 to 65536 numbers per head, unlike", gate->name);
    g->name = loci_strdup(gate->name);
    if (!g->name)
        return refuse(n, LOCI_E_NOMEM, "out of memory at", gate->name);
    g->lo = gate->lo;
    g->hi = gate->hi;
    g->init = gate->init;
    g->width = LOCI_HAS(gate, loci_gate, width) && gate->width > 1 ? gate->width : 1;
    if (index)
        *index = n->n_gates;
    n->n_gates++;
    return LOCI_OK;
}

loci_status loci_host_declare_sub(const loci_host *h, void *decl, const loci_child *child, const char *name,
                                  int64_t capacity, int64_t pinned, uint32_t *index)
{
    loci_node *n = decl;
    loci_node *c = NULL;
    struct sub *s = &n->subs[n->n_subs];

    (void)h;
    for (uint32_t i = 0; i < n->n_children; i++)
        if (n->children[i] && (const void *)n->children[i] == (const void *)child)
            c = n->children[i];
    if (!c)
        return refuse(n, LOCI_E_PLUGIN, "declare_sub of something that is no child, at", name);
    if (n->n_subs == LOCI_MAX_SUBS)
        return refuse(n, LOCI_E_UNSUPPORTED, "more than 8 states of children, at", name);
    if (!well_named(name) || capacity < 0 || pinned < 0)
        return refuse(n, LOCI_E_PLUGIN, "a state of a child needs a name and sizes of at least 0, at", name);
    for (uint32_t i = 0; i < n->n_subs; i++)
        if (n->subs[i].child == c && (c->capacity != capacity || c->pinned != pinned))
            return refuse(n, LOCI_E_PLUGIN, "the states of one child must agree in capacity and pinned rows, at", name);
    c->capacity = capacity;
    c->pinned = pinned;
    s->child = c;
    s->name = loci_strdup(name);
    if (!s->name)
        return refuse(n, LOCI_E_NOMEM, "out of memory at", name);
    if (index)
        *index = n->n_subs;
    n->n_subs++;
    return LOCI_OK;
}

void loci_declared_error(loci_node *n, loci_error *err)
{
    if (n->cx->declare_error.code != LOCI_OK)
        loci_fail(err, n->cx->declare_error.code, "%s", n->cx->declare_error.msg);
    loci_error_clear(&n->cx->declare_error);
}
