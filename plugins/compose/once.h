/* SPDX-License-Identifier: Apache-2.0
 *
 * compose: what the files of the compositions that call each child once share: a call's buffers, and the calls of their
 * children. Letters as in once.c.
 */
#ifndef LOCI_COMPOSE_ONCE_H
#define LOCI_COMPOSE_ONCE_H

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

/* children.c: one call of a child each; once_mix and once_mem overwrite y, the others add to dx and dctx. ctx: the
 * extended rows, NULL: the context is x. ext: x is the extended rows. */
loci_status once_mix(const struct call *c, const struct once *o, const loci_tensor *x, const loci_tensor *ctx,
                     loci_tensor *y);
loci_status once_mix_back(const struct call *c, const struct once *o, const loci_tensor *x, const loci_tensor *ctx,
                          const loci_tensor *dy, loci_tensor *dx, loci_tensor *dctx);
loci_status once_mem(const struct call *c, const struct once *o, const loci_tensor *x, loci_tensor *y, bool ext);
loci_status once_mem_back(const struct call *c, const struct once *o, const loci_tensor *x, const loci_tensor *dy,
                          loci_tensor *dx, bool ext);

/* mal.c */
void mal_layout(const loci_module *m, struct once *o, bool back, loci_cursor *scratch, loci_cursor *keep);
loci_status mal_forward(const struct call *c, const struct once *o);
loci_status mal_backward(const struct call *c, const struct once *o);

/* once.c. The memory's rows are the extended ones. */
static inline bool extended(const loci_module *m)
{
    return m->persistent_tok > 0 && m->to_memory;
}
/* The persistent rows and x as the mixer's context, built in o->e; NULL without them. */
loci_status once_context(const struct call *c, const struct once *o, loci_view *v, const loci_tensor **out);
/* dx as a matrix; NULL: not wanted. */
static inline const loci_tensor *dx_matrix(const struct call *c)
{
    return c->io->dx ? &c->dxm.t : NULL;
}

#endif
