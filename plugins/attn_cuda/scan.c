/* SPDX-License-Identifier: Apache-2.0
 *
 * plugins/attn_cuda/scan: the table of loci.scan/1: checks, sizes, what a call saves. See scan.h.
 *
 * A tensor is described by a word with a letter per axis: b rows, t tokens, h heads, d and e widths, s states. The
 * first tensor to have an axis sets its size, all others must agree.
 */
#include "scan.h"

#include <loci/author.h>
#include <stddef.h>
#include <string.h>

#define TRY(call) \
    do { \
        const loci_status status_ = (call); \
        if (status_ != LOCI_OK) \
            return status_; \
    } while (0)

/* ---- what a call is --------------------------------------------------------------------------------------------- */

static loci_status rule(scan_job *j, const loci_scan_io *io, loci_error *err)
{
    const int m = io->scan == LOCI_SCAN_M;
    const int32_t most = m ? LOCI_SCAN_FROZEN : io->scan == LOCI_SCAN_L ? LOCI_SCAN_EXACT : LOCI_SCAN_SEQUENTIAL;

    *j = (scan_job){.scan = io->scan, .scale = io->scale, .c = io->loss_scale, .chunk = io->chunk};
    if (io->scan < LOCI_SCAN_L || io->scan > LOCI_SCAN_M)
        return cuda_refuse(err, LOCI_E_ARG, "scan: recurrence %d is none of L 1, D 2, W 3, M 4", (int)io->scan);
    if (m ? io->op < LOCI_OP_READ || io->op > LOCI_OP_STEP : io->op != LOCI_OP_STEP)
        return cuda_refuse(err, LOCI_E_ARG, "scan: op %d: M knows READ, WRITE and STEP, the others STEP", (int)io->op);
    if (io->mode < LOCI_SCAN_SEQUENTIAL || io->mode > most)
        return cuda_refuse(err, LOCI_E_ARG,
                           "scan: mode %d: M knows SEQUENTIAL, EXACT and FROZEN, L the first two, D and W the first",
                           (int)io->mode);
    if (io->mode != LOCI_SCAN_SEQUENTIAL && io->chunk < 1)
        return cuda_refuse(err, LOCI_E_ARG, "scan: chunk %d is not 1 or more", (int)io->chunk);
    if (m && io->read_order != LOCI_SCAN_AFTER_WRITE && io->read_order != LOCI_SCAN_BEFORE_WRITE)
        return cuda_refuse(err, LOCI_E_ARG, "scan: read order %d is neither AFTER_WRITE nor BEFORE_WRITE",
                           (int)io->read_order);
    if (m && (io->error < LOCI_SCAN_ERROR_UNDECAYED || io->error > LOCI_SCAN_ERROR_NONE))
        return cuda_refuse(err, LOCI_E_ARG, "scan: error %d is none of UNDECAYED 0, DECAYED 1, NONE 2", (int)io->error);
    j->write = io->op != LOCI_OP_READ;
    j->read = io->op != LOCI_OP_WRITE;
    j->before = m && io->read_order == LOCI_SCAN_BEFORE_WRITE;
    j->decayed = m && io->error == LOCI_SCAN_ERROR_DECAYED;
    j->blind = m && io->error == LOCI_SCAN_ERROR_NONE;
    /* an error that sees no memory sees none at the chunk's start */
    j->n_state = !m ? 1 : io->mode == LOCI_SCAN_FROZEN && !j->blind ? 3 : 2;
    j->frozen = j->n_state == 3 && j->write;
    j->n_ck = j->write ? j->n_state : 1;
    j->pieces = io->scan == LOCI_SCAN_L && io->mode == LOCI_SCAN_EXACT;
    j->seg = j->pieces ? SCAN_PIECE : SCAN_SEG;
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
                       int written)
{
    const int32_t rank = (int32_t)strlen(axes);
    int empty = 0;

    *to = (scan_view){0};
    if (!t)
        return how == MAY ? LOCI_OK : cuda_refuse(k->err, LOCI_E_ARG, "scan: %s is missing", name);
    if (how == LOOSE && !t->data)
        return LOCI_OK;
    if (t->ndim != rank)
        return cuda_refuse(k->err, LOCI_E_ARG, "scan: %s has %d axes instead of %d", name, (int)t->ndim, (int)rank);
    if (t->dtype.code != LOCI_FLOAT || t->dtype.lanes != 1 || (t->dtype.bits != 32 && t->dtype.bits != 64) ||
        (k->bits && t->dtype.bits != k->bits))
        return cuda_refuse(k->err, LOCI_E_ARG, "scan: %s: all tensors must be f32, or all f64", name);
    k->bits = t->dtype.bits;
    for (int32_t i = 0; i < rank; i++) {
        int64_t *size = &k->size[(unsigned char)axes[i]];

        if (*size < 0)
            *size = t->shape[i];
        if (t->shape[i] != *size || t->shape[i] < 0)
            return cuda_refuse(k->err, LOCI_E_ARG, "scan: axis %d of %s has %lld entries instead of %lld", (int)i, name,
                               (long long)t->shape[i], (long long)*size);
        if (written && t->shape[i] > 1 && t->strides[i] == 0)
            return cuda_refuse(k->err, LOCI_E_ARG, "scan: %s is written and must not broadcast", name);
        empty = empty || t->shape[i] == 0;
        to->s[place(axes, axes[i])] = t->strides[i];
    }
    to->at = loci_ptr(t);
    if (!to->at && !empty)
        return cuda_refuse(k->err, LOCI_E_ARG, "scan: %s has no data", name);
    return LOCI_OK;
}

