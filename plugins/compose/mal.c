/* SPDX-License-Identifier: Apache-2.0
 *
 * compose: memory as layer (Titans: Behrouz et al. 2025, section 4.3): the memory, then attention over what it made.
 *
 *     z = [p; x],  u = gate( z, mem(z) ),  y = mix(u_x | u)          or, with the persistent rows past the memory,
 *     z = x,       v = gate( x, mem(x) ),  y = mix(v | [p; v])
 *
 * The gate is z + mem(z) unless set: a residual, which the paper does not have, since attention over an empty memory
 * sees nothing. Saved is m = mem(z); what the mixer saw is made from it again.
 */
#include "once.h"

void mal_layout(const loci_module *m, struct once *o, bool back, loci_cursor *scratch, loci_cursor *keep)
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

/* What the memory saw, z [n, D], as the gate wants it; where it has persistent rows they are built. */
static loci_status mal_input(const struct call *c, const struct once *o, loci_view *v, const loci_tensor **z,
                             int64_t *n)
{
    const loci_tensor *ext;

    *n = extended(c->m) ? o->ext.rows : c->N;
    *z = &c->xm.t;
    if (!extended(c->m))
        return LOCI_OK;
    LOCI_RETURN_IF(once_context(c, o, v, &ext));
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

loci_status mal_forward(const struct call *c, const struct once *o)
{
    const bool ext = extended(c->m);
    const loci_tensor *z;
    loci_view ve, vm, vu, vv;
    int64_t n;

    LOCI_RETURN_IF(mal_input(c, o, &ve, &z, &n));
    if (c->ragged && !ext) /* the gate reads every row */
        LOCI_RETURN_IF(zero(c, o->m, n));
    LOCI_RETURN_IF(ext ? once_mem(c, o, cube(&vu, c, o->e, 1, n), cube(&vm, c, o->m, 1, n), true)
                       : once_mem(c, o, c->io->x, cube(&vm, c, o->m, c->B, c->T), false));
    LOCI_RETURN_IF(mal_join(c, o, z, n));
    return once_mix(c, o, cube(&vv, c, o->v, c->B, c->T), o->u ? cube(&vu, c, o->u, 1, o->ext.rows) : NULL, c->io->y);
}

loci_status mal_backward(const struct call *c, const struct once *o)
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
    LOCI_RETURN_IF(
        once_mix_back(c, o, cube(&vv, c, o->v, c->B, c->T), u, c->io->dy, cube(&vdv, c, o->dv, c->B, c->T), du));
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
        LOCI_RETURN_IF(once_mem_back(c, o, cube(&vv, c, o->e, 1, n), cube(&vdm, c, o->dm, 1, n),
                                     cube(&vde, c, o->de, 1, n), true));
        return extension_back(&o->ext, c, o->de, dx_matrix(c));
    }
    if (c->io->dx)
        LOCI_RETURN_IF(c->m->ops->map1(c->x, LOCI_MAP_COPY, &c->dxm.t, &vde.t, 1, 1, c->err));
    return once_mem_back(c, o, c->io->x, cube(&vdm, c, o->dm, c->B, c->T), c->io->dx, false);
}
