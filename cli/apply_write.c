/* SPDX-License-Identifier: Apache-2.0
 *
 * loci apply: the results into a file, in the types that were computed in.
 *
 *     NAME           an output
 *     state.*        the state after the run
 *     param.*        a weight that the file did not have, as the seed made it
 *     d_NAME         with --grad: of an input or gate; of the state before the run for d_state.*
 *     grad.*         with --grad: of a weight
 */
#include "cli/apply.h"
#include "core/trial/impl.h"
#include <string.h>

struct results {
    loci_named *at;
    uint32_t n;
};

static loci_status put(struct apply *a, struct results *r, const char *prefix, const loci_port *p, const char *name,
                       const double *from, loci_error *err)
{
    loci_named *t = &r->at[r->n];
    const uint64_t size = loci_dtype_bytes(p->dtype);
    char *to = loci_alloc(p->elements * size);

    t->name = loci_format("%s%s", prefix, name);
    t->data = to;
    r->n++;
    if (!to || !t->name)
        return loci_fail(err, LOCI_E_NOMEM, "out of memory for %s of %s", name, a->out);
    for (uint64_t i = 0; i < p->elements; i++)
        loci__put(to + i * size, p->dtype, from[i]);
    t->dtype = p->dtype;
    t->ndim = p->ndim;
    memcpy(t->shape, p->shape, sizeof t->shape);
    t->bytes = p->elements * size;
    apply_note(a->written, t->name, t->dtype, t->ndim, t->shape);
    return LOCI_OK;
}

/* Outputs first, then states, weights, and gradients. */
static loci_status collect(struct apply *a, struct results *r, loci_error *err)
{
    static const enum loci_port_role order[] = {LOCI_PORT_OUTPUT, LOCI_PORT_STATE, LOCI_PORT_WEIGHT};
    loci_status status = LOCI_OK;

    for (size_t k = 0; k < sizeof order / sizeof *order; k++)
        for (uint32_t i = 0; i < loci_trial_n_ports(a->t); i++) {
            const loci_port *p = loci_trial_port(a->t, i);
            if (p->role == order[k] && apply_uses(a, p) && !(p->role == LOCI_PORT_WEIGHT && p->given))
                LOCI_TRY(put(a, r, "", p, p->name, p->role == LOCI_PORT_STATE ? p->end : p->value, err));
        }
    for (uint32_t i = 0; a->grad && i < loci_trial_n_ports(a->t); i++) {
        const loci_port *p = loci_trial_port(a->t, i);
        if (!p->real || p->role == LOCI_PORT_OUTPUT || !apply_uses(a, p))
            continue;
        if (p->role == LOCI_PORT_WEIGHT)
            LOCI_TRY(put(a, r, "grad.", p, p->name + strlen("param."), p->grad, err));
        else
            LOCI_TRY(put(a, r, "d_", p, p->name, p->grad, err));
    }
out:
    return status;
}

loci_status apply_write(struct apply *a, loci_error *err)
{
    loci_status status = LOCI_OK;
    struct results r = {loci_alloc(2 * (size_t)loci_trial_n_ports(a->t) * sizeof *r.at), 0};
    const char *const meta[] = {"component", a->c.word, NULL};

    if (!r.at)
        return loci_fail(err, LOCI_E_NOMEM, "out of memory for the results");
    LOCI_TRY(collect(a, &r, err));
    status = loci_tensors_write(a->out, r.at, r.n, meta, err);
out:
    for (uint32_t i = 0; i < r.n; i++) {
        loci_free((char *)(uintptr_t)r.at[i].name);
        loci_free((void *)(uintptr_t)r.at[i].data);
    }
    loci_free(r.at);
    return status;
}
