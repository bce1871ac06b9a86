/* SPDX-License-Identifier: Apache-2.0
 *
 * compose: memory as context (Titans: Behrouz et al. 2025, section 4.1).
 *
 * A document is cut into segments of C tokens. Per segment, with M the memory as the last segment left it (`snap`):
 *
 *     (1) h = READ(snap, queries)                        whose queries: retrieval; see retrieve.c
 *     (2) y = mix(x | [p; h; x])                         where h stands: segments.c
 *     (3) m = STEP(run, y)                               the advancing copy of the memory; token t reads what it wrote
 *     (4) o = gate(y, m)
 *     (5) at the end of a segment: the rule's state of snap := that of run
 *
 * As printed, the paper leaks the future twice: under a plain causal mask over [p; h; x] a token sees h rows that later
 * tokens asked for, and a read after the segment's whole write sees later tokens in the memory. Three retrievals are
 * causal: strict, where h_t stands at the position of x_t and attention is causal by position, and summary and
 * previous, whose queries know nothing of the segment; and (3) reads token by token as it writes. `literal` is the
 * printed form: h before x, and m = READ(WRITE(run, y), y).
 *
 *  (a) Lock step. Step s takes from each run its tokens of one segment; runs may be at different phases (pos mod C) and
 *      of different length, so each is gathered into a row of compact [R, L, D] tensors. Rows and tails are padding.
 *  (b) The cache of the mixer holds one segment: it begins empty where a segment does, by a context run with pos 0. Its
 *      rows are the same and in the same order however the stream is cut. literal is not cut inside a segment: there
 *      the last token decides what the first one sees.
 *  (c) Three states of children: `mix`, `run`, `snap`. The convolution tails of snap follow the stream of queries,
 *      those of run that of y; so (5) copies the part RULE only.
 *  (d) With SAVE, step s works from state block s into block s + 1; block 0 is sub_in, the last one sub_out, those
 *      between are saved. Rows of runs that do not take part in a step are carried over. Without SAVE all steps work
 *      in sub_out.
 *  (e) The backward walks the steps in reverse with one block of gradients, in sub_grad.
 */
#include "mac.h"

/* ---- sizes and memory -------------------------------------------------------------------------------------------- */

/* What a step keeps for the backward, from `at` on. */
static void layout_step(const loci_module *m, struct mac *k, loci_cursor *c, bool save)
{
    const int64_t n = k->R * k->L;

    k->h = cut_rows(c, m, k->R * k->Q);
    k->y = cut_rows(c, m, n);
    k->m = cut_rows(c, m, n);
    if (save) {
        k->saved_read = loci_cut(c, k->read.saved);
        k->saved_mix = loci_cut(c, k->mix.saved);
        k->saved_step = loci_cut(c, k->step.saved);
        k->saved_out = m->retrieval == LITERAL ? loci_cut(c, k->read.saved) : NULL;
    }
}

static void layout_lists(struct mac *k, loci_cursor *host)
{
    const int64_t n = k->R * k->L, s = k->R * k->S, q = k->R * k->Q;
    loci_run **const lists[] = {&k->tokens, &k->queries, &k->keys,  &k->begins,
                                &k->ends,   &k->rest,    &k->reads, &k->still};
    const struct {
        int32_t **at;
        int64_t n;
    } rows[] = {{&k->x_row, n}, {&k->x_at, n},  {&k->q_pos, n}, {&k->c_h, s},    {&k->c_x, s},
                {&k->c_p, s},   {&k->k_pos, s}, {&k->h_at, q},  {&k->q_from, q}, {&k->q_last, q}};

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        *rows[i].at = loci_cut(host, (uint64_t)rows[i].n * 4);
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        *lists[i] = loci_cut(host, (uint64_t)k->R * sizeof **lists[i]);
}

static uint64_t times(uint64_t a, int64_t n)
{
    return n > 0 && a > UINT64_MAX / (uint64_t)n ? UINT64_MAX : n > 0 ? a * (uint64_t)n : 0;
}

