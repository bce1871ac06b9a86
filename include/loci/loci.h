/* SPDX-License-Identifier: Apache-2.0
 *
 * loci/loci.h: loci inside a program of yours: configs, training, evaluation, streams of tokens, weights.
 *
 *     loci_settings *s;  loci_settings_new(&s, &err);  loci_settings_file(s, "etc/mac.ini", &err);
 *     loci_engine *e;    loci_engine_open(&e, s, NULL, &err);           a model, ready to be used
 *     loci_stream *t;    loci_stream_open(&t, e, NULL, &err);           its state on one text
 *     loci_stream_feed(t, tokens, n, &logits, &err);                    [n, vocab], and the stream is n tokens further
 *
 * Compile and link with `pkg-config --cflags --libs loci`. The library never prints, exits, aborts or catches a signal.
 *
 *  (1) Errors. A function that can fail returns a loci_status and fills the loci_error it was given (NULL is allowed):
 *      one line that names the value, the limit and what to change. A failed call of a constructor leaves NULL.
 *  (2) Ownership. Whoever opens closes; close and free accept NULL. `const` arguments and strings are lent for the
 *      call. Tensors that come back are views: they own nothing, and each function says how long they live.
 *  (3) Threads. Handles have no locks. An engine with its streams, and a loci_settings, are used by one thread at a
 *      time; different engines are independent. An engine computes with run.threads threads of its own, and the numbers
 *      do not depend on how many they are.
 *  (4) Options and results begin with struct_size, sizeof the struct as the caller was compiled. NULL options, and
 *      members of 0, are the defaults. Structs are appended to, never changed.
 *  (5) Tokens are int32, 0 to vocab - 1; with vocab = 256 they are bytes. A loci_tensor is a DLTensor, byte for byte.
 */
#ifndef LOCI_LOCI_H
#define LOCI_LOCI_H

#include <loci/plugin.h>
#include <signal.h>

