/* SPDX-License-Identifier: Apache-2.0
 *
 * compose: memory as context, the strict design (Titans: Behrouz et al. 2025, section 4.1).
 *
 * A document is cut into segments of C tokens. Per segment, with M the memory as the last segment left it (`snap`):
 *
 *     (1) h = READ(snap, x)                              one row per token
 *     (2) y = mix(x | [p; h_1; x_1; h_2; x_2; ...])      causal by position: h_t stands at the position of x_t
 *     (3) m = STEP(run, y)                               the advancing copy of the memory; token t reads what it wrote
 *     (4) o = gate(y, m)
 *     (5) at the end of a segment: the rule's state of snap := that of run
 *
 * As printed, the paper leaks the future twice: under a plain causal mask over [p; h; x] a token sees h rows of later
 * tokens, and a read after the segment's whole write sees later tokens in the memory. Positions in (2) and the order
 * inside (3) close both.
 *
 *  (a) Lock step. Step s takes from each run its tokens of one segment; runs may be at different phases (pos mod C) and
 *      of different length, so each is gathered into a row of compact [R, L, D] tensors. Rows and tails are padding.
 *  (b) The cache of the mixer holds one segment: it begins empty where a segment does, by a context run with pos 0.
 *      Rows of h and x alternate, so that it holds the same rows in the same order however the stream is cut.
 *  (c) Three states of children: `mix`, `run`, `snap`. The convolution tails of snap follow the stream of x, those of
 *      run that of y; so (5) copies the part RULE only.
 *  (d) With SAVE, step s works from state block s into block s + 1; block 0 is sub_in, the last one sub_out, those
 *      between are saved. Rows of runs that do not take part in a step are carried over. Without SAVE all steps work
 *      in sub_out.
 *  (e) The backward walks the steps in reverse with one block of gradients, in sub_grad.
 *  (f) The adjoint of READ must see the state that READ left. (5) has overwritten it where a segment ended, so there a
 *      block in scratch stands in for it.
 */
#include "mac.h"

/* ---- sizes and memory -------------------------------------------------------------------------------------------- */

/* What a step keeps for the backward, from `at` on. */
static void layout_step(const loci_module *m, struct mac *k, loci_cursor *c, bool save)
{
    const int64_t n = k->R * k->L;

    k->h = cut_rows(c, m, n);
    k->y = cut_rows(c, m, n);
    k->m = cut_rows(c, m, n);
    if (save) {
        k->saved_read = loci_cut(c, k->read.saved);
        k->saved_mix = loci_cut(c, k->mix.saved);
        k->saved_step = loci_cut(c, k->step.saved);
    }
}

static void layout(const loci_module *m, void *buffers, bool save, bool back, struct room *r)
{
    struct mac *k = buffers;
    loci_cursor *scratch = &r->scratch, *host = &r->host, one = {NULL, 0};
    const int64_t n = k->R * k->L, s = k->R * k->S;
    loci_run **const lists[] = {&k->tokens, &k->queries, &k->keys, &k->begins, &k->ends, &k->rest};
    int32_t **const rows[] = {&k->x_row, &k->h_at, &k->x_at, &k->q_pos, &k->c_h, &k->c_x, &k->c_p, &k->k_pos};

    for (int i = 0; i < 8; i++)
        *rows[i] = loci_cut(host, (uint64_t)(i < 4 ? n : s) * 4);
    for (int i = 0; i < 6; i++)
        *lists[i] = loci_cut(host, (uint64_t)k->R * sizeof **lists[i]);
    if (save) {
        layout_step(m, k, &one, true);
        k->kept_bytes = one.at;
        k->kept = loci_cut(&r->saved, one.at * (uint64_t)k->steps);
        for (int i = 0; i < STATES; i++)
            k->blocks[i] = loci_cut(&r->saved, k->steps > 1 ? k->bytes[i] * (uint64_t)(k->steps - 1) : 0);
    } else {
        layout_step(m, k, scratch, false);
    }
    k->x = cut_rows(scratch, m, n);
    k->ctx = cut_rows(scratch, m, s);
    k->o = back ? NULL : cut_rows(scratch, m, n);
    gate_cut(&k->gate, m, n, back, scratch);
    if (back) {
        k->d_o = cut_rows(scratch, m, n);
        k->dy = cut_rows(scratch, m, n);
        k->dm = cut_rows(scratch, m, n);
        k->dh = cut_rows(scratch, m, n);
        k->dx = cut_rows(scratch, m, n);
        k->dctx = cut_rows(scratch, m, s);
        k->stand_in = loci_cut(scratch, k->bytes[SNAP]);
    }
}

