/* SPDX-License-Identifier: Apache-2.0
 *
 * The calls of a pass: embedding, layers, head, loss, and back.
 *
 * (1) Tokens in no run: the caller gives token -1, whose embedding is zero, so that everything computed for them stays
 *     finite and out of every run.
 * (2) The loss of a token is summed on the host in float64, in order.
 */
#include "core/model/pass.h"

static loci_status set_runs(loci_pass *p, const loci_run *runs, uint32_t n, loci_error *err)
{
    int64_t seq = p->width;

    if (n > p->session.runs || (n == 0 && p->session.rows > p->session.runs))
        return loci_fail(err, LOCI_E_ARG, "%u runs in a call planned for %lld", n, (long long)p->session.runs);
    for (uint32_t i = 0; i < n; i++)
        p->runs[i] = runs[i];
    for (int32_t i = 0; n == 0 && i < p->session.rows; i++)
        p->runs[i] = (loci_run){i, 0, (int32_t)seq, i, 0, (uint64_t)i};
    n = n ? n : (uint32_t)p->session.rows;
    memset(p->pos_data, 0, (size_t)tokens_of(p) * sizeof *p->pos_data);
    for (uint32_t i = 0; i < n; i++)
        for (int32_t t = 0; t < p->runs[i].len; t++)
            p->pos_data[p->runs[i].row * seq + p->runs[i].begin + t] = (int32_t)(p->runs[i].pos + t);
    p->batch = (loci_batch){sizeof p->batch, n, p->runs, &p->pos.t};
    return LOCI_OK;
}

static void layer_exec(loci_exec *x, const loci_pass *p, void *saved, uint64_t saved_bytes)
{
    bool save = (p->session.flags & LOCI_X_SAVE) != 0;

    loci_exec_init(x, p->model->cx, &p->session, p->session.flags | (save ? 0 : LOCI_X_STATE_INPLACE), p->seed, p->step);
    x->scratch = (char *)p->scratch + p->compose_scratch_at;
    x->scratch_bytes = p->scratch_bytes - p->compose_scratch_at;
    x->saved = save ? saved : NULL;
    x->saved_bytes = saved_bytes;
    x->host_scratch = p->host;
    x->host_bytes = p->host_bytes;
}

static const loci_mask causal = {sizeof causal, 1, -1, -1};

/* Pieces and state blocks of one layer. */
struct walk {
    struct layer_pieces piece;
    char *in, *out, *grad;
};

static void walk_to(struct walk *w, const loci_pass *p, int layer)
{
    const struct loci_place *at = &p->layers[layer];
    loci_cursor c = {p->saved, at->saved};

    loci_carve_layer(&w->piece, p, at->compose_saved, &c);
    w->in = (char *)p->state_in + at->state;
    w->out = (char *)p->state_out + at->state;
    w->grad = p->state_grad ? (char *)p->state_grad + at->state : NULL;
}

static void top_of(struct top_pieces *t, const loci_pass *p)
{
    loci_cursor c = {NULL, 0};

    loci_carve_top(t, p, &c); /* its size: it lies at the end of saved */
    c = (loci_cursor){p->saved, p->saved_bytes - c.at};
    loci_carve_top(t, p, &c);
}

static loci_status ffn_forward(const loci_exec *x, const loci_pass *p, const struct loci_layer *l,
                               const struct layer_pieces *b, void *next, loci_error *err)
{
    loci_status status = LOCI_OK;
    const loci_model *m = p->model;
    int64_t n = tokens_of(p);

    LOCI_TRY(loci_map1(x, m->dtype, LOCI_MAP_COPY, next, b->u, n * m->dim, 1, 0, err));
    if (m->ffn == LOCI_FFN_NONE)
        return LOCI_OK;
    LOCI_TRY(loci_rms(x, m->dtype, b->n2, b->u, l->norm2, b->stat2, n, m->eps, err));
    LOCI_TRY(loci_linear(x, m->dtype, b->up, b->n2, l->up, n, 0, err));
    if (m->ffn == LOCI_FFN_SWIGLU) {
        LOCI_TRY(loci_linear(x, m->dtype, b->gate, b->n2, l->gate, n, 0, err));
        LOCI_TRY(loci_map2(x, m->dtype, LOCI_MAP_SILU_MUL, b->act, b->gate, b->up, n * m->hidden, 1, 0, err));
    } else {
        LOCI_TRY(loci_map1(x, m->dtype, LOCI_MAP_GELU, b->act, b->up, n * m->hidden, 1, 0, err));
    }
    status = loci_linear(x, m->dtype, next, b->act, l->down, n, 1, err);
out:
    return status;
}

