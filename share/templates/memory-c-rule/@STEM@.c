/* @STEM@.c: the memory @ID@, on loci/rule.h, whose opening comment is the manual.
 *
 *     e = v - M k                        what M says of k is off by e
 *     M = M + s e k'                     s = beta / (1 + beta k'k)
 *     y = M q
 *
 * The exact solution of  min over M of  |M - M_before|^2 + beta |v - M k|^2, a delta rule that no beta can make
 * diverge: with a small beta a step of that size, with a large one M k = v.
 *
 * Liu et al. 2024, Longhorn: State Space Models are Amortized Online Learners, without its diagonal approximation.
 */
#define LOCI_RULE_ID "@ID@"
#define LOCI_RULE_SUMMARY "an implicit delta rule: to begin with"
#define LOCI_RULE_DOC \
    "M = M + beta / (1 + beta k'k) (v - M k) k';  y = M q\n" \
    "Cost: 6 dk dv operations per token and head forward.\n" \
    "Source: Liu et al. 2024, Longhorn: State Space Models are Amortized Online Learners.\n" \
    "Use: where a step must never overshoot, whatever the length of the keys."
/* name, start (0: zeros; above: learned, normal with that deviation), shape per head */
#define LOCI_RULE_STATES(X) X(M, 0, r->dv, r->dk)
/* name, from, to, at the beginning, numbers per head: what the front end computes for every token */
#define LOCI_RULE_GATES(X) X(beta, 0, INFINITY, 1, 1)
#include <loci/rule.h>

static void LOCI_NAME(write)(const loci_token *t, const loci_state *m)
{
    const int64_t dk = t->r->dk;
    loci_real n = 0, s;

    for (int64_t x = 0; x < dk; x++)
        n += t->k[x] * t->k[x];
    s = *t->beta / (1 + *t->beta * n);
    for (int64_t i = 0; i < t->r->dv; i++) {
        loci_real *M = m->M + i * dk, e = t->v[i];

        for (int64_t x = 0; x < dk; x++)
            e -= M[x] * t->k[x];
        for (int64_t x = 0; x < dk; x++)
            M[x] += s * e * t->k[x];
    }
}

/* With G the gradient of M after the token, g = G k (row by row) and n = k'k:
 *     ds    = e'g                 dbeta += ds / (1 + beta n)^2          dn = -ds (beta / (1 + beta n))^2
 *     de    = s g                 dv    += de
 *     dk   += s G'e - M'de + 2 dn k
 *     G    -= de k'                                                     the gradient of M before the token */
static void LOCI_NAME(write_back)(const loci_token *t, const loci_seen *m, const loci_grad *d, const loci_state *g)
{
    const int64_t dk = t->r->dk;
    loci_real n = 0, s, ds = 0, damp;

    for (int64_t x = 0; x < dk; x++)
        n += t->k[x] * t->k[x];
    damp = 1 / (1 + *t->beta * n);
    s = *t->beta * damp;
    for (int64_t i = 0; i < t->r->dv; i++) {
        const loci_real *M = m->M + i * dk;
        loci_real *G = g->M + i * dk, e = t->v[i], gk = 0;

        for (int64_t x = 0; x < dk; x++) {
            e -= M[x] * t->k[x];
            gk += G[x] * t->k[x];
        }
        ds += e * gk;
        d->v[i] += s * gk;
        for (int64_t x = 0; x < dk; x++) {
            d->k[x] += s * (e * G[x] - gk * M[x]);
            G[x] -= s * gk * t->k[x];
        }
    }
    *d->beta += ds * damp * damp;
    for (int64_t x = 0; x < dk; x++)
        d->k[x] -= 2 * ds * s * s * t->k[x];
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

#include LOCI_RULE_AGAIN("@STEM@.c")
