/* SPDX-License-Identifier: Apache-2.0
 *
 * plugins/attn_cuda/coef: the arguments of coef and coef_back of loci.scan/1, checked. The kernels are in coef.cu.
 */
#include "scan.h"

#define TRY(call) \
    do { \
        const loci_status status_ = (call); \
        if (status_ != LOCI_OK) \
            return status_; \
    } while (0)

static loci_status type(coef_job *j, const char *name, const loci_tensor *t, int rank, loci_error *err)
{
    if (t->ndim != rank)
        return cuda_refuse(err, LOCI_E_ARG, "coef: %s has %d axes instead of %d", name, (int)t->ndim, rank);
    if (t->dtype.code != LOCI_FLOAT || t->dtype.lanes != 1 || (t->dtype.bits != 32 && t->dtype.bits != 64) ||
        (j->bits && t->dtype.bits != j->bits))
        return cuda_refuse(err, LOCI_E_ARG, "coef: %s: all tensors must be f32, or all f64", name);
    j->bits = t->dtype.bits;
    return LOCI_OK;
}

static loci_status axis(const char *name, int i, int64_t have, int64_t want, loci_error *err)
{
    if (have == want)
        return LOCI_OK;
    return cuda_refuse(err, LOCI_E_ARG, "coef: axis %d of %s has %lld entries instead of %lld", i, name,
                       (long long)have, (long long)want);
}

/* rank: of a gate, 3 or 4. A table lacks the gate's token axis and ends in n_tail axes of its own. */
static loci_status table(coef_job *j, scan_view *to, const char *name, const loci_tensor *t, int rank, int n_tail,
                         int64_t tail, loci_error *err)
{
    const int lead = rank - 1;
    const int64_t want[3] = {j->B, j->H, j->w};

    if (!t)
        return cuda_refuse(err, LOCI_E_ARG, "coef: %s is missing", name);
    TRY(type(j, name, t, lead + n_tail, err));
    for (int i = 0; i < lead; i++)
        TRY(axis(name, i, t->shape[i], want[i], err));
    TRY(axis(name, lead, t->shape[lead], tail, err));
    if (n_tail == 2)
        TRY(axis(name, lead + 1, t->shape[lead + 1], j->n, err));
    if (n_tail == 2 && tail > 1 && t->strides[lead] != j->n)
        return cuda_refuse(err, LOCI_E_ARG, "coef: the rows of %s are %lld apart instead of %lld", name,
                           (long long)t->strides[lead], (long long)j->n);
    *to = (scan_view){loci_ptr(t), {t->strides[0], t->strides[1], lead == 3 ? t->strides[2] : 0, 1}};
    if (!to->at && j->B * j->H * j->w * tail > 0)
        return cuda_refuse(err, LOCI_E_ARG, "coef: %s has no data", name);
    return LOCI_OK;
}

static loci_status gate(coef_job *j, scan_view *to, const char *name, const loci_tensor *t, int rank, loci_error *err)
{
    const int64_t want[4] = {j->B, j->n, j->H, j->w};

    *to = (scan_view){0};
    if (!t)
        return LOCI_OK;
    TRY(type(j, name, t, rank, err));
    for (int i = 0; i < rank; i++)
        TRY(axis(name, i, t->shape[i], want[i], err));
    *to = (scan_view){loci_ptr(t), {t->strides[0], t->strides[1], t->strides[2], rank == 4 ? t->strides[3] : 0}};
    if (!to->at && j->B * j->n * j->H * j->w > 0)
        return cuda_refuse(err, LOCI_E_ARG, "coef: %s has no data", name);
    return LOCI_OK;
}

loci_status cuda_coef_job(coef_job *j, const loci_coef *c, int back, loci_error *err)
{
    static const char *const gates[2][3] = {{"alpha", "eta", "theta"}, {"dalpha", "deta", "dtheta"}};
    static const char *const tables[2][5] = {{"beta", "f", "m", "G", "N"}, {"dbeta", "df", "dm", "dG", "dN"}};
    const loci_tensor *const in[3] = {c->alpha, c->eta, c->theta}, *const grad[3] = {c->dalpha, c->deta, c->dtheta};
    const loci_tensor *const all[2][5] = {{c->beta, c->f, c->m, c->G, c->N}, {c->dbeta, c->df, c->dm, c->dG, c->dN}};
    int rank;

    *j = (coef_job){.c = c->loss_scale};
    if (!c->beta || (c->beta->ndim != 3 && c->beta->ndim != 4))
        return cuda_refuse(err, LOCI_E_ARG, "coef: beta must be there, with 3 or 4 axes");
    rank = c->beta->ndim;
    j->B = c->beta->shape[0];
    j->H = c->beta->shape[1];
    j->w = rank == 4 ? c->beta->shape[2] : 1;
    j->n = c->beta->shape[rank - 1] - 1;
    if (j->n < 0 || j->n > LOCI_COEF_TOK)
        return cuda_refuse(err, LOCI_E_ARG, "coef: a chunk of %lld tokens: at most %d", (long long)j->n, LOCI_COEF_TOK);
    for (int d = 0; d <= (back ? 1 : 0); d++)
        for (int i = 0; i < 5; i++) {
            const int last = d == 1 && (i == 2 || i == 4); /* of time n alone */
            const int64_t tail = !last ? j->n + 1 : i == 2 ? 1 : j->n;

            TRY(table(j, d ? &j->dtable[i] : &j->table[i], tables[d][i], all[d][i], rank, i < 3 || last ? 1 : 2, tail,
                      err));
        }
    for (int i = 0; i < 3; i++) {
        TRY(gate(j, &j->gate[i], gates[0][i], in[i], rank, err));
        TRY(gate(j, &j->dgate[i], gates[1][i], back && in[i] ? grad[i] : NULL, rank, err));
    }
    return LOCI_OK;
}
