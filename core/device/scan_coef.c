/* SPDX-License-Identifier: Apache-2.0
 *
 * core/device/scan_coef: coef and coef_back of loci.scan/1: checks and dealing out. The arithmetic is
 * scan_m_coef.tmpl's, the same that the chunk forms of M run on.
 */
#include "core/base/base.h"
#include "core/device/scan_call.h"

typedef struct sizes {
    int64_t B, n, H, w; /* -1: not known yet */
    int rank;           /* of a gate: 3 or 4 */
    uint8_t bits;
} sizes;

static loci_status type(sizes *z, const char *name, const loci_tensor *t, int rank, loci_error *err)
{
    if (t->ndim != rank)
        return loci_fail(err, LOCI_E_ARG, "coef: %s has %d axes instead of %d", name, (int)t->ndim, rank);
    if (t->device.type != LOCI_CPU || t->dtype.code != LOCI_FLOAT || t->dtype.lanes != 1 ||
        (t->dtype.bits != 32 && t->dtype.bits != 64) || (z->bits && t->dtype.bits != z->bits))
        return loci_fail(err, LOCI_E_ARG, "coef: %s: all tensors must be f32, or all f64, in host memory", name);
    z->bits = t->dtype.bits;
    return LOCI_OK;
}

static loci_status axis(const char *name, int i, int64_t have, int64_t want, loci_error *err)
{
    if (have == want)
        return LOCI_OK;
    return loci_fail(err, LOCI_E_ARG, "coef: axis %d of %s has %lld entries instead of %lld", i, name, (long long)have,
                     (long long)want);
}

/* tail: the last axes of a table, 1 or 2 of them. */
static loci_status table(sizes *z, scan_view *to, const char *name, const loci_tensor *t, int n_tail, int64_t tail,
                         loci_error *err)
{
    const int lead = z->rank - 1;
    const int64_t want[5] = {z->B, z->H, z->w};
    loci_status status = LOCI_OK;

    if (!t)
        return loci_fail(err, LOCI_E_ARG, "coef: %s is missing", name);
    LOCI_TRY(type(z, name, t, lead + n_tail, err));
    for (int i = 0; i < lead; i++)
        LOCI_TRY(axis(name, i, t->shape[i], want[i], err));
    LOCI_TRY(axis(name, lead, t->shape[lead], tail, err));
    if (n_tail == 2)
        LOCI_TRY(axis(name, lead + 1, t->shape[lead + 1], z->n, err));
    if (n_tail == 2 && tail > 1 && t->strides[lead] != z->n)
        return loci_fail(err, LOCI_E_ARG, "coef: the rows of %s are %lld apart instead of %lld", name,
                         (long long)t->strides[lead], (long long)z->n);
    *to = (scan_view){loci_ptr(t), {t->strides[0], t->strides[1], lead == 3 ? t->strides[2] : 0, 1}};
    if (!to->at && z->B * z->H * z->w * tail > 0)
        return loci_fail(err, LOCI_E_ARG, "coef: %s has no data", name);
out:
    return status;
}

static loci_status gate(sizes *z, scan_view *to, const char *name, const loci_tensor *t, loci_error *err)
{
    const int64_t want[4] = {z->B, z->n, z->H, z->w};
    loci_status status = LOCI_OK;

    *to = (scan_view){0};
    if (!t)
        return LOCI_OK;
    LOCI_TRY(type(z, name, t, z->rank, err));
    for (int i = 0; i < z->rank; i++)
        LOCI_TRY(axis(name, i, t->shape[i], want[i], err));
    *to = (scan_view){loci_ptr(t), {t->strides[0], t->strides[1], t->strides[2], z->rank == 4 ? t->strides[3] : 0}};
    if (!to->at && z->B * z->n * z->H * z->w > 0)
        return loci_fail(err, LOCI_E_ARG, "coef: %s has no data", name);
out:
    return status;
}

loci_status loci_coef_job(coef_job *j, const loci_coef *c, bool back, uint8_t *bits, loci_error *err)
{
    static const char *const gates[2][3] = {{"alpha", "eta", "theta"}, {"dalpha", "deta", "dtheta"}};
    static const char *const tables[2][5] = {{"beta", "f", "m", "G", "N"}, {"dbeta", "df", "dm", "dG", "dN"}};
    const loci_tensor *const in[3] = {c->alpha, c->eta, c->theta}, *const grad[3] = {c->dalpha, c->deta, c->dtheta};
    const loci_tensor *const all[2][5] = {{c->beta, c->f, c->m, c->G, c->N}, {c->dbeta, c->df, c->dm, c->dG, c->dN}};
    loci_status status = LOCI_OK;
    sizes z = {0};

    *j = (coef_job){.c = c->loss_scale, .back = back};
    if (!c->beta || (c->beta->ndim != 3 && c->beta->ndim != 4))
        return loci_fail(err, LOCI_E_ARG, "coef: beta must be there, with 3 or 4 axes");
    z.rank = c->beta->ndim;
    z.B = c->beta->shape[0];
    z.H = c->beta->shape[1];
    z.w = z.rank == 4 ? c->beta->shape[2] : 1;
    z.n = c->beta->shape[z.rank - 1] - 1;
    if (z.n < 0 || z.n > LOCI_COEF_TOK)
        return loci_fail(err, LOCI_E_ARG, "coef: a chunk of %lld tokens: at most %d", (long long)z.n, LOCI_COEF_TOK);
    for (int d = 0; d <= (back ? 1 : 0); d++)
        for (int i = 0; i < 5; i++) {
            const bool last = d == 1 && (i == 2 || i == 4); /* of time n alone */
            const int64_t tail = !last ? z.n + 1 : i == 2 ? 1 : z.n;

            LOCI_TRY(table(&z, d ? &j->dtable[i] : &j->table[i], tables[d][i], all[d][i], i < 3 || last ? 1 : 2, tail,
                           err));
        }
    for (int i = 0; i < 3; i++) {
        LOCI_TRY(gate(&z, &j->gate[i], gates[0][i], in[i], err));
        LOCI_TRY(gate(&z, &j->dgate[i], gates[1][i], back && in[i] ? grad[i] : NULL, err));
    }
    j->B = z.B;
    j->n = z.n;
    j->H = z.H;
    j->w = z.w;
    *bits = z.bits;
out:
    return status;
}