static loci_status see_states(scan_job *j, const loci_scan_io *io, book *k)
{
    static const char *const names[3][3] = {{"state_in[0]", "state_in[1]", "state_in[2]"},
                                            {"state_out[0]", "state_out[1]", "state_out[2]"},
                                            {"state_grad[0]", "state_grad[1]", "state_grad[2]"}};
    const char *axes = j->scan == LOCI_SCAN_D ? "sd" : "shed";

    for (int i = 0; i < j->n_state; i++) {
        const int how = i == 1 && !io->eta ? LOOSE : MUST, out_how = j->write ? how : LOOSE;
        const loci_tensor *in = io->state_in ? &io->state_in[i] : NULL;
        const loci_tensor *out = io->state_out ? &io->state_out[i] : NULL;
        const loci_tensor *grad = io->state_grad ? &io->state_grad[i] : NULL;

        TRY(see(k, &j->in[i], names[0][i], in, axes, how, 0));
        if (j->back)
            TRY(see(k, &j->grad[i], names[2][i], grad, axes, how, 1));
        else if (j->write || out)
            TRY(see(k, &j->out[i], names[1][i], out, axes, out_how, 1));
        if (j->out[i].at && j->out[i].at == j->in[i].at && j->write && j->save)
            return cuda_refuse(k->err, LOCI_E_ARG, "scan: state_out is state_in, which a backward would still need");
        if (!j->write && j->out[i].at == j->in[i].at)
            j->out[i].at = NULL; /* READ in place: nothing to do */
    }
    return LOCI_OK;
}

static loci_status see_runs(scan_job *j, const loci_batch *batch, int64_t states, loci_error *err)
{
    if (!batch)
        return cuda_refuse(err, LOCI_E_ARG, "scan: the call has no batch");
    for (uint32_t i = 0; i < batch->n_runs; i++) {
        const loci_run *r = &batch->runs[i];

        if (r->row < 0 || r->row >= j->B || r->begin < 0 || r->len < 0 || (int64_t)r->begin + r->len > j->T ||
            r->state < 0 || r->state >= states || r->pos < 0)
            return cuda_refuse(err, LOCI_E_ARG,
                               "scan: run %u (row %d, tokens %d + %d, state %d, pos %lld) leaves the %lld rows of "
                               "%lld tokens or the %lld states",
                               (unsigned)i, (int)r->row, (int)r->begin, (int)r->len, (int)r->state, (long long)r->pos,
                               (long long)j->B, (long long)j->T, (long long)states);
    }
    j->n_runs = batch->n_runs;
    return LOCI_OK;
}

