/* SPDX-License-Identifier: Apache-2.0
 *
 * Calls of a memory's rule without the front end: the caller has q, k, v and gates, as a test or another implementation
 * has them. What the front end does around a rule's call and the rule may rely on is done here too: a READ finds its
 * state in state_out already.
 */
#include "core/model/node_impl.h"
#include <assert.h>

static loci_status call(const loci_node *n, const loci_exec *x, const loci_rule_io *io, const void *state_in,
                        void *state_out, void *state_grad, bool back, loci_error *err)
{
    loci_status status = LOCI_OK;
    const loci_memory *m = n->cls->iface;
    loci_exec own = *x;
    struct frame f;

    assert(n->kind == LOCI_IS_MEMORY && !n->front);
    own.seed = loci_mix64(x->seed ^ n->path_hash);
    loci_frame_fill(&f, n, x->session, n->n_params, n->n_states, state_in, state_out, state_grad, back);
    for (uint32_t i = 0; i < n->n_states && !back && io->op == LOCI_OP_READ && state_in != state_out; i++)
        LOCI_TRY(loci_rows_copy(x, &f.out.t[i], &f.in.t[i], io->batch, false, err));
    status = (back ? m->backward : m->forward)(n->module, &own, &f.slots, io, err);
    if (status != LOCI_OK)
        loci_fail(err, status, "%s: memory/%s failed without saying why", n->path, n->cls->id);
out:
    return status;
}

loci_status loci_rule_forward(const loci_node *n, const loci_exec *x, const loci_rule_io *io, const void *state_in,
                              void *state_out, loci_error *err)
{
    return call(n, x, io, state_in, state_out, NULL, false, err);
}

loci_status loci_rule_backward(const loci_node *n, const loci_exec *x, const loci_rule_io *io, const void *state_in,
                               void *state_out, void *state_grad, loci_error *err)
{
    return call(n, x, io, state_in, state_out, state_grad, true, err);
}
