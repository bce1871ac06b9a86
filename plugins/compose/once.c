/* SPDX-License-Identifier: Apache-2.0
 *
 * compose: the four compositions that call each child once: plain, lmm, mag and mal.
 *
 *     plain   y = mix(x | [p; x])
 *     lmm     y = mem([p; x])
 *     mag     y = gate( mix(x | [p; x]), mem(x) )              to_memory: mem([p; x]) instead
 *     mal     u = gate( z, mem(z) ),  y = mix(u_x | u)         to_memory: z = [p; x], else z = x and u = [p; gate(x,
 *             mem(x))]; the gate is z + mem(z) unless set
 *
 * where mix(a | b) has queries a and context b, p are the persistent rows and outputs at them are dropped.
 *
 *  (1) Without persistent rows no list is made and the mixer is called with no context of its own: the plain path.
 *  (2) A composition whose memory is `none` is plain.
 *  (3) A mixer that takes no context is fed [p; x] as its tokens (rows.c); what it answers at p is dropped.
 *
 * Sources: Behrouz et al. 2025, section 4 (MAG, MAL, LMM). Departures: mal joins its input with the memory's output,
 * since attention over an empty memory sees nothing; mag shows p to the memory only where persistent_to_memory says so.
 */
#include "parts.h"

/* Sizes first, then what layout() cuts. */
struct once {
    int64_t n; /* tokens */
    uint64_t mem_saved, mix_saved;
    struct extension ext;
    void *e, *me, *fed;    /* [p; x], the memory's and the mixer's rows there    */
    void *y, *m, *u, *v;   /* the gate's inputs; mal's context and queries       */
    void *de, *dme, *dfed; /* de: in mal of what the memory sees                 */
    void *dy, *dm, *du, *dv;
    struct gate gate;
    void *saved_mem, *saved_mix;
};

/* The memory's rows are the extended ones. */
static bool extended(const loci_module *m)
{
    return m->persistent_tok > 0 && m->to_memory;
}

static void layout_mal(const loci_module *m, struct once *o, bool back, loci_cursor *scratch, loci_cursor *keep)
{
    const bool ext = m->persistent_tok > 0;
    const int64_t n = extended(m) ? o->ext.E : o->n;

    o->m = cut_rows(keep, m, n);
    o->u = ext ? cut_rows(scratch, m, o->ext.E) : NULL;
    o->v = cut_rows(scratch, m, o->n);
    gate_cut(&o->gate, m, n, back, scratch);
    if (!back)
        return;
    o->du = ext ? cut_rows(scratch, m, o->ext.E) : NULL;
    o->dv = cut_rows(scratch, m, o->n);
    o->dm = cut_rows(scratch, m, n);
    if (!extended(m))
        o->de = cut_rows(scratch, m, n);
}

static void layout(const loci_module *m, void *buffers, bool save, bool back, struct room *r)
{
    struct once *o = buffers;
    loci_cursor *scratch = &r->scratch, *keep = save ? &r->saved : &r->scratch;
    const bool ext = m->persistent_tok > 0;

    extension_cut(&o->ext, &r->host);
    if (ext && (m->form != MAL || m->to_memory)) {
        o->e = cut_rows(scratch, m, o->ext.E);
        o->de = back ? cut_rows(scratch, m, o->ext.E) : NULL;
    }
    if (m->fed) {
        o->fed = back ? NULL : cut_rows(scratch, m, o->ext.E);
        o->dfed = back ? cut_rows(scratch, m, o->ext.E) : NULL;
    }
    if (m->form == MAG) {
        o->y = cut_rows(keep, m, o->n);
        o->m = cut_rows(keep, m, o->n);
        o->dy = back ? cut_rows(scratch, m, o->n) : NULL;
        o->dm = back ? cut_rows(scratch, m, o->n) : NULL;
        gate_cut(&o->gate, m, o->n, back, scratch);
    }
    if (m->form == MAL) {
        layout_mal(m, o, back, scratch, keep);
    } else if (extended(m)) {
        o->me = back ? NULL : cut_rows(scratch, m, o->ext.E);
        o->dme = back ? cut_rows(scratch, m, o->ext.E) : NULL;
    }
    if (save) {
        o->saved_mem = loci_cut(&r->saved, o->mem_saved);
        o->saved_mix = loci_cut(&r->saved, o->mix_saved);
    }
}

/* The shape of a child's call over the extended rows. */
static const loci_shape *extended_shape(loci_shape *e, const loci_shape *shape, const struct once *o)
{
    *e = *shape;
    e->rows = 1;
    e->seq = e->ctx = o->ext.E;
    return e;
}

