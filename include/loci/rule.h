/* SPDX-License-Identifier: Apache-2.0
 *
 * loci/rule.h: a memory plugin out of four functions for one token and one head. Header only, links to nothing.
 *
 * A memory rule is a recurrence over the tokens of a document, and a way to ask what it holds:
 *
 *     write    m_t = W(m_{t-1}; k_t, v_t, gates_t)      m: the rule's states, any number, of any shape
 *     read     y_t = R(m_t; q_t)                        or R(m_{t-1}; q_t), as LOCI_RULE_READS_BEFORE_WRITE says
 *
 * The author writes W, R and their adjoints as plain loops, and lists states, gates, weights and keys. The header makes
 * a class of kind loci.memory/1 of it, in float and double from the one text: runs, packing, padding, streaming, ops
 * READ, WRITE and STEP, threads, gradients that add, states that start at zero or at a learned value.
 *
 *  (1) The text is compiled twice, with `loci_real` float and then double. LOCI_NAME(f) is what function f is called in
 *      the current one: give it to every function of yours. The last line includes the file once more by its own name.
 *  (2) Everything a function gets is contiguous and belongs to one head; nothing it gets overlaps.
 *  (3) Functions keep nothing between calls and take constants from t->r only: then the results are the same bits for
 *      any number of threads.
 *  (4) Gradients ADD: `+=`, whatever was there. g holds the gradient of the states after the token and must leave with
 *      that of the states before it, which for read_back means: add to it.
 *
 * A whole plugin, in delta.c:
 *
 *     #define LOCI_RULE_ID "org.example.delta"
 *     #define LOCI_RULE_SUMMARY "delta rule"
 *     #define LOCI_RULE_DOC "M = M - beta (M k - v) k';  y = M q\nSource: Schlag, Irie and Schmidhuber 2021."
 *     #define LOCI_RULE_STATES(X) X(M, 0, r->dv, r->dk)
 *     #define LOCI_RULE_GATES(X) X(beta, 0, 1, 0.5, 1)
 *     #include <loci/rule.h>
 *
 *     static void LOCI_NAME(write)(const loci_token *t, const loci_state *m)
 *     {
 *         for (int64_t i = 0; i < t->r->dv; i++) {
 *             loci_real *M = m->M + i * t->r->dk, e = -t->v[i];
 *
 *             for (int64_t x = 0; x < t->r->dk; x++)
 *                 e += M[x] * t->k[x];
 *             for (int64_t x = 0; x < t->r->dk; x++)
 *                 M[x] -= *t->beta * e * t->k[x];
 *         }
 *     }
 *
 *     static void LOCI_NAME(write_back)(const loci_token *t, const loci_seen *m, const loci_grad *d,
 *                                       const loci_state *g)
 *     {
 *         for (int64_t i = 0; i < t->r->dv; i++) {
 *             const loci_real *M = m->M + i * t->r->dk;
 *             loci_real *G = g->M + i * t->r->dk, e = -t->v[i], gk = 0;
 *
 *             for (int64_t x = 0; x < t->r->dk; x++) {
 *                 e += M[x] * t->k[x];
 *                 gk += G[x] * t->k[x];
 *             }
 *             *d->beta -= e * gk;
 *             d->v[i] += *t->beta * gk;
 *             for (int64_t x = 0; x < t->r->dk; x++) {
 *                 d->k[x] -= *t->beta * (e * G[x] + gk * M[x]);
 *                 G[x] -= *t->beta * gk * t->k[x];
 *             }
 *         }
 *     }
 *
 *     static void LOCI_NAME(read)(const loci_query *t, const loci_seen *m, loci_real *y)
 *     {
 *         for (int64_t i = 0; i < t->r->dv; i++) {
 *             y[i] = 0;
 *             for (int64_t x = 0; x < t->r->dk; x++)
 *                 y[i] += m->M[i * t->r->dk + x] * t->q[x];
 *         }
 *     }
 *
 *     static void LOCI_NAME(read_back)(const loci_query *t, const loci_seen *m, const loci_real *dy, loci_real *dq,
 *                                      const loci_state *g)
 *     {
 *         for (int64_t i = 0; i < t->r->dv; i++)
 *             for (int64_t x = 0; x < t->r->dk; x++) {
 *                 dq[x] += dy[i] * m->M[i * t->r->dk + x];
 *                 g->M[i * t->r->dk + x] += dy[i] * t->q[x];
 *             }
 *     }
 *
 *     #include LOCI_RULE_AGAIN("delta.c")
 *
 * Built with   cc -std=c11 -O2 -fPIC -shared -Wl,-z,defs -o mem_delta.so delta.c -lm   and found by [plugins] path.
 *
 * What is defined before the header is included (r is the instance, see loci_rule):
 *
 *   LOCI_RULE_ID, _SUMMARY, _DOC     literals: id in reverse DNS, a line, formula with cost and paper
 *   LOCI_RULE_STATES(X)              X(name, start, shape...) per state: shape per head, last axis contiguous, slot
 *                                    [-1, H, shape...]. start 0: zero; above 0: a learned weight name"0" [H, shape...],
 *                                    initially normal with that standard deviation. A state with an axis of 0 is not
 *                                    declared, and its pointer is NULL
 *   LOCI_RULE_GATES(X)               X(name, lo, hi, init, width) per gate: width activated numbers in [lo, hi), hi may
 *                                    be INFINITY; width 0: not declared, pointer NULL
 *   LOCI_RULE_WEIGHTS(X)             X(name, mean, deviation, shape...) per learned weight: shape per head, slot
 *                                    [H, shape...], initially normal; seen as t->name wherever there is a t, and its
 *                                    gradient, to be added to, as t->d.name in the two adjoints. An axis of 0: not
 *                                    declared, pointer NULL
 *   LOCI_RULE_KEYS(X)                X(type, name, default, choices, min, max, help) per config key, as in loci_key;
 *                                    type INT, REAL, BOOL or ENUM; r->name is the value, an ENUM's its place in choices
 *   LOCI_RULE_READS_BEFORE_WRITE     expression in r; not defined: 0
 *   LOCI_RULE_REFUSE                 expression in r: why heads, dk, dv or keys do not fit, as "dk is not dv: set
 *                                    memory.dk = memory.dv", or NULL
 *   LOCI_RULE_WORK                   expression in r: numbers of private memory at t->work, undefined when a function
 *                                    begins; not defined: 0
 *   LOCI_RULE_VERSION, _LICENSE      literals; not defined: "1.0", "unspecified"
 *   LOCI_RULE_STATE_VERSION          raised when saved state changes its meaning; not defined: 1
 *   LOCI_RULE_CLASS                  a name: define `const loci_class name` for a plugin of several classes, or a test,
 *                                    in place of a plugin of one
 *
 * Memory: a backward keeps the states at every ceil(sqrt T)-th token in `saved` and computes those between again, one
 * stretch at a time. Cost: twice the forward, and the adjoint. The class is of plain loops: it scores 50, below
 * whatever is vectorised, and serves the CPU in f32 and f64 only.
 *
 * Chunks with a phase (an error that is taken at a chunk's start, say) take it from t->pos, which counts from the start
 * of the document and so is the same however the document is cut: t->pos % chunk == 0 begins one.
 *
 * The four are declared here: one that is missing, or has other parameters, does not compile. Nor does a state written
 * where it may only be seen, a gate that is not in the list, or a function without LOCI_NAME.
 */
