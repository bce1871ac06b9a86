/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/unit/rules/matrix.c: the reference of every matrix memory, token by token: `delta`, `hebbian` and `titans` are
 * choices of its keys. Forward and adjoint are the formula as it is written, in float and double.
 *
 *     e_t = A k_t - v_t          A = a P: a = 1 (error = undecayed), 1 - alpha_t (decayed), 0 (none)
 *                                P = M_{t-1}; frozen: C, the memory before the first token of t's chunk
 *     S_t = eta_t S_{t-1} - c theta_t e_t k_t'
 *     M_t = (1 - alpha_t) M_{t-1} + S_t
 *     y_t = M_t q_t, or M_{t-1} q_t before the write
 *
 * Adjoint, G, Z, D the gradients of M, S and C after the token:
 *
 *     Z += G    dalpha -= <G, M>    deta += <Z, S>    dtheta -= c e' Z k    de = -c theta Z k
 *     dk += a P' de - c theta Z' e    dv -= de    (decayed: dalpha -= de' P k)
 *     G = (1 - alpha) G    G, or frozen D, += a de k'    Z = eta Z    where a chunk begins: G += D, D = 0
 *
 * Behrouz, Zhong, Mirrokni 2025 (Titans, eqs. 9-14 and section 3.2); Schlag et al. 2021; Yang et al. 2024 (decayed).
 */
#define LOCI_RULE_ID "matrix"
#define LOCI_RULE_SUMMARY "reference of the matrix memories"
#define LOCI_RULE_DOC "M = (1 - alpha) M + S;  S = eta S - c theta (A k - v) k';  y = M q"
#define LOCI_RULE_CLASS loci_rule_matrix
#define LOCI_RULE_KEYS(X) \
    X(INT, chunk, "0", NULL, 0, 65536, "Tokens of a frozen chunk; 0: the recurrence.") \
    X(ENUM, error, "undecayed", "undecayed|decayed|none", 0, 0, "Which memory the error is taken at.") \
    X(BOOL, momentum, "yes", NULL, 0, 0, "Keep S.") \
    X(BOOL, forget, "yes", NULL, 0, 0, "With gate alpha.") \
    X(BOOL, step, "yes", NULL, 0, 0, "With gate theta; no: 1.") \
    X(REAL, loss_scale, "1", NULL, 0, 10, "c") \
    X(BOOL, before, "no", NULL, 0, 0, "Read before the write.") \
    X(BOOL, learned, "no", NULL, 0, 0, "The first M is a weight.")
#define LOCI_RULE_STATES(X) \
    X(M, r->learned ? 0.02 : 0, r->dv, r->dk) \
    X(S, 0, r->momentum ? r->dv : 0, r->dk) \
    X(C, 0, r->chunk ? r->dv : 0, r->dk)
#define LOCI_RULE_GATES(X) \
    X(alpha, 0, 1, 0.01, r->forget) \
    X(eta, 0, 1, 0.5, r->momentum) \
    X(theta, 0, 1, 0.1, r->step)
#define LOCI_RULE_READS_BEFORE_WRITE r->before
#include <loci/rule.h>

static loci_real LOCI_NAME(gate)(const loci_real *gate, loci_real without)
{
    return gate ? *gate : without;
}

/* What the memory is multiplied by in the error. */
static loci_real LOCI_NAME(seen)(const loci_token *t)
{
    return t->r->error == 2 ? 0 : t->r->error == 1 ? 1 - LOCI_NAME(gate)(t->alpha, 0) : 1;
}

static void LOCI_NAME(write)(const loci_token *t, const loci_state *m)
{
    const loci_rule *r = t->r;
    const loci_real alpha = LOCI_NAME(gate)(t->alpha, 0), eta = LOCI_NAME(gate)(t->eta, 0);
    const loci_real theta = (loci_real)r->loss_scale * LOCI_NAME(gate)(t->theta, 1), a = LOCI_NAME(seen)(t);

    for (int64_t i = 0; i < r->dv; i++) {
        loci_real *M = m->M + i * r->dk, *S = m->S ? m->S + i * r->dk : NULL, *C = m->C ? m->C + i * r->dk : NULL;
        loci_real e = -t->v[i];

        for (int64_t x = 0; x < r->dk; x++) {
            if (C && t->pos % r->chunk == 0)
                C[x] = M[x];
            e += a * (C ? C : M)[x] * t->k[x];
        }
        for (int64_t x = 0; x < r->dk; x++) {
            const loci_real s = (S ? eta * S[x] : 0) - theta * e * t->k[x];

            if (S)
                S[x] = s;
            M[x] = (1 - alpha) * M[x] + s;
        }
    }
}

static void LOCI_NAME(write_back)(const loci_token *t, const loci_seen *m, const loci_grad *d, const loci_state *g)
{
    const loci_rule *r = t->r;
    const loci_real alpha = LOCI_NAME(gate)(t->alpha, 0), eta = LOCI_NAME(gate)(t->eta, 0);
    const loci_real c = (loci_real)r->loss_scale, theta = c * LOCI_NAME(gate)(t->theta, 1), a = LOCI_NAME(seen)(t);
    const int begins = r->chunk && t->pos % r->chunk == 0;

    for (int64_t i = 0; i < r->dv; i++) {
        const loci_real *M = m->M + i * r->dk, *P = r->chunk && !begins ? m->C + i * r->dk : M;
        const loci_real *S = m->S ? m->S + i * r->dk : NULL;
        loci_real *G = g->M + i * r->dk, *D = g->C ? g->C + i * r->dk : G, *Z = g->S ? g->S + i * r->dk : NULL;
        loci_real pk = 0, zk = 0, gm = 0, zs = 0, e, de;

        for (int64_t x = 0; x < r->dk; x++) {
            const loci_real z = G[x] + (Z ? Z[x] : 0);

            pk += P[x] * t->k[x];
            zk += z * t->k[x];
            gm += G[x] * M[x];
            zs += S ? z * S[x] : 0;
        }
        e = a * pk - t->v[i];
        de = -theta * zk;
        if (d->alpha)
            *d->alpha -= gm + (r->error == 1 ? de * pk : 0);
        if (d->eta)
            *d->eta += zs;
        if (d->theta)
            *d->theta -= c * e * zk;
        d->v[i] -= de;
        for (int64_t x = 0; x < r->dk; x++) {
            const loci_real z = G[x] + (Z ? Z[x] : 0);

            d->k[x] += a * de * P[x] - theta * e * z;
            G[x] *= 1 - alpha;
            D[x] += a * de * t->k[x];
            if (Z)
                Z[x] = eta * z;
            if (begins) {
                G[x] += D[x];
                D[x] = 0;
            }
        }
    }
}

static void LOCI_NAME(read)(const loci_query *t, const loci_seen *m, loci_real *y)
{
    for (int64_t i = 0; i < t->r->dv; i++) {
        y[i] = 0;
        for (int64_t x = 0; x < t->r->dk; x++)
            y[i] += m->M[i * t->r->dk + x] * t->q[x];
    }
}

static void LOCI_NAME(read_back)(const loci_query *t, const loci_seen *m, const loci_real *dy, loci_real *dq,
                                 const loci_state *g)
{
    for (int64_t i = 0; i < t->r->dv; i++)
        for (int64_t x = 0; x < t->r->dk; x++) {
            dq[x] += dy[i] * m->M[i * t->r->dk + x];
            g->M[i * t->r->dk + x] += dy[i] * t->q[x];
        }
}

#include LOCI_RULE_AGAIN("matrix.c")
