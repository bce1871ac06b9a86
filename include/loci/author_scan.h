/* SPDX-License-Identifier: Apache-2.0
 *
 * loci/author_scan.h: for authors of devices: what every implementation of loci.scan/1 asks of a call, once, with its
 * sentences, and the call as one struct of views. Header only, optional, links to nothing.
 *
 *     loci_scan_call c;
 *     LOCI_RETURN_IF(loci_scan_call_rule(&c, io, err));                       plan goes this far
 *     LOCI_RETURN_IF(loci_scan_call_see(&c, io, back, save, LOCI_CPU, err));
 *
 * A tensor is described by a word with a letter per axis: b rows, t tokens, h heads, d and e widths, s states. The first
 * tensor to have an axis sets its size, all others must agree.
 */
#ifndef LOCI_AUTHOR_SCAN_H
#define LOCI_AUTHOR_SCAN_H

#include <loci/author.h>
#include <loci/scan.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LOCI_SCAN_LONGEST (INT32_C(1) << 20) /* of a chunk */

/* Element (b, t, h, c) of a tensor lies at[b s0 + t s1 + h s2 + c s3]. Of a state: (state row, row, head, column). An axis
 * that a tensor lacks has stride 0. */
typedef struct loci_scan_view {
    void *at; /* NULL: absent */
    int64_t s[4];
} loci_scan_view;

typedef struct loci_scan_call {
    int32_t scan, mode;    /* FROZEN of an error that sees no memory is EXACT  */
    int read, write;       /* what op does                                     */
    int before;            /* the read is before the write                     */
    int decayed, blind;    /* M: the error sees (1 - alpha) M; it sees nothing */
    int n_state;           /* tensors of state                                 */
    int g_channel, g_head; /* g has an axis of channels; g is [H]              */
    uint8_t bits;          /* of all tensors, 32 or 64; with what follows, by see */
    int64_t B, T, H, d, e; /* D: H is 1, e is 1, d is N                        */
    const loci_run *runs;
    int64_t n_runs;
    loci_scan_view q, k, v, g, u, w, alpha, eta, theta, y;
    loci_scan_view dy, dq, dk, dv, dg, du, dw, dalpha, deta, dtheta;
    loci_scan_view in[3], out[3], grad[3];
} loci_scan_call;

/* What the recurrence, its op and its mode say; c is cleared first. */
static inline loci_status loci_scan_call_rule(loci_scan_call *c, const loci_scan_io *io, loci_error *err)
{
    const int m = io->scan == LOCI_SCAN_M;
    const int32_t most = m                             ? LOCI_SCAN_FROZEN
                         : io->scan == LOCI_SCAN_L ? LOCI_SCAN_EXACT
                                                   : LOCI_SCAN_SEQUENTIAL;

    memset(c, 0, sizeof *c);
    if (io->scan < LOCI_SCAN_L || io->scan > LOCI_SCAN_M)
        return loci_refuse(err, LOCI_E_ARG, NULL, "scan: recurrence %d is none of L 1, D 2, W 3, M 4", (int)io->scan);
    if (m ? io->op < LOCI_OP_READ || io->op > LOCI_OP_STEP : io->op != LOCI_OP_STEP)
        return loci_refuse(err, LOCI_E_ARG, NULL, "scan: op %d: M knows READ, WRITE and STEP, the others STEP",
                           (int)io->op);
    if (io->mode < LOCI_SCAN_SEQUENTIAL || io->mode > most)
        return loci_refuse(err, LOCI_E_ARG, NULL,
                           "scan: mode %d: M knows SEQUENTIAL, EXACT and FROZEN, L the first two, D and W the first",
                           (int)io->mode);
    if (io->mode != LOCI_SCAN_SEQUENTIAL && (io->chunk < 1 || io->chunk > LOCI_SCAN_LONGEST))
        return loci_refuse(err, LOCI_E_ARG, NULL, "scan: chunk %d is not between 1 and %d", (int)io->chunk,
                           (int)LOCI_SCAN_LONGEST);
    if (m && io->read_order != LOCI_SCAN_AFTER_WRITE && io->read_order != LOCI_SCAN_BEFORE_WRITE)
        return loci_refuse(err, LOCI_E_ARG, NULL, "scan: read order %d is neither AFTER_WRITE nor BEFORE_WRITE",
                           (int)io->read_order);
    if (m && (io->error < LOCI_SCAN_ERROR_UNDECAYED || io->error > LOCI_SCAN_ERROR_NONE))
        return loci_refuse(err, LOCI_E_ARG, NULL, "scan: error %d is none of UNDECAYED 0, DECAYED 1, NONE 2",
                           (int)io->error);
    c->scan = io->scan;
    c->write = io->op != LOCI_OP_READ;
    c->read = io->op != LOCI_OP_WRITE;
    c->before = m && io->read_order == LOCI_SCAN_BEFORE_WRITE;
    c->decayed = m && io->error == LOCI_SCAN_ERROR_DECAYED;
    c->blind = m && io->error == LOCI_SCAN_ERROR_NONE;
    /* an error that sees no memory sees none at the chunk's start */
    c->mode = c->blind && io->mode == LOCI_SCAN_FROZEN ? LOCI_SCAN_EXACT : io->mode;
    c->n_state = !m ? 1 : c->mode == LOCI_SCAN_FROZEN ? 3 : 2;
    return LOCI_OK;
}