/* Sizes for calls of `shape`, and the children's needs: the larger scratch and host, and what each saves. */
static loci_status sizes(const loci_module *m, const loci_shape *shape, struct once *o, loci_need *children,
                         loci_error *err)
{
    const int64_t P = m->persistent_tok, rows = shape->rows > 0 ? shape->rows : 1;
    loci_need mix = {.struct_size = sizeof mix}, mem = {.struct_size = sizeof mem};
    loci_shape s = *shape, e;

    *o = (struct once){.n = shape->rows * shape->seq};
    if (P > 0)
        o->ext = (struct extension){.E = o->n + P * shape->runs, .n = o->n, .runs = shape->runs};
    if (m->form != LMM) {
        s.ctx = s.seq + P * ((shape->runs + rows - 1) / rows); /* rows * ctx is what counts, and that is at least E */
        LOCI_RETURN_IF(m->host->child_need(m->mixer, m->fed ? extended_shape(&e, shape, o) : &s, LOCI_OP_MIX, &mix, err));
        s.ctx = s.seq;
    }
    if (m->form != PLAIN)
        LOCI_RETURN_IF(m->host->child_need(m->memory, extended(m) ? extended_shape(&e, shape, o) : &s, LOCI_OP_STEP, &mem,
                                           err));
    o->mem_saved = mem.saved;
    o->mix_saved = mix.saved;
    children->scratch = mix.scratch > mem.scratch ? mix.scratch : mem.scratch;
    children->host = mix.host > mem.host ? mix.host : mem.host;
    return LOCI_OK;
}

loci_status once_plan(loci_module *m, const loci_shape *shape, loci_need *need, loci_error *err)
{
    loci_need children = {.struct_size = sizeof children};
    struct once o;

    LOCI_RETURN_IF(sizes(m, shape, &o, &children, err));
    plan_need(m, layout, &o, shape->flags, need);
    need->scratch += children.scratch;
    need->host += children.host;
    return LOCI_OK;
}

static loci_status begin(struct call *c, struct once *o)
{
    loci_need children = {.struct_size = sizeof children};
    loci_shape shape;

    call_shape(c, &shape);
    LOCI_RETURN_IF(sizes(c->m, &shape, o, &children, c->err));
    layout(c->m, o, c->save, c->back, &c->room);
    LOCI_RETURN_IF(call_fits(c));
    if (c->m->persistent_tok > 0)
        extension_fill(&o->ext, c);
    return LOCI_OK;
}

static const loci_tensor *dx_matrix(const struct call *c)
{
    return c->io->dx ? &c->dxm.t : NULL;
}

/* ---- messages to the children ------------------------------------------------------------------------------------ */

/* ctx: extended rows, NULL: the context is x. (3): the extended rows are the tokens. */
static loci_status mix(const struct call *c, const struct once *o, const loci_tensor *x, const loci_tensor *ctx,
                       loci_tensor *y)
{
    const uint32_t s = c->m->s_mix;
    const loci_exec exec = child_exec(c, o->saved_mix, o->mix_saved, c->x->flags);
    loci_io io = {.struct_size = sizeof io,
                  .op = LOCI_OP_MIX,
                  .x = x,
                  .ctx = ctx,
                  .y = y,
                  .q = c->io->q,
                  .k = ctx ? &o->ext.batch : c->io->k,
                  .mask = c->io->mask,
                  .state_in = c->s->sub_in[s],
                  .state_out = c->s->sub_out[s]};
    loci_view vf, vy, vb;

    if (!c->m->fed)
        return c->m->host->child_forward(c->m->mixer, &exec, &io, c->err);
    io.x = ctx;
    io.ctx = NULL;
    io.q = &o->ext.batch;
    io.k = NULL;
    io.y = cube(&vf, c, o->fed, 1, o->ext.rows);
    LOCI_RETURN_IF(c->m->host->child_forward(c->m->mixer, &exec, &io, c->err));
    LOCI_RETURN_IF(flat(&vy, c, y, "y"));
    matrix(&vf, c, o->fed, o->ext.rows);
    return c->m->ops->take(c->x, &vy.t, &vf.t, ints(&vb, c, o->ext.back, c->N, -1), 0, c->err);
}

