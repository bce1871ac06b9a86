/* SPDX-License-Identifier: Apache-2.0
 *
 * The ports of a trial: every tensor of the component by name.
 *
 *     attention            q k v, the tensors of its descriptor            -> o lse
 *     mixer                x (context positions)  param.* state.*          -> y
 *     composition          x  param.* state.*                              -> y
 *     memory's rule        q k v gate.*  param.* state.*                   -> y
 *     memory with front    x  param.* state.*                              -> y
 *
 * A weight is called after its slot: `param.q.weight`; one of a component below it also after that one's place:
 * `param.mixer.q.weight`. So are states, whose components are called as their parent named them: `state.mix.k`.
 */
#include "core/trial/impl.h"
#include <math.h>
#include <string.h>

/* The name is taken over. */
static loci_status add(struct loci_trial *t, struct trial_port **out, char *name, enum loci_port_role role,
                       enum place place, loci_dtype dtype, int32_t ndim, const int64_t *shape, loci_error *err)
{
    struct trial_port *grown = NULL, *p;
    uint64_t bytes = 0;

    if (name)
        grown = loci_realloc(t->ports, (t->n + 1) * sizeof *t->ports);
    if (!grown) {
        loci_free(name);
        return loci_fail(err, LOCI_E_NOMEM, "out of memory for the list of tensors");
    }
    t->ports = grown;
    p = &t->ports[t->n++];
    memset(p, 0, sizeof *p);
    p->p.name = name;
    p->p.role = role;
    p->p.dtype = dtype;
    p->p.ndim = ndim;
    memcpy(p->p.shape, shape, (size_t)ndim * sizeof *shape);
    p->p.real = dtype.code == LOCI_FLOAT || dtype.code == LOCI_BFLOAT;
    p->p.lo = -INFINITY;
    p->p.hi = INFINITY;
    p->place = place;
    if (!loci_shape_bytes(&bytes, loci_f64, ndim, shape))
        return loci_fail(err, LOCI_E_ARG, "%s is too large to address: ask for smaller sizes", name);
    p->p.elements = 1;
    p->row = 1;
    for (int32_t i = 0; i < ndim; i++) {
        p->p.elements *= (uint64_t)shape[i];
        p->row *= role == LOCI_PORT_STATE ? (i ? (uint64_t)shape[i] : 1) : i > 1 ? (uint64_t)shape[i] : 1;
    }
    p->p.value = loci_alloc(p->p.elements * sizeof(double));
    if (p->p.real)
        p->p.grad = loci_alloc(p->p.elements * sizeof(double));
    if (role == LOCI_PORT_STATE) {
        p->p.end = loci_alloc(p->p.elements * sizeof(double));
        p->p.end_grad = loci_alloc(p->p.elements * sizeof(double));
    }
    if (!p->p.value || (p->p.real && !p->p.grad) || (role == LOCI_PORT_STATE && (!p->p.end || !p->p.end_grad)))
        return loci_fail(err, LOCI_E_NOMEM, "out of memory for the tensor %s", name);
    if (out)
        *out = p;
    return LOCI_OK;
}

static loci_status tokens(struct loci_trial *t, const char *name, enum loci_port_role role, enum place place,
                          loci_dtype dtype, int64_t heads, int64_t width, loci_error *err)
{
    const int64_t shape[] = {t->size.docs, t->size.seq, heads, width};
    const int32_t ndim = heads == 0 ? 2 : width == 0 ? 3 : 4;

    return add(t, NULL, loci_strdup(name), role, place, dtype, ndim, shape, err);
}

/* ---- attention --------------------------------------------------------------------------------------------------- */

/* Whole numbers and floats that the caller gave with the descriptor. */
static void take_values(struct trial_port *p, const loci_tensor *t)
{
    uint64_t n = p->p.elements;

    if (!t->data)
        return;
    for (uint64_t i = 0; i < n; i++) {
        int64_t at = 0;
        uint64_t rest = i;
        for (int32_t a = t->ndim; a-- > 0;) {
            at += (int64_t)(rest % (uint64_t)t->shape[a]) * t->strides[a];
            rest /= (uint64_t)t->shape[a];
        }
        p->p.value[i] = loci__get((char *)loci_ptr(t) + (uint64_t)at * loci_dtype_bytes(t->dtype), t->dtype);
    }
}

