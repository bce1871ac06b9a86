/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/bad: the momentum of a stream is kept in the module, not in the state.
 */
#define FORWARD bad_forward
#include "../base.h"

enum { OWNERS = 8, ROWS = 8, NUMBERS = 128 };
static struct kept_state {
    const loci_module *of;
    double S[ROWS][NUMBERS];
} owners[OWNERS];

static struct kept_state *owned(const loci_module *m)
{
    int i = 0;

    while (i < OWNERS - 1 && owners[i].of && owners[i].of != m)
        i++;
    owners[i].of = m;
    return &owners[i];
}

/* S goes from the state into the module: what goes on takes it from there. */
static loci_status bad_forward(loci_module *m, const loci_exec *x, const loci_slots *s, const loci_rule_io *io,
                               loci_error *err)
{
    struct kept_state *own = owned(m);
    loci_slots slots = *s;
    loci_tensor in[2] = {s->state_in[0], s->state_in[1]};
    double S[ROWS * NUMBERS] = {0};
    float S32[ROWS * NUMBERS] = {0};
    const int64_t n = m->H * m->e * m->d;
    const int narrow = s->state_in[1].dtype.bits == 32;
    loci_status status;

    if (n > NUMBERS || s->state_in[1].shape[0] > ROWS)
        return forward(m, x, s, io, err);
    for (uint32_t i = 0; i < io->batch->n_runs; i++) {
        const loci_run *r = &io->batch->runs[i];
        for (int64_t k = 0; k < n; k++) {
            if (r->pos == 0)
                own->S[r->state][k] = 0;
            S[r->state * n + k] = own->S[r->state][k];
            S32[r->state * n + k] = (float)own->S[r->state][k];
        }
    }
    in[1].data = narrow ? (void *)S32 : (void *)S;
    in[1].byte_offset = 0;
    slots.state_in = in;
    status = forward(m, x, &slots, io, err);
    for (uint32_t i = 0; i < io->batch->n_runs; i++) {
        const loci_run *r = &io->batch->runs[i];
        for (int64_t k = 0; k < n; k++) {
            own->S[r->state][k] = get(&s->state_out[1], r->state * n + k);
            put(&s->state_out[1], r->state * n + k, 0);
        }
    }
    return status;
}
