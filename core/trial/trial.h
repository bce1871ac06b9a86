/* SPDX-License-Identifier: Apache-2.0
 *
 * core/trial: one component alone, on tensors: what `apply` runs and `check` examines.
 *
 * A trial opens a component of any kind and names its tensors: its *ports*. Values are doubles whatever the component
 * computes in, so float64, float32 and bf16 pass through them unchanged, and results of any two ways of running are held
 * against each other element by element.
 *
 *  (1) A trial is about `docs` documents of up to `seq` tokens. A port with tokens has the shape [docs, seq, ...] (an
 *      attention's lse [docs, heads, seq]); a state port [docs, ...]; a weight its own. Tokens beyond a document's length
 *      are padding: inputs there are never read, outputs there are 0.
 *  (2) A *cut* says how the documents are put before the component: a list of calls, each of some rows and columns, in
 *      which pieces of documents lie. One call with a document a row is the plain way; the pieces 3, 1, 7 of every row,
 *      one token at a time, all documents packed into one row, each alone: these are cuts. A component that streams gives
 *      the same outputs and gradients for every cut, and that is how streaming, packing, independence of the batch and
 *      saving in mid-chunk are one comparison. Attention has no state: only its plain cut exists.
 *  (3) A state that is not given starts as the component's state_init says (zero without one); the adjoint is then part
 *      of the backward, and `value` holds what it was. A given state replaces it. A cache before position pos0 > 0 must
 *      be given.
 *  (4) A run is planned for exactly its calls: scratch, saved and host scratch have the sizes that plan() said. With
 *      `harsh` each buffer lies against a page that may not be touched, outputs, states and scratch hold NaN beforehand,
 *      and scratch is spoilt again between forward and backward.
 *  (5) Gradients add: a run starts those of inputs and weights from `from` and takes it away again afterwards.
 *  (6) A run refuses to go on when the component has touched what is not its own: outputs and gradients of padding, what
 *      lies between the rows of a strided tensor, bytes behind a buffer.
 *  (7) A trial lives on the device of its context. Values are written and read in host memory; what a call touches is
 *      copied over before it and back after it. Guard pages are the host's: on a device known bytes stand in their place.
 *      Lists of indices are host memory everywhere (docs/adr/0006).
 *  (8) Caches are as long as the stream: the host's ring for a window never turns here.
 */
#ifndef LOCI_CORE_TRIAL_TRIAL_H
#define LOCI_CORE_TRIAL_TRIAL_H

#include "core/model/node.h"

typedef struct loci_trial loci_trial;

/* What of a component runs. */
enum loci_trial_form {
    LOCI_TRIAL_AS_IS, /* attention, mixer, composition; of a memory the rule: q, k, v, gates -> y */
    LOCI_TRIAL_LAYER, /* a memory with the front end: x -> y                                       */
};

enum loci_port_role { LOCI_PORT_INPUT, LOCI_PORT_GATE, LOCI_PORT_WEIGHT, LOCI_PORT_STATE, LOCI_PORT_OUTPUT };

/* The sizes of a trial. What a kind does not have is ignored; heads, dk, dv of a memory's front end, of a mixer and of a
 * composition are the config's. */
typedef struct loci_trial_size {
    int64_t docs, seq;                       /* B, T                                    */
    int64_t keys;                            /* attention: S; mixers: context rows or 0 */
    int64_t blocks;                          /* attention with a block table: of k and v */
    int64_t dim;                             /* D                                       */
    int64_t heads, k_heads, v_heads, dk, dv; /* attention; a memory's rule: heads dk dv */
    int64_t capacity;                        /* most tokens of a stream; 0: seq         */
    loci_dtype dtype;
    /* Attention: numbers, and the tensors that are not NULL: each becomes a port of its shape, with its values when it
     * has data. q_seg and k_seg that are one tensor become `segment_ids`. `blocks` is handed on as it is and must live as
     * long as the trial; all else is copied. NULL: nothing but scale 1 / sqrt(dk). */
    const loci_attn_desc *desc;
    const loci_mask *mask; /* mixers and compositions; NULL: causal, or with a context everything */
} loci_trial_size;

/* A tensor of the component by name: "q", "gate.alpha", "param.q.weight", "state.M", "y". */
typedef struct loci_port {
    const char *name;
    enum loci_port_role role;
    loci_dtype dtype; /* what the component is given: the trial's, acc for gates and state, i32, u8 */
    int32_t ndim;
    int64_t shape[LOCI_MAX_DIM];
    uint64_t elements;
    bool real;                 /* has a gradient: not a mask, length, index                   */
    bool cache;                /* a state of rows appended: see loci_trial_rows               */
    double lo, hi;             /* of a gate's values, and of inputs with a range; else -inf, inf */
    double *value;             /* inputs, weights, states before the run; outputs after it    */
    double *grad;              /* after a backward; of outputs: the cotangent, before it      */
    double *end;               /* states: after the run                                       */
    double *end_grad;          /* states: the cotangent of `end`, before a backward         */
    bool given;                /* states, positions: value holds; else (3), and the usual     */
    const loci_weight *weight; /* weights: as declared, under its full name         */
} loci_port;