#ifdef __cplusplus
extern "C" {
#endif

/* "0.1.0", of the library that runs. [any thread] */
const char *loci_version(void);
/* Where messages go (LOCI_LOG_*); NULL, as at the start: nowhere. For the whole process; before other threads use the
 * library. fn may be called by any thread that calls the library, and must not call it back. */
void loci_on_log(void (*fn)(void *arg, int32_t level, const char *module, const char *msg), void *arg);

/* ---- settings: what a config says ------------------------------------------------------------------------------- */

/* Layers of settings; a later file or text beats an earlier one, and _set beats both. */
typedef struct loci_conf loci_settings;

loci_status loci_settings_new(loci_settings **out, loci_error *err);
void loci_settings_free(loci_settings *s);
/* The config that a checkpoint, or the newest of a run folder, was made with: the weakest layer, so say it first.
 * Sections that say where plugins lie are left out: a checkpoint may name a plugin, never its place. */
loci_status loci_settings_checkpoint(loci_settings *s, const char *folder, loci_error *err);
loci_status loci_settings_file(loci_settings *s, const char *path, loci_error *err);
/* INI text of n bytes. `name` stands in messages; its folder is what relative paths are relative to. */
loci_status loci_settings_text(loci_settings *s, const char *name, const char *text, size_t n, loci_error *err);
/* "section.key=value"; a relative path is relative to the working directory. */
loci_status loci_settings_set(loci_settings *s, const char *assignment, loci_error *err);
/* What LOCI_SET in the environment says, as the command does. */
loci_status loci_settings_environment(loci_settings *s, loci_error *err);
/* The value of "section.key" that holds, default or not, as text that lives as long as the settings. Sections of
 * plugins ("memory.titans") are known to an engine's settings only: loci_engine_get. */
loci_status loci_settings_get(const loci_settings *s, const char *key, const char **out, loci_error *err);

/* ---- a run: training as the command does it --------------------------------------------------------------------- */

typedef struct loci_training_progress {
    uint32_t struct_size, reserved0;
    const char *event;   /* "step", "eval", "save" */
    int64_t step, steps; /* done, in all           */
    double loss_nats, valid_loss_nats, lr, grad_norm, tokens_per_s, eta_s; /* NaN: not known */
    double accuracy; /* of the last evaluation, where there are right answers; else NaN */
} loci_training_progress;

#define LOCI_TRAINING_RESUME UINT64_C(1)        /* go on with what the folder holds                 */
#define LOCI_TRAINING_ALLOW_UNKNOWN UINT64_C(2) /* unknown sections and keys are warnings           */

typedef struct loci_training_options {
    uint32_t struct_size, reserved0;
    uint64_t flags;          /* LOCI_TRAINING_*                                                                       */
    const char *dir;         /* of the run; NULL: run.dir of the settings                                             */
    const char *plugin_path; /* folders searched for plugins first, separated by colons, or NULL                      */
    /* Looked at between steps; a signal handler or another thread may set them. stop: save, then LOCI_E_STOPPED.
     * save: save, become 0, go on. NULL: not wanted */
    volatile sig_atomic_t *stop, *save;
    void (*progress)(void *arg, const loci_training_progress *p); /* on the calling thread */
    void *arg;
} loci_training_options;

typedef struct loci_training_result {
    uint32_t struct_size, reserved0;
    int64_t step, tokens;
    double loss_nats, valid_loss_nats, tokens_per_s;
    uint64_t parameters, state_bytes, peak_bytes; /* state_bytes: of one stream of data.seq_tok tokens */
    char checkpoint[4096];                        /* the folder of the last one                        */
    double accuracy;                              /* share of right answers; NaN where the data have none */
    int32_t causal, reserved1;                    /* 0: a part saw the future, so losses compare with nothing */
} loci_training_result;

/* The whole run that the settings describe, in its folder: log, checkpoints, evaluations. Also fills *out (set its
 * struct_size) with LOCI_E_STOPPED. The run can be resumed by the command, and the other way round. */
loci_status loci_training_run(loci_training_result *out, const loci_settings *s, const loci_training_options *o,
                              loci_error *err);

/* ---- an engine: a model and all it stands on -------------------------------------------------------------------- */

typedef struct loci_engine loci_engine;

#define LOCI_ENGINE_TRAIN UINT64_C(1)         /* with gradients and moments: loci_engine_step may be called          */
#define LOCI_ENGINE_ALLOW_UNKNOWN UINT64_C(2) /* unknown sections and keys are warnings                              */

typedef struct loci_engine_options {
    uint32_t struct_size, reserved0;
    uint64_t flags;          /* LOCI_ENGINE_*                                                                        */
    const char *checkpoint;  /* a checkpoint or run folder to take the weights from, with TRAIN also the moments, the
                                number of steps and a carried state. NULL: initial weights by run.seed               */
    const char *plugin_path; /* folders searched for plugins first, separated by colons, or NULL                     */
} loci_engine_options;

typedef struct loci_engine_facts {
    uint32_t struct_size, reserved0;
    int32_t layers, weights; /* weights: how many tensors */
    int64_t dim, vocab;
    uint64_t parameters;
    int64_t step;            /* optimiser steps behind it                                                */
    loci_dtype dtype;        /* of weights and logits                                                    */
    int32_t causal, streams; /* 1: no logit depends on a later token; loci_stream_open can work with it  */
} loci_engine_facts;

/* The settings are copied; NULL: those of the checkpoint. Memory: the weights, with TRAIN four times that; room for
 * calls is planned at the first one. */
loci_status loci_engine_open(loci_engine **out, const loci_settings *s, const loci_engine_options *o, loci_error *err);
/* Its streams are closed before. */
void loci_engine_close(loci_engine *e);
void loci_engine_describe(const loci_engine *e, loci_engine_facts *out); /* set out->struct_size */
/* As loci_settings_get; the text lives as long as the engine. */
loci_status loci_engine_get(const loci_engine *e, const char *key, const char **out, loci_error *err);

/* Sequences to learn from or to judge by: tokens and targets are [rows, seq], contiguous; target -1: none. Each row is
 * a document from its beginning. */
typedef struct loci_examples {
    uint32_t struct_size, reserved0;
    int64_t rows, seq;
    const int32_t *tokens, *targets;
} loci_examples;

typedef struct loci_measure {
    uint32_t struct_size, reserved0;
    int64_t step, tokens; /* optimiser steps behind the engine; tokens with a target in this call */
    double loss_nats;     /* mean over those tokens                                               */
    double grad_norm, lr; /* of the step, before clipping; NaN from an evaluation                 */
    double accuracy;      /* of the config's data, where there are right answers; else NaN        */
} loci_measure;

/* One optimiser step, of learning rate, clipping and weight decay as [train] says for this step (from train.steps on,
 * as for the last): on one micro-batch of examples, or with NULL on what the data of the config give for this step,
 * train.accumulate micro-batches: the steps of a run, bit for bit. A loss or gradient that is not finite is
 * LOCI_E_NUMERIC and leaves the weights as they were. New sizes of examples are planned anew: keep to one. out may be
 * NULL. */
loci_status loci_engine_step(loci_engine *e, const loci_examples *x, loci_measure *out, loci_error *err);
/* The mean loss of examples, or with NULL over the validation data of the config, as `loci eval`. Changes nothing. */
loci_status loci_engine_evaluate(loci_engine *e, const loci_examples *x, loci_measure *out, loci_error *err);

/* Weight i of 0 .. facts.weights - 1, in the order of the model. The view is of the weights themselves, on the
 * engine's device: what is written through it, between calls, counts from the next call on. It lives as long as the
 * engine. grad (NULL: not wanted) likewise shows the gradient that the last step left; its data are NULL without
 * TRAIN. LOCI_E_ARG when there is no such weight. */
loci_status loci_engine_weight(loci_engine *e, int32_t i, const char **name, const loci_tensor **value,
                               const loci_tensor **grad, loci_error *err);
/* The same by name, "layer.0.mixer.q.weight". */
loci_status loci_engine_weight_named(loci_engine *e, const char *name, const loci_tensor **value,
                                     const loci_tensor **grad, loci_error *err);

/* Write dir/checkpoints/STEP, whole or not at all; of the steps before it train.keep stay. path (NULL: not wanted)
 * gets the folder. Needs TRAIN, since a checkpoint holds the moments. */
loci_status loci_engine_save(loci_engine *e, const char *dir, char *path, size_t n, loci_error *err);

/* ---- streams ---------------------------------------------------------------------------------------------------- */

/* What a model remembers of one text that comes token by token. However the tokens are cut into calls, the logits are
 * those of the whole text at once, to rounding. Memory: what is recurrent or attends through a window is of fixed size;
 * attention without a window keeps every token, and its stream grows by doubling. */
typedef struct loci_stream loci_stream;

typedef struct loci_stream_options {
    uint32_t struct_size, reserved0;
    int64_t piece_tok; /* most tokens of one feed; 0: data.seq_tok. Room for their activations is taken at once      */
    int64_t most_tok;  /* refuse a stream longer than that, which bounds its memory; 0: 2^31 - 1                     */
} loci_stream_options;

/* Any number of streams on one engine. LOCI_E_UNSUPPORTED for a model with a part that does not promise causality and
 * streaming. Weights that change later change what a stream computes next, not what it remembers. */
loci_status loci_stream_open(loci_stream **out, loci_engine *e, const loci_stream_options *o, loci_error *err);
void loci_stream_close(loci_stream *s);
/* n of 1 to piece_tok tokens. logits (NULL: not wanted) views [n, vocab] in host memory, row i the scores of what
 * follows token i, until the next call with this stream. LOCI_E_ARG (a token out of range), LOCI_E_STATE (most_tok)
 * and LOCI_E_NOMEM leave the stream as it was; after anything else reset or restore it. */
loci_status loci_stream_feed(loci_stream *s, const int32_t *tokens, int64_t n, const loci_tensor **logits,
                             loci_error *err);
/* Any number of tokens from 1 on, piece by piece; logits views [1, vocab], what follows the last one. */
loci_status loci_stream_prefill(loci_stream *s, const int32_t *tokens, int64_t n, const loci_tensor **logits,
                                loci_error *err);
int64_t loci_stream_tokens(const loci_stream *s); /* fed since the beginning */
/* Forget everything: the next token is the first of a text. */
void loci_stream_reset(loci_stream *s);
/* A second stream in the same state, independent from now on. */
loci_status loci_stream_clone(loci_stream **out, const loci_stream *s, loci_error *err);
/* The state as bytes, and back, also in another process with the same model and weights; a state of another model,
 * other piece_tok or another machine's byte order is LOCI_E_STATE. bytes: exactly loci_stream_size now. */
uint64_t loci_stream_size(const loci_stream *s);
loci_status loci_stream_save(const loci_stream *s, void *to, uint64_t bytes, loci_error *err);
loci_status loci_stream_restore(loci_stream *s, const void *from, uint64_t bytes, loci_error *err);

/* ---- sampling --------------------------------------------------------------------------------------------------- */

/* p_i = exp(l_i / temperature) / sum, over the top_k largest, of them the fewest whose p reach top_p together. Equal
 * logits keep the order of their numbers. */
typedef struct loci_sampling {
    uint32_t struct_size;
    int32_t top_k;      /* 0: all                                             */
    double temperature; /* 0: the largest, whatever the rest says             */
    double top_p;       /* in (0, 1]; 0 is read as 1                          */
    uint64_t seed;
} loci_sampling;

/* Draw a token from logits [vocab] or the last row of [n, vocab], f32 or f64, in host memory. The number that decides
 * is Philox keyed by the seed at `position` (loci_stream_tokens is a good one), so a text follows from seed and
 * prompt. LOCI_E_NUMERIC when a logit is NaN or infinity, or all are -infinity. how NULL: temperature 1.
 * [any thread] */
loci_status loci_draw(int32_t *token, const loci_tensor *logits, const loci_sampling *how, uint64_t position,
                      loci_error *err);

#ifdef __cplusplus
}
#endif
#endif