#ifndef LOCI_RULE_H
#define LOCI_RULE_H

#include <loci/author.h>
#include <math.h>

typedef int64_t loci_rule_INT, loci_rule_BOOL, loci_rule_ENUM; /* what a key's value is kept in */
typedef double loci_rule_REAL;

#endif

/* Without a rule the header is inert. With one, its first inclusion is for float, the second for double, and the third
 * makes the class. */
#if !defined(LOCI_RULE_ID)
#if defined(LOCI_RULE_STATES) || defined(LOCI_RULE_GATES) || defined(LOCI_RULE_WEIGHTS) || defined(LOCI_RULE_KEYS) || \
    defined(LOCI_RULE_CLASS)
#error "loci/rule.h: #define LOCI_RULE_ID \"org.example.mine\" before the header is included"
#endif
#elif !defined(LOCI_RULE_PASS)
#define LOCI_RULE_PASS 1
#elif LOCI_RULE_PASS == 1
#undef LOCI_RULE_PASS
#define LOCI_RULE_PASS 2
#elif LOCI_RULE_PASS == 2
#undef LOCI_RULE_PASS
#define LOCI_RULE_PASS 3
#else
#error "loci/rule.h: one rule in a file, and #include LOCI_RULE_AGAIN(\"itself.c\") once, as its last line"
#endif

#ifdef LOCI_RULE_PASS

#if LOCI_RULE_PASS == 1