/* Of the component that conf's section `kind` names ("attention", "mixer", "memory", "compose"). Weights get the values
 * that a model with run.seed gives them, inputs and cotangents zeros. */
loci_status loci_trial_open(loci_trial **out, loci_context *cx, const char *kind, enum loci_trial_form form,
                            const loci_trial_size *size, loci_error *err);
void loci_trial_free(loci_trial *t);
const loci_node *loci_trial_node(const loci_trial *t);
uint32_t loci_trial_n_ports(const loci_trial *t);
loci_port *loci_trial_port(loci_trial *t, uint32_t i);
loci_port *loci_trial_find(loci_trial *t, const char *name); /* NULL: there is none */
/* Length of document d (at most size.seq; at first that), and the tokens it had before this run (at first 0). */
void loci_trial_length(loci_trial *t, int64_t d, int64_t len, int64_t pos0);
/* Rows of a cache that hold something of document d after a run. 0 for a cache of a component below this one, whose
 * phases are its parent's affair: that it is right shows when the stream goes on. */
int64_t loci_trial_rows(const loci_trial *t, const loci_port *p, int64_t d);
/* Values for a test: inputs, weights, states and cotangents from Philox keyed by (seed, name, element): normal, scaled so
 * that sums stay near 1; gates inside their range; weights as a model has them plus noise, so that no gradient is zero
 * by symmetry. All are float32 numbers, or bf16 where that is the trial's type. Ports that are not real stay as they
 * are, but the integers of a cache, which count its rows; `given` stays as it is too, and a cache of a component below has
 * no cotangent. */
void loci_trial_fill(loci_trial *t, uint64_t seed);

/* ---- cuts -------------------------------------------------------------------------------------------------------- */

typedef struct loci_piece {
    int32_t doc, from, len; /* tokens [from, from + len) of a document ... */
    int32_t row, begin;     /* ... stand here in the call                  */
} loci_piece;

typedef struct loci_cut_call {
    int32_t rows, seq;
    uint32_t n;
    const loci_piece *pieces;
} loci_cut_call;

typedef struct loci_cutting {
    uint32_t n_calls;
    loci_cut_call *calls;
} loci_cutting;

loci_status loci_cut_whole(loci_cutting *out, const loci_trial *t, loci_error *err);
/* Every document in pieces of these lengths, the last repeated until the end: {1}, 1: token by token. */
loci_status loci_cut_pieces(loci_cutting *out, const loci_trial *t, const int32_t *lengths, uint32_t n,
                            loci_error *err);
loci_status loci_cut_alone(loci_cutting *out, const loci_trial *t, loci_error *err); /* a call a document           */
loci_status loci_cut_packed(loci_cutting *out, const loci_trial *t,
                            loci_error *err); /* one row, with padding between */
/* Rows in this order (order[i]: the document in row i). */
loci_status loci_cut_shuffled(loci_cutting *out, const loci_trial *t, const int32_t *order, loci_error *err);
void loci_cut_free(loci_cutting *cut);

/* ---- runs -------------------------------------------------------------------------------------------------------- */

/* One bare call of the component, its tensors, states and memory in place: it may be made any number of times, each after
 * `again`, which puts back what the call before has changed and a repetition must find (NULL: nothing). */
typedef struct loci_trial_bare {
    loci_status (*call)(void *self, loci_error *err);
    loci_status (*again)(void *self, loci_error *err);
    void *self;
} loci_trial_bare;

typedef struct loci_trial_how {
    const loci_cutting *cut; /* NULL: the whole */
    int32_t op;              /* of a memory: LOCI_OP_STEP, READ or WRITE; others: ignored */
    bool back;               /* and the backward */
    bool train;              /* with LOCI_X_TRAIN: dropout */
    bool harsh;              /* (4) */
    bool dirty;              /* outputs, and states that a call writes, hold other numbers beforehand */
    bool inplace;            /* state_out is state_in: only without back                   */
    bool padded;             /* strides larger than the shape says, for kinds that see strides */
    uint32_t misalign;       /* bytes added to the address of every input and output; a multiple of the element */
    double from;             /* (5) */
    const double *o, *lse;   /* attention: what a backward reads instead of what the forward gave */
    /* Told after every call of a run with what it was given; may be NULL. */
    void (*seen)(void *arg, const loci_exec *x, const loci_slots *slots);
    void *arg;
    /* Which function of the component is running, for whoever must name it after a crash: "plan", "forward" ... */
    void (*stage)(void *arg, const char *stage);
    /* Makes the call of a stage ("forward", "backward") in place of the run, once or often: whoever measures it. Not NULL:
     * what the run leaves in the ports is that of the last call, and gradients are sums over all of them. */
    loci_status (*around)(void *arg, const char *stage, const loci_trial_bare *bare, loci_error *err);
} loci_trial_how;

/* Runs forward, and backward when asked; fills outputs, `end` and gradients of all ports. */
loci_status loci_trial_run(loci_trial *t, const loci_trial_how *how, loci_error *err);

#endif
