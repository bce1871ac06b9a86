/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/unit/rules/wide.c: what the matrix memories do not use of loci/rule.h: gates with many numbers, an open range,
 * states of other shapes, private memory, a refusal. Linear attention with a decay per channel, a normaliser, and
 * values mixed with the two before them:
 *
 *     u_t = v_t + mu_0 R_0 + mu_1 R_1           R: the last two values, newest first
 *     M_t = M_{t-1} diag(1 - alpha) + beta u k'    z_t = (1 - alpha) z_{t-1} + beta k
 *     y_t = M_t q_t / sqrt(1 + (z_t' q_t)^2)
 */
#define LOCI_RULE_ID "wide"
#define LOCI_RULE_SUMMARY "test of loci/rule.h"
#define LOCI_RULE_DOC "M = M diag(1 - alpha) + beta u k';  z = (1 - alpha) z + beta k;  y = M q / sqrt(1 + (z' q)^2)"
#define LOCI_RULE_VERSION "2.5"
#define LOCI_RULE_STATE_VERSION 3
#define LOCI_RULE_CLASS loci_rule_wide
#define LOCI_RULE_KEYS(X) X(INT, widest, "1000", NULL, 1, 100000, "Largest dk.")
#define LOCI_RULE_STATES(X) \
    X(M, 0, r->dv, r->dk) \
    X(z, 0.5, r->dk) \
    X(R, 0, 2, r->dv)
#define LOCI_RULE_GATES(X) \
    X(alpha, 0, 1, 0.1, r->dk) \
    X(beta, 0, 1, 0.5, 1) \
    X(mu, -1, INFINITY, 0, 2)
#define LOCI_RULE_WORK r->dv
#define LOCI_RULE_REFUSE (r->dk > r->widest ? "dk is above widest: make memory.dk smaller or widest larger" : NULL)
#include <loci/rule.h>

/* u, in private memory. */
static const loci_real *LOCI_NAME(mixed)(const loci_token *t, const loci_real *R)
{
    for (int64_t i = 0; i < t->r->dv; i++)
        t->work[i] = t->v[i] + t->mu[0] * R[i] + t->mu[1] * R[t->r->dv + i];
    return t->work;
}

static void LOCI_NAME(write)(const loci_token *t, const loci_state *m)
{
    const int64_t dk = t->r->dk, dv = t->r->dv;
    const loci_real *u = LOCI_NAME(mixed)(t, m->R);

    for (int64_t x = 0; x < dk; x++) {
        for (int64_t i = 0; i < dv; i++)
            m->M[i * dk + x] = (1 - t->alpha[x]) * m->M[i * dk + x] + *t->beta * u[i] * t->k[x];
        m->z[x] = (1 - t->alpha[x]) * m->z[x] + *t->beta * t->k[x];
    }
    for (int64_t i = 0; i < dv; i++) {
        m->R[dv + i] = m->R[i];
        m->R[i] = t->v[i];
    }
}

static void LOCI_NAME(write_back)(const loci_token *t, const loci_seen *m, const loci_grad *d, const loci_state *g)
{
    const int64_t dk = t->r->dk, dv = t->r->dv;
    const loci_real *u = LOCI_NAME(mixed)(t, m->R), beta = *t->beta;

    for (int64_t i = 0; i < dv; i++) {
        loci_real du = 0;

        for (int64_t x = 0; x < dk; x++) {
            loci_real *G = &g->M[i * dk + x];

            du += beta * *G * t->k[x];
            *d->beta += *G * u[i] * t->k[x];
            d->k[x] += beta * *G * u[i];
            d->alpha[x] -= *G * m->M[i * dk + x];
            *G *= 1 - t->alpha[x];
        }
        d->v[i] += du + g->R[i];
        d->mu[0] += du * m->R[i];
        d->mu[1] += du * m->R[dv + i];
        g->R[i] = g->R[dv + i] + t->mu[0] * du;
        g->R[dv + i] = t->mu[1] * du;
    }
    for (int64_t x = 0; x < dk; x++) {
        *d->beta += g->z[x] * t->k[x];
        d->k[x] += beta * g->z[x];
        d->alpha[x] -= g->z[x] * m->z[x];
        g->z[x] *= 1 - t->alpha[x];
    }
}

/* z' q */
static loci_real LOCI_NAME(weight)(const loci_query *t, const loci_seen *m)
{
    loci_real sum = 0;

    for (int64_t x = 0; x < t->r->dk; x++)
        sum += m->z[x] * t->q[x];
    return sum;
}

static void LOCI_NAME(read)(const loci_query *t, const loci_seen *m, loci_real *y)
{
    const loci_real w = LOCI_NAME(weight)(t, m);

    for (int64_t i = 0; i < t->r->dv; i++) {
        y[i] = 0;
        for (int64_t x = 0; x < t->r->dk; x++)
            y[i] += m->M[i * t->r->dk + x] * t->q[x];
        y[i] /= (loci_real)sqrt(1 + (double)(w * w));
    }
}

static void LOCI_NAME(read_back)(const loci_query *t, const loci_seen *m, const loci_real *dy, loci_real *dq,
                                 const loci_state *g)
{
    const loci_real w = LOCI_NAME(weight)(t, m), s = (loci_real)sqrt(1 + (double)(w * w));
    loci_real dw = 0;

    for (int64_t i = 0; i < t->r->dv; i++)
        for (int64_t x = 0; x < t->r->dk; x++) {
            const int64_t at = i * t->r->dk + x;

            dw -= dy[i] * m->M[at] * t->q[x] * w / (s * s * s);
            dq[x] += dy[i] * m->M[at] / s;
            g->M[at] += dy[i] * t->q[x] / s;
        }
    for (int64_t x = 0; x < t->r->dk; x++) {
        dq[x] += dw * m->z[x];
        g->z[x] += dw * t->q[x];
    }
}

#include LOCI_RULE_AGAIN("wide.c")