#ifndef LOCI_RULE_STATES
#error "loci/rule.h: #define LOCI_RULE_STATES(X) X(M, 0, r->dv, r->dk) or other states before the header is included"
#endif
#if !defined(LOCI_RULE_SUMMARY) || !defined(LOCI_RULE_DOC)
#error "loci/rule.h: #define LOCI_RULE_SUMMARY and LOCI_RULE_DOC, two literals, before the header is included"
#endif
#ifndef LOCI_RULE_GATES
#define LOCI_RULE_GATES(X)
#endif
#ifndef LOCI_RULE_WEIGHTS
#define LOCI_RULE_WEIGHTS(X)
#endif
#ifndef LOCI_RULE_KEYS
#define LOCI_RULE_KEYS(X)
#endif

/* An instance: sizes of a head, and the values of the keys. */
#define LOCI_RULE_X(type, name, def, choices, min, max, help) loci_rule_##type name;
typedef struct loci_rule {
    int64_t heads, dk, dv;
    LOCI_RULE_KEYS(LOCI_RULE_X)
} loci_rule;
#undef LOCI_RULE_X

/* Defined by the last inclusion: without it, a name that the linker misses. */
static void loci_rule_lacks_its_last_line_include_LOCI_RULE_AGAIN(void);
static void (*const loci_rule_last_line)(void) __attribute__((used)) =
    loci_rule_lacks_its_last_line_include_LOCI_RULE_AGAIN;

#define LOCI_RULE_AGAIN(file) file
#define LOCI_NAME(f) f##_f32
#define loci_real float
#define loci_token LOCI_NAME(loci_token)
#define loci_query LOCI_NAME(loci_query)
#define loci_state LOCI_NAME(loci_state)
#define loci_seen LOCI_NAME(loci_seen)
#define loci_grad LOCI_NAME(loci_grad)
#define loci_learned LOCI_NAME(loci_learned)

#elif LOCI_RULE_PASS == 2

#undef LOCI_RULE_AGAIN
#undef LOCI_NAME
#undef loci_real
#define LOCI_RULE_AGAIN(file) <loci/rule.h>
#define LOCI_NAME(f) f##_f64
#define loci_real double

#endif

#if LOCI_RULE_PASS < 3

/* Gradients of the weights, added to. */
#define LOCI_RULE_X(name, ...) loci_real *name;
typedef struct loci_learned {
    int64_t n; /* numbers of all weights of a head */
    LOCI_RULE_WEIGHTS(LOCI_RULE_X)
} loci_learned;
#undef LOCI_RULE_X

/* A token to write: k [dk], v [dv], the gates by their names, [width] each, and the weights by theirs. */
#define LOCI_RULE_X(name, ...) const loci_real *name;
typedef struct loci_token {
    const loci_rule *r;
    int64_t pos; /* in its document */
    loci_real *work;
    const loci_real *k, *v;
    LOCI_RULE_GATES(LOCI_RULE_X)
    LOCI_RULE_WEIGHTS(LOCI_RULE_X)
    loci_learned d;
} loci_token;

/* A token that reads: q [dk]. */
typedef struct loci_query {
    const loci_rule *r;
    int64_t pos;
    loci_real *work;
    const loci_real *q;
    LOCI_RULE_WEIGHTS(LOCI_RULE_X)
    loci_learned d;
} loci_query;

/* The states of one head by their names, as an adjoint and a read see them. */
typedef struct loci_seen {
    LOCI_RULE_STATES(LOCI_RULE_X)
} loci_seen;
#undef LOCI_RULE_X

/* The states of one head to be changed, or their gradients. */
#define LOCI_RULE_X(name, ...) loci_real *name;
typedef struct loci_state {
    LOCI_RULE_STATES(LOCI_RULE_X)
} loci_state;

/* Gradients of a token, added to. */
typedef struct loci_grad {
    loci_real *k, *v;
    LOCI_RULE_GATES(LOCI_RULE_X)
} loci_grad;
#undef LOCI_RULE_X

/* m becomes the states after the token. */
static void LOCI_NAME(write)(const loci_token *t, const loci_state *m);
/* m: as write found them. */
static void LOCI_NAME(write_back)(const loci_token *t, const loci_seen *m, const loci_grad *d, const loci_state *g);
/* Sets y [dv]. */
static void LOCI_NAME(read)(const loci_query *t, const loci_seen *m, loci_real *y);
/* m: as read found them. Adds to dq [dk] and g. */
static void LOCI_NAME(read_back)(const loci_query *t, const loci_seen *m, const loci_real *dy, loci_real *dq,
                                 const loci_state *g);

#include <loci/rule_run.h>
#else
#include <loci/rule_class.h>
#endif
#endif