static loci_status layer_forward(const loci_pass *p, int i, void *next, loci_error *err)
{
    loci_status status = LOCI_OK;
    const loci_model *m = p->model;
    const struct loci_layer *l = &m->layers[i];
    struct scratch_pieces s;
    loci_cursor c = {p->scratch, 0};
    struct walk w;
    loci_exec x;
    loci_view vx, vy;
    int64_t n = tokens_of(p);
    loci_io io = {.struct_size = sizeof io, .op = LOCI_OP_MIX, .q = &p->batch, .mask = &causal};

    loci_carve_scratch(&s, p, &c);
    walk_to(&w, p, i);
    layer_exec(&x, p, w.piece.compose, p->layers[i].compose_saved);
    LOCI_TRY(loci_rms(&x, m->dtype, w.piece.n1, w.piece.x, l->norm1, w.piece.stat1, n, m->eps, err));
    if (!loci_covers(&p->batch, p->session.rows, p->width))
        LOCI_TRY(loci_zero(&x, s.y, (uint64_t)(n * m->dim) * loci_dtype_bytes(m->dtype)));
    io.x = loci_view4(&vx, &x, m->dtype, w.piece.n1, p->session.rows, p->width, m->dim, -1);
    io.y = loci_view4(&vy, &x, m->dtype, s.y, p->session.rows, p->width, m->dim, -1);
    io.state_in = w.in;
    io.state_out = w.out;
    LOCI_TRY(loci_node_reset(l->compose, &x, w.in, &p->batch, err));
    LOCI_TRY(loci_node_forward(l->compose, &x, &io, err));
    LOCI_TRY(loci_map2(&x, m->dtype, LOCI_MAP_ADD, w.piece.u, w.piece.x, s.y, n * m->dim, 1, 0, err));
    status = ffn_forward(&x, p, l, &w.piece, next, err);
out:
    return status;
}

/* Tokens outside the runs get row -1, which take() reads as zeros. */
static loci_status embed(const loci_pass *p, const loci_exec *x, void *out, loci_error *err)
{
    const loci_model *m = p->model;
    loci_view vo, vr;

    for (int64_t i = 0; i < tokens_of(p); i++)
        if (p->tokens[i] < -1 || p->tokens[i] >= m->vocab)
            return loci_fail(err, LOCI_E_DATA, "token %d at place %lld lies outside the vocabulary of %lld",
                             p->tokens[i], (long long)i, (long long)m->vocab);
    return m->cx->ops->take(x, loci_view4(&vo, x, m->dtype, out, tokens_of(p), m->dim, -1, -1), &m->embed->value.t,
                            loci_view_set(&vr, (void *)(uintptr_t)p->tokens, (loci_device){LOCI_CPU, 0}, loci_i32, 1,
                                          (int64_t[]){tokens_of(p)}),
                            0, err);
}

static loci_status head_loss(loci_pass *p, const loci_exec *x, const struct top_pieces *t, void *row_loss, double scale,
                             double *loss, int64_t *count, double *token_loss, loci_error *err)
{
    loci_status status = LOCI_OK;
    const loci_model *m = p->model;
    int64_t n = tokens_of(p);
    loci_view vl, vg, vt;
    bool save = (p->session.flags & LOCI_X_SAVE) != 0;
    char piece[4096];
    int64_t size = (int64_t)loci_dtype_bytes(m->dtype), per = (int64_t)sizeof piece / size;

    loci_view4(&vg, x, m->dtype, t->logits, n, m->vocab, -1, -1);
    LOCI_TRY(m->cx->ops->xent(x, loci_view4(&vl, x, m->dtype, row_loss, n, -1, -1, -1), save ? &vg.t : NULL, &vg.t,
                              loci_view_set(&vt, (void *)(uintptr_t)p->targets, (loci_device){LOCI_CPU, 0}, loci_i32, 1,
                                            (int64_t[]){n}),
                              scale, err));
    *loss = 0;
    *count = 0;
    for (int64_t i = 0; i < n; i += per) {
        int64_t some = n - i < per ? n - i : per;
        LOCI_TRY(m->cx->device_class->down(m->cx->device_module, x->stream, piece, (char *)row_loss + i * size,
                                           (uint64_t)(some * size)));
        for (int64_t j = 0; j < some; j++) {
            double v = size == 8 ? ((double *)(void *)piece)[j] : (double)((float *)(void *)piece)[j];
            *loss += v;
            *count += p->targets[i + j] >= 0;
            if (token_loss)
                token_loss[i + j] = v;
        }
    }
out:
    return status;
}

