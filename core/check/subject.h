/* SPDX-License-Identifier: Apache-2.0
 *
 * core/check/subject: the component of a check, with numbers: a trial (core/trial) that a test of levels 2 and 3 runs,
 * and what a run left, held against another run.
 *
 *  (1) A test leaves everything plain but what it is about: no padding, no odd addresses, no packed documents. So a
 *      plugin that is wrong in one way fails one test.
 *  (2) Sizes are small and odd: 2 documents, 2 heads, d = 4 and e = 3 where the rule can have them apart. A chunk that
 *      the user did not set is 4 tokens, so that a few tokens make several.
 *  (3) float64 where the component has it, else float32, with limits for that.
 *  (4) A message names the tensor, the place in it, both numbers, and the limit.
 */
#ifndef LOCI_CORE_CHECK_SUBJECT_H
#define LOCI_CORE_CHECK_SUBJECT_H

#include "core/check/check.h"
#include "core/trial/trial.h"

/* How the component stands; all zeros is the plain way. */
typedef struct loci_scene {
    int64_t docs, seq, capacity;            /* 0: 2; two chunks and three tokens; seq */
    int64_t heads, dk, dv;                  /* of a rule or an attention; 0: (2)      */
    bool ragged;                            /* documents of different lengths         */
    bool own_chunk;                         /* chunks are as long as without (2)      */
    loci_dtype dtype;                       /* {0}: (3)                               */
    loci_context *cx;                       /* NULL: the check's                      */
    const loci_attn_desc *desc;             /* attention                              */
    const loci_mask *mask;                  /* mixers and compositions                */
    int64_t keys, blocks, k_heads, v_heads; /* attention: 0: 9, 0, heads, k_heads; a mixer: rows of a context */
} loci_scene;

typedef struct loci_subject {
    loci_check *c;
    loci_trial *t;
    loci_trial_size size;
    uint64_t caps;  /* LOCI_CAP_* that it keeps                                    */
    int64_t chunk;  /* of the component or a child, in tokens; 0: none known       */
    bool exact;     /* float64                                                     */
    double limit;   /* relative RMS by which two ways of one sum may differ        */
    char what[160]; /* the run in progress                                         */
} loci_subject;

/* Opens it and fills it from the check's seed. A dtype it declines gives *s without a trial (s->t NULL) and LOCI_OK. */
loci_status loci_subject_open(loci_subject *s, loci_check *c, const loci_scene *scene, loci_error *err);
void loci_subject_close(loci_subject *s);
/* Let every document be `tokens` old, in a state that it came to by itself. */
loci_status loci_subject_warm(loci_subject *s, int64_t tokens, loci_error *err);
/* Opens it with caches of 96 tokens; documents of a component that streams are 6 old. */
loci_status loci_subject_open_warm(loci_subject *s, loci_check *c, loci_error *err);
/* Moves every number that goes in by up to 2^-24 of itself: what a rounding to float32 may do. */
void loci_subject_nudge(loci_subject *s);
/* Run it; `words` name the run in messages and stages: "in pieces of 1". how->stage is set here. */
loci_status loci_subject_run(loci_subject *s, const loci_trial_how *how, loci_error *err, const char *words, ...)
    __attribute__((format(printf, 4, 5)));

/* What a run left: outputs, ends of states, gradients. */
typedef struct loci_left {
    uint32_t n;
    double **value, **end, **grad;
} loci_left;

loci_status loci_left_keep(loci_left *to, const loci_subject *s, loci_error *err);
void loci_left_free(loci_left *l);
/* Is what the last run of s left the same as `want` (of the run `then`)? limit 0: the same bits. grads: gradients too.
 */
loci_status loci_left_same(const loci_left *want, loci_subject *s, bool grads, double limit, const char *then,
                           loci_error *err);
/* Likewise for n numbers; name: "y", shape: of its port, which the place is told in; first: element number of got[0].
 */
loci_status loci_numbers_same(const double *got, const double *want, uint64_t n, double limit, const char *what,
                              const char *name, const loci_port *p, uint64_t first, const char *then, loci_error *err);
/* |a - b| / |b| as Euclidean norms; |a - b| where b is 0. Equal infinities are not apart; a may be NULL: 0. */
double loci_numbers_apart(const double *a, const double *b, uint64_t n);

/* "[1,5,0]" of element i. */
const char *loci_place(char to[80], const loci_port *p, uint64_t i);
/* Has the port's end, or its gradient, a meaning? (Caches of a component below have none.) */
bool loci_port_ends(const loci_subject *s, const loci_port *p);
bool loci_port_slopes(const loci_port *p);
/* Elements of one token of a port with tokens; 0: it has none. */
uint64_t loci_port_token(const loci_subject *s, const loci_port *p);
/* Opens a mixer with a context of five rows, all visible (way 0) or causal (way 1). A mixer may decline the first in
 * words: then s->t is NULL. */
loci_status loci_subject_open_context(loci_subject *s, loci_check *c, int way, loci_error *err);
/* Gradients of inputs and gates against differences (gradient.c); `where` goes before the message. */
loci_status loci_gradients_check(loci_subject *s, const char *where, loci_error *err);
bool loci_is_kind(const loci_check *c, const char *kind);

#endif