static void layout(const loci_module *m, void *buffers, bool save, bool back, struct room *r)
{
    struct mac *k = buffers;
    loci_cursor *scratch = &r->scratch, one = {NULL, 0};
    const int64_t n = k->R * k->L, s = k->R * k->S, q = k->R * k->Q;
    const bool apart = m->retrieval == SUMMARY || m->retrieval == PREVIOUS; /* queries that are not the step's tokens */

    layout_lists(k, &r->host);
    if (save) {
        layout_step(m, k, &one, true);
        k->kept_bytes = one.at;
        k->kept = loci_cut(&r->saved, times(one.at, k->steps));
        for (int i = 0; i < STATES; i++)
            k->blocks[i] = loci_cut(&r->saved, times(k->bytes[i], k->steps - 1));
    } else {
        layout_step(m, k, scratch, false);
    }
    k->x = cut_rows(scratch, m, n);
    k->q = apart ? cut_rows(scratch, m, q) : NULL;
    k->ctx = cut_rows(scratch, m, s);
    k->o = back ? NULL : cut_rows(scratch, m, n);
    k->written = m->retrieval == LITERAL && save ? loci_cut(scratch, k->bytes[RUN]) : NULL;
    gate_cut(&k->gate, m, n, back, scratch);
    if (back) {
        k->d_o = cut_rows(scratch, m, n);
        k->dy = cut_rows(scratch, m, n);
        k->dm = cut_rows(scratch, m, n);
        k->dh = cut_rows(scratch, m, q);
        k->dx = cut_rows(scratch, m, n);
        k->dq = apart ? cut_rows(scratch, m, q) : NULL;
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
    loci_shape s;

    LOCI_COPY(&s, shape);
    *k = (struct mac){.steps = steps, .R = shape->runs, .L = shape->seq < m->segment_tok ? shape->seq : m->segment_tok};
    k->Q = m->retrieval == SUMMARY ? m->summary_tok : m->retrieval == PREVIOUS ? m->segment_tok : k->L;
    k->S = m->persistent_tok + k->Q + k->L;
    k->read.struct_size = k->mix.struct_size = k->step.struct_size = sizeof k->read;
    s.rows = k->R;
    s.seq = s.ctx = k->Q;
    LOCI_RETURN_IF(host->child_need(m->memory, &s, LOCI_OP_READ, &k->read, err));
    s.seq = s.ctx = k->L;
    LOCI_RETURN_IF(
        host->child_need(m->memory, &s, m->retrieval == LITERAL ? LOCI_OP_WRITE : LOCI_OP_STEP, &k->step, err));
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

/* (b) */
static loci_status whole_segments(const struct call *c)
{
    for (uint32_t i = 0; i < c->io->q->n_runs; i++)
        if (c->io->q->runs[i].len > 0 && c->io->q->runs[i].pos % c->m->segment_tok != 0)
            return loci_refuse(
                c->err, LOCI_E_UNSUPPORTED, "compose",
                "mac with retrieval = literal cannot go on at token %lld, inside a segment of %lld: give "
                "whole segments, or set retrieval = strict, summary or previous",
                (long long)c->io->q->runs[i].pos, (long long)c->m->segment_tok);
    return LOCI_OK;
}

static loci_status begin(struct call *c, struct mac *k)
{
    loci_need children = {.struct_size = sizeof children};
    loci_shape shape;

    if (!c->io->mask || !c->io->mask->causal)
        return loci_refuse(c->err, LOCI_E_UNSUPPORTED, "compose", "mac is causal: give a causal mask");
    if (c->m->retrieval == LITERAL)
        LOCI_RETURN_IF(whole_segments(c));
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
    const int64_t n = k->r * k->s;
    loci_view v;

    LOCI_RETURN_IF(take(c, k->ctx, n, matrix(&v, c, k->x, k->r * k->l), k->c_x, 0));
    if (k->reading > 0)
        LOCI_RETURN_IF(take(c, k->ctx, n, matrix(&v, c, k->h, k->reading * k->n_q), k->c_h, 1));
    if (c->m->persistent_tok > 0 && k->b_begins.n_runs > 0)
        LOCI_RETURN_IF(take(c, k->ctx, n, &c->s->params[c->m->w_persistent], k->c_p, 1));
    return LOCI_OK;
}

loci_status mac_copy(const struct call *c, const loci_child *child, const loci_batch *b, uint32_t parts, void *dst,
                     const void *src)
{
    return b->n_runs > 0 ? c->m->host->child_copy(child, c->x, b, parts, dst, src, c->err) : LOCI_OK;
}

loci_status mac_add(const struct call *c, const loci_child *child, const loci_batch *b, uint32_t parts, void *dst,
                    const void *src)
{
    return b->n_runs > 0 ? c->m->host->child_add(child, c->x, b, parts, dst, src, c->err) : LOCI_OK;
}

/* ---- forward ----------------------------------------------------------------------------------------------------- */

static loci_status attend(const struct call *c, const struct mac *k, uint64_t flags)
{
    const loci_module *m = c->m;
    const loci_exec x = child_exec(c, k->saved_mix, k->mix.saved, flags);
    loci_view vx, vc, vy;
    const loci_io io = {.struct_size = sizeof io,
                        .op = LOCI_OP_MIX,
                        .x = cube(&vx, c, k->x, k->r, k->l),
                        .ctx = cube(&vc, c, k->ctx, k->r, k->s),
                        .y = cube(&vy, c, k->y, k->r, k->l),
                        .q = &k->b_queries,
                        .k = &k->b_keys,
                        .mask = c->io->mask,
                        .state_in = k->in[MIX],
                        .state_out = k->out[MIX]};

    return m->host->child_forward(m->mixer, &x, &io, c->err);
}

/* (3) */
static loci_status remember(const struct call *c, const struct mac *k, uint64_t flags)
{
    const loci_module *m = c->m;
    const bool literal = m->retrieval == LITERAL;
    loci_exec x = child_exec(c, k->saved_step, k->step.saved, flags);
    loci_view vy, vm;
    loci_io io = {.struct_size = sizeof io,
                  .op = literal ? LOCI_OP_WRITE : LOCI_OP_STEP,
                  .x = cube(&vy, c, k->y, k->r, k->l),
                  .y = literal ? NULL : cube(&vm, c, k->m, k->r, k->l),
                  .q = &k->b_tokens,
                  .state_in = k->in[RUN],
                  .state_out = literal && c->save ? k->written : k->out[RUN]};

    LOCI_RETURN_IF(m->host->child_forward(m->memory, &x, &io, c->err));
    if (!literal)
        return LOCI_OK;
    x = child_exec(c, k->saved_out, k->read.saved, flags);
    io.op = LOCI_OP_READ;
    io.y = cube(&vm, c, k->m, k->r, k->l);
    io.state_in = io.state_out;
    io.state_out = k->out[RUN];
    return m->host->child_forward(m->memory, &x, &io, c->err);
}

static loci_status step_forward(const struct call *c, struct mac *k, int64_t s)
{
    const loci_module *m = c->m;
    const uint64_t flags = c->save ? c->x->flags & ~LOCI_X_STATE_INPLACE : c->x->flags | LOCI_X_STATE_INPLACE;
    loci_view vy, vm, vo;
    int64_t n;

    LOCI_RETURN_IF(step_begin(c, k, s));
    n = k->r * k->l;
    if (c->save) {
        LOCI_RETURN_IF(mac_copy(c, m->mixer, &k->b_rest, LOCI_PART_ALL, k->out[MIX], k->in[MIX]));
        LOCI_RETURN_IF(mac_copy(c, m->memory, &k->b_rest, LOCI_PART_ALL, k->out[RUN], k->in[RUN]));
    }
    LOCI_RETURN_IF(zero(c, k->y, n));
    LOCI_RETURN_IF(zero(c, k->m, n));
    LOCI_RETURN_IF(retrieve(c, k)); /* (1) */
    LOCI_RETURN_IF(context(c, k));  /* (2) */
    LOCI_RETURN_IF(attend(c, k, flags));
    LOCI_RETURN_IF(remember(c, k, flags));
    LOCI_RETURN_IF(
        gate_forward(c, &k->gate, matrix(&vo, c, k->o, n), matrix(&vy, c, k->y, n), matrix(&vm, c, k->m, n)));
    LOCI_RETURN_IF(put(c, &c->ym.t, k->o, n, k->x_row));
    return mac_copy(c, m->memory, &k->b_ends, LOCI_PART_RULE, k->out[SNAP], k->out[RUN]); /* (5) */
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
            LOCI_RETURN_IF(mac_copy(c, i == MIX ? m->mixer : m->memory, c->io->q, LOCI_PART_ALL, c->s->sub_out[sub[i]],
                                    c->s->sub_in[sub[i]]));
    for (int64_t s = 0; s < k.steps; s++)
        LOCI_RETURN_IF(step_forward(c, &k, s));
    return m->retrieval == PREVIOUS ? last_forward(c) : LOCI_OK;
}

/* ---- backward ---------------------------------------------------------------------------------------------------- */

/* (3): from k->dm to k->dy. The read of literal saw the rule's state as out has it, and the tails of in. */
static loci_status remember_back(const struct call *c, const struct mac *k)
{
    const loci_module *m = c->m;
    const bool literal = m->retrieval == LITERAL;
    loci_exec x;
    loci_view vy, vdm, vdy;
    loci_io io = {.struct_size = sizeof io,
                  .op = literal ? LOCI_OP_READ : LOCI_OP_STEP,
                  .x = cube(&vy, c, k->y, k->r, k->l),
                  .q = &k->b_tokens,
                  .state_in = literal ? k->written : k->in[RUN],
                  .state_out = k->out[RUN],
                  .state_grad = c->s->sub_grad[m->s_run],
                  .dy = cube(&vdm, c, k->dm, k->r, k->l),
                  .dx = cube(&vdy, c, k->dy, k->r, k->l)};

    if (literal) {
        LOCI_RETURN_IF(mac_copy(c, m->memory, &k->b_tokens, LOCI_PART_FRONT, k->written, k->in[RUN]));
        LOCI_RETURN_IF(mac_copy(c, m->memory, &k->b_tokens, LOCI_PART_RULE, k->written, k->out[RUN]));
        x = child_exec(c, k->saved_out, k->read.saved, c->x->flags);
        LOCI_RETURN_IF(m->host->child_backward(m->memory, &x, &io, c->err));
        io.op = LOCI_OP_WRITE;
        io.state_in = k->in[RUN];
        io.dy = NULL;
    }
    x = child_exec(c, k->saved_step, k->step.saved, c->x->flags);
    return m->host->child_backward(m->memory, &x, &io, c->err);
}

/* (2): from k->dy to k->dx, k->dh and p. */
static loci_status attend_back(const struct call *c, const struct mac *k)
{
    const loci_module *m = c->m;
    void *const grad = c->s->sub_grad[m->s_mix];
    const loci_exec x = child_exec(c, k->saved_mix, k->mix.saved, c->x->flags);
    loci_view vx, vc, vdy, vdx, vdc;
    const loci_io io = {.struct_size = sizeof io,
                        .op = LOCI_OP_MIX,
                        .x = cube(&vx, c, k->x, k->r, k->l),
                        .ctx = cube(&vc, c, k->ctx, k->r, k->s),
                        .q = &k->b_queries,
                        .k = &k->b_keys,
                        .mask = c->io->mask,
                        .state_in = k->in[MIX],
                        .state_out = k->out[MIX],
                        .state_grad = grad,
                        .dy = cube(&vdy, c, k->dy, k->r, k->l),
                        .dx = cube(&vdx, c, k->dx, k->r, k->l),
                        .dctx = cube(&vdc, c, k->dctx, k->r, k->s)};

    LOCI_RETURN_IF(m->host->child_backward(m->mixer, &x, &io, c->err));
    LOCI_RETURN_IF(mac_add(c, m->mixer, &k->b_begins, LOCI_PART_ALL, grad, NULL)); /* (b): nothing was read */
    matrix(&vdc, c, k->dctx, k->r * k->s);
    if (k->reading > 0)
        LOCI_RETURN_IF(take(c, k->dh, k->reading * k->n_q, &vdc.t, k->h_at, 0));
    LOCI_RETURN_IF(take(c, k->dx, k->r * k->l, &vdc.t, k->x_at, 1));
    if (m->persistent_tok == 0 || k->b_begins.n_runs == 0)
        return LOCI_OK;
    return put(c, &c->s->grads[m->w_persistent], k->dctx, k->r * k->s, k->c_p);
}

static loci_status step_backward(const struct call *c, struct mac *k, int64_t s)
{
    const loci_module *m = c->m;
    void *const *grad = c->s->sub_grad;
    loci_view vy, vm, vdo, vdy, vdm;
    int64_t n;

    LOCI_RETURN_IF(step_begin(c, k, s));
    n = k->r * k->l;
    LOCI_RETURN_IF(context(c, k));
    LOCI_RETURN_IF(take(c, k->d_o, n, &c->dym.t, k->x_row, 0));
    LOCI_RETURN_IF(zero(c, k->dy, n));
    LOCI_RETURN_IF(zero(c, k->dm, n));
    LOCI_RETURN_IF(zero(c, k->dx, n));
    LOCI_RETURN_IF(zero(c, k->dctx, k->r * k->s));

    LOCI_RETURN_IF(mac_add(c, m->memory, &k->b_ends, LOCI_PART_RULE, grad[m->s_run], grad[m->s_snap])); /* (5) */
    LOCI_RETURN_IF(mac_add(c, m->memory, &k->b_ends, LOCI_PART_RULE, grad[m->s_snap], NULL));
    LOCI_RETURN_IF(gate_backward(c, &k->gate, matrix(&vdo, c, k->d_o, n), matrix(&vy, c, k->y, n),
                                 matrix(&vm, c, k->m, n), matrix(&vdy, c, k->dy, n), matrix(&vdm, c, k->dm, n)));
    LOCI_RETURN_IF(remember_back(c, k));
    LOCI_RETURN_IF(attend_back(c, k));
    LOCI_RETURN_IF(retrieve_back(c, k)); /* (1) */
    return c->io->dx ? put(c, &c->dxm.t, k->dx, n, k->x_row) : LOCI_OK;
}

loci_status mac_backward(struct call *c)
{
    struct mac k;

    LOCI_RETURN_IF(begin(c, &k));
    if (c->m->retrieval == PREVIOUS)
        LOCI_RETURN_IF(last_back(c));
    for (int64_t s = k.steps; s-- > 0;) /* (e) */
        LOCI_RETURN_IF(step_backward(c, &k, s));
    return LOCI_OK;
}
