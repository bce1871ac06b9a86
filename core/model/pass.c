/* SPDX-License-Identifier: Apache-2.0
 *
 * A pass: the memory that a call of the model needs. The calls themselves are in step.c.
 *
 *   saved, per layer:  x   stat1  [compose]  u  stat2  up  gate     then:  x_L  stat  dn  logits
 *   scratch:           y  dx  dn  n  f1  f2  loss                   then:  [compose]
 *
 * (1) The carve functions are the only places that know the order; planning runs them without memory.
 * (2) Without SAVE the layers share one x and one set of pieces, since nothing of an earlier layer is read again. With
 *     train.recompute = layer each keeps its x, and they share the pieces: the backward computes those of a layer again,
 *     but for the last one's, which are still there.
 * (3) What a pass over memory gives back is not kept: the normalised n and the activation of the feed-forward network
 *     are computed again from x, u, their statistics, up and gate.
 * (4) Unless a forward is asked for logits they exist for as many tokens at a time as HEAD_BYTES hold (head.c).
 * (5) One block of state gradients serves all layers, since nothing passes from one to another through it.
 */
#include "core/model/pass.h"
#include <assert.h>

#define HEAD_BYTES (UINT64_C(64) << 20)

/* (4), in pieces of one size. */
int64_t loci_head_rows(const loci_pass *p)
{
    const loci_model *m = p->model;
    uint64_t n = (uint64_t)tokens_of(p), limit = m->head_bytes ? m->head_bytes : HEAD_BYTES;
    uint64_t bytes = n * (uint64_t)m->vocab * loci_dtype_bytes(m->dtype), pieces = (bytes + limit - 1) / limit;

    if (pieces <= 1 || !(p->losses_alone || p->session.flags & LOCI_X_SAVE))
        return (int64_t)n;
    return (int64_t)(n > pieces ? (n + pieces - 1) / pieces : 1);
}

void loci_carve_layer(struct layer_pieces *b, const loci_pass *p, uint64_t compose_saved, loci_cursor *c)
{
    const loci_model *m = p->model;
    uint64_t size = loci_dtype_bytes(m->dtype), n = (uint64_t)tokens_of(p);
    uint64_t wide = n * (uint64_t)m->dim * size, ffn = n * (uint64_t)m->hidden * size;

    b->stat1 = loci_cut(c, n * size);
    b->compose = loci_cut(c, compose_saved);
    b->u = loci_cut(c, wide);
    b->stat2 = loci_cut(c, n * size);
    b->up = loci_cut(c, ffn);
    b->gate = m->ffn == LOCI_FFN_SWIGLU ? loci_cut(c, ffn) : NULL;
}

void loci_carve_top(struct top_pieces *b, const loci_pass *p, loci_cursor *c)
{
    const loci_model *m = p->model;
    uint64_t size = loci_dtype_bytes(m->dtype), n = (uint64_t)tokens_of(p);

    b->x = loci_cut(c, n * (uint64_t)m->dim * size);
    b->stat = loci_cut(c, n * size);
    b->dn = p->session.flags & LOCI_X_SAVE ? loci_cut(c, n * (uint64_t)m->dim * size) : NULL;
    b->logits = loci_cut(c, (uint64_t)loci_head_rows(p) * (uint64_t)m->vocab * size);
}

void loci_carve_scratch(struct scratch_pieces *b, const loci_pass *p, loci_cursor *c)
{
    const loci_model *m = p->model;
    uint64_t size = loci_dtype_bytes(m->dtype), n = (uint64_t)tokens_of(p);
    uint64_t wide = n * (uint64_t)m->dim * size, ffn = n * (uint64_t)m->hidden * size;

    b->y = loci_cut(c, wide);
    b->dx = loci_cut(c, wide);
    b->dn = loci_cut(c, wide);
    b->n = loci_cut(c, wide);
    b->f1 = loci_cut(c, ffn);
    b->f2 = p->session.flags & LOCI_X_SAVE && !m->cx->fused ? loci_cut(c, ffn) : NULL;
    b->loss = loci_cut(c, n * size);
}

void loci_top_of(struct top_pieces *t, const loci_pass *p)
{
    loci_cursor c = {NULL, 0};

    loci_carve_top(t, p, &c); /* its size: it lies at the end of saved */
    c = (loci_cursor){p->saved, p->saved_bytes - c.at};
    loci_carve_top(t, p, &c);
}

/* ---- planning ---------------------------------------------------------------------------------------------------- */

