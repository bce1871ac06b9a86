/* SPDX-License-Identifier: Apache-2.0
 *
 * Between state ports and state blocks. A state tensor is row-major in its block, a row for every document.
 *
 * Of a cache only rows that hold something are looked at (loci_trial_rows); a cache of a component below is handed over
 * and fetched whole.
 */
#include "core/trial/run.h"
#include <string.h>

static char *row_at(const struct trial_port *p, void *block, int64_t d)
{
    return (char *)block + p->at + (uint64_t)d * p->row * loci_dtype_bytes(p->p.dtype);
}

/* Elements of so many rows of a cache. */
static uint64_t alive(const struct trial_port *p, int64_t rows)
{
    const int64_t cap = p->p.shape[1];

    return p->row / (uint64_t)(cap ? cap : 1) * (uint64_t)(rows < cap ? rows : cap);
}

static uint64_t given_row(const struct run *r, const struct trial_port *p, int64_t d)
{
    return !p->p.cache || !p->top ? p->row : alive(p, loci__is_context(r->t) ? 0 : r->t->pos0[d]);
}

static uint64_t end_row(const struct run *r, const struct trial_port *p, int64_t d)
{
    return !p->p.cache || !p->top ? p->row : alive(p, loci_trial_rows(r->t, &p->p, d));
}

#define EACH_STATE(r, p) \
    for (struct trial_port *p = (r)->t->ports; p < (r)->t->ports + (r)->t->n; p++) \
        if (p->place == PLACE_STATE)

static void put(const struct trial_port *p, void *block, int64_t d, uint64_t n, const double *from)
{
    const uint64_t size = loci_dtype_bytes(p->p.dtype);
    char *to = row_at(p, block, d);

    for (uint64_t i = 0; i < n; i++)
        loci__put(to + i * size, p->p.dtype, from[(uint64_t)d * p->row + i]);
}

static void get(const struct trial_port *p, const void *block, int64_t d, uint64_t n, double *to)
{
    const uint64_t size = loci_dtype_bytes(p->p.dtype);
    const char *from = row_at(p, (void *)(uintptr_t)block, d);

    memset(to + (uint64_t)d * p->row, 0, p->row * sizeof *to);
    for (uint64_t i = 0; i < n; i++)
        to[(uint64_t)d * p->row + i] = loci__get(from + i * size, p->p.dtype);
}

void loci__states_put(const struct run *r, void *block)
{
    EACH_STATE(r, p)
    for (int64_t d = 0; p->p.given && d < r->t->size.docs; d++)
        put(p, block, d, given_row(r, p, d), p->p.value);
}

void loci__states_start(const struct run *r, const void *block)
{
    EACH_STATE(r, p)
    for (int64_t d = 0; !p->p.given && d < r->t->size.docs; d++)
        get(p, block, d, p->p.cache ? 0 : p->row, p->p.value);
}

void loci__states_end(const struct run *r, const void *block)
{
    EACH_STATE(r, p)
    for (int64_t d = 0; d < r->t->size.docs; d++)
        get(p, block, d, end_row(r, p, d), p->p.end);
}

void loci__states_cotangent(const struct run *r, void *block)
{
    memset(block, 0, r->grad.bytes);
    EACH_STATE(r, p)
    for (int64_t d = 0; p->p.real && d < r->t->size.docs; d++)
        put(p, block, d, end_row(r, p, d), p->p.end_grad);
}

void loci__states_grad(const struct run *r, void *block)
{
    EACH_STATE(r, p)
    for (int64_t d = 0; p->p.real && d < r->t->size.docs; d++) {
        get(p, block, d, given_row(r, p, d), p->p.grad);
        if (p->p.given)
            memset(row_at(p, block, d), 0, p->row * loci_dtype_bytes(p->p.dtype));
    }
}

void loci__states_spoil(const struct run *r, const struct call *c, void *block, int byte)
{
    EACH_STATE(r, p)
    for (uint32_t i = 0; i < c->cut->n; i++)
        memset(row_at(p, block, c->cut->pieces[i].doc), byte, p->row * loci_dtype_bytes(p->p.dtype));
}
