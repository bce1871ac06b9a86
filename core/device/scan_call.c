/* SPDX-License-Identifier: Apache-2.0
 *
 * core/device/scan_call.c: see scan_call.h. Every check of a call's arguments is here.
 *
 * A tensor is described by a word with a letter per axis: b rows, t tokens, h heads, d and e widths, s states. The
 * first tensor to have an axis sets its size, all others must agree.
 */
#include "core/device/scan_call.h"
#include "core/base/base.h"
#include <stddef.h>
#include <string.h>

#define WIDEST (INT64_C(1) << 20) /* so that products of a few sizes fit into 64 bits */

loci_status loci_scan_rule(scan_job *j, const loci_scan_io *io, loci_error *err)
{
    const bool m = io->scan == LOCI_SCAN_M;
    const int32_t most = m                             ? LOCI_SCAN_FROZEN
                         : io->scan == LOCI_SCAN_L ? LOCI_SCAN_EXACT
                                                   : LOCI_SCAN_SEQUENTIAL;

    *j = (scan_job){.scan = io->scan, .mode = io->mode, .scale = io->scale, .c = io->loss_scale};
    if (io->scan < LOCI_SCAN_L || io->scan > LOCI_SCAN_M)
        return loci_fail(err, LOCI_E_ARG, "scan: recurrence %d is none of L 1, D 2, W 3, M 4", (int)io->scan);
    if (m ? io->op < LOCI_OP_READ || io->op > LOCI_OP_STEP : io->op != LOCI_OP_STEP)
        return loci_fail(err, LOCI_E_ARG, "scan: op %d: M knows READ, WRITE and STEP, the others STEP", (int)io->op);
    if (io->mode < LOCI_SCAN_SEQUENTIAL || io->mode > most)
        return loci_fail(err, LOCI_E_ARG,
                         "scan: mode %d: M knows SEQUENTIAL, EXACT and FROZEN, L the first two, D and W the first",
                         (int)io->mode);
    if (io->mode != LOCI_SCAN_SEQUENTIAL && (io->chunk < 1 || io->chunk > WIDEST))
        return loci_fail(err, LOCI_E_ARG, "scan: chunk %d is not between 1 and %d", (int)io->chunk, (int)WIDEST);
    if (m && io->read_order != LOCI_SCAN_AFTER_WRITE && io->read_order != LOCI_SCAN_BEFORE_WRITE)
        return loci_fail(err, LOCI_E_ARG, "scan: read order %d is neither AFTER_WRITE nor BEFORE_WRITE",
                         (int)io->read_order);

    if (m && (io->error < LOCI_SCAN_ERROR_UNDECAYED || io->error > LOCI_SCAN_ERROR_NONE))
        return loci_fail(err, LOCI_E_ARG, "scan: error %d is none of UNDECAYED 0, DECAYED 1, NONE 2", (int)io->error);

    j->write = io->op != LOCI_OP_READ;
    j->read = io->op != LOCI_OP_WRITE;
    j->before = m && io->read_order == LOCI_SCAN_BEFORE_WRITE;
    j->decayed = m && io->error == LOCI_SCAN_ERROR_DECAYED;
    j->blind = m && io->error == LOCI_SCAN_ERROR_NONE;
    if (j->blind && j->mode == LOCI_SCAN_FROZEN) /* an error that sees no memory sees none at the chunk's start */
        j->mode = LOCI_SCAN_EXACT;
    j->exact = j->write && j->mode == LOCI_SCAN_EXACT;
    j->frozen = j->write && j->mode == LOCI_SCAN_FROZEN;
    j->n_state = !m ? 1 : j->mode == LOCI_SCAN_FROZEN ? 3 : 2;
    j->n_ck = m && j->write ? 2 : 1;
    j->seg = !j->write ? SCAN_READ_TOK : !j->exact ? SCAN_TOK : SCAN_EXACT_TOK;
    j->chunk = j->seg;
    j->nsub = 1;
    if (j->frozen) {
        j->chunk = io->chunk;
        j->seg = io->chunk < SCAN_FROZEN_TOK ? io->chunk : SCAN_FROZEN_TOK;
        j->nsub = (j->chunk + j->seg - 1) / j->seg;
    }
    return LOCI_OK;
}

