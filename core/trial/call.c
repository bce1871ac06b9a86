/* SPDX-License-Identifier: Apache-2.0
 *
 * One call of a component with streams: plan for exactly this call, then its forward or its backward. On a device all
 * memory of the call crosses before it and back after it.
 */
#include "core/trial/run.h"
#include <string.h>

/* What a call hands to the component, whatever its kind. */
struct handed {
    loci_exec x;
    struct run *r;
    struct call *c;
    struct arena *in, *out;
    struct slab *grad; /* [ports]; NULL: a forward */
    struct arena scratch, host, kept_saved, kept_grad;
    struct frame frame; /* the slots that the component sees, of states the host's side */
    loci_io io;
    loci_rule_io rule;
    const loci_tensor *gates[LOCI_MAX_GATES];
    loci_tensor *dgates[LOCI_MAX_GATES];
};

static bool is_rule(const loci_trial *t)
{
    return t->kind == LOCI_IS_MEMORY && !t->node->front;
}

static int32_t op_of(const struct run *r)
{
    return r->t->kind != LOCI_IS_MEMORY ? LOCI_OP_MIX : r->how->op == LOCI_OP_MIX ? LOCI_OP_STEP : r->how->op;
}

/* Does the op hand this port over? */
static bool takes(const struct run *r, const struct trial_port *p)
{
    const int32_t op = op_of(r);

    switch (p->place) {
    case PLACE_Q:
    case PLACE_Y:
        return op != LOCI_OP_WRITE;
    case PLACE_K:
    case PLACE_V:
    case PLACE_GATE:
        return op != LOCI_OP_READ;
    case PLACE_X:
    case PLACE_CONTEXT:
        return true;
    default:
        return false;
    }
}

static loci_status plan(struct run *r, struct call *c, loci_error *err)
{
    const loci_trial *t = r->t;
    loci_shape shape;

    loci_session_shape(&shape, &t->session, t->cx, t->size.dim, t->size.dtype);
    shape.flags = r->flags;
    shape.rows = c->cut->rows;
    shape.seq = c->cut->seq;
    shape.ctx = loci__is_context(t) ? t->size.keys : c->cut->seq;
    if (loci__is_context(t) && shape.rows < t->size.docs)
        shape.rows = t->size.docs; /* the context has a row for every document */
    shape.runs = c->cut->n;
    loci__stage(r->how, "plan");
    return loci_node_need(t->node, &shape, op_of(r), &c->need, err);
}

static loci_status hand(struct handed *h, struct run *r, struct call *c, struct arena *in, struct arena *out, bool back,
                        loci_error *err)
{
    loci_status status = LOCI_OK;
    const loci_trial *t = r->t;

    memset(h, 0, sizeof *h);
    h->r = r;
    h->c = c;
    h->in = in;
    h->out = out;
    LOCI_TRY(loci__arena_new(&h->scratch, t->cx, c->need.scratch, 64, r->how->harsh, err));
    LOCI_TRY(loci__arena_new(&h->host, NULL, c->need.host, 64, r->how->harsh, err));
    loci_exec_init(&h->x, t->cx, &t->session, r->flags, 5, 3);
    h->x.scratch = loci__arena_given(&h->scratch);
    h->x.scratch_bytes = c->need.scratch;
    h->x.host_scratch = h->host.at;
    h->x.host_bytes = c->need.host;
    h->x.saved = loci__arena_given(&c->saved);
    h->x.saved_bytes = c->saved.bytes;
    h->io = (loci_io){.struct_size = sizeof h->io, .op = op_of(r), .q = &c->q, .mask = &t->mask};
    h->rule = (loci_rule_io){.struct_size = sizeof h->rule, .op = op_of(r), .batch = &c->q, .gate = h->gates};
    h->io.state_in = loci__arena_given(in);
    h->io.state_out = loci__arena_given(out);
    h->io.state_grad = back ? loci__arena_given(&r->grad) : NULL;
    if (loci__is_context(t))
        h->io.k = &c->k;
    loci_frame_fill(&h->frame, t->node, &t->session, t->node->n_params, t->node->n_states, in->at, out->at,
                    back ? r->grad.at : NULL, back);
out:
    return status;
}

/* Tensor p of the call, and its gradient (NULL: none). */
static void hand_port(struct handed *h, const struct trial_port *p, loci_tensor *val, loci_tensor *grad)
{
    switch (p->place) {
    case PLACE_Q:
        h->rule.q = val, h->rule.dq = grad;
        break;
    case PLACE_K:
        h->rule.k = val, h->rule.dk = grad;
        break;
    case PLACE_V:
        h->rule.v = val, h->rule.dv = grad;
        break;
    case PLACE_GATE:
        h->gates[p->index] = val, h->dgates[p->index] = grad;
        h->rule.dgate = grad ? h->dgates : NULL;
        break;
    case PLACE_X:
        h->io.x = val, h->io.dx = grad;
        break;
    case PLACE_CONTEXT:
        h->io.ctx = val, h->io.dctx = grad;
        break;
    case PLACE_Y:
        h->io.y = h->rule.y = val, h->io.dy = h->rule.dy = grad;
        break;
    default:
        break;
    }
}

