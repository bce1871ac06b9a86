/* SPDX-License-Identifier: Apache-2.0
 *
 * State blocks: where each tensor of a node's state lies, and the row operations on them.
 *
 *   block = [ own state slots (rule first, then the front end's tails) | block of sub 0 | block of sub 1 | ... ]
 *
 * every part on a 64-byte boundary; a slot has session.states rows. A cache slot has
 *   rows = capacity said by the parent, or pinned + min(capacity of the session, window - 1 + longest piece).
 */
#include "core/model/node_impl.h"
#include "core/model/tools.h"
#include <string.h>

int64_t loci_cache_rows(const loci_node *n, const loci_session *s, int64_t window)
{
    int64_t rows = s->capacity;

    if (n->capacity > 0)
        return n->capacity;
    if (window > 0 && window - 1 + s->seq < rows)
        rows = window - 1 + s->seq;
    return rows + n->pinned;
}

static uint64_t slot_bytes(const loci_node *n, const loci_session *s, const struct state_slot *slot, int64_t *shape)
{
    uint64_t elements = 1;

    for (int32_t i = 0; i < slot->ndim; i++) {
        shape[i] = slot->shape[i] == -1   ? s->states
                   : slot->shape[i] == -2 ? loci_cache_rows(n, s, slot->window)
                                          : slot->shape[i];
        elements *= (uint64_t)shape[i];
    }
    return loci_align64(elements * loci_dtype_bytes(slot->dtype));
}

uint64_t loci_sub_offset(const loci_node *n, const loci_session *s, uint32_t sub)
{
    int64_t shape[LOCI_MAX_DIM];
    uint64_t at = 0;

    for (uint32_t i = 0; i < n->n_states; i++)
        at += slot_bytes(n, s, &n->states[i], shape);
    for (uint32_t i = 0; i < sub; i++)
        at += loci_node_state_bytes(n->subs[i].child, s);
    return at;
}

uint64_t loci_node_state_bytes(const loci_node *n, const loci_session *s)
{
    return loci_sub_offset(n, s, n->n_subs);
}

void loci_block_views(struct block *b, const loci_node *n, const loci_session *s, const void *state)
{
    uint64_t at = 0;

    for (uint32_t i = 0; i < n->n_states; i++) {
        const struct state_slot *slot = &n->states[i];
        loci_tensor *t = &b->t[i];
        uint64_t bytes = slot_bytes(n, s, slot, b->shape[i]);
        int64_t stride = 1;
        for (int32_t d = slot->ndim; d-- > 0;) {
            b->strides[i][d] = stride;
            stride *= b->shape[i][d];
        }
        *t = (loci_tensor){state ? (char *)(uintptr_t)state + at : NULL, n->cx->device, slot->ndim, slot->dtype,
                           b->shape[i], b->strides[i], 0};
        at += bytes;
    }
}

void loci_frame_fill(struct frame *f, const loci_node *n, const loci_session *s, uint32_t n_params, uint32_t n_states,
                     const void *in, void *out, void *grad, bool backward)
{
    loci_block_views(&f->in, n, s, in);
    loci_block_views(&f->out, n, s, out);
    loci_block_views(&f->grad, n, s, grad);
    for (uint32_t i = 0; i < n_params; i++) {
        f->params[i] = n->params[i]->value.t;
        f->grads[i] = n->params[i]->grad.t;
    }
    for (uint32_t i = 0; i < n->n_subs; i++) {
        uint64_t at = loci_sub_offset(n, s, i);
        f->sub_in[i] = in ? (const char *)in + at : NULL;
        f->sub_out[i] = out ? (char *)out + at : NULL;
        f->sub_grad[i] = grad ? (char *)grad + at : NULL;
    }
    f->cache = (struct loci_cache){n, f->in.t, f->out.t, grad ? f->grad.t : NULL};
    f->slots = (loci_slots){sizeof f->slots, n_params, n_states, n->n_subs, f->params, backward ? f->grads : NULL,
                            f->in.t, f->out.t, grad ? f->grad.t : NULL, &f->cache, f->sub_in, f->sub_out, f->sub_grad};
}

loci_status loci_rows_copy(const loci_exec *x, const loci_tensor *dst, const loci_tensor *src, const loci_batch *batch,
                           bool add, loci_error *err)
{
    loci_status status = LOCI_OK;
    const loci_context *cx = loci_context_of(x);
    uint32_t count = batch ? batch->n_runs : 1;
    int64_t rows = batch ? 1 : dst->shape[0];
    uint64_t bytes = (uint64_t)(rows * dst->strides[0]) * loci_dtype_bytes(dst->dtype);

    if (dst->shape[0] == 0 || bytes == 0)
        return LOCI_OK;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t at = batch ? (uint64_t)batch->runs[i].state * bytes : 0;
        char *to = (char *)loci_ptr(dst) + at;
        const char *from = src ? (const char *)loci_ptr(src) + at : NULL;
        if (!from)
            LOCI_TRY(loci_zero(x, to, bytes));
        else if (!add)
            LOCI_TRY(to == from ? LOCI_OK : cx->device_class->copy(cx->device_module, x->stream, to, from, bytes));
        else if (dst->dtype.code == LOCI_FLOAT)
            LOCI_TRY(loci_map1(x, dst->dtype, LOCI_MAP_COPY, to, from, rows * dst->strides[0], 1, 1, err));
    }
