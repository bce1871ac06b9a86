/* SPDX-License-Identifier: Apache-2.0
 *
 * A run of an attention backend: one call, every tensor whole. On a device all of it crosses before the call and back
 * after it.
 */
#include "core/trial/impl.h"
#include <math.h>
#include <string.h>

/* Where the descriptor and the call keep a port's tensor. */
static void place(loci_attn_desc *d, loci_attn_io *io, enum place place, loci_tensor *val, loci_tensor *grad)
{
    switch (place) {
    case PLACE_Q:
        io->q = val, io->dq = grad;
        break;
    case PLACE_K:
        io->k = val, io->dk = grad;
        break;
    case PLACE_V:
        io->v = val, io->dv = grad;
        break;
    case PLACE_Y:
        io->o = val, io->d_o = grad;
        break;
    case PLACE_LSE:
        io->lse = val, io->d_lse = grad;
        break;
    case PLACE_MASK:
        d->mask = val;
        break;
    case PLACE_BIAS:
        d->bias = val, io->dbias = grad;
        break;
    case PLACE_SLOPES:
        d->slopes = val, io->dslopes = grad;
        break;
    case PLACE_TABLE:
        d->table = val, io->dtable = grad;
        break;
    case PLACE_SINK:
        d->sink = val, io->dsink = grad;
        break;
    case PLACE_Q_LEN:
        d->q_len = val;
        break;
    case PLACE_K_LEN:
        d->k_len = val;
        break;
    case PLACE_Q_POS:
        d->q_pos = val;
        break;
    case PLACE_K_POS:
        d->k_pos = val;
        break;
    case PLACE_Q_SEG:
        d->q_seg = val;
        break;
    case PLACE_K_SEG:
        d->k_seg = val;
        break;
    case PLACE_SEGMENTS:
        d->q_seg = d->k_seg = val;
        break;
    case PLACE_IDS:
        d->ids = val;
        break;
    case PLACE_BLOCK_TABLE:
        d->block_table = val;
        break;
    default:
        break;
    }
}

struct attention {
    loci_trial *t;
    const loci_trial_how *how;
    loci_exec x;
    struct arena scratch, host, saved, kept;
    struct slab *val, *grad;
    loci_attn_desc desc;
    loci_attn_io io;
};

static loci_status plan(struct attention *a, loci_error *err)
{
    loci_status status = LOCI_OK;
    const loci_trial_size *z = &a->t->size;
    loci_need need = {.struct_size = sizeof need};
    loci_shape shape;

    loci_session_shape(&shape, &a->t->session, a->t->cx, z->dim, z->dtype);
    shape.flags = a->x.flags;
    shape.rows = z->docs;
    shape.seq = z->seq;
    shape.ctx = z->keys;
    loci__stage(a->how, "plan");
    LOCI_TRY(loci_node_need(a->t->node, &shape, LOCI_OP_MIX, &need, err));
    LOCI_TRY(loci__arena_new(&a->scratch, a->t->cx, need.scratch, 64, a->how->harsh, err));
    LOCI_TRY(loci__arena_new(&a->host, NULL, need.host, 64, a->how->harsh, err));
    LOCI_TRY(loci__arena_new(&a->saved, a->t->cx, need.saved, 64, a->how->harsh, err));
    a->x.scratch = loci__arena_given(&a->scratch);
    a->x.scratch_bytes = need.scratch;
    a->x.host_scratch = a->host.at;
    a->x.host_bytes = need.host;
    if (a->how->back) {
        a->x.saved = loci__arena_given(&a->saved);
        a->x.saved_bytes = need.saved;
    }
out:
    return status;
}

/* Lists of indices are host memory, but for k_pos, which lies in a cache (docs/adr/0006). */
static loci_context *lies_on(const struct attention *a, enum place place)
{
    return place >= PLACE_Q_LEN && place != PLACE_K_POS ? NULL : a->t->cx;
}

static loci_status values(struct attention *a, loci_error *err)
{
    loci_status status = LOCI_OK;

    for (uint32_t i = 0; i < a->t->n; i++) {
        const struct trial_port *p = &a->t->ports[i];
        const bool output = p->p.role == LOCI_PORT_OUTPUT;
        LOCI_TRY(loci__slab_new(&a->val[i], lies_on(a, p->place), p->p.dtype, p->p.ndim, p->p.shape, a->how, err));
        loci__slab_put(&a->val[i], output ? NULL : p->p.value, a->how->dirty ? 0.75 : (double)NAN);
        place(&a->desc, &a->io, p->place, &a->val[i].given.t, NULL);
    }
out:
    return status;
}

static loci_status gradients(struct attention *a, loci_error *err)
{
    loci_status status = LOCI_OK;

    for (uint32_t i = 0; i < a->t->n; i++) {
        const struct trial_port *p = &a->t->ports[i];
        const bool output = p->p.role == LOCI_PORT_OUTPUT;
        if (!p->p.real)
            continue;
        LOCI_TRY(loci__slab_new(&a->grad[i], a->t->cx, p->p.dtype, p->p.ndim, p->p.shape, a->how, err));
        loci__slab_put(&a->grad[i], output ? p->p.grad : NULL, a->how->from);
        place(&a->desc, &a->io, p->place, &a->val[i].given.t, &a->grad[i].given.t);
    }
out:
    return status;
}

static loci_status cross(struct attention *a, loci__cross *way, loci_error *err)
{
    loci_status status = LOCI_OK;

    LOCI_TRY(way(&a->scratch, err));
    LOCI_TRY(way(&a->saved, err));
    for (uint32_t i = 0; i < a->t->n; i++) {
        LOCI_TRY(way(&a->val[i].mem, err));
        LOCI_TRY(way(&a->grad[i].mem, err));
    }
out:
    return status;
}