static void drop(struct handed *h)
{
    loci__arena_free(&h->scratch);
    loci__arena_free(&h->host);
    loci__arena_free(&h->kept_saved);
    loci__arena_free(&h->kept_grad);
}

static loci_status cross(struct handed *h, loci__cross *way, loci_error *err)
{
    loci_status status = LOCI_OK;

    LOCI_TRY(way(&h->scratch, err));
    LOCI_TRY(way(&h->c->saved, err));
    LOCI_TRY(way(h->in, err));
    LOCI_TRY(way(h->out, err));
    LOCI_TRY(way(&h->r->grad, err));
    for (uint32_t p = 0; p < h->r->t->n; p++) {
        if (h->c->val)
            LOCI_TRY(way(&h->c->val[p].mem, err));
        if (h->grad)
            LOCI_TRY(way(&h->grad[p].mem, err));
    }
out:
    return status;
}

static loci_status forward(void *self, loci_error *err)
{
    struct handed *h = self;
    const loci_node *n = h->r->t->node;
    const loci_status status = is_rule(h->r->t)
                                   ? loci_rule_forward(n, &h->x, &h->rule, h->io.state_in, h->io.state_out, err)
                                   : loci_node_forward(n, &h->x, &h->io, err);

    return status == LOCI_OK ? loci__arena_wait(&h->scratch, err) : status;
}

static loci_status backward(void *self, loci_error *err)
{
    struct handed *h = self;
    const loci_node *n = h->r->t->node;
    const loci_status status = is_rule(h->r->t) ? loci_rule_backward(n, &h->x, &h->rule, h->io.state_in,
                                                                     h->io.state_out, h->io.state_grad, err)
                                                : loci_node_backward(n, &h->x, &h->io, err);

    return status == LOCI_OK ? loci__arena_wait(&h->scratch, err) : status;
}

static loci_status make(struct handed *h, const char *stage, const loci_trial_bare *bare, loci_error *err)
{
    loci_status status = LOCI_OK;

    LOCI_TRY(cross(h, loci__arena_up, err));
    LOCI_TRY(loci__make(h->r->how, stage, bare, err));
    LOCI_TRY(cross(h, loci__arena_down, err));
    if (h->r->how->seen)
        h->r->how->seen(h->r->how->arg, &h->x, &h->frame.slots);
out:
    return status;
}

/* What a backward uses up, for one that is made again: what the forward saved, and the gradient of the states, which it
 * turns from that of the end into that of the beginning. */
static loci_status keep(struct handed *h, loci_error *err)
{
    loci_status status = LOCI_OK;

    if (!h->r->how->around)
        return LOCI_OK;
    LOCI_TRY(loci__arena_new(&h->kept_saved, NULL, h->c->saved.bytes, 64, false, err));
    LOCI_TRY(loci__arena_new(&h->kept_grad, NULL, h->r->grad.bytes, 64, false, err));
    if (h->kept_saved.bytes)
        memcpy(h->kept_saved.at, h->c->saved.at, h->kept_saved.bytes);
    if (h->kept_grad.bytes)
        memcpy(h->kept_grad.at, h->r->grad.at, h->kept_grad.bytes);
out:
    return status;
}

static loci_status again(void *self, loci_error *err)
{
    struct handed *h = self;
    loci_status status = LOCI_OK;

    if (h->kept_saved.bytes)
        memcpy(h->c->saved.at, h->kept_saved.at, h->kept_saved.bytes);
    if (h->kept_grad.bytes)
        memcpy(h->r->grad.at, h->kept_grad.at, h->kept_grad.bytes);
    LOCI_TRY(loci__arena_up(&h->c->saved, err));
    LOCI_TRY(loci__arena_up(&h->r->grad, err));
out:
    return status;
}

static loci_status check_buffers(const struct handed *h, const struct run *r, const struct call *c, const char *what,
                                 loci_error *err)
{
    const char *which = !loci__arena_intact(&h->scratch) ? "scratch"
                        : !loci__arena_intact(&h->host)  ? "host scratch"
                        : !loci__arena_intact(&c->saved) ? "saved memory"
                                                         : NULL;

    return which ? loci_fail(err, LOCI_E_PLUGIN, "%s/%s: %s writes outside its %s: plan() must ask for all of it",
                             r->t->node->section, r->t->node->cls->id, what, which)
                 : LOCI_OK;
}