static loci_status mix_back(const struct call *c, const struct once *o, const loci_tensor *x, const loci_tensor *ctx,
                            const loci_tensor *dy, loci_tensor *dx, loci_tensor *dctx)
{
    const uint32_t s = c->m->s_mix;
    const loci_exec exec = child_exec(c, o->saved_mix, o->mix_saved, c->x->flags);
    loci_io io = {.struct_size = sizeof io,
                  .op = LOCI_OP_MIX,
                  .x = x,
                  .ctx = ctx,
                  .q = c->io->q,
                  .k = ctx ? &o->ext.batch : c->io->k,
                  .mask = c->io->mask,
                  .state_in = c->s->sub_in[s],
                  .state_out = c->s->sub_out[s],
                  .state_grad = c->s->sub_grad[s],
                  .dy = dy,
                  .dx = dx,
                  .dctx = dctx};
    loci_view vf, vy;

    if (!c->m->fed)
        return c->m->host->child_backward(c->m->mixer, &exec, &io, c->err);
    LOCI_RETURN_IF(flat(&vy, c, dy, "dy"));
    LOCI_RETURN_IF(take(c, o->dfed, o->ext.rows, &vy.t, o->ext.x_row, 0));
    io.x = ctx;
    io.ctx = NULL;
    io.q = &o->ext.batch;
    io.k = NULL;
    io.dy = cube(&vf, c, o->dfed, 1, o->ext.rows);
    io.dx = dctx;
    io.dctx = NULL;
    return c->m->host->child_backward(c->m->mixer, &exec, &io, c->err);
}

static loci_status mem(const struct call *c, const struct once *o, const loci_tensor *x, loci_tensor *y, bool ext)
{
    const uint32_t s = c->m->s_run;
    const loci_exec exec = child_exec(c, o->saved_mem, o->mem_saved, c->x->flags);
    const loci_io io = {.struct_size = sizeof io,
                        .op = LOCI_OP_STEP,
                        .x = x,
                        .y = y,
                        .q = ext ? &o->ext.batch : c->io->q,
                        .state_in = c->s->sub_in[s],
                        .state_out = c->s->sub_out[s]};

    return c->m->host->child_forward(c->m->memory, &exec, &io, c->err);
}

static loci_status mem_back(const struct call *c, const struct once *o, const loci_tensor *x, const loci_tensor *dy,
                            loci_tensor *dx, bool ext)
{
    const uint32_t s = c->m->s_run;
    const loci_exec exec = child_exec(c, o->saved_mem, o->mem_saved, c->x->flags);
    const loci_io io = {.struct_size = sizeof io,
                        .op = LOCI_OP_STEP,
                        .x = x,
                        .q = ext ? &o->ext.batch : c->io->q,
                        .state_in = c->s->sub_in[s],
                        .state_out = c->s->sub_out[s],
                        .state_grad = c->s->sub_grad[s],
                        .dy = dy,
                        .dx = dx};

    return c->m->host->child_backward(c->m->memory, &exec, &io, c->err);
}

/* ---- forward ----------------------------------------------------------------------------------------------------- */

/* The persistent rows and x as the mixer's context; NULL without them. */
static loci_status context(const struct call *c, const struct once *o, loci_view *v, const loci_tensor **out)
{
    *out = NULL;
    if (c->m->persistent_tok == 0)
        return LOCI_OK;
    *out = cube(v, c, o->e, 1, o->ext.rows);
    return extension_build(&o->ext, c, o->e, &c->xm.t);
}

static loci_status plain_forward(const struct call *c, const struct once *o)
{
    const loci_tensor *ctx;
    loci_view ve;

    LOCI_RETURN_IF(context(c, o, &ve, &ctx));
    return mix(c, o, c->io->x, ctx, c->io->y);
}

static loci_status lmm_forward(const struct call *c, const struct once *o)
{
    const loci_tensor *ext;
    loci_view ve, vme, vb;

    if (!extended(c->m))
        return mem(c, o, c->io->x, c->io->y, false);
    LOCI_RETURN_IF(context(c, o, &ve, &ext));
    LOCI_RETURN_IF(mem(c, o, ext, cube(&vme, c, o->me, 1, o->ext.rows), true));
    matrix(&vme, c, o->me, o->ext.rows);
    return c->m->ops->take(c->x, &c->ym.t, &vme.t, ints(&vb, c, o->ext.back, c->N, -1), 0, c->err);
}

