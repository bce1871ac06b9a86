/* SPDX-License-Identifier: Apache-2.0
 *
 * Between ports and the tensors of a call: pieces of documents are put where the cut says, and fetched from there.
 *
 * Padding of inputs is a number that would show: NaN for a memory's rule, which must not read it; a large one where the
 * host's own steps before the rule run over all tokens (the front end, a mixer's projections) and a NaN times the zero
 * gradient there would spread.
 */
#include "core/trial/run.h"
#include <math.h>
#include <string.h>

#define RUBBISH 1e3

static void layout_runs(struct call *c, const struct run *r)
{
    const loci_trial *t = r->t;

    for (uint32_t i = 0; i < c->cut->n; i++) {
        const loci_piece *p = &c->cut->pieces[i];
        const struct trial_port *given = (const struct trial_port *)(void *)loci_trial_find(r->t, "positions");
        const int64_t pos = t->pos0[p->doc] + p->from;
        c->runs[i] = (loci_run){p->row, p->begin, p->len, p->doc, pos, 40 + (uint64_t)p->doc};
        c->k_runs[i] = (loci_run){p->doc,
                                  0,
                                  (int32_t)(p->from == 0 ? t->size.keys : 0),
                                  p->doc,
                                  p->from == 0 ? 0 : t->size.keys,
                                  40 + (uint64_t)p->doc};
        for (int32_t j = 0; j < p->len; j++) {
            const int64_t at = (int64_t)p->row * c->cut->seq + p->begin + j;
            c->used[at] = true;
            c->pos[at] = given && given->p.given ? (int32_t)given->p.value[p->doc * t->size.seq + p->from + j]
                                                 : (int32_t)(pos + j);
        }
    }
}

static loci_status check_cut(const loci_cut_call *cut, const loci_trial *t, loci_error *err)
{
    for (uint32_t i = 0; i < cut->n; i++) {
        const loci_piece *p = &cut->pieces[i];
        if (p->doc < 0 || p->doc >= t->size.docs || p->from < 0 || p->len < 0 || p->row < 0 || p->begin < 0 ||
            (int64_t)p->from + p->len > t->len[p->doc] || p->row >= cut->rows || (int64_t)p->begin + p->len > cut->seq)
            return loci_fail(
                err, LOCI_E_ARG,
                "piece %u of a cut does not fit: document %d, tokens [%d, +%d) at row %d, token %d of %d x %d", i,
                (int)p->doc, (int)p->from, (int)p->len, (int)p->row, (int)p->begin, (int)cut->rows, (int)cut->seq);
    }
    return LOCI_OK;
}

loci_status loci__call_new(struct call *c, const struct run *r, const loci_cut_call *cut, loci_error *err)
{
    loci_status status = LOCI_OK;
    const loci_device cpu = {LOCI_CPU, 0};
    const uint64_t tokens = (uint64_t)cut->rows * (uint64_t)cut->seq,
                   keys = (uint64_t)(r->t->size.docs * r->t->size.keys);

    c->cut = cut;
    c->need = (loci_need){.struct_size = sizeof c->need};
    LOCI_TRY(check_cut(cut, r->t, err));
    c->runs = loci_alloc(cut->n * sizeof *c->runs);
    c->k_runs = loci_alloc(cut->n * sizeof *c->k_runs);
    c->pos = loci_alloc(tokens * sizeof *c->pos);
    c->k_pos = loci_alloc(keys * sizeof *c->k_pos);
    c->used = loci_alloc(tokens * sizeof *c->used);
    c->val = loci_alloc(r->t->n * sizeof *c->val);
    if (!c->runs || !c->k_runs || !c->pos || !c->k_pos || !c->used || !c->val) {
        status = loci_fail(err, LOCI_E_NOMEM, "out of memory for a call of %llu tokens", (unsigned long long)tokens);
        goto out;
    }
    memset(c->pos, 0xff, tokens * sizeof *c->pos);
    for (uint64_t i = 0; i < keys; i++)
        c->k_pos[i] = (int32_t)(i % (uint64_t)r->t->size.keys);
    layout_runs(c, r);
    loci_view_set(&c->v_pos, c->pos, cpu, loci_i32, 2, (int64_t[]){cut->rows, cut->seq});
    loci_view_set(&c->v_k_pos, c->k_pos, cpu, loci_i32, 2, (int64_t[]){r->t->size.docs, r->t->size.keys});
    c->q = (loci_batch){sizeof c->q, cut->n, c->runs, &c->v_pos.t};
    c->k = (loci_batch){sizeof c->k, cut->n, c->k_runs, &c->v_k_pos.t};
out:
    return status;
}

void loci__call_free(struct call *c, const struct run *r)
{
    for (uint32_t p = 0; c->val && p < r->t->n; p++)
        loci__slab_free(&c->val[p]);
    loci__arena_free(&c->saved);
    loci_free(c->val);
    loci_free(c->runs);
    loci_free(c->k_runs);
    loci_free(c->pos);
    loci_free(c->k_pos);
    loci_free(c->used);
    memset(c, 0, sizeof *c);
}