/* ---- tensors ---------------------------------------------------------------------------------------------------- */

/* What is known so far. */
typedef struct loci_scan_book {
    int64_t size[128]; /* by letter; -1: not known yet                */
    uint8_t bits;      /* 0: not known yet                            */
    int32_t device;    /* where tensors must lie; 0: the caller knows */
} loci_scan_book;

static inline int64_t loci_scan_size(const loci_scan_book *k, char letter)
{
    return k->size[(unsigned char)letter];
}

/* What a call may do without: nothing; the tensor; or the data of one that must be there. */
enum { LOCI_SCAN_MUST, LOCI_SCAN_MAY, LOCI_SCAN_LOOSE };

/* A state is seen as (state row, row, head, column), all else as (row, token, head, column). */
static inline int loci_scan_place(const char *axes, char letter)
{
    static const char state[] = "sehd", other[] = "bthd";

    if (axes[0] == 's')
        return (int)(strchr(state, letter) - state);
    return (int)(strchr(other, letter == 'e' ? 'd' : letter) - other);
}

/* Enter tensor t into the view. written: it is an output, whose elements must be distinct. */
static inline loci_status loci_scan_see(loci_scan_book *k, loci_scan_view *to, const char *name, const loci_tensor *t,
                                        const char *axes, int how, int written, loci_error *err)
{
    const int32_t rank = (int32_t)strlen(axes);
    int empty = 0;
    int32_t i;

    memset(to, 0, sizeof *to);
    if (!t)
        return how == LOCI_SCAN_MAY ? LOCI_OK : loci_refuse(err, LOCI_E_ARG, NULL, "scan: %s is missing", name);
    if (how == LOCI_SCAN_LOOSE && !t->data)
        return LOCI_OK;
    if (t->ndim != rank)
        return loci_refuse(err, LOCI_E_ARG, NULL, "scan: %s has %d axes instead of %d", name, (int)t->ndim, (int)rank);
    if (k->device && (int32_t)t->device.type != k->device)
        return loci_refuse(err, LOCI_E_ARG, NULL, "scan: %s is not in %s", name,
                           k->device == LOCI_CPU ? "host memory" : "the device's memory");
    if (t->dtype.code != LOCI_FLOAT || t->dtype.lanes != 1 || (t->dtype.bits != 32 && t->dtype.bits != 64) ||
        (k->bits && t->dtype.bits != k->bits))
        return loci_refuse(err, LOCI_E_ARG, NULL, "scan: %s: all tensors must be f32, or all f64", name);
    k->bits = t->dtype.bits;
    for (i = 0; i < rank; i++) {
        int64_t *size = &k->size[(unsigned char)axes[i]];

        if (*size < 0)
            *size = t->shape[i];
        if (t->shape[i] != *size || t->shape[i] < 0)
            return loci_refuse(err, LOCI_E_ARG, NULL, "scan: axis %d of %s has %lld entries instead of %lld", (int)i,
                               name, (long long)t->shape[i], (long long)*size);
        if (written && t->shape[i] > 1 && t->strides[i] == 0)
            return loci_refuse(err, LOCI_E_ARG, NULL, "scan: %s is written and must not broadcast", name);
        empty = empty || t->shape[i] == 0;
        to->s[loci_scan_place(axes, axes[i])] = t->strides[i];
    }
    to->at = loci_ptr(t);
    if (!to->at && !empty)
        return loci_refuse(err, LOCI_E_ARG, NULL, "scan: %s has no data", name);
    return LOCI_OK;
}