/* ---- tensors ---------------------------------------------------------------------------------------------------- */

typedef struct book {
    int64_t size[128]; /* by letter; -1: not known yet */
    uint8_t bits;      /* 0: not known yet             */
    loci_error *err;
} book;

/* What a call may do without. */
#define MUST 0
#define MAY 1   /* the pointer may be NULL               */
#define LOOSE 2 /* the tensor must be there, data or not */

/* A state is seen as (state row, row, head, column), all else as (row, token, head, column). */
static ptrdiff_t place(const char *axes, char letter)
{
    static const char state[] = "sehd", other[] = "bthd";

    if (axes[0] == 's')
        return strchr(state, letter) - state;
    return strchr(other, letter == 'e' ? 'd' : letter) - other;
}

/* Enter tensor t into the view. written: it is an output, whose elements must be distinct. */
static loci_status see(book *k, scan_view *to, const char *name, const loci_tensor *t, const char *axes, int how,
                       bool written)
{
    const int32_t rank = (int32_t)strlen(axes);
    bool empty = false;

    *to = (scan_view){0};
    if (!t)
        return how == MAY ? LOCI_OK : loci_fail(k->err, LOCI_E_ARG, "scan: %s is missing", name);
    if (how == LOOSE && !t->data)
        return LOCI_OK;
    if (t->ndim != rank)
        return loci_fail(k->err, LOCI_E_ARG, "scan: %s has %d axes instead of %d", name, (int)t->ndim, (int)rank);
    if (t->device.type != LOCI_CPU)
        return loci_fail(k->err, LOCI_E_ARG, "scan: %s is not in host memory", name);
    if (t->dtype.code != LOCI_FLOAT || t->dtype.lanes != 1 || (t->dtype.bits != 32 && t->dtype.bits != 64) ||
        (k->bits && t->dtype.bits != k->bits))
        return loci_fail(k->err, LOCI_E_ARG, "scan: %s: all tensors must be f32, or all f64", name);
    k->bits = t->dtype.bits;
    for (int32_t i = 0; i < rank; i++) {
        const unsigned char letter = (unsigned char)axes[i];
        int64_t *size = &k->size[letter];

        if (*size < 0)
            *size = t->shape[i];
        if (t->shape[i] != *size || t->shape[i] < 0)
            return loci_fail(k->err, LOCI_E_ARG, "scan: axis %d of %s has %lld entries instead of %lld", (int)i, name,
                             (long long)t->shape[i], (long long)*size);
        if (written && t->shape[i] > 1 && t->strides[i] == 0)
            return loci_fail(k->err, LOCI_E_ARG, "scan: %s is written and must not broadcast", name);
        empty = empty || t->shape[i] == 0;
        to->s[place(axes, axes[i])] = t->strides[i];
    }
    to->at = loci_ptr(t);
    if (!to->at && !empty)
        return loci_fail(k->err, LOCI_E_ARG, "scan: %s has no data", name);
    return LOCI_OK;
}

static loci_status see_states(scan_job *j, const loci_scan_io *io, book *k)
{
    static const char *const names[3][3] = {{"state_in[0]", "state_in[1]", "state_in[2]"},
                                            {"state_out[0]", "state_out[1]", "state_out[2]"},
                                            {"state_grad[0]", "state_grad[1]", "state_grad[2]"}};
    const char *axes = j->scan == LOCI_SCAN_D ? "sd" : "shed";
    loci_status status = LOCI_OK;

    for (int i = 0; i < j->n_state; i++) {
        const int how = i == 1 && !io->eta ? LOOSE : MUST, out_how = j->write ? how : LOOSE;
        const loci_tensor *in = io->state_in ? &io->state_in[i] : NULL;
        const loci_tensor *out = io->state_out ? &io->state_out[i] : NULL;
        const loci_tensor *grad = io->state_grad ? &io->state_grad[i] : NULL;

        LOCI_TRY(see(k, &j->in[i], names[0][i], in, axes, how, false));
        if (j->back)
            LOCI_TRY(see(k, &j->grad[i], names[2][i], grad, axes, how, true));
        else if (j->write || out)
            LOCI_TRY(see(k, &j->out[i], names[1][i], out, axes, out_how, true));
        if (j->out[i].at && j->out[i].at == j->in[i].at && j->write && j->save)
            return loci_fail(k->err, LOCI_E_ARG, "scan: state_out is state_in, which a backward would still need");
        if (!j->write && j->out[i].at == j->in[i].at)
            j->out[i].at = NULL; /* READ in place: nothing to do */
    }
out:
    return status;
}

