/* SPDX-License-Identifier: Apache-2.0
 *
 * The front end's plan, forward and backward; the formula is in front.c.
 */
#include "core/model/front.h"

#define L2_EPS 1e-12
#define NORM_EPS 1e-5

/* Which streams an op uses. */
static bool uses(const struct loci_front *f, int stream, int32_t op)
{
    return f->on[stream] && (op == LOCI_OP_STEP || (op == LOCI_OP_READ) == (stream == 0));
}

static int64_t width(const struct loci_front *f, int stream)
{
    return f->heads * (stream == 2 ? f->dv : f->dk);
}

/* Of a token, for all heads. */
static int64_t gate_numbers(const loci_node *n, uint32_t i)
{
    return n->front->heads * n->gates[i].width;
}

/* All pieces of a call over n tokens, in a fixed order. */
static void carve(struct front_pieces *b, const loci_node *n, int64_t tokens, int32_t op, loci_cursor *c)
{
    const struct loci_front *f = n->front;
    uint64_t size = loci_dtype_bytes(n->shape.dtype), t = (uint64_t)tokens;

    memset(b, 0, sizeof *b);
    for (int s = 0; s < 3; s++) {
        uint64_t bytes = t * (uint64_t)width(f, s) * size;
        if (!uses(f, s, op))
            continue;
        b->p[s] = loci_cut(c, bytes);
        b->c[s] = f->taps > 0 ? loci_cut(c, bytes) : b->p[s];
        b->a[s] = f->silu ? loci_cut(c, bytes) : b->c[s];
        b->n[s] = f->l2 && s < 2 ? loci_cut(c, bytes) : b->a[s];
        if (f->l2 && s < 2)
            b->stat[s] = loci_cut(c, t * (uint64_t)f->heads * size);
    }
    for (uint32_t i = 0; i < n->n_gates && op != LOCI_OP_READ; i++) {
        b->gate_z[i] = loci_cut(c, t * (uint64_t)gate_numbers(n, i) * size);
        b->gate[i] = loci_cut(c, t * (uint64_t)gate_numbers(n, i) * size);
    }
    if (op != LOCI_OP_WRITE) {
        uint64_t bytes = t * (uint64_t)(f->heads * f->dv) * size;
        b->y = loci_cut(c, bytes);
        if (f->out_norm)
            b->y_stat = loci_cut(c, t * (uint64_t)f->heads * size);
        b->yn = f->out_norm ? loci_cut(c, bytes) : b->y;
        b->z = f->out_gate ? loci_cut(c, bytes) : NULL;
        b->out = f->out_gate ? loci_cut(c, bytes) : b->yn;
    }
}

loci_status loci_front_need(const loci_node *n, const loci_shape *shape, int32_t op, loci_need *need, loci_error *err)
{
    struct front_pieces b;
    loci_cursor forward = {0}, back = {0};
    loci_need rule = {.struct_size = sizeof rule};
    loci_status status = n->cls->plan(n->module, shape, op, &rule, err);

    if (status != LOCI_OK) {
        loci_fail_in(err, status, "%s", n->path);
        return status;
    }
    carve(&b, n, shape->rows * shape->seq, op, &forward);
    back.at = forward.at; /* the gradients of the same pieces, and one more of the widest */
    loci_cut(&back, (uint64_t)(shape->rows * shape->seq * n->front->heads *
                               (n->front->dk > n->front->dv ? n->front->dk : n->front->dv)) *
                        loci_dtype_bytes(n->shape.dtype));
    if (shape->flags & LOCI_X_SAVE) {
        need->saved += forward.at + loci_align64(rule.saved);
        need->scratch += back.at + loci_align64(rule.scratch);
    } else {
        need->scratch += forward.at + loci_align64(rule.scratch);
    }
    need->host += loci_align64(rule.host);
    return LOCI_OK;
}

/* The exec of the rule's call: what lies behind the front end's own pieces. */
static void rule_exec(loci_exec *r, const loci_exec *x, uint64_t scratch, uint64_t saved)
{
    LOCI_COPY(r, x);
    r->scratch = (char *)x->scratch + scratch;
    r->scratch_bytes = x->scratch_bytes - scratch;
    if (x->saved) {
        r->saved = (char *)x->saved + saved;
        r->saved_bytes = x->saved_bytes - saved;
    }
}

/* The tensors of the rule's call. */
struct rule_call {
    loci_view q, k, v, y, gate[LOCI_MAX_GATES];
    const loci_tensor *gates[LOCI_MAX_GATES];
};

