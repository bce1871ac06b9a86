/* SPDX-License-Identifier: Apache-2.0
 *
 * The calls of a pass: embedding, layers (layer.c), head and loss (head.c), and back.
 *
 * Tokens in no run: the caller gives token -1, whose embedding is zero, so that everything computed for them stays
 * finite and out of every run.
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

loci_status loci_pass_again(loci_pass *p, double scale, double *loss, int64_t *count, double *token_loss,
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
    loci_top_of(&top, p);
    loci_layer_exec(&x, p, NULL, 0);
    loci_walk_to(&w, p, 0);
    LOCI_TRY(embed(p, &x, w.x, err));
    for (int i = 0; i < m->n_layers; i++) {
        struct next_norm next = {top.x, top.stat, m->norm};
        /* Without SAVE all layers share one x: the next is written after the last read of this one's. */
        if (i + 1 < m->n_layers) {
            loci_walk_to(&w, p, i + 1);
            next = (struct next_norm){w.x, w.piece.stat1, m->layers[i + 1].norm1};
        }
        LOCI_TRY(loci_layer_forward(p, i, &s, &next, err));
    }
    LOCI_TRY(loci_head_forward(p, &x, &top, &s, scale, err));
    if (p->targets)
        LOCI_TRY(loci_head_losses(p, &x, s.loss, loss, count, token_loss));
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
    return status == LOCI_OK ? loci_pass_again(p, grad_scale, loss, count, token_loss, err) : status;
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
    loci_top_of(&top, p);
    loci_layer_exec(&x, p, NULL, 0);
    LOCI_TRY(loci_zero(&x, s.dx, (uint64_t)(n * m->dim) * loci_dtype_bytes(m->dtype)));
    LOCI_TRY(loci_rms_back(&x, m->dtype, s.dx, top.x, m->norm, top.stat, top.dn, n, err));
    for (int i = m->n_layers; i-- > 0;) {
        if (m->recompute && i + 1 < m->n_layers)
            LOCI_TRY(loci_layer_forward(p, i, &s, NULL, err));
        LOCI_TRY(loci_layer_back(p, i, &s, err));
    }
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

    loci_top_of(&t, p);
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