static inline loci_status loci_scan_see_states(loci_scan_call *c, const loci_scan_io *io, loci_scan_book *k, int back,
                                               int save, loci_error *err)
{
    static const char *const names[3][3] = {{"state_in[0]", "state_in[1]", "state_in[2]"},
                                            {"state_out[0]", "state_out[1]", "state_out[2]"},
                                            {"state_grad[0]", "state_grad[1]", "state_grad[2]"}};
    const char *axes = c->scan == LOCI_SCAN_D ? "sd" : "shed";
    int i;

    for (i = 0; i < c->n_state; i++) {
        const int how = i == 1 && !io->eta ? LOCI_SCAN_LOOSE : LOCI_SCAN_MUST, out_how = c->write ? how : LOCI_SCAN_LOOSE;
        const loci_tensor *in = io->state_in ? &io->state_in[i] : NULL;
        const loci_tensor *out = io->state_out ? &io->state_out[i] : NULL;
        const loci_tensor *grad = io->state_grad ? &io->state_grad[i] : NULL;

        LOCI_RETURN_IF(loci_scan_see(k, &c->in[i], names[0][i], in, axes, how, 0, err));
        if (back)
            LOCI_RETURN_IF(loci_scan_see(k, &c->grad[i], names[2][i], grad, axes, how, 1, err));
        else if (c->write || out)
            LOCI_RETURN_IF(loci_scan_see(k, &c->out[i], names[1][i], out, axes, out_how, 1, err));
        if (c->out[i].at && c->out[i].at == c->in[i].at && c->write && save)
            return loci_refuse(err, LOCI_E_ARG, NULL,
                               "scan: state_out is state_in, which a backward would still need");
        if (!c->write && c->out[i].at == c->in[i].at)
            c->out[i].at = NULL; /* READ in place: nothing to do */
    }
    return LOCI_OK;
}

static inline loci_status loci_scan_see_runs(loci_scan_call *c, const loci_batch *batch, int64_t states,
                                             loci_error *err)
{
    uint32_t i;

    if (!batch)
        return loci_refuse(err, LOCI_E_ARG, NULL, "scan: the call has no batch");
    for (i = 0; i < batch->n_runs; i++) {
        const loci_run *r = &batch->runs[i];

        if (r->row < 0 || r->row >= c->B || r->begin < 0 || r->len < 0 || (int64_t)r->begin + r->len > c->T ||
            r->state < 0 || r->state >= states || r->pos < 0)
            return loci_refuse(err, LOCI_E_ARG, NULL,
                               "scan: run %u (row %d, tokens %d + %d, state %d, pos %lld) leaves the %lld rows of "
                               "%lld tokens or the %lld states",
                               (unsigned)i, (int)r->row, (int)r->begin, (int)r->len, (int)r->state, (long long)r->pos,
                               (long long)c->B, (long long)c->T, (long long)states);
    }
    c->runs = batch->runs;
    c->n_runs = batch->n_runs;
    return LOCI_OK;
}

/* Views of the tensors of a forward, or with `back` of a backward, and the sizes they agree on; save: a backward will
 * follow. device: LOCI_CPU and the like, 0 to look at none. */