uint64_t loci__features(const loci_attn_desc *d)
{
    return (d->window_left >= 0 || d->window_right >= 0 ? LOCI_A_WINDOW : 0) | (d->prefix > 0 ? LOCI_A_PREFIX : 0) |
           (d->q_pos || d->k_pos ? LOCI_A_POS : 0) | (d->q_seg || d->k_seg ? LOCI_A_SEGMENTS : 0) |
           (d->q_len || d->k_len ? LOCI_A_LENGTHS : 0) | (d->mask ? LOCI_A_MASK : 0) | (d->bias ? LOCI_A_BIAS : 0) |
           (d->slopes ? LOCI_A_SLOPES : 0) | (d->table ? LOCI_A_TABLE : 0) | (d->softcap > 0 ? LOCI_A_SOFTCAP : 0) |
           (d->sink ? LOCI_A_SINK : 0) | (d->dropout > 0 ? LOCI_A_DROPOUT : 0) | (d->block_table ? LOCI_A_PAGED : 0) |
           (d->blocks ? LOCI_A_BLOCKS : 0);
}

static loci_status attention_ports(struct loci_trial *t, loci_error *err)
{
    loci_status status = LOCI_OK;
    const loci_trial_size *z = &t->size;
    const loci_attn_desc *d = &t->desc;
    const loci_dtype acc = t->node->shape.acc;
    const bool paged = d->block_table != NULL, both = d->q_seg && d->q_seg == d->k_seg;
    const int64_t q[] = {z->docs, z->seq, z->heads, z->dk};
    const int64_t k[] = {paged ? z->blocks : z->docs, paged ? (int64_t)d->block_tok : z->keys, z->k_heads, z->dk};
    const int64_t v[] = {k[0], k[1], z->v_heads, z->dv};
    const int64_t o[] = {z->docs, z->seq, z->heads, z->dv}, lse[] = {z->docs, z->heads, z->seq};
    const struct {
        const char *name;
        const loci_tensor *of;
        enum place place;
        loci_dtype dtype;
    } more[] = {{"mask", d->mask, PLACE_MASK, loci_u8},
                {"bias", d->bias, PLACE_BIAS, acc},
                {"slopes", d->slopes, PLACE_SLOPES, acc},
                {"table", d->table, PLACE_TABLE, acc},
                {"sink", d->sink, PLACE_SINK, acc},
                {"q_len", d->q_len, PLACE_Q_LEN, loci_i32},
                {"lengths", d->k_len, PLACE_K_LEN, loci_i32},
                {"q_pos", d->q_pos, PLACE_Q_POS, loci_i32},
                {"k_pos", d->k_pos, PLACE_K_POS, loci_i32},
                {"segment_ids", both ? d->q_seg : NULL, PLACE_SEGMENTS, loci_i32},
                {"q_seg", both ? NULL : d->q_seg, PLACE_Q_SEG, loci_i32},
                {"k_seg", both ? NULL : d->k_seg, PLACE_K_SEG, loci_i32},
                {"ids", d->ids, PLACE_IDS, loci_i64},
                {"block_table", d->block_table, PLACE_BLOCK_TABLE, loci_i32}};

    LOCI_TRY(add(t, NULL, loci_strdup("q"), LOCI_PORT_INPUT, PLACE_Q, z->dtype, 4, q, err));
    LOCI_TRY(add(t, NULL, loci_strdup("k"), LOCI_PORT_INPUT, PLACE_K, z->dtype, 4, k, err));
    LOCI_TRY(add(t, NULL, loci_strdup("v"), LOCI_PORT_INPUT, PLACE_V, z->dtype, 4, v, err));
    for (size_t i = 0; i < sizeof more / sizeof *more; i++) {
        struct trial_port *p = NULL;
        if (!more[i].of)
            continue;
        LOCI_TRY(add(t, &p, loci_strdup(more[i].name), LOCI_PORT_INPUT, more[i].place, more[i].dtype, more[i].of->ndim,
                     more[i].of->shape, err));
        take_values(p, more[i].of);
    }
    LOCI_TRY(add(t, NULL, loci_strdup("o"), LOCI_PORT_OUTPUT, PLACE_Y, z->dtype, 4, o, err));
    LOCI_TRY(add(t, NULL, loci_strdup("lse"), LOCI_PORT_OUTPUT, PLACE_LSE, acc, 3, lse, err));
out:
    return status;
}

/* ---- the others -------------------------------------------------------------------------------------------------- */

static loci_status gates(struct loci_trial *t, loci_error *err)
{
    loci_status status = LOCI_OK;
    char name[128];

    for (uint32_t i = 0; i < t->node->n_gates; i++) {
        const struct gate *g = &t->node->gates[i];
        struct trial_port *p;
        snprintf(name, sizeof name, "gate.%s", g->name);
        LOCI_TRY(tokens(t, name, LOCI_PORT_GATE, PLACE_GATE, t->node->shape.acc, t->size.heads,
                        g->width > 1 ? g->width : 0, err));
        p = &t->ports[t->n - 1];
        p->index = i;
        p->p.lo = g->lo;
        p->p.hi = g->hi;
    }
out:
    return status;
}

