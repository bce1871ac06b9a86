/* SPDX-License-Identifier: Apache-2.0
 *
 * compose: what plain, lmm, mag and mal ask of their mixer and memory.
 *
 *  (1) Persistent rows reach a mixer as its context, and a memory as tokens of a longer stream.
 *  (2) A mixer that takes no context gets them as a memory does: [p; x] are its tokens (rows.c), what it answers at p
 *      is dropped, and the gradient of all of it is that of the context.
 */
#include "once.h"

loci_status once_mix(const struct call *c, const struct once *o, const loci_tensor *x, const loci_tensor *ctx,
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

loci_status once_mix_back(const struct call *c, const struct once *o, const loci_tensor *x, const loci_tensor *ctx,
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

loci_status once_mem(const struct call *c, const struct once *o, const loci_tensor *x, loci_tensor *y, bool ext)
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

loci_status once_mem_back(const struct call *c, const struct once *o, const loci_tensor *x, const loci_tensor *dy,
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
