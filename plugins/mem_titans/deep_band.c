/* SPDX-License-Identifier: Apache-2.0
 *
 * A band's tokens, and its way through the segments of a run and back.
 */
#include "deep.h"

/* ---- what a segment works on ------------------------------------------------------------------------------------ */

static memory states(const deep *d, const loci_tensor *from, int64_t row)
{
    const loci_module *m = d->m;
    memory a = {0};

    for (int l = 1; l <= m->L; l++) {
        a.W[l] = mat_state(d, &from[m->W[l]], row);
        if (m->momentum)
            a.S[l] = mat_state(d, &from[m->S[l]], row);
        if (m->mode == LOCI_SCAN_FROZEN)
            a.C[l] = mat_state(d, &from[m->C[l]], row);
    }
    return a;
}

/* The band's rows and heads of a gate, [R, n, H] or [R, n, H, L]. */
static void gate_view(const deep *d, loci_view *v, const loci_tensor *t, int64_t row, int64_t at, int64_t n)
{
    *v = (loci_view){0};
    if (!t)
        return;
    loci_view_set(v,
                  (char *)loci_ptr(t) + (row * t->strides[0] + at * t->strides[1] + d->head * t->strides[2]) * d->size,
                  d->x->device, d->type, t->ndim, t->shape);
    v->shape[0] = d->R;
    v->shape[1] = n;
    v->shape[2] = d->H;
    for (int32_t i = 0; i < t->ndim; i++)
        v->strides[i] = t->strides[i];
}

static void tokens_of(const deep *d, tokens *t, const loci_rule_io *r, const loci_run *run, span s)
{
    const int back = d->back;
    const int write = r->op != LOCI_OP_READ, read = r->op != LOCI_OP_WRITE;
    const int64_t row = run->row, at = run->begin + s.from, n = s.n;
    const loci_module *m = d->m;
    const struct {
        loci_view *to, *grad;
        int declared;
        uint32_t gate;
    } all[3] = {{&t->g.alpha, &t->g.dalpha, m->forget, m->alpha},
                {&t->g.eta, &t->g.deta, m->momentum, m->eta},
                {&t->g.theta, &t->g.dtheta, 1, m->theta}};

    t->n = n;
    t->q = mat_tokens(d, read ? r->q : NULL, row, at, n);
    t->y = mat_tokens(d, read && !back ? r->y : NULL, row, at, n);
    t->dy = mat_tokens(d, read && back ? r->dy : NULL, row, at, n);
    t->dq = mat_tokens(d, read && back ? r->dq : NULL, row, at, n);
    t->k = mat_tokens(d, write ? r->k : NULL, row, at, n);
    t->v = mat_tokens(d, write ? r->v : NULL, row, at, n);
    t->dk = mat_tokens(d, write && back ? r->dk : NULL, row, at, n);
    t->dv = mat_tokens(d, write && back ? r->dv : NULL, row, at, n);
    for (int i = 0; i < 3; i++) {
        const int there = write && all[i].declared;

        gate_view(d, all[i].to, there ? r->gate[all[i].gate] : NULL, row, at, n);
        gate_view(d, all[i].grad, there && back ? r->dgate[all[i].gate] : NULL, row, at, n);
    }
}

/* ---- one band --------------------------------------------------------------------------------------------------- */

/* READ: in pieces of at most SEG_TOK tokens, which do not depend on one another. */
void band_read(deep *d, const loci_slots *s, const loci_rule_io *r, const loci_run *run)
{
    const memory in = states(d, s->state_in, run->state);
    memory to = {0};
    tokens t;
    room w;

    if (d->back || s->state_out)
        to = states(d, d->back ? s->state_grad : s->state_out, run->state);
    if (!d->back)
        memory_copy(d, &to, &in);
    for (int64_t from = 0; from < run->len; from += SEG_TOK) {
        const span piece = {from, run->len - from < SEG_TOK ? run->len - from : SEG_TOK, 0};

        room_cut(d, &w, piece.n, NULL);
        tokens_of(d, &t, r, run, piece);
        if (d->back)
            plain_read_back(d, &w, &in, &to, &t);
        else
            plain_read(d, &w, &in, &t);
    }
}

