/* SPDX-License-Identifier: Apache-2.0
 *
 * mix_gla: the buffers of a call. One function cuts them for plan, forward and backward alike.
 *
 *     saved    what a step of the backward reads again: every tensor of the forward
 *     scratch  gradients; a copy of x without padding
 *     host     the row list of that copy
 *
 * Without SAVE the saved part lies in scratch.
 */
#include "gla.h"

void gla_layout(struct layout *l, const loci_module *m, int64_t n, bool save, bool back, loci_cursor *scratch,
                loci_cursor *saved, loci_cursor *host)
{
    const uint64_t size = m->dtype.bits / 8, k = (uint64_t)(n * m->heads * m->dk) * size,
                   v = (uint64_t)(n * m->heads * m->dv) * size, low = (uint64_t)(n * m->rank) * size;
    loci_cursor *keep = save ? saved : scratch;

    for (int i = 0; i < LANES; i++) {
        struct lane *a = &l->lane[i];
        const uint64_t bytes = i == LANE_V ? v : k;

        *a = (struct lane){.width = m->heads * (i == LANE_V ? m->dv : m->dk)};
        a->a = a->p = loci_cut(keep, bytes);
        a->da = a->dp = back ? loci_cut(scratch, bytes) : NULL;
        if (m->taps > 0) {
            a->c = loci_cut(keep, bytes);
            a->a = loci_cut(keep, bytes);
            a->dc = back ? loci_cut(scratch, bytes) : NULL;
            a->da = back ? loci_cut(scratch, bytes) : NULL;
        }
    }
    l->low = loci_cut(keep, low);
    l->z = loci_cut(keep, k);
    l->g = loci_cut(keep, k);
    l->out = l->on = l->o = loci_cut(keep, v);
    if (m->norm) {
        l->stat = loci_cut(keep, (uint64_t)(n * m->heads) * size);
        l->out = l->on = loci_cut(keep, v);
    }
    if (m->gate) {
        l->gate = loci_cut(keep, v);
        l->out = loci_cut(keep, v);
    }
    l->x = loci_cut(scratch, (uint64_t)(n * m->dim) * size);
    l->rows = (int32_t *)loci_cut(host, (uint64_t)n * sizeof *l->rows);
    if (!back)
        return;
    l->dlow = loci_cut(scratch, low);
    l->dz = loci_cut(scratch, k);
    l->dg = loci_cut(scratch, k);
    l->dout = l->don = l->d_o = loci_cut(scratch, v);
    if (m->norm)
        l->dout = l->don = loci_cut(scratch, v);
    if (m->gate) {
        l->dgate = loci_cut(scratch, v);
        l->dout = loci_cut(scratch, v);
    }
}

void gla_need(const loci_module *m, int64_t n, uint64_t flags, loci_need *need)
{
    const bool save = flags & LOCI_X_SAVE;

    /* with SAVE: its forward, its backward, and a forward without */
    for (int i = 0; i < (save ? 3 : 1); i++) {
        loci_cursor scratch = {0}, saved = {0}, host = {0};
        struct layout l = {0};

        gla_layout(&l, m, n, save && i < 2, i == 1, &scratch, &saved, &host);
        if (scratch.at > need->scratch)
            need->scratch = scratch.at;
        if (saved.at > need->saved)
            need->saved = saved.at;
        need->host = host.at;
    }
}

loci_tensor *view(loci_view *v, const struct call *c, void *data, int64_t n0, int64_t n1, int64_t n2, int64_t n3)
{
    const int64_t n[4] = {n0, n1, n2, n3};
    int32_t rank = 0;

    while (rank < 4 && n[rank] >= 0)
        rank++;
    return loci_view_set(v, data, c->x->device, c->m->dtype, rank, n);
}
