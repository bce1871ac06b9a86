/* SPDX-License-Identifier: Apache-2.0
 *
 * mix_mha: the buffers of a call. One function, layout(), cuts them for plan, forward and backward alike.
 *
 *     saved    per lane: every buffer that a later step of it read, the norm's statistics;  q;  o;  log-sum-exp
 *     scratch  k and v (the cache keeps them), copies of x and the context without padding, slopes, gradients
 *     host     row lists and positions
 *
 * Without SAVE the saved part lies in scratch.
 */
#include "mha.h"

static void *cut(loci_cursor *c, int64_t elements, uint64_t size)
{
    return loci_cut(c, (uint64_t)elements * size);
}

static void lane_init(struct lane *l, const loci_module *m, int64_t heads, int64_t d, bool norm, bool rope, uint32_t w,
                      uint32_t cw, uint32_t tail, uint32_t gain)
{
    *l = (struct lane){.heads = heads,
                       .d = d,
                       .n = 1 + (m->taps > 0) + norm,
                       .conv = m->taps > 0,
                       .norm = norm,
                       .rope = rope,
                       .w = w,
                       .cw = cw,
                       .tail = tail,
                       .gain = gain};
}

/* keep: memory of what the backward reads again. last: where the lane's result goes, NULL when the cache has it. */
static void lane_cut(struct lane *l, const loci_module *m, int64_t n, loci_cursor *keep, loci_cursor *last,
                     loci_cursor *grads)
{
    const uint64_t z = m->dtype.bits / 8;

    for (int i = 0; i < l->n - 1; i++)
        l->at[i] = cut(keep, n * l->heads * l->d, z);
    if (l->norm)
        l->stat = cut(keep, n * l->heads, m->acc.bits / 8);
    if (last)
        l->at[l->n - 1] = cut(last, n * l->heads * l->d, z);
    for (int i = 0; grads && i < l->n; i++)
        l->g[i] = cut(grads, n * l->heads * l->d, z);
}

/* n query tokens, c context rows. */
void layout(struct layout *l, const loci_module *m, int64_t n, int64_t c, bool save, bool back, loci_cursor *scratch,
            loci_cursor *saved, loci_cursor *host)
{
    const uint64_t z = m->dtype.bits / 8, a = m->acc.bits / 8;
    loci_cursor *keep = save ? saved : scratch;
    const bool rope = m->pos == POS_ROPE;

    lane_init(&l->q, m, m->heads, m->dk, m->norm, rope, m->wq, m->cq, m->tq, m->gq);
    lane_init(&l->k, m, m->kv_heads, m->dk, m->norm, rope, m->wk, m->ck, m->tk, m->gk);
    lane_init(&l->v, m, m->kv_heads, m->dv, false, false, m->wv, m->cv, m->tv, 0);
    lane_cut(&l->q, m, n, keep, keep, back ? scratch : NULL);
    lane_cut(&l->k, m, c, keep, back ? NULL : scratch, back ? scratch : NULL);
    lane_cut(&l->v, m, c, keep, back ? NULL : scratch, back ? scratch : NULL);
    l->o = cut(keep, n * m->heads * m->dv, z);
    l->lse = cut(keep, n * m->heads, a);
    l->d_o = back ? cut(scratch, n * m->heads * m->dv, z) : NULL;
    l->slopes = cut(scratch, m->heads, a);
    l->x = cut(scratch, n * m->dim, z);
    l->c = cut(scratch, c * m->dim, z);
    l->xr = cut(host, n, 4);
    l->cr = cut(host, c, 4);
    l->x_pos = cut(host, n, 4);
    l->c_pos = cut(host, c, 4);
}

void mha_need(const loci_module *m, int64_t n, int64_t c, uint64_t flags, loci_need *need)
{
    const bool save = flags & LOCI_X_SAVE;
    struct layout l;

    for (int back = 0; back <= save; back++) {
        loci_cursor scratch = {0}, saved = {0}, host = {0};
        layout(&l, m, n, c, save, back, &scratch, &saved, &host);
        if (scratch.at > need->scratch)
            need->scratch = scratch.at;
        need->saved = saved.at;
        need->host = host.at;
    }
    if (save) { /* a forward without SAVE keeps in scratch what one with it saves */
        loci_cursor scratch = {0}, saved = {0}, host = {0};
        layout(&l, m, n, c, false, false, &scratch, &saved, &host);
        if (scratch.at > need->scratch)
            need->scratch = scratch.at;
    }
}

loci_tensor *view(loci_view *v, const struct call *c, loci_dtype dtype, void *data, int64_t n0, int64_t n1,
                  int64_t n2, int64_t n3)
{
    const int64_t n[4] = {n0, n1, n2, n3};
    int64_t stride = 1;

    v->t =
        (loci_tensor){.data = data, .device = c->x->device, .dtype = dtype, .shape = v->shape, .strides = v->strides};
    for (; v->t.ndim < 4 && n[v->t.ndim] >= 0; v->t.ndim++)
        v->shape[v->t.ndim] = n[v->t.ndim];
    for (int i = v->t.ndim; i-- > 0; stride *= n[i])
        v->strides[i] = stride;
    return &v->t;
}