void band_forward(deep *d, const loci_slots *s, const loci_rule_io *r, const loci_run *run, loci_cursor *saved)
{
    const int64_t phase = run->pos % d->chunk, n = span_count(d, phase, run->len), k = stretch(d);
    const memory in = states(d, s->state_in, run->state), now = states(d, s->state_out, run->state);
    const int frozen = d->m->mode == LOCI_SCAN_FROZEN;
    tokens t;
    room w;

    memory_copy(d, &now, &in);
    for (int64_t i = 0; i < n; i++) {
        const span seg = span_at(d, phase, run->len, i);
        /* a chunk of one segment that is not the run's last finds its start in W, which is written at its end */
        const int short_lived = seg.begins && d->nsub == 1 && i + 1 < n;

        for (int l = 1; l <= d->m->L && frozen && seg.begins && !short_lived; l++)
            mat_map(d, LOCI_MAP_COPY, now.C[l], now.W[l], 1, 0);
        if (i && i % k == 0 && saved->base) {
            const memory keep = memory_cut(d, saved);

            memory_copy(d, &keep, &now);
        }
        room_cut(d, &w, seg.n, NULL);
        tokens_of(d, &t, r, run, seg);
        tables_forward(d, &w, &t.g, seg.n);
        chunk_errors(d, &w, frozen && !short_lived ? now.C : now.W, &t);
        if (t.y.at)
            chunk_read(d, &w, &now, &t);
        chunk_write(d, &w, &now, &now, &t);
    }
}

/* The segments of one stretch, `first` first, at trail[0] and on; trail[0].at is there. */
static void replay(deep *d, const loci_rule_io *r, const loci_run *run, const memory *in, mark *trail, int64_t first,
                   int64_t end)
{
    const int64_t phase = run->pos % d->chunk;
    tokens t;
    room w;

    for (int64_t i = first; i < end; i++) {
        const span seg = span_at(d, phase, run->len, i);
        mark *now = &trail[i - first];
        const memory *at = &now->at;

        /* a segment that begins no chunk is the run's first, or, in long chunks, finds C kept */
        now->C = d->m->mode != LOCI_SCAN_FROZEN || seg.begins ? at->W : i == 0 ? in->C : at->C;
        room_cut(d, &w, seg.n, &now->errors);
        tokens_of(d, &t, r, run, seg);
        chunk_errors(d, &w, now->C, &t);
        if (i + 1 == end)
            break;
        tables_forward(d, &w, &t.g, seg.n);
        chunk_write(d, &w, at, &now[1].at, &t);
    }
}

/* kept: the band's first kept state, if it has any. */
void band_backward(deep *d, const loci_slots *s, const loci_rule_io *r, const loci_run *run, mark *trail,
                   loci_cursor kept_at)
{
    const int64_t phase = run->pos % d->chunk, n = span_count(d, phase, run->len), k = stretch(d);
    const uint64_t bytes = memory_bytes(d);
    const memory in = states(d, s->state_in, run->state);
    const int frozen = d->m->mode == LOCI_SCAN_FROZEN;
    memory grad = states(d, s->state_grad, run->state);
    tokens t;
    room w;

    for (int l = 1; l <= d->m->L && !frozen; l++)
        grad.C[l] = grad.W[l];
    for (int64_t first = n > 0 ? (n - 1) / k * k : -1; first >= 0; first -= k) {
        const int64_t end = first + k < n ? first + k : n;
        loci_cursor from = {kept_at.base, kept_at.at + (uint64_t)(first / k - 1) * bytes};

        trail[0].at = first ? memory_cut(d, &from) : in;
        replay(d, r, run, &in, trail, first, end);
        for (int64_t i = end - 1; i >= first; i--) {
            const span seg = span_at(d, phase, run->len, i);
            const mark *before = &trail[i - first];

            room_cut(d, &w, seg.n, &before->errors);
            tokens_of(d, &t, r, run, seg);
            chunk_back(d, &w, &before->at, before->C, &grad, &t);
            for (int l = 1; l <= d->m->L && frozen && seg.begins; l++) {
                mat_map(d, LOCI_MAP_COPY, grad.W[l], grad.C[l], 1, 1);
                mat_fill(d, grad.C[l], 0);
            }
        }
    }
}