static loci_status mag_forward(const struct call *c, const struct once *o)
{
    const loci_tensor *ctx;
    loci_view ve, vy, vm, vme;

    LOCI_RETURN_IF(context(c, o, &ve, &ctx));
    if (c->ragged) { /* the gate reads every row */
        LOCI_RETURN_IF(zero(c, o->y, c->N));
        LOCI_RETURN_IF(zero(c, o->m, c->N));
    }
    LOCI_RETURN_IF(mix(c, o, c->io->x, ctx, cube(&vy, c, o->y, c->B, c->T)));
    if (extended(c->m)) {
        LOCI_RETURN_IF(mem(c, o, ctx, cube(&vme, c, o->me, 1, o->ext.rows), true));
        LOCI_RETURN_IF(take(c, o->m, c->N, matrix(&vme, c, o->me, o->ext.rows), o->ext.back, 0));
    } else {
        LOCI_RETURN_IF(mem(c, o, c->io->x, cube(&vm, c, o->m, c->B, c->T), false));
    }
    return gate_forward(c, &o->gate, &c->ym.t, matrix(&vy, c, o->y, c->N), matrix(&vm, c, o->m, c->N));
}

/* What the memory saw, z [n, D], as the gate wants it; where it has persistent rows they are built. */
static loci_status mal_input(const struct call *c, const struct once *o, loci_view *v, const loci_tensor **z, int64_t *n)
{
    const loci_tensor *ext;

    *n = extended(c->m) ? o->ext.rows : c->N;
    *z = &c->xm.t;
    if (!extended(c->m))
        return LOCI_OK;
    LOCI_RETURN_IF(context(c, o, v, &ext));
    *z = matrix(v, c, o->e, *n);
    return LOCI_OK;
}

/* From z and m to the mixer's queries v and, with persistent rows, its context u. */
static loci_status mal_join(const struct call *c, const struct once *o, const loci_tensor *z, int64_t n)
{
    const bool ext = extended(c->m);
    loci_view vm, vu;

    LOCI_RETURN_IF(gate_forward(c, &o->gate, matrix(&vu, c, ext ? o->u : o->v, n), z, matrix(&vm, c, o->m, n)));
    if (ext)
        return take(c, o->v, c->N, &vu.t, o->ext.back, 0);
    return c->m->persistent_tok > 0 ? extension_build(&o->ext, c, o->u, &vu.t) : LOCI_OK;
}

static loci_status mal_forward(const struct call *c, const struct once *o)
{
    const bool ext = extended(c->m);
    const loci_tensor *z;
    loci_view ve, vm, vu, vv;
    int64_t n;

    LOCI_RETURN_IF(mal_input(c, o, &ve, &z, &n));
    if (c->ragged && !ext) /* the gate reads every row */
        LOCI_RETURN_IF(zero(c, o->m, n));
    LOCI_RETURN_IF(ext ? mem(c, o, cube(&vu, c, o->e, 1, n), cube(&vm, c, o->m, 1, n), true)
                       : mem(c, o, c->io->x, cube(&vm, c, o->m, c->B, c->T), false));
    LOCI_RETURN_IF(mal_join(c, o, z, n));
    return mix(c, o, cube(&vv, c, o->v, c->B, c->T), o->u ? cube(&vu, c, o->u, 1, o->ext.rows) : NULL, c->io->y);
}

/* ---- backward ---------------------------------------------------------------------------------------------------- */

static loci_status plain_backward(const struct call *c, const struct once *o)
{
    const loci_tensor *ctx;
    loci_view ve, vde;

    LOCI_RETURN_IF(context(c, o, &ve, &ctx));
    if (!ctx)
        return mix_back(c, o, c->io->x, NULL, c->io->dy, c->io->dx, NULL);
    LOCI_RETURN_IF(zero(c, o->de, o->ext.rows));
    LOCI_RETURN_IF(mix_back(c, o, c->io->x, ctx, c->io->dy, c->io->dx, cube(&vde, c, o->de, 1, o->ext.rows)));
    return extension_back(&o->ext, c, o->de, dx_matrix(c));
}

static loci_status lmm_backward(const struct call *c, const struct once *o)
{
    const loci_tensor *ext;
    loci_view ve, vde, vdme;

    if (!extended(c->m))
        return mem_back(c, o, c->io->x, c->io->dy, c->io->dx, false);
    LOCI_RETURN_IF(context(c, o, &ve, &ext));
    LOCI_RETURN_IF(zero(c, o->de, o->ext.rows));
    LOCI_RETURN_IF(take(c, o->dme, o->ext.rows, &c->dym.t, o->ext.x_row, 0));
    LOCI_RETURN_IF(mem_back(c, o, ext, cube(&vdme, c, o->dme, 1, o->ext.rows), cube(&vde, c, o->de, 1, o->ext.rows), true));
    return extension_back(&o->ext, c, o->de, dx_matrix(c));
}

