/* SPDX-License-Identifier: Apache-2.0
 *
 * compose: the four compositions that call each child once: plain, lmm, mag and mal.
 *
 *     plain   y = mix(x | [p; x])
 *     lmm     y = mem([p; x])
 *     mag     y = gate( mix(x | [p; x]), mem(x) )              to_memory: mem([p; x]) instead
 *     mal     y = mix(u_x | u), u = gate( z, mem(z) )          see mal.c
 *
 * where mix(a | b) has queries a and context b, p are the persistent rows and outputs at them are dropped.
 *
 *  (1) Without persistent rows no list is made and the mixer is called with no context of its own: the plain path.
 *  (2) A composition whose memory is `none` is plain.
 *  (3) A mixer that takes no context is fed [p; x] as its tokens; see children.c.
 *
 * Sources: Behrouz et al. 2025, section 4 (MAG, MAL, LMM). Departure: mag shows p to the memory only where
 * persistent_to_memory says so.
 */
#include "once.h"

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
        mal_layout(m, o, back, scratch, keep);
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
    LOCI_COPY(e, shape);
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
    loci_shape s, e;

    LOCI_COPY(&s, shape);
    *o = (struct once){.n = shape->rows * shape->seq};
    if (P > 0)
        o->ext = (struct extension){.E = o->n + P * shape->runs, .n = o->n, .runs = shape->runs};
    if (m->form != LMM) {
        s.ctx = s.seq + P * ((shape->runs + rows - 1) / rows); /* rows * ctx is what counts, and that is at least E */
        LOCI_RETURN_IF(
            m->host->child_need(m->mixer, m->fed ? extended_shape(&e, shape, o) : &s, LOCI_OP_MIX, &mix, err));
        s.ctx = s.seq;
    }
    if (m->form != PLAIN)
        LOCI_RETURN_IF(
            m->host->child_need(m->memory, extended(m) ? extended_shape(&e, shape, o) : &s, LOCI_OP_STEP, &mem, err));
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

/* ---- forward ----------------------------------------------------------------------------------------------------- */

loci_status once_context(const struct call *c, const struct once *o, loci_view *v, const loci_tensor **out)
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

    LOCI_RETURN_IF(once_context(c, o, &ve, &ctx));
    return once_mix(c, o, c->io->x, ctx, c->io->y);
}

static loci_status lmm_forward(const struct call *c, const struct once *o)
{
    const loci_tensor *ext;
    loci_view ve, vme, vb;

    if (!extended(c->m))
        return once_mem(c, o, c->io->x, c->io->y, false);
    LOCI_RETURN_IF(once_context(c, o, &ve, &ext));
    LOCI_RETURN_IF(once_mem(c, o, ext, cube(&vme, c, o->me, 1, o->ext.rows), true));
    matrix(&vme, c, o->me, o->ext.rows);
    return c->m->ops->take(c->x, &c->ym.t, &vme.t, ints(&vb, c, o->ext.back, c->N, -1), 0, c->err);
}

static loci_status mag_forward(const struct call *c, const struct once *o)
{
    const loci_tensor *ctx;
    loci_view ve, vy, vm, vme;

    LOCI_RETURN_IF(once_context(c, o, &ve, &ctx));
    if (c->ragged) { /* the gate reads every row */
        LOCI_RETURN_IF(zero(c, o->y, c->N));
        LOCI_RETURN_IF(zero(c, o->m, c->N));
    }
    LOCI_RETURN_IF(once_mix(c, o, c->io->x, ctx, cube(&vy, c, o->y, c->B, c->T)));
    if (extended(c->m)) {
        LOCI_RETURN_IF(once_mem(c, o, ctx, cube(&vme, c, o->me, 1, o->ext.rows), true));
        LOCI_RETURN_IF(take(c, o->m, c->N, matrix(&vme, c, o->me, o->ext.rows), o->ext.back, 0));
    } else {
        LOCI_RETURN_IF(once_mem(c, o, c->io->x, cube(&vm, c, o->m, c->B, c->T), false));
    }
    return gate_forward(c, &o->gate, &c->ym.t, matrix(&vy, c, o->y, c->N), matrix(&vm, c, o->m, c->N));
}

/* ---- backward ---------------------------------------------------------------------------------------------------- */

static loci_status plain_backward(const struct call *c, const struct once *o)
{
    const loci_tensor *ctx;
    loci_view ve, vde;

    LOCI_RETURN_IF(once_context(c, o, &ve, &ctx));
    if (!ctx)
        return once_mix_back(c, o, c->io->x, NULL, c->io->dy, c->io->dx, NULL);
    LOCI_RETURN_IF(zero(c, o->de, o->ext.rows));
    LOCI_RETURN_IF(once_mix_back(c, o, c->io->x, ctx, c->io->dy, c->io->dx, cube(&vde, c, o->de, 1, o->ext.rows)));
    return extension_back(&o->ext, c, o->de, dx_matrix(c));
}

static loci_status lmm_backward(const struct call *c, const struct once *o)
{
    const loci_tensor *ext;
    loci_view ve, vde, vdme;

    if (!extended(c->m))
        return once_mem_back(c, o, c->io->x, c->io->dy, c->io->dx, false);
    LOCI_RETURN_IF(once_context(c, o, &ve, &ext));
    LOCI_RETURN_IF(zero(c, o->de, o->ext.rows));
    LOCI_RETURN_IF(take(c, o->dme, o->ext.rows, &c->dym.t, o->ext.x_row, 0));
    LOCI_RETURN_IF(
        once_mem_back(c, o, ext, cube(&vdme, c, o->dme, 1, o->ext.rows), cube(&vde, c, o->de, 1, o->ext.rows), true));
    return extension_back(&o->ext, c, o->de, dx_matrix(c));
}

static loci_status mag_backward(const struct call *c, const struct once *o)
{
    const loci_tensor *ctx;
    loci_tensor *de = NULL;
    loci_view ve, vde, vy, vm, vdy, vdm, vdme;

    LOCI_RETURN_IF(once_context(c, o, &ve, &ctx));
    if (ctx) {
        de = cube(&vde, c, o->de, 1, o->ext.rows);
        LOCI_RETURN_IF(zero(c, o->de, o->ext.rows));
    }
    LOCI_RETURN_IF(zero(c, o->dy, c->N));
    LOCI_RETURN_IF(zero(c, o->dm, c->N));
    LOCI_RETURN_IF(gate_backward(c, &o->gate, &c->dym.t, matrix(&vy, c, o->y, c->N), matrix(&vm, c, o->m, c->N),
                                 matrix(&vdy, c, o->dy, c->N), matrix(&vdm, c, o->dm, c->N)));
    LOCI_RETURN_IF(once_mix_back(c, o, c->io->x, ctx, cube(&vdy, c, o->dy, c->B, c->T), c->io->dx, de));
    if (extended(c->m)) {
        LOCI_RETURN_IF(take(c, o->dme, o->ext.rows, matrix(&vdm, c, o->dm, c->N), o->ext.x_row, 0));
        LOCI_RETURN_IF(once_mem_back(c, o, ctx, cube(&vdme, c, o->dme, 1, o->ext.rows), de, true));
    } else {
        LOCI_RETURN_IF(once_mem_back(c, o, c->io->x, cube(&vdm, c, o->dm, c->B, c->T), c->io->dx, false));
    }
    return ctx ? extension_back(&o->ext, c, o->de, dx_matrix(c)) : LOCI_OK;
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
