/* SPDX-License-Identifier: Apache-2.0
 *
 * The deep memory's plan and calls: how tokens are dealt out in bands; deep.h says what is computed.
 */
#include "deep.h"

/* ---- sizes ------------------------------------------------------------------------------------------------------ */

static deep deep_of(const loci_module *m, const loci_exec *x, loci_dtype type, int32_t op, loci_error *err)
{
    deep d = {.m = m, .x = x, .err = err, .status = LOCI_OK, .type = type, .size = type.bits / 8, .R = 1, .op = op};

    d.H = m->resident ? 1 : m->H;
    d.chunk = m->mode == LOCI_SCAN_SEQUENTIAL ? 1 : m->chunk;
    d.seg = d.chunk < SEG_TOK ? d.chunk : SEG_TOK;
    d.nsub = (d.chunk + d.seg - 1) / d.seg;
    return d;
}

/* Cuts what a backward has of each segment of a stretch, and then room for the longest segment of runs of len tokens;
 * returns the bytes of both. Shorter segments lie where the longest does. */
static uint64_t work_cut(deep *d, void *base, mark *trail, int64_t len)
{
    const int write = d->op != LOCI_OP_READ;
    const int64_t most = write ? d->seg : SEG_TOK, n = most < len ? most : len;
    const int marks = d->back && write;
    room w;

    d->work = (loci_cursor){base, 0};
    for (int64_t i = 0; marks && i < stretch(d); i++) {
        if (i > 0)
            trail[i].at = memory_cut(d, &d->work);
        trail[i].errors = d->work;
        errors_cut(d, &d->work, &w, n);
    }
    return room_cut(d, &w, n, marks ? &trail[0].errors : NULL);
}

loci_status deep_plan(loci_module *m, const loci_shape *shape, int32_t op, loci_need *need, loci_error *err)
{
    const int save = (shape->flags & LOCI_X_SAVE) != 0;
    deep d = deep_of(m, NULL, shape->acc, op, err);
    const int64_t bands = m->H / d.H, rooms = m->resident ? m->host->workers(m->host) : 1;
    mark trail[STRETCH_MOST];
    uint64_t most = 0, one;

    for (d.back = 0; d.back <= save; d.back++) {
        one = work_cut(&d, NULL, trail, shape->seq);
        most = one > most ? one : most;
    }
    if (((double)most + (double)memory_bytes(&d) * (double)(shape->seq + 2)) * (double)shape->rows *
            (double)(shape->runs + 1) * (double)bands >
        0x1p62)
        return fail(
            err, LOCI_E_ARG,
            "%lld rows of %lld tokens, %lld heads of a memory of depth %d do not fit into memory: make them fewer",
            (long long)shape->rows, (long long)shape->seq, (long long)m->H, (int)m->L);
    if (!m->resident)
        d.R = shape->runs < shape->rows ? shape->runs : shape->rows;
    for (d.back = 0; d.back <= save; d.back++) {
        one = work_cut(&d, NULL, trail, shape->seq) * (uint64_t)rooms;
        need->scratch = one > need->scratch ? one : need->scratch;
    }
    d.R = 1;
    if (save && op != LOCI_OP_READ)
        need->saved += memory_bytes(&d) * (uint64_t)(kept_most(&d, shape->rows * shape->seq, shape->runs) * bands);
    return LOCI_OK;
}

/* ---- the call --------------------------------------------------------------------------------------------------- */

typedef struct job {
    deep d;
    const loci_slots *s;
    const loci_rule_io *r;
    uint64_t room; /* bytes of a worker's scratch */
    int failed;    /* 1: status and d.err say how */
    loci_status status;
} job;

static loci_cursor saved_of(const deep *d)
{
    const int save = d->back || (d->x->flags & LOCI_X_SAVE);

    return (loci_cursor){save && d->op != LOCI_OP_READ ? d->x->saved : NULL, 0};
}

/* Bytes that a band of this run keeps. */
static uint64_t keeps(const deep *d, const loci_run *run)
{
    return saved_of(d).base ? memory_bytes(d) * (uint64_t)kept(d, run->pos % d->chunk, run->len) : 0;
}

static void one_band(deep *d, const job *j, const loci_run *run, void *scratch, loci_cursor saved)
{
    mark trail[STRETCH_MOST];

    work_cut(d, scratch, trail, run->len);
    if (d->op == LOCI_OP_READ)
        band_read(d, j->s, j->r, run);
    else if (d->back)
        band_backward(d, j->s, j->r, run, trail, saved);
    else
        band_forward(d, j->s, j->r, run, &saved);
}