static loci_status mag_backward(const struct call *c, const struct once *o)
{
    const loci_tensor *ctx;
    loci_tensor *de = NULL;
    loci_view ve, vde, vy, vm, vdy, vdm, vdme;

    LOCI_RETURN_IF(context(c, o, &ve, &ctx));
    if (ctx) {
        de = cube(&vde, c, o->de, 1, o->ext.rows);
        LOCI_RETURN_IF(zero(c, o->de, o->ext.rows));
    }
    LOCI_RETURN_IF(zero(c, o->dy, c->N));
    LOCI_RETURN_IF(zero(c, o->dm, c->N));
    LOCI_RETURN_IF(gate_backward(c, &o->gate, &c->dym.t, matrix(&vy, c, o->y, c->N), matrix(&vm, c, o->m, c->N),
                                 matrix(&vdy, c, o->dy, c->N), matrix(&vdm, c, o->dm, c->N)));
    LOCI_RETURN_IF(mix_back(c, o, c->io->x, ctx, cube(&vdy, c, o->dy, c->B, c->T), c->io->dx, de));
    if (extended(c->m)) {
        LOCI_RETURN_IF(take(c, o->dme, o->ext.rows, matrix(&vdm, c, o->dm, c->N), o->ext.x_row, 0));
        LOCI_RETURN_IF(mem_back(c, o, ctx, cube(&vdme, c, o->dme, 1, o->ext.rows), de, true));
    } else {
        LOCI_RETURN_IF(mem_back(c, o, c->io->x, cube(&vdm, c, o->dm, c->B, c->T), c->io->dx, false));
    }
    return ctx ? extension_back(&o->ext, c, o->de, dx_matrix(c)) : LOCI_OK;
}

static loci_status mal_backward(const struct call *c, const struct once *o)
{
    const loci_tensor *z, *d;
    loci_tensor *u = NULL, *du = NULL;
    loci_view ve, vm, vu, vv, vdu, vdv, vd, vdm, vde;
    int64_t n;

    LOCI_RETURN_IF(mal_input(c, o, &ve, &z, &n));
    LOCI_RETURN_IF(mal_join(c, o, z, n));
    if (o->u) {
        u = cube(&vu, c, o->u, 1, o->ext.rows);
        du = cube(&vdu, c, o->du, 1, o->ext.rows);
        LOCI_RETURN_IF(zero(c, o->du, o->ext.rows));
    }
    LOCI_RETURN_IF(zero(c, o->dv, c->N));
    LOCI_RETURN_IF(mix_back(c, o, cube(&vv, c, o->v, c->B, c->T), u, c->io->dy, cube(&vdv, c, o->dv, c->B, c->T), du));
    if (extended(c->m)) { /* v = u by rows */
        d = matrix(&vd, c, o->du, n);
        LOCI_RETURN_IF(put(c, d, o->dv, c->N, o->ext.back));
    } else { /* u = [p; v] */
        d = matrix(&vd, c, o->dv, n);
        if (u)
            LOCI_RETURN_IF(extension_back(&o->ext, c, o->du, d));
    }
    LOCI_RETURN_IF(zero(c, o->de, n));
    LOCI_RETURN_IF(zero(c, o->dm, n));
    LOCI_RETURN_IF(gate_backward(c, &o->gate, d, z, matrix(&vm, c, o->m, n), matrix(&vde, c, o->de, n),
                                 matrix(&vdm, c, o->dm, n)));
    if (extended(c->m)) {
        LOCI_RETURN_IF(mem_back(c, o, cube(&vv, c, o->e, 1, n), cube(&vdm, c, o->dm, 1, n), cube(&vde, c, o->de, 1, n),
                                true));
        return extension_back(&o->ext, c, o->de, dx_matrix(c));
    }
    if (c->io->dx)
        LOCI_RETURN_IF(c->m->ops->map1(c->x, LOCI_MAP_COPY, &c->dxm.t, &vde.t, 1, 1, c->err));
    return mem_back(c, o, c->io->x, cube(&vdm, c, o->dm, c->B, c->T), c->io->dx, false);
}

loci_status once_forward(struct call *c)
{
    static loci_status (*const forms[])(const struct call *, const struct once *) = {
        [PLAIN] = plain_forward, [MAG] = mag_forward, [MAL] = mal_forward, [LMM] = lmm_forward};
    struct once o;

    LOCI_RETURN_IF(begin(c, &o));
    return forms[c->m->form](c, &o);
}

loci_status once_backward(struct call *c)
{
    static loci_status (*const forms[])(const struct call *, const struct once *) = {
        [PLAIN] = plain_backward, [MAG] = mag_backward, [MAL] = mal_backward, [LMM] = lmm_backward};
    struct once o;

    LOCI_RETURN_IF(begin(c, &o));
    return forms[c->m->form](c, &o);
}