static inline loci_status loci_scan_call_see(loci_scan_call *c, const loci_scan_io *io, int back, int save,
                                             int32_t device, loci_error *err)
{
    enum { MUST = LOCI_SCAN_MUST, MAY = LOCI_SCAN_MAY };
    const int m = c->scan == LOCI_SCAN_M, w = c->scan == LOCI_SCAN_W, wide = c->scan == LOCI_SCAN_D;
    const int read = c->read && !wide, write = c->write && !wide, gated = m && c->write;
    const int g_head = io->g && !m && !wide && io->g->ndim == 1;
    const int g_channel = io->g && !m && (wide || io->g->ndim == 4);
    const char *in = "bthd", *out = wide ? "btd" : "bthe", *gate = "bth";
    const char *g = g_head ? "h" : wide ? "btd" : g_channel ? "bthd" : gate;
    const struct {
        loci_scan_view *to;
        const char *name;
        const loci_tensor *t;
        const char *axes;
        int how, written, asked;
    } all[] = {
        {&c->q, "q", io->q, in, MUST, 0, read},
        {&c->k, "k", io->k, in, MUST, 0, write},
        {&c->v, "v", io->v, out, MUST, 0, c->write},
        {&c->u, "u", io->u, in, MUST, 0, w},
        {&c->w, "w", io->w, in, MUST, 0, w},
        {&c->g, "g", io->g, g, MAY, 0, !m},
        {&c->alpha, "alpha", io->alpha, gate, MAY, 0, gated},
        {&c->eta, "eta", io->eta, gate, MAY, 0, gated},
        {&c->theta, "theta", io->theta, gate, MAY, 0, gated},
        {&c->y, "y", io->y, out, MUST, 1, c->read && !back},
        {&c->dy, "dy", io->dy, out, MUST, 0, c->read && back},
        {&c->dq, "dq", io->dq, in, MAY, 1, read && back},
        {&c->dk, "dk", io->dk, in, MAY, 1, write && back},
        {&c->dv, "dv", io->dv, out, MAY, 1, c->write && back},
        {&c->du, "du", io->du, in, MAY, 1, w && back},
        {&c->dw, "dw", io->dw, in, MAY, 1, w && back},
        {&c->dg, "dg", io->dg, g, MAY, 1, io->g && !m && back},
        {&c->dalpha, "dalpha", io->alpha ? io->dalpha : NULL, gate, MAY, 1, gated && back},
        {&c->deta, "deta", io->eta ? io->deta : NULL, gate, MAY, 1, gated && back},
        {&c->dtheta, "dtheta", io->theta ? io->dtheta : NULL, gate, MAY, 1, gated && back},
    };
    loci_scan_book k;
    size_t i;

    memset(k.size, 0xFF, sizeof k.size); /* -1 */
    k.bits = 0;
    k.device = device;
    c->g_head = g_head;
    c->g_channel = g_channel;
    for (i = 0; i < sizeof all / sizeof *all; i++)
        if (all[i].asked)
            LOCI_RETURN_IF(loci_scan_see(&k, all[i].to, all[i].name, all[i].t, all[i].axes, all[i].how, all[i].written,
                                         err));
    LOCI_RETURN_IF(loci_scan_see_states(c, io, &k, back, save, err));
    c->bits = k.bits;
    c->B = loci_scan_size(&k, 'b');
    c->T = loci_scan_size(&k, 't');
    c->H = wide ? 1 : loci_scan_size(&k, 'h');
    c->d = loci_scan_size(&k, 'd');
    c->e = wide ? 1 : loci_scan_size(&k, 'e');
    return loci_scan_see_runs(c, io->batch, loci_scan_size(&k, 's'), err);
}

/* ---- scalar tables ---------------------------------------------------------------------------------------------- */

/* A call of coef or coef_back. Gates are seen as (row, token, head, w), tables as (row, head, w, their own). */
typedef struct loci_coef_call {
    int64_t B, n, H, w;
    double c; /* loss_scale */
    int back;
    uint8_t bits;
    loci_scan_view gate[3], dgate[3];   /* alpha, eta, theta */
    loci_scan_view table[5], dtable[5]; /* beta, f, m, G, N  */
} loci_coef_call;

static inline loci_status loci_coef_type(loci_coef_call *j, const char *name, const loci_tensor *t, int rank,
                                         int32_t device, loci_error *err)
{
    if (t->ndim != rank)
        return loci_refuse(err, LOCI_E_ARG, NULL, "coef: %s has %d axes instead of %d", name, (int)t->ndim, rank);
    if (t->dtype.code != LOCI_FLOAT || t->dtype.lanes != 1 || (t->dtype.bits != 32 && t->dtype.bits != 64) ||
        (j->bits && t->dtype.bits != j->bits) || (device && (int32_t)t->device.type != device))
        return loci_refuse(err, LOCI_E_ARG, NULL, "coef: %s: all tensors must be f32, or all f64, in %s", name,
                           device == LOCI_CPU ? "host memory" : "the device's memory");
    j->bits = t->dtype.bits;
    return LOCI_OK;
}

static inline loci_status loci_coef_axis(const char *name, int i, int64_t have, int64_t want, loci_error *err)
{
    if (have == want)
        return LOCI_OK;
    return loci_refuse(err, LOCI_E_ARG, NULL, "coef: axis %d of %s has %lld entries instead of %lld", i, name,
                       (long long)have, (long long)want);
}

