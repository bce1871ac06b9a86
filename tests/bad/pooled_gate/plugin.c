/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/bad: alpha is the mean over the chunk of four tokens in which a token stands.
 */
#define RETAIN(alpha) (1 - pooled(w, r, t, h))
#define BACKWARD bad_backward
#define POOL 4
struct work;
#include <loci/plugin.h>
static double pooled(const struct work *w, const loci_run *r, int64_t t, int64_t h);
#include "../base.h"

static double pooled(const struct work *w, const loci_run *r, int64_t t, int64_t h)
{
    const int64_t first = t / POOL * POOL, end = first + POOL < r->len ? first + POOL : r->len;
    double sum = 0;

    for (int64_t i = first; i < end; i++)
        sum += gate(w, ALPHA, r, i, h);
    return sum / (double)(end - first);
}

/* Its adjoint: what the tokens of a chunk get, they share. */
static loci_status bad_backward(loci_module *m, const loci_exec *x, const loci_slots *s, const loci_rule_io *io,
                                loci_error *err)
{
    const loci_status status = backward(m, x, s, io, err);
    const loci_tensor *g = io->dgate ? io->dgate[ALPHA] : NULL;

    for (uint32_t i = 0; g && i < io->batch->n_runs; i++) {
        const loci_run *r = &io->batch->runs[i];
        for (int64_t first = 0; first < r->len; first += POOL)
            for (int64_t h = 0; h < m->H; h++) {
                const int64_t end = first + POOL < r->len ? first + POOL : r->len;
                double sum = 0;
                for (int64_t t = first; t < end; t++)
                    sum += get(g, at(g, r, t, h));
                for (int64_t t = first; t < end; t++)
                    put(g, at(g, r, t, h), sum / (double)(end - first));
            }
    }
    return status;
}
