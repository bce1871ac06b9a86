/* SPDX-License-Identifier: Apache-2.0
 *
 * core/model: a stack of blocks between an embedding and a head.
 *
 *   x_0 = E[token]
 *   u_l = x_l + compose_l(rms(x_l))          x_{l+1} = u_l + ffn_l(rms(u_l))
 *   logits = rms(x_L) E'  (tied) or W'       loss = mean of -log softmax(logits)[next token], in nats
 *   ffn: gelu  W_d gelu(W_u n)   swiglu  W_d (silu(W_g n) o W_u n)   none  0
 *
 * A model holds weights; a *pass* holds everything whose size depends on how it is called: saved activations, scratch
 * and state. Several passes share a model (training, evaluation, streaming).
 */
#ifndef LOCI_CORE_MODEL_MODEL_H
#define LOCI_CORE_MODEL_MODEL_H

#include "core/model/node.h"

enum loci_ffn { LOCI_FFN_NONE, LOCI_FFN_GELU, LOCI_FFN_SWIGLU };

struct loci_layer {
    loci_node *compose;
    const loci_weight *norm1, *norm2, *up, *gate, *down;
};

typedef struct loci_model {
    loci_context *cx;
    loci_dtype dtype;
    int64_t dim, vocab, hidden;
    int32_t n_layers;
    enum loci_ffn ffn;
    double eps;
    struct loci_layer *layers;
    const loci_weight *embed, *norm, *head; /* head is embed when tied */
    loci_weights weights;
    uint64_t caps; /* LOCI_CAP_* that every layer keeps */
    bool recompute;      /* train.recompute = layer */
    uint64_t head_bytes; /* most bytes of logits in a step of training; 0: the usual */
} loci_model;

/* Builds every node and declares every weight, from cx->conf; allocates no weight yet. */
loci_status loci_model_new(loci_model **out, loci_context *cx, loci_error *err);
/* Memory for the weights (with gradients and moments when training) and values from the seed. */
loci_status loci_model_alloc(loci_model *m, bool train, uint64_t seed, loci_error *err);
void loci_model_free(loci_model *m);
/* Does the output at a token depend on it and on earlier ones only? A model that does not is built all the same, for
 * research; whoever shows its loss must say that it is not comparable. */
bool loci_model_causal(const loci_model *m);
#define LOCI_NOT_CAUSAL "sees the future: its loss is not comparable"
/* Warn, naming the component and the layer, when the model is not causal. */
void loci_model_warn(const loci_model *m);

typedef struct loci_pass {
    loci_model *model;
    loci_session session;
    int64_t width; /* tokens a row of the calls now, at most session.seq */
    uint64_t saved_bytes, scratch_bytes, host_bytes, state_bytes; /* state_bytes: one block set of all layers */
    uint64_t grad_bytes;                                          /* the largest block of one */
    uint64_t compose_scratch_at;
    struct loci_place {
        uint64_t x, saved, compose_saved, state;
    } * layers; /* where layer i's input, pieces and state begin, and what its composition saves */
    void *saved, *scratch, *host;
    const struct loci_pass *lender; /* NULL, or whose memory serves where it is large enough */
    void *state_in, *state_out, *state_grad; /* in and out are one without SAVE */
    loci_view pos;
    int32_t *pos_data;
    loci_batch batch;       /* of the last forward */
    loci_run *runs;         /* room for session.runs */
    const int32_t *tokens, *targets;
    int32_t *answers;  /* NULL, or lent for the next forwards: loci_pass_ask */
    bool losses_alone; /* no forward is asked for logits */
    uint64_t seed, step;
} loci_pass;

/* rows x seq tokens a call; runs, states and capacity as in loci_session. flags: LOCI_X_SAVE | LOCI_X_TRAIN. Plans and
 * checks sizes, allocates nothing of the device; loci_pass_alloc does. */
loci_status loci_pass_new(loci_pass **out, loci_model *m, int64_t rows, int64_t seq, int64_t runs, int64_t states,
                          int64_t capacity, uint64_t flags, loci_error *err);
/* Before alloc: every forward of p has targets, so that the logits of all tokens need not exist at once, as with SAVE. */
void loci_pass_losses_alone(loci_pass *p);
/* Before alloc: p will compute in the memory of a pass that is allocated by then and outlives it, and never computes between
 * that one's forward and what follows it, backward and carry. The lender's state_in is never touched; without SAVE p's state
 * lies in a saving lender's state_out, and lasts until that one's next forward. */
void loci_pass_borrow(loci_pass *p, const loci_pass *lender);
loci_status loci_pass_alloc(loci_pass *p, loci_error *err);
uint64_t loci_pass_bytes(const loci_pass *p); /* what alloc will take */
void loci_pass_free(loci_pass *p);
/* From now on calls have `width` tokens a row, 1 to the planned number. Places, sizes and state stay as planned, so a stream
 * may change it from call to call; a backward needs that of its forward. */
void loci_pass_narrow(loci_pass *p, int64_t width);

/* tokens, targets [rows * width] (target -1: none), lent until the backward is done. n_runs 0: every row is one run
 * from position 0. token_loss (may be NULL) [rows * width] gets each loss in float64; *loss the sum over targets and
 * *count their number. Without targets only the logits are computed, which a pass with SAVE does not do. With SAVE the
 * backward of the head, from dlogits = grad_scale (softmax - one hot), is part of the forward, so that the logits of
 * all tokens need not exist at once: the head's gradient has been added when it returns. */
loci_status loci_pass_forward(loci_pass *p, const int32_t *tokens, const int32_t *targets, const loci_run *runs,
                              uint32_t n_runs, uint64_t seed, uint64_t step, double grad_scale, double *loss,
                              int64_t *count, double *token_loss, loci_error *err);
/* The rest of the backward; adds to the gradients of the weights. */
loci_status loci_pass_backward(loci_pass *p, loci_error *err);
/* The logits [rows * width, vocab] of the last forward without targets, in the model's dtype. */
const void *loci_pass_logits(const loci_pass *p);
/* From the next forward on answers [rows * width] gets the most probable token (the first of equals) where there is a
 * target, -1 elsewhere; NULL: no more. Not with SAVE. */
void loci_pass_ask(loci_pass *p, int32_t *answers);
/* Make what the last forward left the state that the next one starts from (SAVE only; else it is so already). */
loci_status loci_pass_carry(loci_pass *p, loci_error *err);
/* Every state tensor of state_in by name. */
loci_status loci_pass_each_state(loci_pass *p, loci_state_fn fn, void *arg, loci_error *err);

/* Repeat the last forward (and backward, when `back`) looking for the first tensor that is not finite; the text names
 * plugin, tensor and layer. Gradients are left undefined. */
loci_status loci_pass_find_fault(loci_pass *p, bool back, char *text, size_t n, loci_error *err);

#endif
