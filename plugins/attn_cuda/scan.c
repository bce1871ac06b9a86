/* SPDX-License-Identifier: Apache-2.0
 *
 * plugins/attn_cuda/scan: the table of loci.scan/1: how a call is cut, its sizes, what it saves. See scan.h; what a
 * call must be is loci/author_scan.h's.
 */
#include "scan.h"

#include <string.h>

/* ---- what a call is --------------------------------------------------------------------------------------------- */

static void cut_rule(scan_job *j, const loci_scan_call *c, const loci_scan_io *io)
{
    *j = (scan_job){.scan = c->scan,
                    .scale = io->scale,
                    .c = io->loss_scale,
                    .chunk = io->chunk,
                    .read = c->read,
                    .write = c->write,
                    .before = c->before,
                    .decayed = c->decayed,
                    .blind = c->blind,
                    .frozen = c->n_state == 3 && c->write,
                    .n_state = c->n_state,
                    .n_ck = c->write ? c->n_state : 1,
                    .pieces = c->scan == LOCI_SCAN_L && c->mode == LOCI_SCAN_EXACT};
    j->seg = j->pieces ? SCAN_PIECE : SCAN_SEG;
}

static void set_views(scan_job *j, const loci_scan_call *c)
{
    j->q = c->q, j->k = c->k, j->v = c->v, j->g = c->g, j->u = c->u, j->w = c->w, j->y = c->y;
    j->alpha = c->alpha, j->eta = c->eta, j->theta = c->theta;
    j->dq = c->dq, j->dk = c->dk, j->dv = c->dv, j->dg = c->dg, j->du = c->du, j->dw = c->dw, j->dy = c->dy;
    j->dalpha = c->dalpha, j->deta = c->deta, j->dtheta = c->dtheta;
    memcpy(j->in, c->in, sizeof c->in);
    memcpy(j->out, c->out, sizeof c->out);
    memcpy(j->grad, c->grad, sizeof c->grad);
    j->g_head = c->g_head;
    j->g_channel = c->g_channel;
    j->bits = c->bits;
    j->B = c->B, j->T = c->T, j->H = c->H, j->d = c->d, j->e = c->e;
    j->n_runs = c->n_runs;
}

/* ---- sizes ------------------------------------------------------------------------------------------------------ */

typedef struct bytes {
    uint64_t saved, forward, back; /* forward and back: scratch */
} bytes;

/* scan.h (4). */
static void cut_turns(scan_job *j)
{
    const int64_t rows = 32 / scan_lanes(j->d) * SCAN_ROWS * scan_back_warps(j->d, j->e);
    const int64_t strips = (j->e + rows - 1) / rows, numbers = j->n_items * j->H;

    j->strips = strips < SCAN_STRIPS ? (int)strips : SCAN_STRIPS;
    j->turn = numbers < SCAN_BLOCKS / j->strips ? numbers : SCAN_BLOCKS / j->strips;
    j->window = (int)(j->strips > 1 && j->T > SCAN_WINDOW ? SCAN_WINDOW : j->T);
}

