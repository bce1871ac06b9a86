/* SPDX-License-Identifier: Apache-2.0
 *
 * What a document begins with: its memory is a copy of the learned weights, or zero; momentum and the memory of the
 * chunk are zero. The gradient of the weights is the sum over the documents.
 */
#include "titans.h"

/* Row `at` of a state tensor: [H, rows, cols]. */
static loci_tensor row(const loci_tensor *state, int64_t at)
{
    loci_tensor t = *state;

    t.ndim = 3;
    t.shape = state->shape + 1;
    t.strides = state->strides + 1;
    t.byte_offset += (uint64_t)(at * state->strides[0]) * (t.dtype.bits / 8);
    return t;
}

/* The layer whose memory is state i; 0: it is none. */
static int layer_of(const loci_module *m, uint32_t i)
{
    for (int l = 1; l <= m->L; l++)
        if (m->W[l] == i)
            return l;
    return 0;
}

loci_status state_init(loci_module *m, const loci_exec *x, const loci_slots *s, const loci_batch *batch, loci_error *err)
{
    loci_status status = LOCI_OK;

    for (uint32_t r = 0; r < batch->n_runs && status == LOCI_OK; r++)
        for (uint32_t i = 0; i < s->n_state && status == LOCI_OK; i++) {
            const loci_tensor to = row(&s->state_out[i], batch->runs[r].state);
            const int l = m->learned ? layer_of(m, i) : 0;

            status = l ? m->ops->map1(x, LOCI_MAP_COPY, &to, &s->params[m->W0[l]], 1, 0, err)
                       : m->ops->fill(x, &to, 0, err);
        }
    return status;
}

loci_status state_init_back(loci_module *m, const loci_exec *x, const loci_slots *s, const loci_batch *batch,
                            loci_error *err)
{
    loci_status status = LOCI_OK;

    for (uint32_t r = 0; m->learned && r < batch->n_runs && status == LOCI_OK; r++)
        for (int l = 1; l <= m->L && status == LOCI_OK; l++) {
            const loci_tensor from = row(&s->state_grad[m->W[l]], batch->runs[r].state);

            status = m->ops->map1(x, LOCI_MAP_COPY, &s->grads[m->W0[l]], &from, 1, 1, err);
        }
    return status;
}