static loci_status forward(loci_pass *p, double scale, double *loss, int64_t *count, double *token_loss,
                           loci_error *err)
{
    loci_status status = LOCI_OK;
    loci_model *m = p->model;
    struct scratch_pieces s;
    loci_cursor c = {p->scratch, 0};
    struct top_pieces top;
    struct walk w;
    loci_exec x;

    loci_carve_scratch(&s, p, &c);
    top_of(&top, p);
    layer_exec(&x, p, NULL, 0);
    walk_to(&w, p, 0);
    LOCI_TRY(embed(p, &x, w.piece.x, err));
    for (int i = 0; i < m->n_layers; i++) {
        /* Without SAVE all layers share pieces: the next input is written after the last read of this one's x. */
        if (i + 1 < m->n_layers)
            walk_to(&w, p, i + 1);
        LOCI_TRY(layer_forward(p, i, i + 1 < m->n_layers ? w.piece.x : top.x, err));
    }
    LOCI_TRY(loci_rms(&x, m->dtype, top.n, top.x, m->norm, top.stat, tokens_of(p), m->eps, err));
    LOCI_TRY(loci_linear(&x, m->dtype, top.logits, top.n, m->head, tokens_of(p), 0, err));
    if (p->targets)
        LOCI_TRY(head_loss(p, &x, &top, s.loss, scale, loss, count, token_loss, err));
out:
    return status;
}

loci_status loci_pass_forward(loci_pass *p, const int32_t *tokens, const int32_t *targets, const loci_run *runs,
                              uint32_t n_runs, uint64_t seed, uint64_t step, double grad_scale, double *loss,
                              int64_t *count, double *token_loss, loci_error *err)
{
    loci_status status = set_runs(p, runs, n_runs, err);

    p->tokens = tokens;
    p->targets = targets;
    p->seed = seed;
    p->step = step;
    return status == LOCI_OK ? forward(p, grad_scale, loss, count, token_loss, err) : status;
}

static loci_status ffn_back(const loci_exec *x, const loci_pass *p, const struct loci_layer *l,
                            const struct layer_pieces *b, const struct scratch_pieces *s, loci_error *err)
{
    loci_status status = LOCI_OK;
    const loci_model *m = p->model;
    int64_t n = tokens_of(p), h = n * m->hidden;
    void *dup = s->f2;

    if (m->ffn == LOCI_FFN_NONE)
        return LOCI_OK;
    LOCI_TRY(loci_linear_back(x, m->dtype, s->f1, b->act, l->down, s->dx, n, 0, err)); /* f1 = dact */
    if (m->ffn == LOCI_FFN_SWIGLU) {
        LOCI_TRY(loci_map2(x, m->dtype, LOCI_MAP_SILU_MUL, dup, b->gate, s->f1, h, 1, 0, err));
        LOCI_TRY(loci_map2(x, m->dtype, LOCI_MAP_MUL, s->f3, s->f1, b->up, h, 1, 0, err));
        LOCI_TRY(loci_map2(x, m->dtype, LOCI_MAP_SILU_BACK, s->f1, b->gate, s->f3, h, 1, 0, err)); /* f1 = dgate */
    } else {
        LOCI_TRY(loci_map2(x, m->dtype, LOCI_MAP_GELU_BACK, dup, b->up, s->f1, h, 1, 0, err));
    }
    LOCI_TRY(loci_linear_back(x, m->dtype, s->dn, b->n2, l->up, dup, n, 0, err));
    if (m->ffn == LOCI_FFN_SWIGLU)
        LOCI_TRY(loci_linear_back(x, m->dtype, s->dn, b->n2, l->gate, s->f1, n, 1, err));
    status = loci_rms_back(x, m->dtype, s->dx, b->u, l->norm2, b->stat2, s->dn, n, err);
out:
    return status;
}

static loci_status layer_back(const loci_pass *p, int i, const struct scratch_pieces *s, loci_error *err)
{
    loci_status status = LOCI_OK;
    const loci_model *m = p->model;
    const struct loci_layer *l = &m->layers[i];
    int64_t n = tokens_of(p);
    struct walk w;
    loci_exec x;
    loci_view vx, vdy, vdx;
    loci_io io = {.struct_size = sizeof io, .op = LOCI_OP_MIX, .q = &p->batch, .mask = &causal};

    walk_to(&w, p, i);
    layer_exec(&x, p, w.piece.compose, p->layers[i].compose_saved);
    LOCI_TRY(ffn_back(&x, p, l, &w.piece, s, err));
    LOCI_TRY(loci_zero(&x, s->dn, (uint64_t)(n * m->dim) * loci_dtype_bytes(m->dtype)));
    io.x = loci_view4(&vx, &x, m->dtype, w.piece.n1, p->session.rows, p->width, m->dim, -1);
    io.dy = loci_view4(&vdy, &x, m->dtype, s->dx, p->session.rows, p->width, m->dim, -1);
    io.dx = loci_view4(&vdx, &x, m->dtype, s->dn, p->session.rows, p->width, m->dim, -1);
    io.state_in = w.in;
    io.state_out = w.out;
    io.state_grad = w.grad;
    LOCI_TRY(loci_node_backward(l->compose, &x, &io, err));
    LOCI_TRY(loci_node_reset_back(l->compose, &x, w.grad, &p->batch, err));
    status = loci_rms_back(&x, m->dtype, s->dx, w.piece.x, l->norm1, w.piece.stat1, s->dn, n, err);
out:
    return status;
}

