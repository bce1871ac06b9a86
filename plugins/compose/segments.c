/* SPDX-License-Identifier: Apache-2.0
 *
 * compose: which tokens take part in a step of mac, where they stand, and which states the step works on.
 *
 * Token t of a document is in segment (t div C). A run that begins at phase f = pos mod C gives step 0 its first C - f
 * tokens and every later step C, the last one what is left. A row of the step's [R, L, D] tensors holds one run, n
 * tokens; what it appends to the context, in brackets where a segment begins:
 *
 *     tokens    x_0 x_1 ... x_{n-1}                              at document positions (the memory counts in them)
 *     strict    [p_0 ... p_{P-1}] h_0 x_0 h_1 x_1 ...            h_t and x_t at the position of x_t
 *     summary   [p_0 ... p_{P-1} h_0 ... h_{N-1}] x_0 x_1 ...    h at position -1, as p is
 *     previous  [p_0 ... p_{P-1} h_0 ... h_{C-1}] x_0 x_1 ...    likewise; a document's first segment has no h
 *     literal   [p_0 ... p_{P-1} h_0 ... h_{n-1}] x_0 x_1 ...    positions: h_j at j, x_t at n + t
 *
 * The mixer counts in the segment: its query run begins at the phase, its context run at 0 or behind what the segment
 * appended before.
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

/* What a run gives to a step: tokens [from, from + len) of it, the first one `at` in its document. */
struct piece {
    int64_t from, len, at, phase;
    int64_t front; /* rows of h before the first token of the segment  */
    int64_t reads; /* queries of the memory                            */
};

/* False when the run is through. */
static bool piece(struct piece *p, const struct call *c, const loci_run *r, int64_t s)
{
    const loci_module *m = c->m;
    const int64_t C = m->segment_tok;

    p->from = s == 0 ? 0 : s * C - r->pos % C;
    p->at = r->pos + p->from;
    p->phase = p->at % C;
    p->len = smaller(r->len - p->from, C - p->phase);
    if (p->len <= 0)
        return false;
    p->front = m->retrieval == SUMMARY    ? m->summary_tok
               : m->retrieval == PREVIOUS ? (p->at >= C ? C : 0)
               : m->retrieval == LITERAL  ? p->len
                                          : 0;
    p->reads = m->retrieval == STRICT ? p->len : p->phase == 0 ? p->front : 0;
    return true;
}

/* Rows of the context that a token adds. */
static int64_t per_token(const loci_module *m)
{
    return m->retrieval == STRICT ? 2 : 1;
}

/* Runs of step s, its sizes, and its states: (d) of mac.c. */
static void step_runs(const struct call *c, struct mac *k, int64_t s)
{
    const int64_t P = c->m->persistent_tok, C = c->m->segment_tok, each = per_token(c->m);
    const uint32_t sub[STATES] = {c->m->s_mix, c->m->s_run, c->m->s_snap};
    uint32_t n_begins = 0, n_ends = 0, n_rest = 0, n_reads = 0, n_still = 0, n = 0;
    struct piece p;

    k->l = k->s = k->n_q = 0;
    for (uint32_t i = 0; i < c->io->q->n_runs; i++) {
        const loci_run *r = &c->io->q->runs[i];
        if (!piece(&p, c, r, s)) {
            k->rest[n_rest++] = k->still[n_still++] = *r;
            continue;
        }
        k->tokens[n] = (loci_run){(int32_t)n, 0, (int32_t)p.len, r->state, p.at, r->id};
        k->queries[n] = k->keys[n] = k->tokens[n];
        k->queries[n].pos = p.phase;
        k->keys[n].len = (int32_t)((p.phase == 0 ? P + p.front : 0) + each * p.len);
        k->keys[n].pos = p.phase == 0 ? 0 : P + p.front + each * p.phase;
        if (p.phase == 0)
            k->begins[n_begins++] = k->tokens[n];
        if (p.phase + p.len == C)
            k->ends[n_ends++] = k->tokens[n];
        if (p.reads > 0) {
            k->reads[n_reads] = (loci_run){(int32_t)n_reads, 0, (int32_t)p.reads, r->state, p.at, r->id};
            n_reads++;
        } else {
            k->still[n_still++] = *r;
        }
        k->l = p.len > k->l ? p.len : k->l;
        k->s = k->keys[n].len > k->s ? k->keys[n].len : k->s;
        k->n_q = p.reads > k->n_q ? p.reads : k->n_q;
        n++;
    }
    k->r = n;
    k->reading = n_reads;
    k->b_tokens = batch(k->tokens, n, ints(&k->v_q, c, k->q_pos, k->r, k->l));
    k->b_queries = batch(k->queries, n, &k->v_q.t);
    k->b_keys = batch(k->keys, n, ints(&k->v_k, c, k->k_pos, k->r, k->s));
    k->b_begins = batch(k->begins, n_begins, NULL);
    k->b_ends = batch(k->ends, n_ends, NULL);
    k->b_rest = batch(k->rest, n_rest, NULL);
    k->b_reads = batch(k->reads, n_reads, NULL);
    k->b_still = batch(k->still, n_still, NULL);
    for (int i = 0; i < STATES; i++) {
        char *const saved = k->blocks[i];
        k->in[i] = !c->save ? c->s->sub_out[sub[i]] : s == 0 ? c->s->sub_in[sub[i]] : saved + (s - 1) * k->bytes[i];
        k->out[i] = !c->save || s == k->steps - 1 ? c->s->sub_out[sub[i]] : saved + s * k->bytes[i];
    }
}

