/* SPDX-License-Identifier: Apache-2.0
 *
 * compose: what the two files of mac share: a call's buffers and the step at hand. Letters as in mac.c.
 */
#ifndef LOCI_COMPOSE_MAC_H
#define LOCI_COMPOSE_MAC_H

#include "parts.h"

enum { MIX, RUN, SNAP, STATES };

/* Sizes of the call, then what layout() cuts, then the step at hand. */
struct mac {
    int64_t steps, R, L, S; /* most rows, tokens and context rows of a step */
    loci_need read, mix, step;
    uint64_t bytes[STATES]; /* of state blocks */

    int32_t *x_row, *h_at, *x_at; /* [R L] row of x; rows of the context where h and x stand */
    int32_t *c_h, *c_x, *c_p;     /* [R S] the other way round, and of p                     */
    int32_t *q_pos, *k_pos;
    loci_run *tokens, *queries, *keys, *begins, *ends, *rest;
    char *kept; /* h, y, m and what the children save, of step 0 */
    uint64_t kept_bytes;
    void *blocks[STATES]; /* block 1 of each state, saved */
    void *x, *ctx, *h, *y, *m, *o;
    void *d_o, *dy, *dm, *dh, *dx, *dctx, *stand_in;
    void *saved_read, *saved_mix, *saved_step;
    struct gate gate;

    int64_t r, l, s; /* rows, tokens, context rows of this step */
    loci_batch b_tokens, b_queries, b_keys, b_begins, b_ends, b_rest;
    loci_view v_q, v_k;
    const void *in[STATES];
    void *out[STATES];
};

/* segments.c: how many steps a call takes; runs, sizes, states, row lists and positions of step s. */
int64_t mac_steps(const loci_batch *q, int64_t C);
void mac_step(const struct call *c, struct mac *k, int64_t s);

#endif