static loci_tensor *heads_view(loci_view *v, const loci_exec *x, const loci_node *n, const void *p, int64_t b, int64_t t,
                               int64_t d)
{
    return p ? loci_view4(v, x, n->shape.dtype, p, b, t, n->front->heads, d) : NULL;
}

static void rule_tensors(struct rule_call *r, const loci_exec *x, const loci_node *n, const struct front_pieces *b,
                         int64_t rows, int64_t seq, loci_tensor *t[4])
{
    const struct loci_front *f = n->front;

    t[0] = heads_view(&r->q, x, n, b->n[0], rows, seq, f->dk);
    t[1] = heads_view(&r->k, x, n, b->n[1], rows, seq, f->dk);
    t[2] = heads_view(&r->v, x, n, b->n[2], rows, seq, f->dv);
    t[3] = heads_view(&r->y, x, n, b->y, rows, seq, f->dv);
    for (uint32_t i = 0; i < n->n_gates; i++)
        r->gates[i] = b->gate[i] ? loci_view4(&r->gate[i], x, n->shape.acc, b->gate[i], rows, seq, f->heads,
                                              n->gates[i].width > 1 ? n->gates[i].width : -1)
                                 : NULL;
}

static loci_status stream_forward(const loci_node *n, const loci_exec *x, const loci_io *io, const struct frame *fr,
                                  const struct front_pieces *b, int s, bool whole, loci_error *err)
{
    loci_status status = LOCI_OK;
    const struct loci_front *f = n->front;
    int64_t rows = io->x->shape[0], seq = io->x->shape[1], w = width(f, s), d = w / f->heads;
    loci_dtype dt = n->shape.dtype;
    loci_view vi, vo, vs;

    LOCI_TRY(loci_linear(x, dt, b->p[s], loci_ptr(io->x), f->w[s], rows * seq, 0, err));
    if (f->taps > 0) {
        if (!whole)
            LOCI_TRY(loci_zero(x, b->c[s], (uint64_t)(rows * seq * w) * loci_dtype_bytes(dt)));
        LOCI_TRY(n->cx->ops->conv(x, io->q, loci_view4(&vo, x, dt, b->c[s], rows, seq, w, -1),
                                  loci_view4(&vi, x, dt, b->p[s], rows, seq, w, -1), &f->conv[s]->value.t,
                                  &fr->in.t[f->tail[s]], &fr->out.t[f->tail[s]], err));
    }
    if (f->silu)
        LOCI_TRY(loci_map1(x, dt, LOCI_MAP_SILU, b->a[s], b->c[s], rows * seq * w, 1, 0, err));
    if (b->stat[s])
        LOCI_TRY(n->cx->ops->norm(x, LOCI_NORM_L2, loci_view4(&vo, x, dt, b->n[s], rows * seq, f->heads, d, -1),
                                  loci_view4(&vi, x, dt, b->a[s], rows * seq, f->heads, d, -1), NULL,
                                  loci_view4(&vs, x, dt, b->stat[s], rows * seq, f->heads, -1, -1), L2_EPS, err));
out:
    return status;
}

static loci_status gate_forward(const loci_node *n, const loci_exec *x, const void *in, const struct front_pieces *b,
                                uint32_t i, int64_t tokens, loci_error *err)
{
    loci_status status = LOCI_OK;
    const struct loci_front *f = n->front;
    const struct gate *g = &n->gates[i];
    loci_dtype dt = n->shape.dtype;
    int64_t numbers = gate_numbers(n, i), count = tokens * numbers;
    loci_view vz, vb, vg;
    bool open = isinf(g->hi);

    loci_view4(&vb, x, dt, loci_ptr(&f->gate_b[i]->value.t), tokens, numbers, -1, -1);
    vb.strides[0] = 0;
    LOCI_TRY(n->cx->ops->map1(x, LOCI_MAP_COPY, loci_view4(&vz, x, dt, b->gate_z[i], tokens, numbers, -1, -1), &vb.t, 1,
                              0, err));
    LOCI_TRY(loci_linear(x, dt, b->gate_z[i], in, f->gate_w[i], tokens, 1, err));
    if (g->lo != 0)
        LOCI_TRY(n->cx->ops->fill(x, loci_view4(&vg, x, dt, b->gate[i], count, -1, -1, -1), g->lo, err));
    LOCI_TRY(loci_map1(x, dt, open ? LOCI_MAP_SOFTPLUS : LOCI_MAP_SIGMOID, b->gate[i], b->gate_z[i], count,
                       open ? 1 : g->hi - g->lo, g->lo != 0, err));
out:
    return status;
}