static loci_status check_size(const loci_pass *p, loci_error *err)
{
    const loci_model *m = p->model;
    uint64_t n, widest = (uint64_t)(m->vocab > m->hidden ? m->vocab : m->hidden);

    widest = widest > (uint64_t)m->dim ? widest : (uint64_t)m->dim;
    if (!loci_mul(&n, (uint64_t)p->session.rows, (uint64_t)p->session.seq) || n > INT32_MAX ||
        !loci_mul(&n, n, widest) || !loci_mul(&n, n, 64) || !loci_mul(&n, n, (uint64_t)m->n_layers) ||
        n > (UINT64_C(1) << 46))
        return loci_fail(err, LOCI_E_NOMEM,
                         "a batch of %lld x %lld tokens of this model is too large to address: lower train.batch, "
                         "data.seq_tok or model.dim",
                         (long long)p->session.rows, (long long)p->session.seq);
    return LOCI_OK;
}

/* What layer i needs of saved: (2). `own` counts what layers keep, `shared` is as large as the largest share. */
static void place_layer(loci_pass *p, int i, uint64_t compose_saved, loci_cursor *own, uint64_t *shared)
{
    const loci_model *m = p->model;
    const bool save = (p->session.flags & LOCI_X_SAVE) != 0;
    const uint64_t wide = (uint64_t)tokens_of(p) * (uint64_t)m->dim * loci_dtype_bytes(m->dtype);
    struct layer_pieces piece;
    loci_cursor one = {0};

    p->layers[i].compose_saved = save ? compose_saved : 0;
    p->layers[i].x = own->at;
    if (save || i == m->n_layers - 1)
        loci_cut(own, wide);
    p->layers[i].saved = own->at;
    loci_carve_layer(&piece, p, p->layers[i].compose_saved, save && !m->recompute ? own : &one);
    *shared = one.at > *shared ? one.at : *shared;
}

static loci_status plan(loci_pass *p, loci_error *err)
{
    loci_status status = LOCI_OK;
    loci_model *m = p->model;
    bool save = (p->session.flags & LOCI_X_SAVE) != 0;
    loci_cursor saved = {0}, scratch = {0};
    struct top_pieces top;
    struct scratch_pieces s;
    uint64_t most_scratch = 0, most_host = 0, shared = 0, bytes;

    LOCI_TRY(check_size(p, err));
    p->layers = loci_alloc((size_t)m->n_layers * sizeof *p->layers);
    if (!p->layers)
        return loci_fail(err, LOCI_E_NOMEM, "out of memory for the plan of %d layers", (int)m->n_layers);
    loci_carve_scratch(&s, p, &scratch);
    for (int i = 0; i < m->n_layers; i++) {
        loci_need need = {.struct_size = sizeof need};
        loci_shape shape;
        loci_session_shape(&shape, &p->session, m->cx, m->dim, m->dtype);
        LOCI_TRY(loci_node_need(m->layers[i].compose, &shape, LOCI_OP_MIX, &need, err));
        place_layer(p, i, need.saved, &saved, &shared);
        p->layers[i].state = p->state_bytes;
        most_scratch = need.scratch > most_scratch ? need.scratch : most_scratch;
        most_host = need.host > most_host ? need.host : most_host;
        bytes = loci_node_state_bytes(m->layers[i].compose, &p->session);
        p->state_bytes += bytes;
        p->grad_bytes = save && bytes > p->grad_bytes ? bytes : p->grad_bytes;
    }
    for (int i = 0; i < m->n_layers && (!save || m->recompute); i++)
        p->layers[i].saved = saved.at;
    saved.at += shared;
    loci_carve_top(&top, p, &saved);
    p->saved_bytes = saved.at;
    p->compose_scratch_at = scratch.at;
    p->scratch_bytes = scratch.at + loci_align64(most_scratch);
    p->host_bytes = loci_align64(most_host);
out:
    return status;
}

loci_status loci_pass_new(loci_pass **out, loci_model *m, int64_t rows, int64_t seq, int64_t runs, int64_t states,
                          int64_t capacity, uint64_t flags, loci_error *err)
{
    loci_status status = LOCI_OK;
    loci_pass *p = loci_alloc(sizeof *p);

    *out = NULL;
    if (!p)
        return loci_fail(err, LOCI_E_NOMEM, "out of memory for a pass");
    p->model = m;
    p->session = (loci_session){rows, seq, runs, states, capacity, flags};
    p->width = seq;
    LOCI_TRY(plan(p, err));
    *out = p;
    return LOCI_OK;
out:
    loci_pass_free(p);
    return status;
}

