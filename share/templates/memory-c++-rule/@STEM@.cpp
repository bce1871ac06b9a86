// @STEM@.cpp: the memory @ID@, on loci/rule.h in C++. The header's opening comment is the manual; its functions are
// plain, and what they call may be as much C++ as one likes: here two templates over the number type.
//
//     e = v - M k                        what M says of k is off by e
//     M = M + s e k'                     s = beta / (1 + beta k'k)
//     y = M q
//
// The exact solution of  min over M of  |M - M_before|^2 + beta |v - M k|^2, a delta rule that no beta can make
// diverge: with a small beta a step of that size, with a large one M k = v.
//
// Liu et al. 2024, Longhorn: State Space Models are Amortized Online Learners, without its diagonal approximation.
#define LOCI_RULE_ID "@ID@"
#define LOCI_RULE_SUMMARY "an implicit delta rule: to begin with"
#define LOCI_RULE_DOC \
    "M = M + beta / (1 + beta k'k) (v - M k) k';  y = M q\n" \
    "Cost: 6 dk dv operations per token and head forward.\n" \
    "Source: Liu et al. 2024, Longhorn: State Space Models are Amortized Online Learners.\n" \
    "Use: where a step must never overshoot, whatever the length of the keys."
// name, start (0: zeros; above: learned, normal with that deviation), shape per head
#define LOCI_RULE_STATES(X) X(M, 0, r->dv, r->dk)
// name, from, to, at the beginning, numbers per head: what the front end computes for every token
#define LOCI_RULE_GATES(X) X(beta, 0, INFINITY, 1, 1)
#include <loci/rule.h>

// The file is read three times, for float, for double and for the class; what is not made of LOCI_NAME stands here
// once.
#ifndef @PLUGIN@_ONCE
#define @PLUGIN@_ONCE
template <typename T> static T dot(const T *a, const T *b, int64_t n)
{
    T sum = 0;

    for (int64_t x = 0; x < n; x++)
        sum += a[x] * b[x];
    return sum;
}

// y += a x
template <typename T> static void add(T *y, T a, const T *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        y[i] += a * x[i];
}
#endif

static void LOCI_NAME(write)(const loci_token *t, const loci_state *m)
{
    const int64_t dk = t->r->dk;
    const loci_real s = *t->beta / (1 + *t->beta * dot(t->k, t->k, dk));

    for (int64_t i = 0; i < t->r->dv; i++)
        add(m->M + i * dk, s * (t->v[i] - dot<loci_real>(m->M + i * dk, t->k, dk)), t->k, dk);
}

// With G the gradient of M after the token, g = G k (row by row) and n = k'k:
//     ds    = e'g                 dbeta += ds / (1 + beta n)^2          dn = -ds (beta / (1 + beta n))^2
//     de    = s g                 dv    += de
//     dk   += s G'e - M'de + 2 dn k
//     G    -= de k'                                                     the gradient of M before the token
static void LOCI_NAME(write_back)(const loci_token *t, const loci_seen *m, const loci_grad *d, const loci_state *g)
{
    const int64_t dk = t->r->dk;
    const loci_real damp = 1 / (1 + *t->beta * dot(t->k, t->k, dk)), s = *t->beta * damp;
    loci_real ds = 0;

    for (int64_t i = 0; i < t->r->dv; i++) {
        const loci_real *M = m->M + i * dk;
        loci_real *G = g->M + i * dk;
        const loci_real e = t->v[i] - dot(M, t->k, dk), de = s * dot<loci_real>(G, t->k, dk);

        ds += e * dot<loci_real>(G, t->k, dk);
        d->v[i] += de;
        add<loci_real>(d->k, s * e, G, dk);
        add(d->k, -de, M, dk);
        add(G, -de, t->k, dk);
    }
    *d->beta += ds * damp * damp;
    add(d->k, -2 * ds * s * s, t->k, dk);
}

static void LOCI_NAME(read)(const loci_query *t, const loci_seen *m, loci_real *y)
{
    for (int64_t i = 0; i < t->r->dv; i++)
        y[i] = dot(m->M + i * t->r->dk, t->q, t->r->dk);
}

static void LOCI_NAME(read_back)(const loci_query *t, const loci_seen *m, const loci_real *dy, loci_real *dq,
                                 const loci_state *g)
{
    for (int64_t i = 0; i < t->r->dv; i++) {
        add(dq, dy[i], m->M + i * t->r->dk, t->r->dk);
        add(g->M + i * t->r->dk, dy[i], t->q, t->r->dk);
    }
}

#include LOCI_RULE_AGAIN("@STEM@.cpp")