static loci_status out_forward(const loci_node *n, const loci_exec *x, const loci_io *io, const struct front_pieces *b,
                               loci_error *err)
{
    loci_status status = LOCI_OK;
    const struct loci_front *f = n->front;
    int64_t tokens = io->x->shape[0] * io->x->shape[1], w = f->heads * f->dv;
    loci_dtype dt = n->shape.dtype;
    loci_view vi, vo, vs;

    if (f->out_norm)
        LOCI_TRY(n->cx->ops->norm(x, LOCI_NORM_RMS, loci_view4(&vo, x, dt, b->yn, tokens, f->heads, f->dv, -1),
                                  loci_view4(&vi, x, dt, b->y, tokens, f->heads, f->dv, -1), &f->norm->value.t,
                                  loci_view4(&vs, x, dt, b->y_stat, tokens, f->heads, -1, -1), NORM_EPS, err));
    if (f->out_gate) {
        LOCI_TRY(loci_linear(x, dt, b->z, loci_ptr(io->x), f->z, tokens, 0, err));
        LOCI_TRY(loci_map2(x, dt, LOCI_MAP_SILU_MUL, b->out, b->z, b->yn, tokens * w, 1, 0, err));
    }
    if (f->out_proj)
        status = loci_linear(x, dt, loci_ptr(io->y), b->out, f->o, tokens, 0, err);
    else
        status = loci_map1(x, dt, LOCI_MAP_COPY, loci_ptr(io->y), b->out, tokens * w, 1, 0, err);
out:
    return status;
}

/* State that this op leaves as it is must still reach state_out. */
static loci_status carry_over(const loci_node *n, const loci_exec *x, const loci_io *io, const struct frame *fr,
                              loci_error *err)
{
    loci_status status = LOCI_OK;
    const struct loci_front *f = n->front;

    if (io->state_in == io->state_out)
        return LOCI_OK;
    for (uint32_t i = 0; i < n->n_rule_states && io->op == LOCI_OP_READ; i++)
        LOCI_TRY(loci_rows_copy(x, &fr->out.t[i], &fr->in.t[i], io->q, false, err));
    for (int s = 0; s < 3; s++)
        if (f->taps > 0 && f->on[s] && !uses(f, s, io->op))
            LOCI_TRY(loci_rows_copy(x, &fr->out.t[f->tail[s]], &fr->in.t[f->tail[s]], io->q, false, err));
out:
    return status;
}

loci_status loci_front_forward(const loci_node *n, const loci_exec *x, const loci_io *io, loci_error *err)
{
    loci_status status = LOCI_OK;
    const struct loci_front *f = n->front;
    const loci_memory *m = n->cls->iface;
    int64_t rows = io->x->shape[0], seq = io->x->shape[1], tokens = rows * seq;
    bool save = (x->flags & LOCI_X_SAVE) != 0, whole = loci_covers(io->q, rows, seq);
    loci_cursor c = {save ? x->saved : x->scratch, 0};
    struct front_pieces b;
    struct rule_call call;
    struct frame fr;
    loci_tensor *t[4];
    loci_exec rx;
    loci_rule_io rule = {.struct_size = sizeof rule, .op = io->op, .batch = io->q, .gate = call.gates};

    carve(&b, n, tokens, io->op, &c);
    rule_exec(&rx, x, save ? 0 : c.at, save ? c.at : 0);
    loci_frame_fill(&fr, n, x->session, n->n_params - f->n_params, n->n_rule_states, io->state_in, io->state_out, NULL,
                    false);
    LOCI_TRY(carry_over(n, x, io, &fr, err));
    for (int s = 0; s < 3; s++)
        if (uses(f, s, io->op))
            LOCI_TRY(stream_forward(n, x, io, &fr, &b, s, whole, err));
    for (uint32_t i = 0; i < n->n_gates && io->op != LOCI_OP_READ; i++)
        LOCI_TRY(gate_forward(n, x, loci_ptr(io->x), &b, i, tokens, err));
    rule_tensors(&call, x, n, &b, rows, seq, t);
    rule.q = t[0];
    rule.k = t[1];
    rule.v = t[2];
    rule.y = t[3];
    if (!whole && b.y)
        LOCI_TRY(loci_zero(x, b.y, (uint64_t)(tokens * f->heads * f->dv) * loci_dtype_bytes(n->shape.dtype)));
    LOCI_TRY(m->forward(n->module, &rx, &fr.slots, &rule, err));
    if (n->cx->watch)
        LOCI_TRY(n->cx->watch->seen(n->cx->watch->arg, n, x, &rule, &fr.slots, err));
    if (io->op != LOCI_OP_WRITE)
        LOCI_TRY(out_forward(n, x, io, &b, err));
out:
    return status;
}