/* Sizes for `steps` steps of calls of `shape`; children: what they need besides saved. */
static loci_status sizes(const loci_module *m, const loci_shape *shape, int64_t steps, struct mac *k,
                         loci_need *children, loci_error *err)
{
    const loci_host *host = m->host;
    const loci_need *const needs[] = {&k->read, &k->mix, &k->step};
    loci_shape s = *shape;

    *k = (struct mac){.steps = steps, .R = shape->runs, .L = shape->seq < m->segment_tok ? shape->seq : m->segment_tok};
    k->S = m->persistent_tok + 2 * k->L;
    k->read.struct_size = k->mix.struct_size = k->step.struct_size = sizeof k->read;
    s.rows = k->R;
    s.seq = s.ctx = k->L;
    LOCI_RETURN_IF(host->child_need(m->memory, &s, LOCI_OP_READ, &k->read, err));
    LOCI_RETURN_IF(host->child_need(m->memory, &s, LOCI_OP_STEP, &k->step, err));
    k->bytes[RUN] = k->bytes[SNAP] = host->child_state_bytes(m->memory, &s);
    k->bytes[MIX] = host->child_state_bytes(m->mixer, &s);
    s.ctx = k->S;
    LOCI_RETURN_IF(host->child_need(m->mixer, &s, LOCI_OP_MIX, &k->mix, err));
    for (int i = 0; i < 3; i++) {
        children->scratch = needs[i]->scratch > children->scratch ? needs[i]->scratch : children->scratch;
        children->host = needs[i]->host > children->host ? needs[i]->host : children->host;
    }
    return LOCI_OK;
}

loci_status mac_plan(loci_module *m, const loci_shape *shape, loci_need *need, loci_error *err)
{
    const int64_t C = m->segment_tok, steps = (shape->seq + 2 * C - 2) / C; /* from any phase */
    loci_need children = {.struct_size = sizeof children};
    struct mac k;

    LOCI_RETURN_IF(sizes(m, shape, steps, &k, &children, err));
    plan_need(m, layout, &k, shape->flags, need);
    need->scratch += children.scratch;
    need->host += children.host;
    return LOCI_OK;
}

static loci_status begin(struct call *c, struct mac *k)
{
    loci_need children = {.struct_size = sizeof children};
    loci_shape shape;

    if (!c->io->mask || !c->io->mask->causal)
        return loci_refuse(c->err, LOCI_E_UNSUPPORTED, "compose", "mac is causal: give a causal mask");
    call_shape(c, &shape);
    LOCI_RETURN_IF(sizes(c->m, &shape, mac_steps(c->io->q, c->m->segment_tok), k, &children, c->err));
    layout(c->m, k, c->save, c->back, &c->room);
    return call_fits(c);
}

/* ---- one step --------------------------------------------------------------------------------------------------- */

/* Begin step s: lists, kept buffers, x gathered. */
static loci_status step_begin(const struct call *c, struct mac *k, int64_t s)
{
    mac_step(c, k, s);
    if (c->save) {
        loci_cursor kept = {k->kept + (uint64_t)s * k->kept_bytes, 0};
        layout_step(c->m, k, &kept, true);
    }
    return take(c, k->x, k->r * k->l, &c->xm.t, k->x_row, 0);
}

/* The context of (2) from p, h and x. */
static loci_status context(const struct call *c, const struct mac *k)
{
    loci_view v;

    LOCI_RETURN_IF(take(c, k->ctx, k->r * k->s, matrix(&v, c, k->h, k->r * k->l), k->c_h, 0));
    LOCI_RETURN_IF(take(c, k->ctx, k->r * k->s, matrix(&v, c, k->x, k->r * k->l), k->c_x, 1));
    if (c->m->persistent_tok > 0 && k->b_begins.n_runs > 0)
        LOCI_RETURN_IF(take(c, k->ctx, k->r * k->s, &c->s->params[c->m->w_persistent], k->c_p, 1));
    return LOCI_OK;
}

/* dst := src for parts of the memory's or all of the mixer's rows of a batch. */
static loci_status copy(const struct call *c, const loci_child *child, const loci_batch *b, uint32_t parts, void *dst,
                        const void *src)
{
    return b->n_runs > 0 ? c->m->host->child_copy(child, c->x, b, parts, dst, src, c->err) : LOCI_OK;
}

/* dst += src; src NULL: dst := 0. */
static loci_status add(const struct call *c, const loci_child *child, const loci_batch *b, uint32_t parts, void *dst,
                       const void *src)
{
    return b->n_runs > 0 ? c->m->host->child_add(child, c->x, b, parts, dst, src, c->err) : LOCI_OK;
}

/* ---- forward ----------------------------------------------------------------------------------------------------- */