/* (6) of trial.h, then the numbers. */
static loci_status fetch(struct attention *a, bool back, loci_error *err)
{
    const loci_node *n = a->t->node;

    if (!loci__arena_intact(&a->scratch) || !loci__arena_intact(&a->host) || !loci__arena_intact(&a->saved))
        return loci_fail(err, LOCI_E_PLUGIN, "attention/%s: writes outside the memory it planned", n->cls->id);
    for (uint32_t i = 0; i < a->t->n; i++) {
        const struct trial_port *p = &a->t->ports[i];
        const bool output = p->p.role == LOCI_PORT_OUTPUT;
        const struct slab *s = back ? &a->grad[i] : &a->val[i];
        if (output == back || (back && !p->p.real))
            continue;
        if (!loci__slab_intact(s))
            return loci_fail(err, LOCI_E_PLUGIN,
                             "attention/%s: writes outside the rows of %s%s: use the tensor's strides", n->cls->id,
                             back ? "d_" : "", p->p.name);
        loci__slab_get(s, back ? p->p.grad : p->p.value, back ? a->how->from : 0, false);
    }
    return LOCI_OK;
}

/* A call has been made: on a device, whether it ended well is known once it has been done. */
static loci_status done(const struct attention *a, loci_status status, loci_error *err)
{
    if (status != LOCI_OK)
        return loci_fail(err, status, "attention/%s failed without saying why", a->t->node->cls->id);
    return loci__arena_wait(&a->scratch, err);
}

static loci_status forward(void *self, loci_error *err)
{
    struct attention *a = self;
    const loci_attention *iface = a->t->node->cls->iface;

    return done(a, iface->forward(a->t->node->module, &a->x, &a->io, err), err);
}

static loci_status backward(void *self, loci_error *err)
{
    struct attention *a = self;
    const loci_attention *iface = a->t->node->cls->iface;

    return done(a, iface->backward(a->t->node->module, &a->x, &a->io, err), err);
}

/* What the forward saved is the backward's to use up. */
static loci_status keep_saved(struct attention *a, loci_error *err)
{
    const loci_status status =
        a->how->around ? loci__arena_new(&a->kept, NULL, a->saved.bytes, 64, false, err) : LOCI_OK;

    if (status == LOCI_OK && a->kept.bytes)
        memcpy(a->kept.at, a->saved.at, a->kept.bytes);
    return status;
}

static loci_status again(void *self, loci_error *err)
{
    struct attention *a = self;

    if (a->kept.bytes)
        memcpy(a->saved.at, a->kept.at, a->kept.bytes);
    return loci__arena_up(&a->saved, err);
}

loci_status loci__attention_run(struct loci_trial *t, const loci_trial_how *how, loci_error *err)
{
    loci_status status = LOCI_OK;
    struct attention a = {.t = t, .how = how, .desc = t->desc};
    const loci_slots none = {.struct_size = sizeof none};

    a.io = (loci_attn_io){.struct_size = sizeof a.io, .desc = &a.desc};
    a.val = loci_alloc(t->n * sizeof *a.val);
    a.grad = loci_alloc(t->n * sizeof *a.grad);
    if (!a.val || !a.grad) {
        status = loci_fail(err, LOCI_E_NOMEM, "out of memory for a call");
        goto out;
    }
    if (how->cut && how->cut->n_calls != 1) {
        status =
            loci_fail(err, LOCI_E_ARG, "an attention has no state: it runs in one call, not in %u", how->cut->n_calls);
        goto out;
    }
    loci_exec_init(&a.x, t->cx, &t->session, (how->back ? LOCI_X_SAVE : 0) | (how->train ? LOCI_X_TRAIN : 0),
                   loci_mix64(5 ^ t->node->path_hash), 3);
    LOCI_TRY(plan(&a, err));
    LOCI_TRY(values(&a, err));
    LOCI_TRY(cross(&a, loci__arena_up, err));
    LOCI_TRY(loci__make(how, "forward", &(loci_trial_bare){forward, NULL, &a}, err));
    LOCI_TRY(cross(&a, loci__arena_down, err));
    if (how->seen)
        how->seen(how->arg, &a.x, &none);
    LOCI_TRY(fetch(&a, false, err));
    if (!how->back)
        goto out;
    LOCI_TRY(gradients(&a, err));
    for (uint32_t i = 0; i < t->n; i++)
        if (t->ports[i].place == PLACE_Y ? how->o != NULL : t->ports[i].place == PLACE_LSE && how->lse)
            loci__slab_put(&a.val[i], t->ports[i].place == PLACE_Y ? how->o : how->lse, 0);
    loci__arena_spoil(&a.scratch);
    loci__arena_spoil(&a.host);
    LOCI_TRY(keep_saved(&a, err));
    LOCI_TRY(cross(&a, loci__arena_up, err));
    LOCI_TRY(loci__make(how, "backward", &(loci_trial_bare){backward, again, &a}, err));
    LOCI_TRY(cross(&a, loci__arena_down, err));
    if (how->seen)
        how->seen(how->arg, &a.x, &none);
    status = fetch(&a, true, err);
out:
    for (uint32_t i = 0; i < t->n; i++) {
        if (a.val)
            loci__slab_free(&a.val[i]);
        if (a.grad)
            loci__slab_free(&a.grad[i]);
    }
    loci_free(a.val);
    loci_free(a.grad);
    loci__arena_free(&a.scratch);
    loci__arena_free(&a.host);
    loci__arena_free(&a.saved);
    loci__arena_free(&a.kept);
    return status;
}
