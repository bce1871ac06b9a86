/* SPDX-License-Identifier: Apache-2.0
 *
 * Running a component through a cut, forwards and backwards.
 *
 *  (1) States begin with all documents reset and what was given laid over. With a backward every call has states of its
 *      own to write; without one two blocks take turns, or one serves all calls (inplace).
 *  (2) The gradient of the states goes backwards through the calls in one block; what is left of it is that of the
 *      initial states, and the part that was not given goes on into state_init's adjoint.
 */
#include "core/trial/run.h"
#include <string.h>

static loci_status check_documents(const loci_trial *t, loci_error *err)
{
    for (int64_t d = 0; d < t->size.docs; d++) {
        if (t->len[d] < 0 || t->len[d] > t->size.seq || t->pos0[d] < 0 || t->pos0[d] + t->len[d] > t->size.capacity)
            return loci_fail(
                err, LOCI_E_ARG,
                "document %lld has %lld tokens after %lld: at most %lld fit a call and %lld the stream: ask "
                "for a larger capacity",
                (long long)d, (long long)t->len[d], (long long)t->pos0[d], (long long)t->size.seq,
                (long long)t->size.capacity);
        for (uint32_t p = 0; p < t->n; p++)
            if (t->pos0[d] > 0 && t->ports[p].p.cache && !t->ports[p].p.given && !loci__is_context(t))
                return loci_fail(err, LOCI_E_ARG, "document %lld had %lld tokens before: give %s, which holds them",
                                 (long long)d, (long long)t->pos0[d], t->ports[p].p.name);
    }
    return LOCI_OK;
}

static loci_status open_run(struct run *r, loci_trial *t, const loci_trial_how *how, const loci_cutting *cut,
                            loci_error *err)
{
    loci_status status = LOCI_OK;

    *r = (struct run){.t = t, .how = how};
    if (how->inplace && how->back)
        return loci_fail(err, LOCI_E_ARG, "a state that is overwritten has no backward: ask for one or the other");
    LOCI_TRY(check_documents(t, err));
    r->flags =
        (how->back ? LOCI_X_SAVE : 0) | (how->train ? LOCI_X_TRAIN : 0) | (how->inplace ? LOCI_X_STATE_INPLACE : 0);
    r->n_calls = cut->n_calls;
    r->n_states = how->back ? cut->n_calls + 1 : how->inplace ? 1 : 2;
    if (how->back && r->n_states == 2)
        r->n_states = 3; /* so that in and out are told apart by number */
    r->calls = loci_alloc(r->n_calls * sizeof *r->calls);
    r->states = loci_alloc(r->n_states * sizeof *r->states);
    if (!r->calls || !r->states) {
        status = loci_fail(err, LOCI_E_NOMEM, "out of memory for %u calls", r->n_calls);
        goto out;
    }
    for (uint32_t i = 0; i < r->n_states; i++)
        LOCI_TRY(loci__arena_new(&r->states[i], t->cx, t->state_bytes, 64, how->harsh, err));
    if (how->back)
        LOCI_TRY(loci__arena_new(&r->grad, t->cx, t->state_bytes, 64, how->harsh, err));
    for (uint32_t i = 0; i < r->n_calls; i++)
        LOCI_TRY(loci__call_new(&r->calls[i], r, &cut->calls[i], err));
out:
    return status;
}

static void close_run(struct run *r)
{
    for (uint32_t i = 0; r->calls && i < r->n_calls; i++)
        loci__call_free(&r->calls[i], r);
    for (uint32_t i = 0; r->states && i < r->n_states; i++)
        loci__arena_free(&r->states[i]);
    loci__arena_free(&r->grad);
    loci_free(r->calls);
    loci_free(r->states);
}

static loci_status weights_in(const loci_trial *t, double from, loci_error *err)
{
    loci_status status = LOCI_OK;

    for (uint32_t i = 0; i < t->n; i++) {
        const loci_port *p = &t->ports[i].p;
        if (!p->weight)
            continue;
        LOCI_TRY(loci__tensor_put(t->cx, &p->weight->value.t, p->value, 0, err));
        LOCI_TRY(loci__tensor_put(t->cx, &p->weight->grad.t, NULL, from, err));
    }
out:
    return status;
}

static loci_status weights_out(const loci_trial *t, double from, loci_error *err)
{
    loci_status status = LOCI_OK;

    for (uint32_t i = 0; i < t->n; i++) {
        const loci_port *p = &t->ports[i].p;
        if (p->weight)
            LOCI_TRY(loci__tensor_get(t->cx, &p->weight->grad.t, p->grad, from, err));
    }
out:
    return status;
}

/* What a run fills begins at zero: a document may be in no call, a port may be no part of an op. */
static void forget(const loci_trial *t, bool back)
{
    for (uint32_t i = 0; i < t->n; i++) {
        const loci_port *p = &t->ports[i].p;
        if (p->role == LOCI_PORT_OUTPUT)
            memset(p->value, 0, p->elements * sizeof *p->value);
        else if (back && p->real)
            memset(p->grad, 0, p->elements * sizeof *p->grad);
    }
}

loci_status loci_trial_run(loci_trial *t, const loci_trial_how *how, loci_error *err)
{
    static const loci_trial_how plain;
    loci_status status = LOCI_OK;
    loci_cutting whole = {0};
    struct run r = {0};
    struct arena *last;

    how = how ? how : &plain;
    forget(t, how->back);
    if (t->kind == LOCI_IS_ATTENTION)
        return loci__attention_run(t, how, err);
    if (!how->cut)
        LOCI_TRY(loci_cut_whole(&whole, t, err));
    LOCI_TRY(open_run(&r, t, how, how->cut ? how->cut : &whole, err));
    LOCI_TRY(weights_in(t, how->from, err));
    LOCI_TRY(loci__call_start(&r, &r.states[0], false, err));
    loci__states_start(&r, r.states[0].at);
    loci__states_put(&r, r.states[0].at);
    for (uint32_t i = 0; i < r.n_calls; i++) {
        LOCI_TRY(loci__call_forward(&r, i, err));
        for (uint32_t p = 0; !how->back && p < t->n; p++)
            loci__slab_free(&r.calls[i].val[p]);
    }
    last = r.n_calls ? loci__state_out(&r, r.n_calls - 1) : &r.states[0];
    loci__states_end(&r, last->at);
    if (!how->back)
        goto out;
    loci__states_cotangent(&r, r.grad.at);
    for (uint32_t i = r.n_calls; i-- > 0;)
        LOCI_TRY(loci__call_backward(&r, i, err));
    loci__states_grad(&r, r.grad.at);
    LOCI_TRY(loci__call_start(&r, &r.grad, true, err));
    status = weights_out(t, how->from, err);
out:
    close_run(&r);
    loci_cut_free(&whole);
    return status;
}