static loci_status step_forward(const struct call *c, struct mac *k, int64_t s)
{
    const loci_module *m = c->m;
    const uint64_t flags = c->save ? c->x->flags & ~LOCI_X_STATE_INPLACE : c->x->flags | LOCI_X_STATE_INPLACE;
    loci_exec x;
    loci_io io = {.struct_size = sizeof io};
    loci_view vx, vh, vc, vy, vm, vo;

    LOCI_RETURN_IF(step_begin(c, k, s));
    if (c->save)
        for (int i = 0; i < STATES; i++)
            LOCI_RETURN_IF(copy(c, i == MIX ? m->mixer : m->memory, &k->b_rest, LOCI_PART_ALL, k->out[i], k->in[i]));
    LOCI_RETURN_IF(zero(c, k->h, k->r * k->l));
    LOCI_RETURN_IF(zero(c, k->y, k->r * k->l));
    LOCI_RETURN_IF(zero(c, k->m, k->r * k->l));

    x = child_exec(c, k->saved_read, k->read.saved, flags); /* (1) */
    io = (loci_io){.struct_size = sizeof io,
                   .op = LOCI_OP_READ,
                   .x = cube(&vx, c, k->x, k->r, k->l),
                   .y = cube(&vh, c, k->h, k->r, k->l),
                   .q = &k->b_tokens,
                   .state_in = k->in[SNAP],
                   .state_out = k->out[SNAP]};
    LOCI_RETURN_IF(m->host->child_forward(m->memory, &x, &io, c->err));

    LOCI_RETURN_IF(context(c, k)); /* (2) */
    x = child_exec(c, k->saved_mix, k->mix.saved, flags);
    io = (loci_io){.struct_size = sizeof io,
                   .op = LOCI_OP_MIX,
                   .x = &vx.t,
                   .ctx = cube(&vc, c, k->ctx, k->r, k->s),
                   .y = cube(&vy, c, k->y, k->r, k->l),
                   .q = &k->b_queries,
                   .k = &k->b_keys,
                   .mask = c->io->mask,
                   .state_in = k->in[MIX],
                   .state_out = k->out[MIX]};
    LOCI_RETURN_IF(m->host->child_forward(m->mixer, &x, &io, c->err));

    x = child_exec(c, k->saved_step, k->step.saved, flags); /* (3) */
    io = (loci_io){.struct_size = sizeof io,
                   .op = LOCI_OP_STEP,
                   .x = &vy.t,
                   .y = cube(&vm, c, k->m, k->r, k->l),
                   .q = &k->b_tokens,
                   .state_in = k->in[RUN],
                   .state_out = k->out[RUN]};
    LOCI_RETURN_IF(m->host->child_forward(m->memory, &x, &io, c->err));

    LOCI_RETURN_IF(gate_forward(c, &k->gate, matrix(&vo, c, k->o, k->r * k->l), k->y, k->m, k->r * k->l)); /* (4) */
    LOCI_RETURN_IF(put(c, &c->ym.t, k->o, k->r * k->l, k->x_row));
    return copy(c, m->memory, &k->b_ends, LOCI_PART_RULE, k->out[SNAP], k->out[RUN]); /* (5) */
}

loci_status mac_forward(struct call *c)
{
    const loci_module *m = c->m;
    const uint32_t sub[STATES] = {m->s_mix, m->s_run, m->s_snap};
    struct mac k;

    LOCI_RETURN_IF(begin(c, &k));
    LOCI_RETURN_IF(m->ops->fill(c->x, &c->ym.t, 0, c->err)); /* every step adds its tokens */
    for (int i = 0; i < STATES && (!c->save || k.steps == 0); i++)
        if (c->s->sub_in[sub[i]] != c->s->sub_out[sub[i]])
            LOCI_RETURN_IF(copy(c, i == MIX ? m->mixer : m->memory, c->io->q, LOCI_PART_ALL, c->s->sub_out[sub[i]],
                     c->s->sub_in[sub[i]]));
    for (int64_t s = 0; s < k.steps; s++)
        LOCI_RETURN_IF(step_forward(c, &k, s));
    return LOCI_OK;
}

/* ---- backward ---------------------------------------------------------------------------------------------------- */

/* (f) */
static loci_status left_by_read(const struct call *c, const struct mac *k, void **out)
{
    *out = k->out[SNAP];
    if (k->b_ends.n_runs == 0)
        return LOCI_OK;
    *out = k->stand_in;
    LOCI_RETURN_IF(copy(c, c->m->memory, &k->b_tokens, LOCI_PART_ALL, k->stand_in, k->out[SNAP]));
    return copy(c, c->m->memory, &k->b_ends, LOCI_PART_RULE, k->stand_in, k->in[SNAP]);
}