loci_status loci__call_forward(struct run *r, uint32_t i, loci_error *err)
{
    loci_status status = LOCI_OK;
    loci_trial *t = r->t;
    struct call *c = &r->calls[i];
    struct arena *in = loci__state_in(r, i), *out = loci__state_out(r, i);
    struct handed *h = loci_alloc(sizeof *h);

    if (!h)
        return loci_fail(err, LOCI_E_NOMEM, "out of memory for a call");
    LOCI_TRY(plan(r, c, err));
    if (r->how->back)
        LOCI_TRY(loci__arena_new(&c->saved, t->cx, c->need.saved, 64, r->how->harsh, err));
    if (in != out) {
        memcpy(out->at, in->at, t->state_bytes);
        if ((r->how->harsh || r->how->dirty) && !(is_rule(t) && op_of(r) == LOCI_OP_READ))
            loci__states_spoil(r, c, out->at, r->how->harsh ? 0xff : 0x3f);
    }
    LOCI_TRY(hand(h, r, c, in, out, false, err));
    for (uint32_t p = 0; p < t->n; p++)
        if (takes(r, &t->ports[p])) {
            LOCI_TRY(loci__call_value(c, r, p, err));
            hand_port(h, &t->ports[p], &c->val[p].given.t, NULL);
        }
    LOCI_TRY(make(h, "forward", &(loci_trial_bare){forward, NULL, h}, err));
    LOCI_TRY(check_buffers(h, r, c, "forward", err));
    for (uint32_t p = 0; p < t->n; p++)
        if (takes(r, &t->ports[p]) && t->ports[p].p.role == LOCI_PORT_OUTPUT) {
            LOCI_TRY(loci__check_padding(c, r, p, &c->val[p], 0, "forward", err));
            loci__gather(c, r, p, &c->val[p], t->ports[p].p.value, 0);
        }
out:
    drop(h);
    loci_free(h);
    return status;
}

loci_status loci__call_backward(struct run *r, uint32_t i, loci_error *err)
{
    loci_status status = LOCI_OK;
    loci_trial *t = r->t;
    struct call *c = &r->calls[i];
    struct handed *h = loci_alloc(sizeof *h);
    struct slab *grad = loci_alloc(t->n * sizeof *grad);

    if (!h || !grad) {
        status = loci_fail(err, LOCI_E_NOMEM, "out of memory for a call");
        goto out;
    }
    LOCI_TRY(hand(h, r, c, loci__state_in(r, i), loci__state_out(r, i), true, err));
    h->grad = grad;
    for (uint32_t p = 0; p < t->n; p++)
        if (takes(r, &t->ports[p])) {
            LOCI_TRY(loci__call_grad(&grad[p], c, r, p, err));
            hand_port(h, &t->ports[p], &c->val[p].given.t, &grad[p].given.t);
        }
    LOCI_TRY(keep(h, err));
    LOCI_TRY(make(h, "backward", &(loci_trial_bare){backward, again, h}, err));
    LOCI_TRY(check_buffers(h, r, c, "backward", err));
    for (uint32_t p = 0; p < t->n; p++)
        if (takes(r, &t->ports[p]) && t->ports[p].p.role != LOCI_PORT_OUTPUT) {
            LOCI_TRY(loci__check_padding(c, r, p, &grad[p], r->how->from, "backward", err));
            loci__gather(c, r, p, &grad[p], t->ports[p].p.grad, r->how->from);
        }
out:
    if (h)
        drop(h);
    for (uint32_t p = 0; grad && p < t->n; p++)
        loci__slab_free(&grad[p]);
    loci_free(grad);
    loci_free(h);
    return status;
}

loci_status loci__call_start(struct run *r, struct arena *state, bool back, loci_error *err)
{
    loci_status status = LOCI_OK;
    const loci_trial *t = r->t;
    const uint32_t n = (uint32_t)t->size.docs;
    loci_run *runs = loci_alloc(n * sizeof *runs);
    loci_cut_call most = {0, 0, n, NULL};
    struct call c = {.cut = &most, .need = {.struct_size = sizeof c.need}};
    loci_batch batch = {sizeof batch, n, runs, NULL};
    struct handed *h = loci_alloc(sizeof *h);

    if (!h || !runs) {
        status = loci_fail(err, LOCI_E_NOMEM, "out of memory for %u documents", n);
        goto out;
    }
    for (uint32_t d = 0; d < n; d++)
        runs[d] = (loci_run){0, 0, 0, (int32_t)d, 0, 40 + d};
    for (uint32_t i = 0; i < r->n_calls; i++) { /* the sizes of all calls: the largest plan is there for it */
        most.rows = r->calls[i].cut->rows > most.rows ? r->calls[i].cut->rows : most.rows;
        most.seq = r->calls[i].cut->seq > most.seq ? r->calls[i].cut->seq : most.seq;
    }
    LOCI_TRY(plan(r, &c, err));
    LOCI_TRY(hand(h, r, &c, state, state, back, err));
    loci__stage(r->how, back ? "state_init_back" : "state_init");
    LOCI_TRY(cross(h, loci__arena_up, err));
    LOCI_TRY(back ? loci_node_reset_back(t->node, &h->x, loci__arena_given(state), &batch, err)
                  : loci_node_reset(t->node, &h->x, loci__arena_given(state), &batch, err));
    LOCI_TRY(cross(h, loci__arena_down, err));
    status = check_buffers(h, r, &c, back ? "state_init_back" : "state_init", err);
out:
    if (h)
        drop(h);
    loci_free(h);
    loci_free(runs);
    return status;
}