static loci_status see_gradients(scan_job *j, const loci_scan_io *io, book *k, const char *in, const char *out,
                                 const char *gate, const char *g)
{
    const int wide = j->scan == LOCI_SCAN_D, w = j->scan == LOCI_SCAN_W, m = j->scan == LOCI_SCAN_M;

    if (j->read)
        TRY(see(k, &j->dy, "dy", io->dy, out, MUST, 0));
    if (j->read && !wide)
        TRY(see(k, &j->dq, "dq", io->dq, in, MAY, 1));
    if (j->write && !wide)
        TRY(see(k, &j->dk, "dk", io->dk, in, MAY, 1));
    if (j->write)
        TRY(see(k, &j->dv, "dv", io->dv, out, MAY, 1));
    if (w) {
        TRY(see(k, &j->du, "du", io->du, in, MAY, 1));
        TRY(see(k, &j->dw, "dw", io->dw, in, MAY, 1));
    }
    if (io->g && !m)
        TRY(see(k, &j->dg, "dg", io->dg, g, MAY, 1));
    if (m && j->write) {
        TRY(see(k, &j->dalpha, "dalpha", io->alpha ? io->dalpha : NULL, gate, MAY, 1));
        TRY(see(k, &j->deta, "deta", io->eta ? io->deta : NULL, gate, MAY, 1));
        TRY(see(k, &j->dtheta, "dtheta", io->theta ? io->dtheta : NULL, gate, MAY, 1));
    }
    return LOCI_OK;
}

static loci_status see_all(scan_job *j, const loci_scan_io *io, loci_error *err)
{
    const int m = j->scan == LOCI_SCAN_M, wide = j->scan == LOCI_SCAN_D;
    const char *in = "bthd", *out = wide ? "btd" : "bthe", *gate = "bth", *g = wide ? "btd" : "bthd";
    book k = {.err = err};

    memset(k.size, 0xFF, sizeof k.size); /* -1 */
    if (io->g && !m) {
        j->g_head = !wide && io->g->ndim == 1;
        j->g_channel = wide || io->g->ndim == 4;
        g = j->g_head ? "h" : wide || j->g_channel ? g : gate;
    }
    if (j->read && !wide)
        TRY(see(&k, &j->q, "q", io->q, in, MUST, 0));
    if (j->write && !wide)
        TRY(see(&k, &j->k, "k", io->k, in, MUST, 0));
    if (j->write)
        TRY(see(&k, &j->v, "v", io->v, out, MUST, 0));
    if (j->scan == LOCI_SCAN_W) {
        TRY(see(&k, &j->u, "u", io->u, in, MUST, 0));
        TRY(see(&k, &j->w, "w", io->w, in, MUST, 0));
    }
    if (!m)
        TRY(see(&k, &j->g, "g", io->g, g, MAY, 0));
    if (m && j->write) {
        TRY(see(&k, &j->alpha, "alpha", io->alpha, gate, MAY, 0));
        TRY(see(&k, &j->eta, "eta", io->eta, gate, MAY, 0));
        TRY(see(&k, &j->theta, "theta", io->theta, gate, MAY, 0));
    }
    if (!j->back && j->read)
        TRY(see(&k, &j->y, "y", io->y, out, MUST, 1));
    if (j->back)
        TRY(see_gradients(j, io, &k, in, out, gate, g));
    TRY(see_states(j, io, &k));
    j->bits = k.bits;
    j->B = k.size['b'];
    j->T = k.size['t'];
    j->H = wide ? 1 : k.size['h'];
    j->d = k.size['d'];
    j->e = wide ? 1 : k.size['e'];
    return see_runs(j, io->batch, k.size['s'], err);
}

/* ---- sizes ------------------------------------------------------------------------------------------------------ */

typedef struct bytes {
    uint64_t saved, forward, back; /* forward and back: scratch */
} bytes;

/* 64-byte pieces of a call's scratch; base NULL: they are counted. */
static void cut_scratch(scan_job *j, loci_cursor *c, uint64_t slots, uint64_t size)
{
    const uint64_t heads = (uint64_t)j->H, d = (uint64_t)j->d, state = (uint64_t)j->e * d;

    if (j->pieces)
        j->factor = loci_cut(c, slots * heads * d * size);
    if (j->pieces && !j->back && !j->save)
        j->checkpoint = loci_cut(c, slots * heads * state * size);
    if (!j->back)
        return;
    if (j->pieces)
        j->incoming = loci_cut(c, slots * heads * state * size);
    if (j->write) {
        const uint64_t items = (uint64_t)(j->n_items * j->H), blocks = items < SCAN_BLOCKS ? items : SCAN_BLOCKS;
        const uint64_t threads = 32 * (uint64_t)scan_back_warps(j->d, j->e);

        j->replay = loci_cut(c, blocks * (uint64_t)(j->seg * j->n_ck * SCAN_ROWS * SCAN_COLS) * threads * size);
    }
    j->part = loci_cut(c, (uint64_t)(j->n_items * j->H) * size);
}

