/* SPDX-License-Identifier: Apache-2.0
 *
 * The scalar tables of a segment: beta, f, mo [n+1], G, N [n+1,n] for every run, head and lane, and their cotangents.
 * A segment has one lane for all layers, or one for each where every layer has gates of its own.
 */
#include "deep.h"

static int64_t lanes(const deep *d)
{
    return d->m->per_layer ? d->m->L : 1;
}

static table cut(const deep *d, loci_cursor *c, int64_t size)
{
    return (table){loci_cut(c, (uint64_t)(d->R * d->H * lanes(d) * size * d->size)), size};
}

void tables_cut(const deep *d, loci_cursor *c, room *w, int64_t n, int back)
{
    w->beta = cut(d, c, n + 1);
    w->f = cut(d, c, n + 1);
    w->mo = cut(d, c, n + 1);
    w->G = cut(d, c, (n + 1) * n);
    w->N = cut(d, c, (n + 1) * n);
    if (!back)
        return;
    w->dbeta = cut(d, c, n + 1);
    w->df = cut(d, c, n + 1);
    w->dmo = cut(d, c, 1);
    w->dG = cut(d, c, (n + 1) * n);
    w->dN = cut(d, c, n);
}

mat table_at(const deep *d, table t, int l, int64_t from, int64_t rows, int64_t cols)
{
    const int64_t lane = d->m->per_layer ? l - 1 : 0;

    return (mat){
        t.at + (lane * t.size + from) * d->size, rows, cols, d->H * lanes(d) * t.size, lanes(d) * t.size, cols};
}

/* [R, H, (lanes,) rows, (cols)] */
static loci_tensor *whole(const deep *d, loci_view *v, table t, int64_t rows, int64_t cols)
{
    int64_t shape[5] = {d->R, d->H};
    int32_t rank = 2;

    if (lanes(d) > 1)
        shape[rank++] = lanes(d);
    shape[rank++] = rows;
    if (cols)
        shape[rank++] = cols;
    return loci_view_set(v, t.at, d->x->device, d->type, rank, shape);
}

static loci_tensor *there(loci_view *v)
{
    return v->t.data ? &v->t : NULL;
}

static loci_coef io(const deep *d, const room *w, gates *g, int64_t n, loci_view v[5])
{
    return (loci_coef){.struct_size = sizeof(loci_coef),
                       .loss_scale = d->m->loss_scale,
                       .alpha = there(&g->alpha),
                       .eta = there(&g->eta),
                       .theta = there(&g->theta),
                       .beta = whole(d, &v[0], w->beta, n + 1, 0),
                       .f = whole(d, &v[1], w->f, n + 1, 0),
                       .m = whole(d, &v[2], w->mo, n + 1, 0),
                       .G = whole(d, &v[3], w->G, n + 1, n),
                       .N = whole(d, &v[4], w->N, n + 1, n)};
}

void tables_forward(deep *d, const room *w, gates *g, int64_t n)
{
    loci_view v[5];
    const loci_coef c = io(d, w, g, n, v);

    if (d->status == LOCI_OK)
        d->status = d->m->scan->coef(d->x, &c, d->err);
}

void tables_back(deep *d, const room *w, gates *g, int64_t n)
{
    loci_view v[5], dv[5];
    loci_coef c = io(d, w, g, n, v);

    c.dbeta = whole(d, &dv[0], w->dbeta, n + 1, 0);
    c.df = whole(d, &dv[1], w->df, n + 1, 0);
    c.dm = whole(d, &dv[2], w->dmo, 1, 0);
    c.dG = whole(d, &dv[3], w->dG, n + 1, n);
    c.dN = whole(d, &dv[4], w->dN, n, 0);
    c.dalpha = there(&g->dalpha);
    c.deta = there(&g->deta);
    c.dtheta = there(&g->dtheta);
    if (d->status == LOCI_OK)
        d->status = d->m->scan->coef_back(d->x, &c, d->err);
}
