/* SPDX-License-Identifier: Apache-2.0
 *
 * compose: persistent rows p before documents (Behrouz et al. 2025, section 3.3), for the compositions of once.c.
 *
 *  (1) p stands before a document once: in the call whose run has pos 0. The extended rows of all runs lie one after
 *      another in one tensor [1, rows, D]; a run that goes on has its stream's rows counted on from P + pos.
 *  (2) x_row and p_row say where an extended row comes from (-1: from the other), back says where a token of x went
 *      (-1: it is in no run).
 *  (3) p is at position -1: visible to every query of its document and never rotated. A mixer that knows no such rows
 *      is fed p as the first tokens of its stream instead, at positions 0 to P - 1, and x behind it.
 */
#include "parts.h"
#include <string.h>

void extension_cut(struct extension *e, loci_cursor *host)
{
    if (e->E == 0)
        return;
    e->x_row = loci_cut(host, (uint64_t)e->E * 4);
    e->p_row = loci_cut(host, (uint64_t)e->E * 4);
    e->pos = loci_cut(host, (uint64_t)e->E * 4);
    e->back = loci_cut(host, (uint64_t)e->n * 4);
    e->run = loci_cut(host, (uint64_t)e->runs * sizeof *e->run);
}

void extension_fill(struct extension *e, const struct call *c)
{
    const int32_t P = (int32_t)c->m->persistent_tok;
    int32_t n = 0;

    memset(e->back, 0xff, (size_t)c->N * sizeof *e->back); /* -1 */
    for (uint32_t i = 0; i < c->io->q->n_runs; i++) {
        const loci_run *r = &c->io->q->runs[i];
        const int32_t lead = r->pos == 0 && r->len > 0 ? P : 0;
        e->run[i] = (loci_run){0, n, lead + r->len, r->state, r->pos == 0 ? 0 : P + r->pos, r->id};
        for (int32_t j = 0; j < lead + r->len; j++, n++) {
            const int32_t t = r->row * (int32_t)c->T + r->begin + j - lead;
            e->x_row[n] = j < lead ? -1 : t;
            e->p_row[n] = j < lead ? j : -1;
            e->pos[n] = c->m->fed ? (int32_t)e->run[i].pos + j : j < lead ? -1 : position(c, r, j - lead);
            if (j >= lead)
                e->back[t] = n;
        }
    }
    e->rows = n;
    e->batch = (loci_batch){sizeof e->batch, c->io->q->n_runs, e->run, ints(&e->vpos, c, e->pos, 1, n)};
}

loci_status extension_build(const struct extension *e, const struct call *c, void *out, const loci_tensor *src)
{
    LOCI_RETURN_IF(take(c, out, e->rows, src, e->x_row, 0));
    return take(c, out, e->rows, &c->s->params[c->m->w_persistent], e->p_row, 1);
}

loci_status extension_back(const struct extension *e, const struct call *c, const void *d, const loci_tensor *dsrc)
{
    if (dsrc)
        LOCI_RETURN_IF(put(c, dsrc, d, e->rows, e->x_row));
    return put(c, &c->s->grads[c->m->w_persistent], d, e->rows, e->p_row);
}