out:
    return status;
}

static loci_status each_row(const loci_node *n, const loci_exec *x, const loci_batch *batch, uint32_t parts, void *dst,
                            const void *src, bool add, loci_error *err)
{
    loci_status status = LOCI_OK;
    struct block to, from;
    bool memory = n->kind == LOCI_IS_MEMORY;

    loci_block_views(&to, n, x->session, dst);
    loci_block_views(&from, n, x->session, src);
    for (uint32_t i = 0; i < n->n_states; i++) {
        uint32_t part = memory && i < n->n_rule_states ? LOCI_PART_RULE : LOCI_PART_FRONT;
        if (parts & part)
            LOCI_TRY(loci_rows_copy(x, &to.t[i], src ? &from.t[i] : NULL, batch, add, err));
    }
    for (uint32_t i = 0; i < n->n_subs; i++) {
        uint64_t at = loci_sub_offset(n, x->session, i);
        LOCI_TRY(each_row(n->subs[i].child, x, batch, parts, (char *)dst + at, src ? (const char *)src + at : NULL, add,
                          err));
    }
out:
    return status;
}

loci_status loci_node_copy(const loci_node *n, const loci_exec *x, const loci_batch *batch, uint32_t parts, void *dst,
                           const void *src, loci_error *err)
{
    return dst == src ? LOCI_OK : each_row(n, x, batch, parts, dst, src, false, err);
}

loci_status loci_node_add(const loci_node *n, const loci_exec *x, const loci_batch *batch, uint32_t parts, void *dst,
                          const void *src, loci_error *err)
{
    return each_row(n, x, batch, parts, dst, src, true, err);
}

/* One run at pos 0 at a time: the list of them would need memory that a planned call must not ask for. */
static loci_status reset_run(const loci_node *n, const loci_exec *x, void *state, const loci_run *run, bool back,
                             loci_error *err)
{
    loci_status status = LOCI_OK;
    loci_batch one = {sizeof one, 1, run, NULL};
    const loci_memory *m = n->cls->iface;
    struct frame f;

    loci_frame_fill(&f, n, x->session, n->front ? n->n_params - loci_front_params(n) : n->n_params, n->n_rule_states,
                    state, state, state, back);
    if (back && n->kind == LOCI_IS_MEMORY && LOCI_HAS_FN(m, loci_memory, state_init_back))
        LOCI_TRY(m->state_init_back(n->module, x, &f.slots, &one, err));
    for (uint32_t i = 0; i < n->n_states; i++)
        if (back || !(n->states[i].flags & LOCI_SLOT_CACHE))
            LOCI_TRY(loci_rows_copy(x, &f.out.t[i], NULL, &one, false, err));
    if (!back && n->kind == LOCI_IS_MEMORY && LOCI_HAS_FN(m, loci_memory, state_init))
        LOCI_TRY(m->state_init(n->module, x, &f.slots, &one, err));
    for (uint32_t i = 0; i < n->n_subs; i++)
        LOCI_TRY(reset_run(n->subs[i].child, x, (char *)state + loci_sub_offset(n, x->session, i), run, back, err));
out:
    return status;
}

loci_status loci_node_reset(const loci_node *n, const loci_exec *x, void *state, const loci_batch *batch,
                            loci_error *err)
{
    loci_status status = LOCI_OK;

    for (uint32_t i = 0; i < batch->n_runs; i++)
        if (batch->runs[i].pos == 0)
            LOCI_TRY(reset_run(n, x, state, &batch->runs[i], false, err));
out:
    return status;
}

loci_status loci_node_reset_back(const loci_node *n, const loci_exec *x, void *state_grad, const loci_batch *batch,
                                 loci_error *err)
{
    loci_status status = LOCI_OK;

    for (uint32_t i = 0; i < batch->n_runs; i++)
        if (batch->runs[i].pos == 0)
            LOCI_TRY(reset_run(n, x, state_grad, &batch->runs[i], true, err));
out:
    return status;
}

loci_status loci_node_each_state(const loci_node *n, const loci_session *s, void *state, const char *prefix,
                                 loci_state_fn fn, void *arg, loci_error *err)
{
    loci_status status = LOCI_OK;
    struct block b;
    char *name = NULL;

    loci_block_views(&b, n, s, state);
    for (uint32_t i = 0; i < n->n_states; i++) {
        loci_free(name);
        name = loci_format("%s.%s", prefix, n->states[i].name);
        LOCI_TRY(name ? fn(arg, name, &b.t[i], err) : loci_fail(err, LOCI_E_NOMEM, "out of memory for a name"));
    }
    for (uint32_t i = 0; i < n->n_subs; i++) {
        loci_free(name);
        name = loci_format("%s.%s", prefix, n->subs[i].name);
        LOCI_TRY(name ? loci_node_each_state(n->subs[i].child, s, (char *)state + loci_sub_offset(n, s, i), name, fn,
                                             arg, err)
                      : loci_fail(err, LOCI_E_NOMEM, "out of memory for a name"));
    }
out:
    loci_free(name);
    return status;
}