static loci_status stream_back(const loci_node *n, const loci_exec *x, const loci_io *io, const struct frame *fr,
                               const struct front_pieces *b, const struct front_pieces *d, int s, loci_error *err)
{
    loci_status status = LOCI_OK;
    const struct loci_front *f = n->front;
    int64_t rows = io->x->shape[0], seq = io->x->shape[1], w = width(f, s), dh = w / f->heads, n_all = rows * seq * w;
    loci_dtype dt = n->shape.dtype;
    loci_view v1, v2, v3, v4;
    bool conv = f->taps > 0;

    if (b->stat[s]) {
        LOCI_TRY(loci_zero(x, d->a[s], (uint64_t)n_all * loci_dtype_bytes(dt)));
        LOCI_TRY(n->cx->ops->norm_back(x, LOCI_NORM_L2, loci_view4(&v1, x, dt, d->a[s], rows * seq, f->heads, dh, -1),
                                       NULL, loci_view4(&v2, x, dt, b->a[s], rows * seq, f->heads, dh, -1), NULL,
                                       loci_view4(&v3, x, dt, b->stat[s], rows * seq, f->heads, -1, -1),
                                       loci_view4(&v4, x, dt, d->n[s], rows * seq, f->heads, dh, -1), err));
    }
    if (f->silu)
        LOCI_TRY(loci_map2(x, dt, LOCI_MAP_SILU_BACK, d->c[s], b->c[s], d->a[s], n_all, 1, 0, err));
    if (conv) {
        LOCI_TRY(loci_zero(x, d->p[s], (uint64_t)n_all * loci_dtype_bytes(dt)));
        LOCI_TRY(n->cx->ops->conv_back(x, io->q, loci_view4(&v1, x, dt, d->p[s], rows, seq, w, -1), &f->conv[s]->grad.t,
                                       io->state_grad ? &fr->grad.t[f->tail[s]] : NULL,
                                       loci_view4(&v2, x, dt, b->p[s], rows, seq, w, -1), &f->conv[s]->value.t,
                                       &fr->in.t[f->tail[s]], loci_view4(&v3, x, dt, d->c[s], rows, seq, w, -1), err));
    }
    status = loci_linear_back(x, dt, io->dx ? loci_ptr(io->dx) : NULL, loci_ptr(io->x), f->w[s], d->p[s], rows * seq, 1,
                              err);
out:
    return status;
}

static loci_status gate_back(const loci_node *n, const loci_exec *x, const loci_io *io, const struct front_pieces *b,
                             const struct front_pieces *d, uint32_t i, loci_error *err)
{
    loci_status status = LOCI_OK;
    const struct loci_front *f = n->front;
    const struct gate *g = &n->gates[i];
    int64_t tokens = io->x->shape[0] * io->x->shape[1];
    int64_t numbers = gate_numbers(n, i);
    loci_dtype dt = n->shape.dtype;
    bool open = isinf(g->hi);
    loci_view v;

    LOCI_TRY(loci_map2(x, dt, open ? LOCI_MAP_SOFTPLUS_BACK : LOCI_MAP_SIGMOID_BACK, d->gate_z[i], b->gate_z[i],
                       d->gate[i], tokens * numbers, open ? 1 : g->hi - g->lo, 0, err));
    LOCI_TRY(n->cx->ops->sum_rows(x, &f->gate_b[i]->grad.t,
                                  loci_view4(&v, x, dt, d->gate_z[i], tokens, numbers, -1, -1), 1, err));
    status = loci_linear_back(x, dt, io->dx ? loci_ptr(io->dx) : NULL, loci_ptr(io->x), f->gate_w[i], d->gate_z[i],
                              tokens, 1, err);
out:
    return status;
}

