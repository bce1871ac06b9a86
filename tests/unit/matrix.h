/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/unit/matrix.h: the matrix memories token by token, as their formulas are written; the oracle of their tests.
 *
 *     e_t = A k_t - v_t                         A by `error`: M_{t-1}, (1 - alpha_t) M_{t-1}, or 0
 *     S_t = eta_t S_{t-1} - c theta_t e_t k_t'
 *     M_t = (1 - alpha_t) M_{t-1} + S_t
 *     y_t = scale M_t q_t, or scale M_{t-1} q_t before the write
 *
 * Gates come in the order alpha, eta, theta and states in the order M, S, C, each only where the rule has it. In the
 * frozen form M_{t-1} in A is C, the memory before the first token of the chunk.
 */
#ifndef LOCI_TESTS_MATRIX_H
#define LOCI_TESTS_MATRIX_H

#include "tests/unit/trial.h"
#include <loci/scan.h>

struct matrix {
    int error;                            /* LOCI_SCAN_ERROR_*          */
    int64_t frozen;                       /* tokens of a frozen chunk, or 0 */
    double c, scale;                      /* of the loss and of q; 0: 1 */
    bool before;                          /* read before the write      */
    bool no_forget, no_momentum, no_step; /* gates it lacks: 0, 0, 1 */
};

static inline void matrix_formula(const head *a, const void *how)
{
    const struct matrix *f = (const struct matrix *)how;
    const int64_t dk = a->dk, n = a->dv * dk;
    const int eta_at = f->no_forget ? 0 : 1, theta_at = eta_at + (f->no_momentum ? 0 : 1);
    double *M = a->state[0], *S = f->no_momentum ? NULL : a->state[1], *C = a->state[f->no_momentum ? 1 : 2];

    for (int64_t t = 0; t < a->T; t++) {
        const double alpha = f->no_forget || a->op == LOCI_OP_READ ? 0 : a->gate[0][t];
        const double eta = f->no_momentum ? 0 : a->gate[eta_at][t], theta = f->no_step ? 1 : a->gate[theta_at][t];
        const double *k = a->k + t * dk, *q = a->q + t * dk, *seen = f->frozen ? C : M;
        const double keep = f->error == LOCI_SCAN_ERROR_NONE ? 0 : f->error == LOCI_SCAN_ERROR_DECAYED ? 1 - alpha : 1;

        if (f->frozen && a->op != LOCI_OP_READ && (a->pos + t) % f->frozen == 0)
            memcpy(C, M, (size_t)n * sizeof *C);
        for (int64_t i = 0; i < a->dv; i++) {
            double before = 0, after = 0, e = a->op == LOCI_OP_READ ? 0 : -a->v[t * a->dv + i];

            for (int64_t x = 0; x < dk; x++) {
                before += M[i * dk + x] * q[x];
                e += keep * seen[i * dk + x] * k[x];
            }
            for (int64_t x = 0; x < dk && a->op != LOCI_OP_READ; x++) {
                const double push = (f->c > 0 ? f->c : 1) * theta * e * k[x];
                double *m = &M[i * dk + x], *s = S ? &S[i * dk + x] : NULL;

                if (s)
                    *s = eta * *s - push;
                *m = (1 - alpha) * *m + (s ? *s : -push);
            }
            for (int64_t x = 0; x < dk; x++)
                after += M[i * dk + x] * q[x];
            a->y[t * a->dv + i] = (f->scale > 0 ? f->scale : 1) * (f->before ? before : after);
        }
    }
}

#endif