void loci_pass_losses_alone(loci_pass *p)
{
    loci_cursor all = {NULL, 0}, pieces = {NULL, 0};
    struct top_pieces t;

    loci_carve_top(&t, p, &all);
    p->losses_alone = true;
    loci_carve_top(&t, p, &pieces);
    p->saved_bytes -= all.at - pieces.at;
}

void loci_pass_borrow(loci_pass *p, const loci_pass *lender)
{
    p->lender = lender;
}

static bool lent(const loci_pass *p, uint64_t there, uint64_t wanted)
{
    return p->lender && wanted <= there;
}

/* What a pass with SAVE leaves in its state_out is done with when its backward is and has been carried over. */
static bool state_lent(const loci_pass *p)
{
    return p->lender && p->lender->session.flags & LOCI_X_SAVE && !(p->session.flags & LOCI_X_SAVE) &&
           lent(p, p->lender->state_bytes, p->state_bytes);
}

/* Of the memories that may be borrowed. */
static uint64_t own_bytes(const loci_pass *p)
{
    const loci_pass *l = p->lender ? p->lender : p;
    const uint64_t states = p->session.flags & LOCI_X_SAVE ? 2 : 1;

    return (lent(p, l->saved_bytes, p->saved_bytes) ? 0 : p->saved_bytes) +
           (lent(p, l->scratch_bytes, p->scratch_bytes) ? 0 : p->scratch_bytes) +
           (lent(p, l->host_bytes, p->host_bytes) ? 0 : p->host_bytes) + (state_lent(p) ? 0 : states * p->state_bytes);
}

uint64_t loci_pass_bytes(const loci_pass *p)
{
    return own_bytes(p) + p->grad_bytes + (uint64_t)(p->session.rows * p->session.seq) * sizeof(int32_t) +
           (uint64_t)p->session.runs * sizeof(loci_run);
}

loci_status loci_pass_alloc(loci_pass *p, loci_error *err)
{
    loci_context *cx = p->model->cx;
    bool save = (p->session.flags & LOCI_X_SAVE) != 0;
    const loci_pass *l = p->lender ? p->lender : p;

    p->saved = lent(p, l->saved_bytes, p->saved_bytes) ? l->saved : loci_device_alloc(cx, p->saved_bytes);
    p->scratch = lent(p, l->scratch_bytes, p->scratch_bytes) ? l->scratch : loci_device_alloc(cx, p->scratch_bytes);
    p->host = lent(p, l->host_bytes, p->host_bytes) ? l->host : loci_alloc(p->host_bytes);
    p->state_in = state_lent(p) ? l->state_out : loci_device_alloc(cx, p->state_bytes);
    p->state_out = save ? loci_device_alloc(cx, p->state_bytes) : p->state_in;
    p->state_grad = save ? loci_device_alloc(cx, p->grad_bytes) : NULL;
    p->pos_data = loci_alloc((size_t)tokens_of(p) * sizeof *p->pos_data);
    p->runs = loci_alloc((size_t)p->session.runs * sizeof *p->runs);
    if (!p->saved || !p->scratch || !p->host || !p->state_in || !p->state_out || (save && !p->state_grad) ||
        !p->pos_data || !p->runs)
        return loci_fail(err, LOCI_E_NOMEM, "out of memory: a pass needs %llu bytes: lower train.batch or data.seq_tok",
                         (unsigned long long)loci_pass_bytes(p));
    loci_pass_narrow(p, p->width);
    return LOCI_OK;
}

void loci_pass_narrow(loci_pass *p, int64_t width)
{
    assert(width >= 1 && width <= p->session.seq);
    p->width = width;
    loci_view_set(&p->pos, p->pos_data, (loci_device){LOCI_CPU, 0}, loci_i32, 2,
                  (int64_t[]){p->session.rows, width});
}

void loci_pass_free(loci_pass *p)
{
    if (!p)
        return;
    if (p->saved && !(p->lender && p->saved == p->lender->saved))
        loci_device_free(p->model->cx, p->saved);
    if (p->scratch && !(p->lender && p->scratch == p->lender->scratch))
        loci_device_free(p->model->cx, p->scratch);
    if (p->state_out && p->state_out != p->state_in)
        loci_device_free(p->model->cx, p->state_out);
    if (p->state_in && !state_lent(p))
        loci_device_free(p->model->cx, p->state_in);
    if (p->state_grad)
        loci_device_free(p->model->cx, p->state_grad);
    loci_free(p->layers);
    if (!(p->lender && p->host == p->lender->host))
        loci_free(p->host);
    loci_free(p->pos_data);
    loci_free(p->runs);
    loci_free(p);
}
