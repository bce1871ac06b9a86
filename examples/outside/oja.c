/* SPDX-License-Identifier: Apache-2.0
 *
 * oja.c: Oja's rule as a memory, on loci/rule.h: nine lines of frame, and the mathematics of one token and one head.
 *
 *     M_i += beta v_i (k - v_i M_i)        row i of M; v_i is what the unit should say, k what it hears
 *     y    = M q
 *
 * A Hebbian step whose decay is part of it: beta v_i^2 of row i is forgotten, so a row with v_i = 0 stays, and one with
 * v_i = 1 moves to the running mean of its keys. Stable for beta v_i^2 < 2.
 *
 * Oja 1982, A simplified neuron model as a principal component analyzer, with the output clamped to v; as the
 * trainable memory of Miconi, Clune and Stanley 2018, Differentiable plasticity. Departs: beta depends on the token.
 */
#define LOCI_RULE_ID "org.example.oja"
#define LOCI_RULE_SUMMARY "Oja's rule: Hebbian, with a decay of its own"
#define LOCI_RULE_DOC "M_i += beta v_i (k - v_i M_i);  y = M q\n" \
    "Cost: 5 d^2 operations per token and head.\nSource: Oja 1982; Miconi, Clune, Stanley 2018.\nUse: as an example."
#define LOCI_RULE_STATES(X) X(M, 0, r->dv, r->dk)
#define LOCI_RULE_KEYS(X) X(REAL, beta_max, "0.5", NULL, 1e-6, 2, "Largest step; stable for beta v^2 < 2.")
#define LOCI_RULE_GATES(X) X(beta, 0, r->beta_max, r->beta_max / 2, 1)
#include <loci/rule.h>

static void LOCI_NAME(write)(const loci_token *t, const loci_state *m)
{
    const int64_t dk = t->r->dk;

    for (int64_t i = 0; i < t->r->dv; i++) {
        const loci_real push = *t->beta * t->v[i], keep = 1 - push * t->v[i];

        for (int64_t x = 0; x < dk; x++)
            m->M[i * dk + x] = keep * m->M[i * dk + x] + push * t->k[x];
    }
}

/* With G the gradient of M after the token:
 *     dbeta += sum over i of v_i G_i'k - v_i^2 G_i'M_i     dv_i += beta (G_i'k - 2 v_i G_i'M_i)
 *     dk    += sum over i of beta v_i G_i                  G_i = (1 - beta v_i^2) G_i  */
static void LOCI_NAME(write_back)(const loci_token *t, const loci_seen *m, const loci_grad *d, const loci_state *g)
{
    const int64_t dk = t->r->dk;

    for (int64_t i = 0; i < t->r->dv; i++) {
        const loci_real v = t->v[i], push = *t->beta * v, keep = 1 - push * v;
        loci_real gk = 0, gm = 0;

        for (int64_t x = 0; x < dk; x++) {
            loci_real *G = &g->M[i * dk + x];

            gk += *G * t->k[x];
            gm += *G * m->M[i * dk + x];
            d->k[x] += push * *G;
            *G *= keep;
        }
        *d->beta += v * (gk - v * gm);
        d->v[i] += *t->beta * (gk - 2 * v * gm);
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

#include LOCI_RULE_AGAIN("oja.c")
