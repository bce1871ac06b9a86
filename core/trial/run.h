/* SPDX-License-Identifier: Apache-2.0
 *
 * The memory of a run of a component that has streams: see run.c and call.c.
 */
#ifndef LOCI_CORE_TRIAL_RUN_H
#define LOCI_CORE_TRIAL_RUN_H

#include "core/trial/impl.h"

/* One call: what is handed over, and what its backward needs again. */
struct call {
    const loci_cut_call *cut;
    loci_run *runs, *k_runs;
    int32_t *pos, *k_pos;
    loci_view v_pos, v_k_pos;
    loci_batch q, k;
    bool *used;       /* [rows, seq]: is the token in a run? */
    struct slab *val; /* [ports] inputs and outputs          */
    struct arena saved;
    loci_need need;
};

struct run {
    loci_trial *t;
    const loci_trial_how *how;
    uint32_t n_calls;
    struct call *calls;
    struct arena *states; /* [n_states]: of call i: states[in_of(i)] -> states[out_of(i)] */
    uint32_t n_states;
    struct arena grad; /* of the states */
    uint64_t flags;
};

static inline struct arena *loci__state_in(const struct run *r, uint32_t i)
{
    return &r->states[r->n_states == 2 ? i % 2 : r->n_states == 1 ? 0 : i];
}

static inline struct arena *loci__state_out(const struct run *r, uint32_t i)
{
    return &r->states[r->n_states == 2 ? (i + 1) % 2 : r->n_states == 1 ? 0 : i + 1];
}

/* place.c: the tensors of a call, and what comes out of them */
loci_status loci__call_new(struct call *c, const struct run *r, const loci_cut_call *cut, loci_error *err);
void loci__call_free(struct call *c, const struct run *r);
/* Of port p: values (inputs), NaN or zeros (outputs). */
loci_status loci__call_value(struct call *c, const struct run *r, uint32_t p, loci_error *err);
/* Into s: cotangents of an output, `from` for an input's gradient. */
loci_status loci__call_grad(struct slab *s, const struct call *c, const struct run *r, uint32_t p, loci_error *err);
void loci__gather(const struct call *c, const struct run *r, uint32_t p, const struct slab *s, double *to,
                  double minus);
/* (6) of trial.h */
loci_status loci__check_padding(const struct call *c, const struct run *r, uint32_t p, const struct slab *s,
                                double want, const char *what, loci_error *err);

/* call.c: one call of the component */
loci_status loci__call_forward(struct run *r, uint32_t i, loci_error *err);
loci_status loci__call_backward(struct run *r, uint32_t i, loci_error *err);
/* The initial states of all documents into `state`; or the adjoint of it, from r->grad. */
loci_status loci__call_start(struct run *r, struct arena *state, bool back, loci_error *err);

/* states.c */
void loci__states_put(const struct run *r, void *block);         /* given values                           */
void loci__states_start(const struct run *r, const void *block); /* values that were not given             */
void loci__states_end(const struct run *r, const void *block);
void loci__states_cotangent(const struct run *r, void *block);
void loci__states_grad(const struct run *r, void *block); /* and zero what was given */
/* What the forward of a call must write holds this byte. */
void loci__states_spoil(const struct run *r, const struct call *c, void *block, int byte);

#endif