/* Items are runs and their bands of heads; deep.h (2). The first failure is kept. */
static void bands(void *arg, int64_t begin, int64_t end, uint32_t worker)
{
    job *j = arg;
    const int64_t per = j->d.m->H / j->d.H;
    const loci_batch *batch = j->r->batch;
    loci_error err = LOCI_ERROR_INIT;
    deep d = j->d;
    loci_cursor saved = saved_of(&d);
    int64_t at = 0;

    d.err = &err;
    for (int64_t i = begin; i < end && d.status == LOCI_OK; i++) {
        const loci_run *run = &batch->runs[i / per];
        uint64_t own = keeps(&d, run);

        for (; at < i / per; at++)
            saved.at += keeps(&d, &batch->runs[at]) * (uint64_t)per;
        d.head = i % per * d.H;
        one_band(&d, j, run, (char *)j->d.x->scratch + worker * j->room,
                 (loci_cursor){saved.base, saved.at + own * (uint64_t)(i % per)});
    }
    if (d.status != LOCI_OK && !__atomic_exchange_n(&j->failed, 1, __ATOMIC_ACQ_REL)) {
        j->status = d.status;
        if (j->d.err)
            *j->d.err = err;
    }
}

static loci_status enough(const deep *d, uint64_t scratch, uint64_t saved)
{
    const loci_exec *x = d->x;
    const uint64_t most = saved_of(d).base ? x->saved_bytes : 0;

    if (scratch <= x->scratch_bytes && saved <= most)
        return LOCI_OK;
    return fail(d->err, LOCI_E_ARG,
                "%llu bytes of scratch and %llu of saved, the call takes %llu and %llu: plan for it",
                (unsigned long long)x->scratch_bytes, (unsigned long long)most, (unsigned long long)scratch,
                (unsigned long long)saved);
}

/* A head of a run by one thread each. */
static loci_status call_resident(job *j)
{
    const loci_batch *batch = j->r->batch;
    const loci_exec *x = j->d.x;
    const int64_t H = j->d.m->H, items = batch->n_runs * H;
    mark trail[STRETCH_MOST];
    int64_t longest = 0;
    uint64_t saved = 0;

    for (uint32_t i = 0; i < batch->n_runs; i++) {
        longest = batch->runs[i].len > longest ? batch->runs[i].len : longest;
        saved += keeps(&j->d, &batch->runs[i]) * (uint64_t)H;
    }
    j->room = work_cut(&j->d, NULL, trail, longest);
    LOCI_RETURN_IF(enough(&j->d, j->room * x->host->workers(x->host), saved));
    if (items == 1) /* its products may use all threads */
        bands(j, 0, 1, 0);
    else if (items > 1)
        LOCI_RETURN_IF(x->host->parallel_for(x, items, 1, bands, j));
    return j->status;
}

/* How many runs from `first` on make a band; deep.h (2). */
static int64_t band(const deep *d, const loci_batch *batch, uint32_t first)
{
    const loci_run *a = &batch->runs[first];
    uint32_t n = 1;

    while (first + n < batch->n_runs && a[n].row == a[0].row + (int32_t)n && a[n].state == a[0].state + (int32_t)n &&
           a[n].begin == a[0].begin && a[n].len == a[0].len && a[n].pos % d->chunk == a[0].pos % d->chunk)
        n++;
    return n;
}

/* All heads of as many runs as go together, one band after the other. */
static loci_status call_bands(job *j)
{
    const loci_batch *batch = j->r->batch;
    mark trail[STRETCH_MOST];
    loci_cursor saved = saved_of(&j->d);
    deep *d = &j->d;

    for (uint32_t i = 0; i < batch->n_runs && d->status == LOCI_OK; i += (uint32_t)d->R) {
        const loci_run *run = &batch->runs[i];
        uint64_t own;

        d->R = band(d, batch, i);
        own = keeps(d, run);
        LOCI_RETURN_IF(enough(d, work_cut(d, NULL, trail, run->len), saved.at + own));
        one_band(d, j, run, d->x->scratch, saved);
        saved.at += own;
    }
    return d->status;
}

static loci_status call(loci_module *m, const loci_exec *x, const loci_slots *s, const loci_rule_io *r, int back,
                        loci_error *err)
{
    job j = {.d = deep_of(m, x, s->state_in[m->W[1]].dtype, r->op, err), .s = s, .r = r};

    j.d.back = back;
    return m->resident ? call_resident(&j) : call_bands(&j);
}

loci_status deep_forward(loci_module *m, const loci_exec *x, const loci_slots *s, const loci_rule_io *r,
                         loci_error *err)
{
    return call(m, x, s, r, 0, err);
}

loci_status deep_backward(loci_module *m, const loci_exec *x, const loci_slots *s, const loci_rule_io *r,
                          loci_error *err)
{
    return call(m, x, s, r, 1, err);
}
