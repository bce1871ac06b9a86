/* SPDX-License-Identifier: Apache-2.0
 *
 * core/train/probe: look inside the memories of a model while it reads: the values of every gate, and how large the
 * state is at the positions of a sequence.
 *
 *  (1) Nothing is computed again: the probe sees each call of a memory's rule (loci_watch) and copies.
 *  (2) The rows are read in pieces, the state carried from one to the next, since a state can be seen at the end of a
 *      call only. For a model that streams the numbers are those of one call.
 */
#ifndef LOCI_CORE_TRAIN_PROBE_H
#define LOCI_CORE_TRAIN_PROBE_H

#include "core/data/data.h"
#include "core/model/model.h"
#include "core/tensor/figures.h"

typedef struct loci_probe_gate {
    const loci_node *node; /* the memory */
    const char *name;
    double lo, hi;       /* the range: [lo, hi), hi may be infinite */
    loci_numbers values; /* in the order of the calls */
} loci_probe_gate;

/* The Frobenius norm of one state of a memory, per head, after `position` tokens, mean over the rows of the batch. */
typedef struct loci_probe_norm {
    const loci_node *node;
    const char *state;
    int64_t heads;
    loci_numbers positions, norms; /* norms: heads of them per position */
} loci_probe_norm;

typedef struct loci_probe {
    loci_probe_gate *gates;
    loci_probe_norm *norms;
    uint32_t n_gates, n_norms;
    double loss; /* nats a token of the batch read */
    int64_t rows, seq, piece, tokens;
} loci_probe;

/* Read `rows` windows of `seq` tokens, at even distances over the validation text, in `pieces` pieces (1 for a model
 * that does not stream). m is allocated and holds its weights. Free it also after a failure. */
loci_status loci_probe_run(loci_probe *out, loci_model *m, const loci_data *d, int64_t rows, int64_t seq,
                           int64_t pieces, loci_error *err);
void loci_probe_free(loci_probe *p);

/* Share of values where the slope of the gate's activation is below a hundredth of its greatest. */
double loci_gate_saturated(const loci_probe_gate *g);
/* Tokens after which a forget gate has halved what was written: ln 2 / mean of -ln(1 - g); infinite when it forgets
 * nothing. */
double loci_gate_half_life(const loci_probe_gate *g);

#endif
