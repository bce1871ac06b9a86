/* SPDX-License-Identifier: Apache-2.0
 *
 * mem_matrix: what the matrix memories over the device's scan M share, compiled into each of their plugins. A rule is a
 * choice of error and gates of
 *
 *     e_t = A_t k_t - v_t     S_t = eta_t S_{t-1} - theta_t e_t k_t'     M_t = (1 - alpha_t) M_{t-1} + S_t
 *     y_t = scale M_t q_t
 *
 * for each head, M and S [dv, dk] (loci/scan.h). The rule's own file has its keys, makes those choices in `create` and
 * holds the class; here are the keys that all have, slots and gates, and in scan.h the call and the first state.
 *
 *  (1) A gate that is not wanted is not declared; the scan is given NULL for it: alpha = eta = 0, theta = 1. Without
 * eta there is no S. (2) The slots of modes exact and sequential are the same, so that one checkpoint serves both. Mode
 * frozen has one state more, C, the memory at the start of the chunk in progress. (3) Gates are called alpha, eta and
 * theta by all rules, so that two that are compared start from equal gates.
 */
#ifndef LOCI_MEM_MATRIX_H
#define LOCI_MEM_MATRIX_H

#include "scan.h"
#include <string.h>

struct loci_module {
    const loci_host *host;
    const loci_ops *ops;
    int64_t H, dk, dv;
    int learned;
    uint32_t M0;
    matrix_scan scan;
    struct matrix_gate {
        double hi, init; /* hi 0: not wanted */
    } gate[MATRIX_GATES];
};

/* "memory/delta": the rule's name in messages, which its file defines. */
extern const char matrix_who[];

#define MATRIX_KEY(id, type, def, choices, lo, hi, help) \
    { \
        sizeof(loci_key), type, id, def, help, choices, lo, hi \
    }
extern const loci_key matrix_key_chunk, matrix_key_forget, matrix_key_read_order, matrix_key_init_state,
    matrix_key_q_scale;

/* Is the value of an ENUM key this one? */
static inline int matrix_is(const loci_config *c, const char *key, const char *value)
{
    return !strcmp(c->get_str(c->ctx, key), value);
}

/* A module with the shared keys and key `mode` read; gates and error are the rule's to set. forget: 1 to 0.01 of alpha.
 */
loci_status matrix_create(const loci_host *host, const loci_config *c, const loci_shape *shape, loci_module **out,
                          loci_error *err);

/* The functions of a class. */
loci_status matrix_fit(const loci_host *host, const loci_config *c, const loci_shape *shape, loci_fit *f);
void matrix_destroy(loci_module *m);
loci_status matrix_declare(loci_module *m, void *decl, loci_error *err);
loci_status matrix_plan(loci_module *m, const loci_shape *shape, int32_t op, loci_need *need, loci_error *err);
extern const loci_memory matrix_iface;

#endif
