/* SPDX-License-Identifier: Apache-2.0
 *
 * mem_matrix/scan: a memory of one matrix as a call of the device's scan M (loci/scan.h), and what a document starts
 * from. Which gates and states a rule has, and at which of its own indices, is all that differs between rules.
 */
#ifndef LOCI_MEM_MATRIX_SCAN_H
#define LOCI_MEM_MATRIX_SCAN_H

#include <loci/author.h>
#include <loci/ops.h>
#include <loci/scan.h>

enum { MATRIX_ALPHA, MATRIX_ETA, MATRIX_THETA, MATRIX_GATES };
enum { MATRIX_M, MATRIX_S, MATRIX_C, MATRIX_STATES };

/* A gate or a state of the scan: slot `at` of the rule, when the rule has it. */
typedef struct matrix_slot {
    int has;
    uint32_t at;
} matrix_slot;

typedef struct matrix_scan {
    const loci_scan *scan;
    int32_t mode, chunk, read_order, error; /* LOCI_SCAN_* */
    double scale, loss_scale;
    matrix_slot gate[MATRIX_GATES], state[MATRIX_STATES];
} matrix_scan;

loci_status matrix_scan_plan(const matrix_scan *, const loci_shape *, int32_t op, loci_need *, loci_error *);
loci_status matrix_scan_forward(const matrix_scan *, const loci_exec *, const loci_slots *, const loci_rule_io *,
                                loci_error *);
loci_status matrix_scan_backward(const matrix_scan *, const loci_exec *, const loci_slots *, const loci_rule_io *,
                                 loci_error *);

/* A document starts with state[i] = weight[i] for i < n and zero in every other state; shapes [-1, ...] and [...]. */
loci_status matrix_start(const loci_ops *, const loci_exec *, const loci_slots *, const loci_batch *, int n,
                         const uint32_t *state, const uint32_t *weight, loci_error *);
/* Its adjoint: the gradient of a weight is the sum over the documents. */
loci_status matrix_start_back(const loci_ops *, const loci_exec *, const loci_slots *, const loci_batch *, int n,
                              const uint32_t *state, const uint32_t *weight, loci_error *);

#endif