/* All sizes are below 2^31 but T x B, so these products of doubles tell an overflow. */
static loci_status sizes(scan_job *j, uint64_t slots, int bits, bytes *out, loci_error *err)
{
    const uint64_t size = (uint64_t)bits / 8;
    const double state = (double)j->n_ck * (double)j->e * (double)j->d * (double)j->H;
    const double tokens = (double)j->B * (double)j->T * (double)j->d;
    loci_cursor forward = {NULL, 0}, back = {NULL, 0};
    scan_job as = *j;

    *out = (bytes){0, 0, 0};
    if (j->d < 1 || j->e < 1 || (j->scan != LOCI_SCAN_D && j->d > SCAN_WIDEST))
        return cuda_refuse(err, j->d > SCAN_WIDEST ? LOCI_E_UNSUPPORTED : LOCI_E_ARG,
                           "scan: widths %lld and %lld; the cuda device scans keys of 1 to %d and values from 1 on",
                           (long long)j->d, (long long)j->e, SCAN_WIDEST);
    if (state * (double)(slots + 1) > 1e15 || tokens > 1e15 || (double)j->n_items * (double)j->H > INT32_MAX ||
        j->e > 65535 * 4 * SCAN_ROWS)
        return cuda_refuse(err, LOCI_E_ARG,
                           "scan: %lld rows of %lld tokens, %lld heads of %lld x %lld do not fit into memory",
                           (long long)j->B, (long long)j->T, (long long)j->H, (long long)j->e, (long long)j->d);
    if (j->scan == LOCI_SCAN_D) {
        out->saved = (uint64_t)tokens * size;
        return LOCI_OK;
    }
    out->saved = j->write ? (uint64_t)state * slots * size : 0;
    as.back = 0;
    cut_scratch(&as, &forward, slots, size);
    as.back = 1;
    cut_scratch(&as, &back, slots, size);
    out->forward = forward.at;
    out->back = back.at;
    return LOCI_OK;
}

static loci_status plan(const loci_scan_io *io, const loci_shape *shape, loci_need *need, loci_error *err)
{
    int64_t slots;
    scan_job j;
    bytes b;

    TRY(rule(&j, io, err));
    if (shape->rows < 0 || shape->seq < 0 || shape->runs < 0 || shape->heads < 0 || shape->rows > INT32_MAX ||
        shape->seq > INT32_MAX || shape->runs > INT32_MAX || shape->heads > INT32_MAX)
        return cuda_refuse(
            err, LOCI_E_ARG, "scan: %lld rows of %lld tokens, %lld runs, %lld heads: a size is not in 32 bits",
            (long long)shape->rows, (long long)shape->seq, (long long)shape->runs, (long long)shape->heads);
    if (shape->acc.code != LOCI_FLOAT || (shape->acc.bits != 32 && shape->acc.bits != 64) ||
        shape->dtype.code != shape->acc.code || shape->dtype.bits != shape->acc.bits)
        return cuda_refuse(err, LOCI_E_UNSUPPORTED,
                           "scan: the cuda device scans f32, or f64, with state of the same type");
    j.B = shape->rows;
    j.T = shape->seq;
    j.H = j.scan == LOCI_SCAN_D ? 1 : shape->heads;
    j.d = shape->dk;
    j.e = j.scan == LOCI_SCAN_D ? 1 : shape->dv;
    j.n_runs = shape->runs;
    j.save = (shape->flags & LOCI_X_SAVE) != 0;
    slots = (j.B * j.T) / j.seg + (j.pieces ? j.n_runs : 0); /* a piece may be a run's last, and short */
    j.n_items = j.pieces ? slots : j.n_runs;
    TRY(sizes(&j, (uint64_t)slots, shape->acc.bits, &b, err));
    need->scratch += j.save && b.back > b.forward ? b.back : b.forward;
    need->saved += j.save ? (b.saved + 63) & ~UINT64_C(63) : 0;
    return LOCI_OK;
}

/* ---- calls ------------------------------------------------------------------------------------------------------ */

static int64_t pieces_of(const loci_run *r)
{
    return (r->len + SCAN_PIECE - 1) / SCAN_PIECE;
}

/* Is the call cut into pieces? Its items and the slots they take. */
static uint64_t count_items(scan_job *j, const loci_batch *batch)
{
    uint64_t slots = 0, pieces = 0;

    j->n_items = j->n_runs;
    for (int64_t i = 0; i < j->n_runs; i++) {
        const loci_run *r = &batch->runs[i];

        slots += r->len > 0 && (j->save || j->pieces) ? (uint64_t)(r->len - 1) / (uint64_t)j->seg : 0;
        pieces += (uint64_t)pieces_of(r);
    }
    j->pieces = j->pieces && slots > 0;
    if (j->pieces)
        j->n_items = (int64_t)pieces;
    return j->pieces ? pieces : slots;
}