/* rank: of a gate, 3 or 4. A table lacks the gate's token axis and ends in n_tail axes of its own, the first `tail`. */
static inline loci_status loci_coef_table(loci_coef_call *j, loci_scan_view *to, const char *name, const loci_tensor *t,
                                          int rank, int n_tail, int64_t tail, int32_t device, loci_error *err)
{
    const int lead = rank - 1;
    const int64_t want[3] = {j->B, j->H, j->w};
    int i;

    if (!t)
        return loci_refuse(err, LOCI_E_ARG, NULL, "coef: %s is missing", name);
    LOCI_RETURN_IF(loci_coef_type(j, name, t, lead + n_tail, device, err));
    for (i = 0; i < lead; i++)
        LOCI_RETURN_IF(loci_coef_axis(name, i, t->shape[i], want[i], err));
    LOCI_RETURN_IF(loci_coef_axis(name, lead, t->shape[lead], tail, err));
    if (n_tail == 2)
        LOCI_RETURN_IF(loci_coef_axis(name, lead + 1, t->shape[lead + 1], j->n, err));
    if (n_tail == 2 && tail > 1 && t->strides[lead] != j->n)
        return loci_refuse(err, LOCI_E_ARG, NULL, "coef: the rows of %s are %lld apart instead of %lld", name,
                           (long long)t->strides[lead], (long long)j->n);
    to->at = loci_ptr(t);
    for (i = 0; i < 3; i++)
        to->s[i] = i < lead ? t->strides[i] : 0;
    to->s[3] = 1;
    if (!to->at && j->B * j->H * j->w * tail > 0)
        return loci_refuse(err, LOCI_E_ARG, NULL, "coef: %s has no data", name);
    return LOCI_OK;
}

static inline loci_status loci_coef_gate(loci_coef_call *j, loci_scan_view *to, const char *name, const loci_tensor *t,
                                         int rank, int32_t device, loci_error *err)
{
    const int64_t want[4] = {j->B, j->n, j->H, j->w};
    int i;

    if (!t)
        return LOCI_OK;
    LOCI_RETURN_IF(loci_coef_type(j, name, t, rank, device, err));
    for (i = 0; i < rank; i++) {
        LOCI_RETURN_IF(loci_coef_axis(name, i, t->shape[i], want[i], err));
        to->s[i] = t->strides[i];
    }
    to->at = loci_ptr(t);
    if (!to->at && j->B * j->n * j->H * j->w > 0)
        return loci_refuse(err, LOCI_E_ARG, NULL, "coef: %s has no data", name);
    return LOCI_OK;
}

static inline loci_status loci_coef_call_see(loci_coef_call *j, const loci_coef *c, int back, int32_t device,
                                             loci_error *err)
{
    static const char *const gates[2][3] = {{"alpha", "eta", "theta"}, {"dalpha", "deta", "dtheta"}};
    static const char *const tables[2][5] = {{"beta", "f", "m", "G", "N"}, {"dbeta", "df", "dm", "dG", "dN"}};
    const loci_tensor *const in[3] = {c->alpha, c->eta, c->theta}, *const grad[3] = {c->dalpha, c->deta, c->dtheta};
    const loci_tensor *const all[2][5] = {{c->beta, c->f, c->m, c->G, c->N}, {c->dbeta, c->df, c->dm, c->dG, c->dN}};
    int rank, i, d;

    memset(j, 0, sizeof *j);
    j->c = c->loss_scale;
    j->back = back;
    if (!c->beta || (c->beta->ndim != 3 && c->beta->ndim != 4))
        return loci_refuse(err, LOCI_E_ARG, NULL, "coef: beta must be there, with 3 or 4 axes");
    rank = c->beta->ndim;
    j->B = c->beta->shape[0];
    j->H = c->beta->shape[1];
    j->w = rank == 4 ? c->beta->shape[2] : 1;
    j->n = c->beta->shape[rank - 1] - 1;
    if (j->n < 0 || j->n > LOCI_COEF_TOK)
        return loci_refuse(err, LOCI_E_ARG, NULL, "coef: a chunk of %lld tokens: at most %d", (long long)j->n,
                           LOCI_COEF_TOK);
    for (d = 0; d <= (back ? 1 : 0); d++)
        for (i = 0; i < 5; i++) {
            const int last = d == 1 && (i == 2 || i == 4); /* of time n alone */
            const int64_t tail = !last ? j->n + 1 : i == 2 ? 1 : j->n;

            LOCI_RETURN_IF(loci_coef_table(j, d ? &j->dtable[i] : &j->table[i], tables[d][i], all[d][i], rank,
                                           i < 3 || last ? 1 : 2, tail, device, err));
        }
    for (i = 0; i < 3; i++) {
        LOCI_RETURN_IF(loci_coef_gate(j, &j->gate[i], gates[0][i], in[i], rank, device, err));
        LOCI_RETURN_IF(loci_coef_gate(j, &j->dgate[i], gates[1][i], back && in[i] ? grad[i] : NULL, rank, device, err));
    }
    return LOCI_OK;
}

#ifdef __cplusplus
}
#endif
#endif