/* 64-byte pieces of a call's scratch; base NULL: they are counted. */
static void cut_scratch(scan_job *j, loci_cursor *c, uint64_t slots, uint64_t size)
{
    const uint64_t heads = (uint64_t)j->H, d = (uint64_t)j->d, state = (uint64_t)j->e * d;
    uint64_t blocks;

    if (j->pieces)
        j->factor = loci_cut(c, slots * heads * d * size);
    if (j->pieces && !j->back && !j->save)
        j->checkpoint = loci_cut(c, slots * heads * state * size);
    if (!j->back)
        return;
    if (j->pieces)
        j->incoming = loci_cut(c, slots * heads * state * size);
    cut_turns(j);
    blocks = (uint64_t)(j->turn * j->strips);
    if (j->write)
        j->replay = loci_cut(c, blocks * (uint64_t)(j->seg * j->n_ck * SCAN_ROWS * SCAN_COLS) * 32 *
                                    (uint64_t)scan_back_warps(j->d, j->e) * size);
    j->part = loci_cut(c, (uint64_t)(j->n_items * j->H * j->strips) * sizeof(double));
    if (j->strips > 1)
        j->share = loci_cut(c, blocks * (uint64_t)j->window * (uint64_t)scan_shared(j) * size);
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
    loci_scan_call c;
    scan_job j;
    bytes b;

    LOCI_RETURN_IF(loci_scan_call_rule(&c, io, err));
    cut_rule(&j, &c, io);
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
    j.g_channel = j.scan != LOCI_SCAN_M; /* a plan has no g to look at: the most that it can ask for */
    LOCI_RETURN_IF(sizes(&j, (uint64_t)slots, shape->acc.bits, &b, err));
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
    j->longest = 0;
    for (int64_t i = 0; i < j->n_runs; i++) {
        const loci_run *r = &batch->runs[i];

        slots += r->len > 0 && (j->save || j->pieces) ? (uint64_t)(r->len - 1) / (uint64_t)j->seg : 0;
        pieces += (uint64_t)pieces_of(r);
        j->longest = j->longest < r->len ? r->len : j->longest;
    }
    j->pieces = j->pieces && slots > 0;
    if (!j->pieces)
        return slots;
    j->n_items = (int64_t)pieces;
    j->longest = SCAN_PIECE;
    return pieces;
}

/* The items, and behind them, for pieces, the runs. */
static loci_status list_items(scan_job *j, const loci_exec *x, const loci_batch *batch, loci_error *err)
{
    const uint64_t size = (uint64_t)(j->n_items + (j->pieces ? j->n_runs : 0)) * sizeof(scan_item);
    void *pinned, *device;
    scan_item *item, *run;
    int64_t slot = 0;

    LOCI_RETURN_IF(cuda_stage(x, "scan", size, &pinned, &device, err));
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

/* 0, or what rt_error has words for. */
static int walk(void *stream, const scan_job *j)
{
    static int (*const run[][2])(void *, const scan_job *) = {
        [LOCI_SCAN_L] = {cuda_scan_forward_l, cuda_scan_backward_l},
        [LOCI_SCAN_D] = {cuda_scan_channels, cuda_scan_channels},
        [LOCI_SCAN_W] = {cuda_scan_forward_w, cuda_scan_backward_w},
        [LOCI_SCAN_M] = {cuda_scan_forward_m, cuda_scan_backward_m},
    };
    int e = j->pieces ? cuda_scan_pieces(stream, j, j->back) : 0;

    if (!e)
        e = run[j->scan][j->back](stream, j);
    return e || !j->part ? e : cuda_scan_heads(stream, j);
}

static loci_status call(const loci_exec *x, const loci_scan_io *io, int back, loci_error *err)
{
    loci_cursor room = {x->scratch, 0};
    uint64_t slots, scratch;
    loci_scan_call c;
    scan_job j;
    bytes b;
    int e;

    LOCI_RETURN_IF(loci_scan_call_rule(&c, io, err));
    cut_rule(&j, &c, io);
    j.back = back;
    j.save = back || (x->flags & LOCI_X_SAVE);
    LOCI_RETURN_IF(loci_scan_call_see(&c, io, back, j.save, 0, err));
    set_views(&j, &c);
    slots = count_items(&j, io->batch);
    LOCI_RETURN_IF(sizes(&j, slots, j.bits, &b, err));
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
    if (!back || !j.g_head || !j.dg.at)
        j.part = NULL;
    LOCI_RETURN_IF(list_items(&j, x, io->batch, err));
    e = walk(x->stream, &j);
    return cuda_done("scan", rt_error(e), err);
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

    LOCI_RETURN_IF(loci_coef_call_see(&j, c, back, 0, err));
    if (j.B * j.H * j.w == 0)
        return LOCI_OK;
    e = cuda_coef(x->stream, &j, back);
    return cuda_done("coef", rt_error(e), err);
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