static loci_status slab_of(struct slab *s, const struct call *c, const struct run *r, uint32_t p, loci_error *err)
{
    const struct trial_port *port = &r->t->ports[p];
    loci_trial_how how = *r->how;
    int64_t shape[LOCI_MAX_DIM];

    memcpy(shape, port->p.shape, sizeof shape);
    if (loci__is_stream(r->t, port)) {
        shape[0] = c->cut->rows;
        shape[1] = c->cut->seq;
    }
    how.padded = how.padded && r->t->kind == LOCI_IS_MEMORY && !r->t->node->front;
    return loci__slab_new(s, r->t->cx, port->p.dtype, port->p.ndim, shape, &how, err);
}

/* values NULL: `all`. */
static void scatter(const struct call *c, const struct run *r, uint32_t p, const struct slab *s, const double *values,
                    double all)
{
    const struct trial_port *port = &r->t->ports[p];

    if (!loci__is_stream(r->t, port)) {
        loci__slab_put(s, values, all);
        return;
    }
    for (uint32_t i = 0; i < c->cut->n; i++) {
        const loci_piece *at = &c->cut->pieces[i];
        const uint64_t first = ((uint64_t)at->doc * (uint64_t)r->t->size.seq + (uint64_t)at->from) * port->row;
        for (int32_t j = 0; j < at->len; j++)
            for (uint64_t e = 0; e < port->row; e++)
                loci__put(loci__slab_at(s, at->row, at->begin + j, e), port->p.dtype,
                          values ? values[first + (uint64_t)j * port->row + e] : all);
    }
}

loci_status loci__call_value(struct call *c, const struct run *r, uint32_t p, loci_error *err)
{
    const struct trial_port *port = &r->t->ports[p];
    const bool rule = r->t->kind == LOCI_IS_MEMORY && !r->t->node->front;
    struct slab *s = &c->val[p];
    loci_status status = slab_of(s, c, r, p, err);

    if (status != LOCI_OK)
        return status;
    if (port->p.role == LOCI_PORT_OUTPUT) {
        loci__slab_put(s, NULL, 0);
        if (r->how->harsh || r->how->dirty)
            scatter(c, r, p, s, NULL, r->how->harsh ? (double)NAN : 0.75);
    } else {
        loci__slab_put(s, NULL, rule ? NAN : RUBBISH);
        scatter(c, r, p, s, port->p.value, 0);
    }
    return LOCI_OK;
}

loci_status loci__call_grad(struct slab *s, const struct call *c, const struct run *r, uint32_t p, loci_error *err)
{
    const struct trial_port *port = &r->t->ports[p];
    const bool output = port->p.role == LOCI_PORT_OUTPUT;
    loci_status status = slab_of(s, c, r, p, err);

    if (status != LOCI_OK)
        return status;
    loci__slab_put(s, NULL, output ? 0 : r->how->from);
    if (output)
        scatter(c, r, p, s, port->p.grad, 0);
    return LOCI_OK;
}

void loci__gather(const struct call *c, const struct run *r, uint32_t p, const struct slab *s, double *to, double minus)
{
    const struct trial_port *port = &r->t->ports[p];

    if (!loci__is_stream(r->t, port)) {
        loci__slab_get(s, to, minus, true);
        return;
    }
    for (uint32_t i = 0; i < c->cut->n; i++) {
        const loci_piece *at = &c->cut->pieces[i];
        const uint64_t first = ((uint64_t)at->doc * (uint64_t)r->t->size.seq + (uint64_t)at->from) * port->row;
        for (int32_t j = 0; j < at->len; j++)
            for (uint64_t e = 0; e < port->row; e++)
                to[first + (uint64_t)j * port->row + e] =
                    loci__get(loci__slab_at(s, at->row, at->begin + j, e), port->p.dtype) - minus;
    }
}

loci_status loci__check_padding(const struct call *c, const struct run *r, uint32_t p, const struct slab *s,
                                double want, const char *what, loci_error *err)
{
    const struct trial_port *port = &r->t->ports[p];

    if (!loci__slab_intact(s))
        return loci_fail(err, LOCI_E_PLUGIN, "%s/%s: %s writes outside the rows of %s: use the tensor's strides",
                         r->t->node->section, r->t->node->cls->id, what, port->p.name);
    for (int64_t i = 0; loci__is_stream(r->t, port) && i < (int64_t)c->cut->rows * c->cut->seq; i++)
        for (uint64_t e = 0; !c->used[i] && e < port->row; e++) {
            const double got = loci__get(loci__slab_at(s, i / c->cut->seq, i % c->cut->seq, e), port->p.dtype);
            if (got != want)
                return loci_fail(
                    err, LOCI_E_PLUGIN,
                    "%s/%s: %s writes %g into %s at row %lld, token %lld, which is in no run: leave padding "
                    "alone",
                    r->t->node->section, r->t->node->cls->id, what, got, port->p.name, (long long)(i / c->cut->seq),
                    (long long)(i % c->cut->seq));
        }
    return LOCI_OK;
}