static loci_status step_backward(const struct call *c, struct mac *k, int64_t s)
{
    const loci_module *m = c->m;
    void *const *grad = c->s->sub_grad;
    loci_exec x;
    loci_io io;
    void *read_out;
    loci_view vx, vc, vy, vdo, vdy, vdm, vdx, vdh, vdc;

    LOCI_RETURN_IF(step_begin(c, k, s));
    LOCI_RETURN_IF(context(c, k));
    LOCI_RETURN_IF(take(c, k->d_o, k->r * k->l, &c->dym.t, k->x_row, 0));
    LOCI_RETURN_IF(zero(c, k->dy, k->r * k->l));
    LOCI_RETURN_IF(zero(c, k->dm, k->r * k->l));
    LOCI_RETURN_IF(zero(c, k->dx, k->r * k->l));
    LOCI_RETURN_IF(zero(c, k->dctx, k->r * k->s));

    LOCI_RETURN_IF(add(c, m->memory, &k->b_ends, LOCI_PART_RULE, grad[m->s_run], grad[m->s_snap])); /* (5) */
    LOCI_RETURN_IF(add(c, m->memory, &k->b_ends, LOCI_PART_RULE, grad[m->s_snap], NULL));
    LOCI_RETURN_IF(gate_backward(c, &k->gate, matrix(&vdo, c, k->d_o, k->r * k->l), k->y, k->m, k->dy, k->dm,
                      k->r * k->l)); /* (4) */

    x = child_exec(c, k->saved_step, k->step.saved, c->x->flags); /* (3) */
    io = (loci_io){.struct_size = sizeof io,
                   .op = LOCI_OP_STEP,
                   .x = cube(&vy, c, k->y, k->r, k->l),
                   .q = &k->b_tokens,
                   .state_in = k->in[RUN],
                   .state_out = k->out[RUN],
                   .state_grad = grad[m->s_run],
                   .dy = cube(&vdm, c, k->dm, k->r, k->l),
                   .dx = cube(&vdy, c, k->dy, k->r, k->l)};
    LOCI_RETURN_IF(m->host->child_backward(m->memory, &x, &io, c->err));

    x = child_exec(c, k->saved_mix, k->mix.saved, c->x->flags); /* (2) */
    io = (loci_io){.struct_size = sizeof io,
                   .op = LOCI_OP_MIX,
                   .x = cube(&vx, c, k->x, k->r, k->l),
                   .ctx = cube(&vc, c, k->ctx, k->r, k->s),
                   .q = &k->b_queries,
                   .k = &k->b_keys,
                   .mask = c->io->mask,
                   .state_in = k->in[MIX],
                   .state_out = k->out[MIX],
                   .state_grad = grad[m->s_mix],
                   .dy = &vdy.t,
                   .dx = cube(&vdx, c, k->dx, k->r, k->l),
                   .dctx = cube(&vdc, c, k->dctx, k->r, k->s)};
    LOCI_RETURN_IF(m->host->child_backward(m->mixer, &x, &io, c->err));
    LOCI_RETURN_IF(add(c, m->mixer, &k->b_begins, LOCI_PART_ALL, grad[m->s_mix], NULL)); /* (b): nothing was read */
    matrix(&vdc, c, k->dctx, k->r * k->s);
    LOCI_RETURN_IF(take(c, k->dh, k->r * k->l, &vdc.t, k->h_at, 0));
    LOCI_RETURN_IF(take(c, k->dx, k->r * k->l, &vdc.t, k->x_at, 1));
    if (m->persistent_tok > 0 && k->b_begins.n_runs > 0)
        LOCI_RETURN_IF(put(c, &c->s->grads[m->w_persistent], k->dctx, k->r * k->s, k->c_p));

    LOCI_RETURN_IF(left_by_read(c, k, &read_out));
    x = child_exec(c, k->saved_read, k->read.saved, c->x->flags); /* (1) */
    io = (loci_io){.struct_size = sizeof io,
                   .op = LOCI_OP_READ,
                   .x = &vx.t,
                   .q = &k->b_tokens,
                   .state_in = k->in[SNAP],
                   .state_out = read_out,
                   .state_grad = grad[m->s_snap],
                   .dy = cube(&vdh, c, k->dh, k->r, k->l),
                   .dx = &vdx.t};
    LOCI_RETURN_IF(m->host->child_backward(m->memory, &x, &io, c->err));
    return c->io->dx ? put(c, &c->dxm.t, k->dx, k->r * k->l, k->x_row) : LOCI_OK;
}

loci_status mac_backward(struct call *c)
{
    struct mac k;

    LOCI_RETURN_IF(begin(c, &k));
    for (int64_t s = k.steps; s-- > 0;) /* (e) */
        LOCI_RETURN_IF(step_backward(c, &k, s));
    return LOCI_OK;
}
