/* SPDX-License-Identifier: Apache-2.0
 *
 * compose: what the files of mac share: a call's buffers and the step at hand. Letters as in mac.c.
 */
#ifndef LOCI_COMPOSE_MAC_H
#define LOCI_COMPOSE_MAC_H

#include "parts.h"

enum { MIX, RUN, SNAP, STATES };

/* Sizes of the call, then what layout() cuts, then the step at hand. */
struct mac {
    int64_t steps, R, L, S; /* most rows, tokens and context rows of a step */
    int64_t Q;              /* queries of the memory by a row that reads it */
    loci_need read, mix, step;
    uint64_t bytes[STATES]; /* of state blocks */

    int32_t *x_row, *x_at;           /* [R L] row of x; row of the context where x stands      */
    int32_t *c_h, *c_x, *c_p;        /* [R S] the other way round, and of h and p              */
    int32_t *h_at, *q_from, *q_last; /* [R Q] where h stands; the query's row in x or in the
                                        learned ones, and in the state `last`                  */
    int32_t *q_pos, *k_pos;
    loci_run *tokens, *queries, *keys, *begins, *ends, *rest, *reads, *still;
    char *kept; /* h, y, m and what the children save, of step 0 */
    uint64_t kept_bytes;
    void *blocks[STATES]; /* block 1 of each state, saved */
    void *x, *q, *ctx, *h, *y, *m, *o;
    void *d_o, *dq, *dy, *dm, *dh, *dx, *dctx, *stand_in;
    void *written; /* literal: run between its write and its read */
    void *saved_read, *saved_mix, *saved_step, *saved_out;
    struct gate gate;

    int64_t r, l, s, reading; /* rows, tokens, context rows of this step; rows that read */
    int64_t n_q;              /* queries of such a row */
    loci_batch b_tokens, b_queries, b_keys, b_begins, b_ends, b_rest, b_reads, b_still;
    loci_view v_q, v_k;
    const void *in[STATES];
    void *out[STATES];
};

/* segments.c: how many steps a call takes; runs, sizes, states, row lists and positions of step s. */
int64_t mac_steps(const loci_batch *q, int64_t C);
void mac_step(const struct call *c, struct mac *k, int64_t s);

/* mac.c: parts of a state of the rows that a batch names: dst := src, and dst += src (src NULL: dst := 0). */
loci_status mac_copy(const struct call *c, const loci_child *child, const loci_batch *b, uint32_t parts, void *dst,
                     const void *src);
loci_status mac_add(const struct call *c, const loci_child *child, const loci_batch *b, uint32_t parts, void *dst,
                    const void *src);

/* retrieve.c: (1) of mac.c and its adjoint, from k->dh; then the state `last` of retrieval = previous: what a call
 * leaves of it, and first thing in a backward, the adjoint of that. */
loci_status retrieve(const struct call *c, struct mac *k);
loci_status retrieve_back(const struct call *c, struct mac *k);
loci_status last_forward(const struct call *c);
loci_status last_back(const struct call *c);

#endif