/* Where query j of a row that reads comes from. */
static void query_row(const struct call *c, struct mac *k, const loci_run *r, const struct piece *p, int64_t j,
                      int64_t to)
{
    const int64_t C = c->m->segment_tok, t = p->at - C + j; /* previous: token t of the document */

    if (c->m->retrieval == SUMMARY)
        k->q_from[to] = (int32_t)j;
    else if (c->m->retrieval == PREVIOUS && t >= r->pos)
        k->q_from[to] = (int32_t)(r->row * c->T + r->begin + t - r->pos);
    else if (c->m->retrieval == PREVIOUS)
        k->q_last[to] = (int32_t)(r->state * C + t % C);
}

/* Row lists and positions of step s. */
static void step_rows(const struct call *c, struct mac *k, int64_t s)
{
    const int64_t P = c->m->persistent_tok, n_x = k->r * k->l, n_c = k->r * k->s, n_q = k->reading * k->n_q;
    const bool literal = c->m->retrieval == LITERAL, strict = c->m->retrieval == STRICT;
    const struct {
        int32_t *at;
        int64_t n;
    } lists[] = {{k->x_row, n_x}, {k->x_at, n_x},  {k->q_pos, n_x}, {k->c_h, n_c},    {k->c_x, n_c},
                 {k->c_p, n_c},   {k->k_pos, n_c}, {k->h_at, n_q},  {k->q_from, n_q}, {k->q_last, n_q}};
    int64_t n = 0, reader = 0, at;
    struct piece p;

    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        memset(lists[i].at, 0xff, (size_t)lists[i].n * 4); /* -1 everywhere */
    for (uint32_t i = 0; i < c->io->q->n_runs; i++) {
        const loci_run *r = &c->io->q->runs[i];
        if (!piece(&p, c, r, s))
            continue;
        at = n * k->s;
        for (int32_t j = 0; p.phase == 0 && j < P; j++)
            k->c_p[at++] = j;
        for (int64_t j = 0; j < p.reads; j++) {
            const int64_t h = reader * k->n_q + j, stands = strict ? at + 2 * j : at++;
            query_row(c, k, r, &p, j, h);
            k->h_at[h] = (int32_t)stands;
            k->c_h[stands] = (int32_t)h;
            k->k_pos[stands] = literal ? (int32_t)j : strict ? position(c, r, p.from + j) : -1;
        }
        for (int64_t t = 0; t < p.len; t++) {
            const int64_t q = n * k->l + t, stands = strict ? at + 2 * t + 1 : at + t;
            k->x_row[q] = (int32_t)(r->row * c->T + r->begin + p.from + t);
            k->q_pos[q] = k->k_pos[stands] = literal ? (int32_t)(p.len + t) : position(c, r, p.from + t);
            k->x_at[q] = (int32_t)stands;
            k->c_x[stands] = (int32_t)q;
        }
        reader += p.reads > 0;
        n++;
    }
}

void mac_step(const struct call *c, struct mac *k, int64_t s)
{
    step_runs(c, k, s);
    step_rows(c, k, s);
}