loci_status loci_pass_backward(loci_pass *p, loci_error *err)
{
    loci_status status = LOCI_OK;
    loci_model *m = p->model;
    struct scratch_pieces s;
    loci_cursor c = {p->scratch, 0};
    struct top_pieces top;
    int64_t n = tokens_of(p);
    loci_exec x;
    loci_view vd, vr;

    loci_carve_scratch(&s, p, &c);
    top_of(&top, p);
    layer_exec(&x, p, NULL, 0);
    LOCI_TRY(loci_zero(&x, p->state_grad, p->state_bytes));
    LOCI_TRY(loci_linear_back(&x, m->dtype, s.dn, top.n, m->head, top.logits, n, 0, err));
    LOCI_TRY(loci_zero(&x, s.dx, (uint64_t)(n * m->dim) * loci_dtype_bytes(m->dtype)));
    LOCI_TRY(loci_rms_back(&x, m->dtype, s.dx, top.x, m->norm, top.stat, s.dn, n, err));
    for (int i = m->n_layers; i-- > 0;)
        LOCI_TRY(layer_back(p, i, &s, err));
    status = m->cx->ops->put(&x, &m->embed->grad.t, loci_view4(&vd, &x, m->dtype, s.dx, n, m->dim, -1, -1),
                             loci_view_set(&vr, (void *)(uintptr_t)p->tokens, (loci_device){LOCI_CPU, 0}, loci_i32, 1,
                                           (int64_t[]){n}),
                             err);
out:
    return status;
}

const void *loci_pass_logits(const loci_pass *p)
{
    struct top_pieces t;

    top_of(&t, p);
    return t.logits;
}

loci_status loci_pass_carry(loci_pass *p, loci_error *err)
{
    loci_context *cx = p->model->cx;

    if (p->state_out == p->state_in)
        return LOCI_OK;
    if (cx->device_class->copy(cx->device_module, NULL, p->state_in, p->state_out, p->state_bytes) != LOCI_OK)
        return loci_fail(err, LOCI_E_DEVICE, "the state could not be carried over");
    return LOCI_OK;
}

loci_status loci_pass_each_state(loci_pass *p, loci_state_fn fn, void *arg, loci_error *err)
{
    loci_status status = LOCI_OK;
    uint64_t at = 0;

    for (int i = 0; i < p->model->n_layers; i++) {
        const loci_node *n = p->model->layers[i].compose;
        LOCI_TRY(loci_node_each_state(n, &p->session, (char *)p->state_in + at, loci_node_path(n), fn, arg, err));
        at += loci_node_state_bytes(n, &p->session);
    }
out:
    return status;
}

loci_status loci_pass_find_fault(loci_pass *p, bool back, char *text, size_t n, loci_error *err)
{
    loci_status status = LOCI_OK;
    loci_context *cx = p->model->cx;
    struct loci_fault fault = {false, ""};
    double loss, sum;
    int64_t count;
    loci_exec x;

    cx->fault = &fault;
    layer_exec(&x, p, NULL, 0);
    for (uint32_t i = 0; i < p->model->weights.n && !fault.found; i++) {
        const loci_weight *w = p->model->weights.at[i];
        LOCI_TRY(cx->ops->sumsq(&x, &w->value.t, &sum, err));
        if (sum - sum != 0) {
            fault.found = true;
            snprintf(fault.text, sizeof fault.text, "the weight %s is not finite", w->name);
        }
    }
    if (!fault.found)
        LOCI_TRY(forward(p, 1, &loss, &count, NULL, err));
    if (!fault.found && back) {
        LOCI_TRY(loci_weights_zero_grads(&p->model->weights, cx));
        LOCI_TRY(loci_pass_backward(p, err));
    }
    for (uint32_t i = 0; i < p->model->weights.n && !fault.found && back; i++) {
        const loci_weight *w = p->model->weights.at[i];
        LOCI_TRY(cx->ops->sumsq(&x, &w->grad.t, &sum, err));
        if (sum - sum != 0) {
            fault.found = true;
            snprintf(fault.text, sizeof fault.text, "the gradient of %s is not finite", w->name);
        }
    }
    snprintf(text, n, "%s", fault.found ? fault.text : "no single tensor: the sum over the batch overflows");
out:
    cx->fault = NULL;
    return status;
}