static loci_status weights(struct loci_trial *t, loci_error *err)
{
    loci_status status = LOCI_OK;
    const size_t own = strlen(t->node->path), layer = strlen("layer.0.");

    for (uint32_t i = 0; i < t->weights.n; i++) {
        const loci_weight *w = t->weights.at[i];
        const bool mine = !strncmp(w->name, t->node->path, own) && w->name[own] == '.';
        struct trial_port *p = NULL;
        LOCI_TRY(add(t, &p, loci_format("param.%s", w->name + (mine ? own + 1 : layer)), LOCI_PORT_WEIGHT, PLACE_WEIGHT,
                     w->value.t.dtype, w->value.t.ndim, w->value.shape, err));
        p->p.weight = w;
        p->start = loci_alloc(p->p.elements * sizeof *p->start);
        if (!p->start)
            return loci_fail(err, LOCI_E_NOMEM, "out of memory for the tensor %s", p->p.name);
    }
out:
    return status;
}

static loci_status states(struct loci_trial *t, const loci_node *n, uint64_t at, const char *prefix, loci_error *err)
{
    loci_status status = LOCI_OK;
    struct block b;
    char *name = NULL;

    loci_block_views(&b, n, &t->session, NULL);
    for (uint32_t i = 0; i < n->n_states; i++) {
        struct trial_port *p = NULL;
        const uint64_t bytes = (uint64_t)loci_elements(&b.t[i]) * loci_dtype_bytes(b.t[i].dtype);
        LOCI_TRY(add(t, &p, loci_format("%s.%s", prefix, n->states[i].name), LOCI_PORT_STATE, PLACE_STATE, b.t[i].dtype,
                     b.t[i].ndim, b.shape[i], err));
        p->at = at;
        p->p.cache = (n->states[i].flags & LOCI_SLOT_CACHE) != 0;
        p->top = n == t->node;
        at += loci_align64(bytes);
    }
    for (uint32_t i = 0; i < n->n_subs; i++) {
        loci_free(name);
        name = loci_format("%s.%s", prefix, n->subs[i].name);
        if (!name)
            return loci_fail(err, LOCI_E_NOMEM, "out of memory for a name");
        LOCI_TRY(states(t, n->subs[i].child, at, name, err));
        at += loci_node_state_bytes(n->subs[i].child, &t->session);
    }
out:
    loci_free(name);
    return status;
}

loci_status loci__ports_make(struct loci_trial *t, loci_error *err)
{
    loci_status status = LOCI_OK;
    const loci_trial_size *z = &t->size;
    const bool rule = t->kind == LOCI_IS_MEMORY && t->form == LOCI_TRIAL_AS_IS;
    const loci_memory *m = t->node->cls->iface;

    if (t->kind == LOCI_IS_ATTENTION)
        return attention_ports(t, err);
    if (rule) {
        if (m->needs & LOCI_MEM_Q)
            LOCI_TRY(tokens(t, "q", LOCI_PORT_INPUT, PLACE_Q, z->dtype, z->heads, z->dk, err));
        if (m->needs & LOCI_MEM_K)
            LOCI_TRY(tokens(t, "k", LOCI_PORT_INPUT, PLACE_K, z->dtype, z->heads, z->dk, err));
        if (m->needs & LOCI_MEM_V)
            LOCI_TRY(tokens(t, "v", LOCI_PORT_INPUT, PLACE_V, z->dtype, z->heads, z->dv, err));
        LOCI_TRY(gates(t, err));
    } else {
        LOCI_TRY(tokens(t, "x", LOCI_PORT_INPUT, PLACE_X, z->dtype, z->dim, 0, err));
        if (loci__is_context(t))
            LOCI_TRY(add(t, NULL, loci_strdup("context"), LOCI_PORT_INPUT, PLACE_CONTEXT, z->dtype, 3,
                         (int64_t[]){z->docs, z->keys, z->dim}, err));
        if (t->kind == LOCI_IS_MIXER)
            LOCI_TRY(tokens(t, "positions", LOCI_PORT_INPUT, PLACE_POSITIONS, loci_i32, 0, 0, err));
    }
    LOCI_TRY(weights(t, err));
    LOCI_TRY(states(t, t->node, 0, "state", err));
    LOCI_TRY(rule ? tokens(t, "y", LOCI_PORT_OUTPUT, PLACE_Y, z->dtype, z->heads, z->dv, err)
                  : tokens(t, "y", LOCI_PORT_OUTPUT, PLACE_Y, z->dtype, z->dim, 0, err));
out:
    return status;
}

void loci__ports_free(struct loci_trial *t)
{
    for (uint32_t i = 0; i < t->n; i++) {
        loci_port *p = &t->ports[i].p;
        loci_free((char *)(uintptr_t)p->name);
        loci_free(p->value);
        loci_free(p->grad);
        loci_free(p->end);
        loci_free(p->end_grad);
        loci_free(t->ports[i].start);
    }
    loci_free(t->ports);
}