static loci_status see_runs(scan_job *j, const loci_batch *batch, int64_t states, loci_error *err)
{
    if (!batch)
        return loci_fail(err, LOCI_E_ARG, "scan: the call has no batch");
    for (uint32_t i = 0; i < batch->n_runs; i++) {
        const loci_run *r = &batch->runs[i];

        if (r->row < 0 || r->row >= j->B || r->begin < 0 || r->len < 0 || (int64_t)r->begin + r->len > j->T ||
            r->state < 0 || r->state >= states || r->pos < 0)
            return loci_fail(err, LOCI_E_ARG,
                             "scan: run %u (row %d, tokens %d + %d, state %d, pos %lld) leaves the %lld rows of %lld "
                             "tokens or the %lld states",
                             (unsigned)i, (int)r->row, (int)r->begin, (int)r->len, (int)r->state, (long long)r->pos,
                             (long long)j->B, (long long)j->T, (long long)states);
    }
    j->runs = batch->runs;
    j->n_runs = batch->n_runs;
    return LOCI_OK;
}

loci_status loci_scan_views(scan_job *j, const loci_scan_io *io, uint8_t *bits, loci_error *err)
{
    const bool m = j->scan == LOCI_SCAN_M, w = j->scan == LOCI_SCAN_W, wide = j->scan == LOCI_SCAN_D;
    const char *in = "bthd", *out = wide ? "btd" : "bthe", *gate = "bth", *g = wide ? "btd" : "bthd";
    const int read = j->read ? MUST : MAY;
    loci_status status = LOCI_OK;
    book k = {.err = err};

    for (int i = 0; i < 128; i++)
        k.size[i] = -1;
    if (io->g && !m) {
        j->g_head = !wide && io->g->ndim == 1;
        j->g_channel = wide || io->g->ndim == 4;
        g = j->g_head ? "h" : wide ? g : j->g_channel ? g : gate;
    }
    if (j->read && !wide)
        LOCI_TRY(see(&k, &j->q, "q", io->q, in, MUST, false));
    if (j->write && !wide)
        LOCI_TRY(see(&k, &j->k, "k", io->k, in, MUST, false));
    if (j->write)
        LOCI_TRY(see(&k, &j->v, "v", io->v, out, MUST, false));
    if (w) {
        LOCI_TRY(see(&k, &j->u, "u", io->u, in, MUST, false));
        LOCI_TRY(see(&k, &j->w, "w", io->w, in, MUST, false));
    }
    if (!m)
        LOCI_TRY(see(&k, &j->g, "g", io->g, g, MAY, false));
    if (m && j->write) {
        LOCI_TRY(see(&k, &j->alpha, "alpha", io->alpha, gate, MAY, false));
        LOCI_TRY(see(&k, &j->eta, "eta", io->eta, gate, MAY, false));
        LOCI_TRY(see(&k, &j->theta, "theta", io->theta, gate, MAY, false));
    }
    if (!j->back && j->read)
        LOCI_TRY(see(&k, &j->y, "y", io->y, out, MUST, true));
    if (j->back) {
        if (j->read)
            LOCI_TRY(see(&k, &j->dy, "dy", io->dy, out, read, false));
        if (j->read && !wide)
            LOCI_TRY(see(&k, &j->dq, "dq", io->dq, in, MAY, true));
        if (j->write && !wide)
            LOCI_TRY(see(&k, &j->dk, "dk", io->dk, in, MAY, true));
        if (j->write)
            LOCI_TRY(see(&k, &j->dv, "dv", io->dv, out, MAY, true));
        if (w) {
            LOCI_TRY(see(&k, &j->du, "du", io->du, in, MAY, true));
            LOCI_TRY(see(&k, &j->dw, "dw", io->dw, in, MAY, true));
        }
        if (io->g && !m)
            LOCI_TRY(see(&k, &j->dg, "dg", io->dg, g, MAY, true));
        if (m && j->write) {
            LOCI_TRY(see(&k, &j->dalpha, "dalpha", io->alpha ? io->dalpha : NULL, gate, MAY, true));
            LOCI_TRY(see(&k, &j->deta, "deta", io->eta ? io->deta : NULL, gate, MAY, true));
            LOCI_TRY(see(&k, &j->dtheta, "dtheta", io->theta ? io->dtheta : NULL, gate, MAY, true));
        }
    }
    LOCI_TRY(see_states(j, io, &k));
    j->keeps_z = m && (j->eta.at || j->in[1].at || j->out[1].at || j->grad[1].at);
    j->B = k.size['b'];
    j->T = k.size['t'];
    j->H = wide ? 1 : k.size['h'];
    j->d = k.size['d'];
    j->e = wide ? 1 : k.size['e'];
    *bits = k.bits;
    LOCI_TRY(see_runs(j, io->batch, k.size['s'], err));
out:
    return status;
}