/* From dy to the gradient of the rule's y, in d->y. */
static loci_status out_back(const loci_node *n, const loci_exec *x, const loci_io *io, const struct front_pieces *b,
                            const struct front_pieces *d, loci_error *err)
{
    loci_status status = LOCI_OK;
    const struct loci_front *f = n->front;
    int64_t tokens = io->x->shape[0] * io->x->shape[1], w = f->heads * f->dv;
    loci_dtype dt = n->shape.dtype;
    loci_view v1, v2, v3, v4;

    if (f->out_proj)
        LOCI_TRY(loci_linear_back(x, dt, d->out, b->out, f->o, loci_ptr(io->dy), tokens, 0, err));
    else
        LOCI_TRY(loci_map1(x, dt, LOCI_MAP_COPY, d->out, loci_ptr(io->dy), tokens * w, 1, 0, err));
    if (f->out_gate) {
        /* dz = silu'(z) (dout yn); dyn = silu(z) dout */
        LOCI_TRY(loci_map2(x, dt, LOCI_MAP_MUL, d->yn, d->out, b->yn, tokens * w, 1, 0, err));
        LOCI_TRY(loci_map2(x, dt, LOCI_MAP_SILU_BACK, d->z, b->z, d->yn, tokens * w, 1, 0, err));
        LOCI_TRY(loci_map2(x, dt, LOCI_MAP_SILU_MUL, d->yn, b->z, d->out, tokens * w, 1, 0, err));
        LOCI_TRY(loci_linear_back(x, dt, io->dx ? loci_ptr(io->dx) : NULL, loci_ptr(io->x), f->z, d->z, tokens, 1, err));
    }
    if (f->out_norm) {
        LOCI_TRY(loci_zero(x, d->y, (uint64_t)(tokens * w) * loci_dtype_bytes(dt)));
        LOCI_TRY(n->cx->ops->norm_back(x, LOCI_NORM_RMS, loci_view4(&v1, x, dt, d->y, tokens, f->heads, f->dv, -1),
                                       &f->norm->grad.t, loci_view4(&v2, x, dt, b->y, tokens, f->heads, f->dv, -1),
                                       &f->norm->value.t, loci_view4(&v3, x, dt, b->y_stat, tokens, f->heads, -1, -1),
                                       loci_view4(&v4, x, dt, d->yn, tokens, f->heads, f->dv, -1), err));
    }
out:
    return status;
}

loci_status loci_front_backward(const loci_node *n, const loci_exec *x, const loci_io *io, loci_error *err)
{
    loci_status status = LOCI_OK;
    const struct loci_front *f = n->front;
    const loci_memory *m = n->cls->iface;
    int64_t rows = io->x->shape[0], seq = io->x->shape[1], tokens = rows * seq;
    uint64_t size = loci_dtype_bytes(n->shape.dtype);
    loci_cursor c = {x->saved, 0}, g = {x->scratch, 0};
    struct front_pieces b, d;
    struct rule_call call, dcall;
    struct frame fr;
    loci_tensor *t[4], *dt[4];
    loci_exec rx;
    loci_rule_io rule = {.struct_size = sizeof rule, .op = io->op, .batch = io->q, .gate = call.gates};

    carve(&b, n, tokens, io->op, &c);
    carve(&d, n, tokens, io->op, &g);
    rule_exec(&rx, x, g.at, c.at);
    loci_frame_fill(&fr, n, x->session, n->n_params - f->n_params, n->n_rule_states, io->state_in, io->state_out,
                    io->state_grad, true);
    if (io->op != LOCI_OP_WRITE)
        LOCI_TRY(out_back(n, x, io, &b, &d, err));
    rule_tensors(&call, x, n, &b, rows, seq, t);
    rule_tensors(&dcall, x, n, &d, rows, seq, dt);
    for (int s = 0; s < 3; s++)
        if (d.n[s])
            LOCI_TRY(loci_zero(x, d.n[s], (uint64_t)(tokens * width(f, s)) * size));
    for (uint32_t i = 0; i < n->n_gates && io->op != LOCI_OP_READ; i++)
        LOCI_TRY(loci_zero(x, d.gate[i], (uint64_t)(tokens * gate_numbers(n, i)) * size));
    rule.q = t[0];
    rule.k = t[1];
    rule.v = t[2];
    rule.y = t[3];
    rule.dy = dt[3];
    rule.dq = dt[0];
    rule.dk = dt[1];
    rule.dv = dt[2];
    rule.dgate = (loci_tensor *const *)(void *)dcall.gates;
    LOCI_TRY(m->backward(n->module, &rx, &fr.slots, &rule, err));
    for (uint32_t i = 0; i < n->n_gates && io->op != LOCI_OP_READ; i++)
        LOCI_TRY(gate_back(n, x, io, &b, &d, i, err));
    for (int s = 0; s < 3; s++)
        if (uses(f, s, io->op))
            LOCI_TRY(stream_back(n, x, io, &fr, &b, &d, s, err));
out:
    return status;
}
