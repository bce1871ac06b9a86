/* SPDX-License-Identifier: Apache-2.0
 *
 * compose: which tokens take part in a step of mac, where they stand, and which states the step works on.
 *
 * Token t of a document is in segment (t div C). A run that begins at phase f = pos mod C gives step 0 its first C - f
 * tokens and every later step C, the last one what is left. A row of the step's [R, L, D] tensors holds one run:
 *
 *     tokens   x_0 x_1 ... x_{n-1}                        at document positions (the memory counts in them)
 *     context  [p_0 ... p_{P-1}] h_0 x_0 h_1 x_1 ...      p where a segment begins, at position -1
 *
 * The mixer counts in the segment: its query run begins at the phase, its context run at 0 or P + 2 phase.
 */
#include "mac.h"
#include <string.h>

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

int64_t mac_steps(const loci_batch *q, int64_t C)
{
    int64_t most = 0;

    for (uint32_t i = 0; i < q->n_runs; i++) {
        const int64_t n = q->runs[i].len > 0 ? (q->runs[i].pos % C + q->runs[i].len + C - 1) / C : 0;
        most = n > most ? n : most;
    }
    return most;
}

static loci_batch batch(const loci_run *runs, uint32_t n, const loci_tensor *pos)
{
    return (loci_batch){sizeof(loci_batch), n, runs, pos};
}

/* Tokens [*from, *from + n) of a run belong to step s; returns n, at most 0 when the run is through. */
static int64_t piece(const struct call *c, const loci_run *r, int64_t s, int64_t *from)
{
    const int64_t C = c->m->segment_tok, phase = r->pos % C;

    *from = s == 0 ? 0 : s * C - phase;
    return smaller(r->len - *from, s == 0 ? C - phase : C);
}

/* Runs of step s, its sizes, and its states: (d) of mac.c. */
static void step_runs(const struct call *c, struct mac *k, int64_t s)
{
    const int64_t P = c->m->persistent_tok, C = c->m->segment_tok;
    const uint32_t sub[STATES] = {c->m->s_mix, c->m->s_run, c->m->s_snap};
    uint32_t n_begins = 0, n_ends = 0, n_rest = 0, n = 0;

    k->l = k->s = 0;
    for (uint32_t i = 0; i < c->io->q->n_runs; i++) {
        const loci_run *r = &c->io->q->runs[i];
        int64_t from, len = piece(c, r, s, &from), phase = (r->pos + from) % C, lead = phase == 0 ? P : 0;
        if (len <= 0) {
            k->rest[n_rest++] = *r;
            continue;
        }
        k->tokens[n] = (loci_run){(int32_t)n, 0, (int32_t)len, r->state, r->pos + from, r->id};
        k->queries[n] = k->keys[n] = k->tokens[n];
        k->queries[n].pos = phase;
        k->keys[n].len = (int32_t)(lead + 2 * len);
        k->keys[n].pos = phase == 0 ? 0 : P + 2 * phase;
        if (phase == 0)
            k->begins[n_begins++] = k->tokens[n];
        if (phase + len == C)
            k->ends[n_ends++] = k->tokens[n];
        k->l = len > k->l ? len : k->l;
        k->s = k->keys[n].len > k->s ? k->keys[n].len : k->s;
        n++;
    }
    k->r = n;
    k->b_tokens = batch(k->tokens, n, ints(&k->v_q, c, k->q_pos, k->r, k->l));
    k->b_queries = batch(k->queries, n, &k->v_q.t);
    k->b_keys = batch(k->keys, n, ints(&k->v_k, c, k->k_pos, k->r, k->s));
    k->b_begins = batch(k->begins, n_begins, NULL);
    k->b_ends = batch(k->ends, n_ends, NULL);
    k->b_rest = batch(k->rest, n_rest, NULL);
    for (int i = 0; i < STATES; i++) {
        char *const saved = k->blocks[i];
        k->in[i] = !c->save ? c->s->sub_out[sub[i]] : s == 0 ? c->s->sub_in[sub[i]] : saved + (s - 1) * k->bytes[i];
        k->out[i] = !c->save || s == k->steps - 1 ? c->s->sub_out[sub[i]] : saved + s * k->bytes[i];
    }
}

/* Row lists and positions of step s. */
static void step_rows(const struct call *c, struct mac *k, int64_t s)
{
    const int64_t P = c->m->persistent_tok;
    uint32_t n = 0;

    memset(k->x_row, 0xff, (size_t)(k->r * k->l) * 4); /* -1 everywhere */
    memset(k->h_at, 0xff, (size_t)(k->r * k->l) * 4);
    memset(k->x_at, 0xff, (size_t)(k->r * k->l) * 4);
    memset(k->q_pos, 0xff, (size_t)(k->r * k->l) * 4);
    memset(k->c_h, 0xff, (size_t)(k->r * k->s) * 4);
    memset(k->c_x, 0xff, (size_t)(k->r * k->s) * 4);
    memset(k->c_p, 0xff, (size_t)(k->r * k->s) * 4);
    memset(k->k_pos, 0xff, (size_t)(k->r * k->s) * 4);
    for (uint32_t i = 0; i < c->io->q->n_runs; i++) {
        const loci_run *r = &c->io->q->runs[i];
        int64_t from, len = piece(c, r, s, &from), at;
        if (len <= 0)
            continue;
        at = n * k->s;
        for (int32_t j = 0; k->keys[n].pos == 0 && j < P; j++)
            k->c_p[at++] = j;
        for (int64_t t = 0; t < len; t++, at += 2) {
            const int64_t q = n * k->l + t;
            k->x_row[q] = (int32_t)(r->row * c->T + r->begin + from + t);
            k->q_pos[q] = k->k_pos[at] = k->k_pos[at + 1] = position(c, r, from + t);
            k->h_at[q] = (int32_t)at;
            k->x_at[q] = (int32_t)(at + 1);
            k->c_h[at] = k->c_x[at + 1] = (int32_t)q;
        }
        n++;
    }
}

void mac_step(const struct call *c, struct mac *k, int64_t s)
{
    step_runs(c, k, s);
    step_rows(c, k, s);
}