/* ---- sizes ------------------------------------------------------------------------------------------------------ */

loci_status loci_scan_sizes(scan_job *j, uint64_t slots, uint64_t size, scan_bytes *out, loci_error *err)
{
    const int64_t widest = j->scan == LOCI_SCAN_D ? 1 : j->d > j->e ? j->d : j->e;
    uint64_t state, tokens;

    *out = (scan_bytes){0};
    j->cap = j->seg < j->T ? j->seg : j->T > 1 ? j->T : 1;
    if (j->d < 1 || j->e < 1 || widest > WIDEST || j->cap > WIDEST)
        return loci_fail(err, LOCI_E_ARG, "scan: widths %lld and %lld: both must be between 1 and %lld",
                         (long long)j->d, (long long)j->e, (long long)WIDEST);
    j->blocks = j->scan == LOCI_SCAN_D ? (j->d + SCAN_BLOCK - 1) / SCAN_BLOCK : j->H;
    if (!loci_mul(&state, (uint64_t)j->n_runs, (uint64_t)j->blocks) || state > INT64_MAX / 64)
        return loci_fail(err, LOCI_E_ARG, "scan: %lld runs of %lld parts are too many", (long long)j->n_runs,
                         (long long)j->blocks);
    j->items = (int64_t)state;
    j->lanes = j->items < SCAN_LANES ? j->items : SCAN_LANES;
    j->lane = loci_scan_f64__ref.lane(j); /* elements: the same for every build */
    out->part = loci_align64(state * size);
    if (!loci_mul(&out->lanes, (uint64_t)(j->lanes * j->lane), size))
        goto huge;
    if (!loci_mul(&state, (uint64_t)(j->n_ck * scan_state(j)), (uint64_t)j->H * size) ||
        !loci_mul(&out->checkpoint, state, slots))
        goto huge;
    if (j->scan == LOCI_SCAN_M && (j->exact || j->frozen) && !j->blind) {
        if (!loci_mul(&tokens, (uint64_t)j->B, (uint64_t)j->T) ||
            !loci_mul(&out->err, tokens, (uint64_t)(j->H * j->e) * size) || out->err > UINT64_MAX / 2)
            goto huge;
        out->err = loci_align64(out->err);
    }
    return LOCI_OK;
huge:
    return loci_fail(err, LOCI_E_ARG,
                     "scan: %lld rows of %lld tokens, %lld heads of %lld x %lld do not fit into memory",
                     (long long)j->B, (long long)j->T, (long long)j->H, (long long)j->e, (long long)j->d);
}