/* The items, and behind them, for pieces, the runs. */
static loci_status list_items(scan_job *j, const loci_exec *x, const loci_batch *batch, loci_error *err)
{
    const uint64_t size = (uint64_t)(j->n_items + (j->pieces ? j->n_runs : 0)) * sizeof(scan_item);
    void *pinned, *device;
    scan_item *item, *run;
    int64_t slot = 0;

    TRY(cuda_stage(x, "scan", size, &pinned, &device, err));
    item = pinned;
    run = item + j->n_items;
    for (int64_t i = 0; i < j->n_runs; i++) {
        const loci_run *r = &batch->runs[i];
        const int64_t n = pieces_of(r);

        if (!j->pieces) {
            *item++ = (scan_item){*r, slot - 1, 0, r->len};
            slot += r->len > 0 ? (r->len - 1) / j->seg : 0;
            continue;
        }
        *run++ = (scan_item){*r, slot, 0, (int32_t)n};
        for (int64_t k = 0; k < n; k++) {
            const int32_t first = (int32_t)(k * SCAN_PIECE), left = r->len - first;

            *item++ = (scan_item){*r, slot++, first, left < SCAN_PIECE ? left : SCAN_PIECE};
        }
    }
    j->items = device;
    j->runs = j->items + j->n_items;
    return cuda_send(x, "scan", pinned, size, err);
}

static loci_status call(const loci_exec *x, const loci_scan_io *io, int back, loci_error *err)
{
    loci_cursor room = {x->scratch, 0};
    uint64_t slots, scratch;
    scan_job j;
    bytes b;
    int e;

    TRY(rule(&j, io, err));
    j.back = back;
    j.save = back || (x->flags & LOCI_X_SAVE);
    TRY(see_all(&j, io, err));
    slots = count_items(&j, io->batch);
    TRY(sizes(&j, slots, j.bits, &b, err));
    scratch = back ? b.back : b.forward;
    if (x->scratch_bytes < scratch)
        return cuda_refuse(err, LOCI_E_ARG, "scan: %llu bytes of scratch, the call takes %llu: plan for it",
                           (unsigned long long)x->scratch_bytes, (unsigned long long)scratch);
    if (j.save && x->saved_bytes < b.saved)
        return cuda_refuse(err, LOCI_E_ARG, "scan: %llu bytes of saved, the call takes %llu: plan for it",
                           (unsigned long long)x->saved_bytes, (unsigned long long)b.saved);
    if (j.n_runs * j.H == 0)
        return LOCI_OK;
    j.checkpoint = x->saved;
    if (j.scan != LOCI_SCAN_D)
        cut_scratch(&j, &room, slots, (uint64_t)j.bits / 8);
    if (!j.g_head || !j.dg.at)
        j.part = NULL;
    TRY(list_items(&j, x, io->batch, err));
    e = j.scan == LOCI_SCAN_D ? cuda_scan_channels(x->stream, &j)
        : back                ? cuda_scan_backward(x->stream, &j)
                              : cuda_scan_forward(x->stream, &j);
    return cuda_done("scan", e ? cuda_scan_error(e) : NULL, err);
}

static loci_status forward(const loci_exec *x, const loci_scan_io *io, loci_error *err)
{
    return call(x, io, 0, err);
}

static loci_status backward(const loci_exec *x, const loci_scan_io *io, loci_error *err)
{
    return call(x, io, 1, err);
}

static loci_status tables(const loci_exec *x, const loci_coef *c, int back, loci_error *err)
{
    coef_job j;
    int e;

    TRY(cuda_coef_job(&j, c, back, err));
    if (j.B * j.H * j.w == 0)
        return LOCI_OK;
    e = cuda_coef(x->stream, &j, back);
    return cuda_done("coef", e ? cuda_scan_error(e) : NULL, err);
}

static loci_status coef(const loci_exec *x, const loci_coef *c, loci_error *err)
{
    return tables(x, c, 0, err);
}

static loci_status coef_back(const loci_exec *x, const loci_coef *c, loci_error *err)
{
    return tables(x, c, 1, err);
}

const loci_scan loci_cuda_scan = {sizeof(loci_scan), 0, plan, forward, backward, coef, coef_back};
