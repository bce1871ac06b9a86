/* SPDX-License-Identifier: Apache-2.0
 *
 * Calls: what the host does around a component's plan, forward and backward.
 */
#include "core/model/node_impl.h"
#include "core/model/tools.h"

void loci_session_shape(loci_shape *out, const loci_session *s, const loci_context *cx, int64_t dim, loci_dtype dtype)
{
    *out = (loci_shape){.struct_size = sizeof *out,
                        .session = s,
                        .flags = s->flags,
                        .rows = s->rows,
                        .seq = s->seq,
                        .ctx = s->seq,
                        .runs = s->runs,
                        .states = s->states,
                        .dim = dim,
                        .dtype = dtype,
                        .acc = dtype.bits == 64 ? loci_f64 : loci_f32,
                        .device = cx->device};
}

void loci_exec_init(loci_exec *x, loci_context *cx, const loci_session *s, uint64_t flags, uint64_t seed,
                    uint64_t step)
{
    *x = (loci_exec){.struct_size = sizeof *x,
                     .host = &cx->host,
                     .session = s,
                     .device = cx->device,
                     .flags = flags,
                     .seed = seed,
                     .step = step};
}

/* The keys an attention sees are what its mixer's cache holds. */
static int64_t keys_of(const loci_node *mixer, const loci_session *s)
{
    int64_t most = 0;

    for (uint32_t i = 0; i < mixer->n_states; i++)
        if (mixer->states[i].flags & LOCI_SLOT_CACHE) {
            int64_t rows = loci_cache_rows(mixer, s, mixer->states[i].window);
            most = rows > most ? rows : most;
        }
    return most;
}

loci_status loci_node_need(const loci_node *n, const loci_shape *shape, int32_t op, loci_need *need, loci_error *err)
{
    loci_shape own;
    loci_status status;

    LOCI_COPY(&own, shape);
    own.heads = n->shape.heads;
    own.k_heads = n->shape.k_heads;
    own.v_heads = n->shape.v_heads;
    own.dk = n->shape.dk;
    own.dv = n->shape.dv;
    own.features = n->shape.features;
    if (n->kind == LOCI_IS_ATTENTION && n->parent && shape->session)
        own.ctx = keys_of(n->parent, shape->session);
    if (n->front)
        return loci_front_need(n, &own, op, need, err);
    status = n->cls->plan(n->module, &own, op, need, err);
    if (status != LOCI_OK)
        loci_fail_in(err, status, "%s", n->path);
    return status;
}

static loci_status call(const loci_node *n, const loci_exec *x, const loci_io *io, bool back, loci_error *err)
{
    const loci_mixer *m = n->cls->iface;
    loci_exec own;
    struct frame f;
    loci_status status;

    LOCI_COPY(&own, x);
    own.seed = loci_mix64(x->seed ^ n->path_hash);
    if (n->front) {
        status = (back ? loci_front_backward : loci_front_forward)(n, &own, io, err);
    } else {
        loci_frame_fill(&f, n, x->session, n->n_params, n->n_states, io->state_in, io->state_out, io->state_grad, back);
        status = (back ? m->backward : m->forward)(n->module, &own, &f.slots, io, err);
    }
    if (status != LOCI_OK)
        loci_fail(err, status, "%s: %s/%s failed without saying why", n->path, n->section, n->cls->id);
    else if (n->cx->fault)
        loci_fault_look(n, x, back ? "the gradient of its input" : "its output", back ? io->dx : io->y);
    return status;
}

loci_status loci_node_forward(const loci_node *n, const loci_exec *x, const loci_io *io, loci_error *err)
{
    return call(n, x, io, false, err);
}

loci_status loci_node_backward(const loci_node *n, const loci_exec *x, const loci_io *io, loci_error *err)
{
    return call(n, x, io, true, err);
}

void loci_fault_look(const loci_node *n, const loci_exec *x, const char *what, const loci_tensor *t)
{
    struct loci_fault *f = n->cx->fault;
    double sum = 0;
    loci_tensor flat;
    int64_t shape, stride = 1;

    if (f->found || !t || !loci_ptr(t))
        return;
    shape = loci_elements(t);
    flat = *t;
    flat.ndim = 1;
    flat.shape = &shape;
    flat.strides = &stride;
    if (n->cx->ops->sumsq(x, &flat, &sum, NULL) != LOCI_OK || sum - sum == 0)
        return;
    f->found = true;
    snprintf(f->text, sizeof f->text, "plugin %s/%s at %s: %s is not finite", n->section, n->cls->id, n->path, what);
}
