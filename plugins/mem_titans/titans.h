/* SPDX-License-Identifier: Apache-2.0
 *
 * mem_titans: what its files share. titans.c is the class; a memory of one matrix is mem_matrix's scan;
 * deep*.c the memory of several layers.
 */
#ifndef LOCI_MEM_TITANS_H
#define LOCI_MEM_TITANS_H

#include "../mem_matrix/scan.h"

#define TITANS_DEPTH 16 /* layers of a memory, at most */

#define fail(err, code, ...) loci_refuse(err, code, "memory/titans", __VA_ARGS__)

/* Layers count from 1 to L; width[l] is what layer l puts out, width[0] = dk, width[L] = dv. W, S, C, W0 are slots. */
struct loci_module {
    const loci_host *host;
    const loci_scan *scan;
    const loci_ops *ops;
    int64_t H, dk, dv, width[TITANS_DEPTH + 1];
    int32_t L, mode, chunk, read_order; /* mode: LOCI_SCAN_*   */
    int momentum, forget, learned, deep, residual, per_layer;
    int resident;               /* one thread walks one head   */
    int32_t f, f_back, f_back2; /* activation: LOCI_MAP_*       */
    double theta_max, loss_scale;
    uint32_t W[TITANS_DEPTH + 1], S[TITANS_DEPTH + 1], C[TITANS_DEPTH + 1], W0[TITANS_DEPTH + 1];
    uint32_t alpha, eta, theta; /* gates                        */
    matrix_scan matrix;         /* of depth 1   */
    char name[4][TITANS_DEPTH + 1][12];
};

loci_status deep_plan(loci_module *, const loci_shape *, int32_t op, loci_need *, loci_error *);
loci_status deep_forward(loci_module *, const loci_exec *, const loci_slots *, const loci_rule_io *, loci_error *);
loci_status deep_backward(loci_module *, const loci_exec *, const loci_slots *, const loci_rule_io *, loci_error *);

#endif
