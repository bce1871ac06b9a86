/* SPDX-License-Identifier: Apache-2.0
 *
 * core/train: from a config to a trained run folder.
 *
 *   run.dir/  lock  config.ini  log.jsonl  checkpoints/STEP/{model,optimizer,state}.safetensors config.ini run.json
 *
 *  (1) Everything a step does follows from the config, the weights and the step number: data, dropout and schedule hold no
 *      state of their own. So a run that was killed and resumed has the bits of one that was not.
 *  (2) A checkpoint appears whole under its name or not at all, and the one before it stays until the new one was read
 *      back.
 *  (3) `stop` is looked at between steps: the run saves and ends with LOCI_E_STOPPED.
 *  (4) Before step 0 the memory plan is computed and compared with what may be used.
 */
#ifndef LOCI_CORE_TRAIN_TRAIN_H
#define LOCI_CORE_TRAIN_TRAIN_H

#include "core/data/data.h"
#include "core/model/model.h"
#include <signal.h>

/* ---- optimiser and schedule --------------------------------------------------------------------------------------- */

/* lr(step) in [0, steps): linear warm-up over `warmup` steps, then the schedule down to lr_min x lr. */
double loci_schedule_lr(const loci_conf *conf, int64_t step, int64_t steps);

/* Clip by the global norm, then AdamW on every weight; *norm is the norm before clipping. scale multiplies gradients. */
loci_status loci_optimiser_norm(loci_model *m, double *norm, loci_error *err);
loci_status loci_optimiser_step(loci_model *m, const loci_conf *conf, double lr, int64_t step, double norm,
                                loci_error *err);

/* ---- checkpoints ---------------------------------------------------------------------------------------------------- */

typedef struct loci_saved {
    int64_t step, tokens;
    double train_seconds, loss, valid_loss, accuracy; /* NaN when there is none yet; accuracy: of tasks */
    uint64_t train_hash, valid_hash;
    char path[4096];
} loci_saved;

/* Write folder checkpoints/STEP below `dir`, read it back, then remove all but the last `keep`. */
loci_status loci_checkpoint_write(loci_saved *s, const char *dir, loci_model *m, loci_pass *pass, const loci_conf *conf,
                                  int64_t keep, loci_error *err);
/* Values into an allocated model from a checkpoint folder; moments too when the model trains and `optimiser`; the carried
 * state when `pass` is not NULL. Every name and shape must match; what differs is listed. */
loci_status loci_checkpoint_read(loci_saved *out, const char *folder, loci_model *m, loci_pass *pass, bool optimiser,
                                 loci_error *err);
/* The weights alone, from a file of tensors: no plugin is named and nothing else is read. */
loci_status loci_checkpoint_weights(const char *file, loci_model *m, loci_error *err);
/* The folder of a checkpoint, from one or from a run folder (its newest). */
loci_status loci_checkpoint_find(char *out, size_t n, const char *folder, loci_error *err);
/* Lay the config.ini of a checkpoint or run over c. It is data from elsewhere: it may name components, never where programs
 * lie. */
loci_status loci_checkpoint_config(loci_conf *c, const char *path, loci_error *err);
/* What run.json of a checkpoint says. */
loci_status loci_checkpoint_facts(loci_saved *out, const char *folder, loci_error *err);
/* The newest checkpoint below `dir` that reads whole, into out->path; LOCI_E_CHECKPOINT and an empty path when there is
 * none. Broken ones are reported. */
loci_status loci_checkpoint_latest(char *path, size_t n, const char *dir, loci_error *err);

/* ---- a run ------------------------------------------------------------------------------------------------------------ */

typedef struct loci_progress {
    const char *event; /* "step", "eval", "save" */
    int64_t step, steps;
    double loss, valid_loss, accuracy, lr, grad_norm, tokens_per_s, eta_s; /* NaN when it does not apply */
} loci_progress;

typedef struct loci_train_how {
    const char *plugin_path; /* --plugin-path, or NULL */
    const char *dir;         /* the run folder */
    bool resume, allow_unknown;
    bool reuse; /* a folder that holds the finished same run is read instead of trained (compare) */
    volatile sig_atomic_t *stop, *save; /* may be NULL */
    void (*progress)(void *arg, const loci_progress *p);
    void *arg;
} loci_train_how;

typedef struct loci_result {
    int64_t step, tokens;
    double loss, valid_loss, accuracy, tokens_per_s; /* accuracy: NaN for text */
    uint64_t parameters, state_bytes, peak_bytes;
    bool reused;
    bool causal; /* false: the losses come from a model that sees the future */
    char checkpoint[4096];
} loci_result;

loci_status loci_train(loci_result *out, loci_conf *conf, const loci_train_how *how, loci_error *err);

/* ---- evaluation ------------------------------------------------------------------------------------------------------ */

/* Right answers among the targets for which something lies in [from, to]. */
typedef struct loci_bucket {
    double from, to;
    int64_t n, right;
} loci_bucket;
typedef struct loci_buckets {
    uint32_t n;
    loci_bucket at[32];
} loci_buckets;

typedef struct loci_evaluation {
    double loss;               /* mean over the targets, in nats                                     */
    int64_t tokens, sequences; /* tokens: targets                                                    */
    bool scored;               /* a task: what follows has been measured                             */
    double accuracy;           /* share of targets that the model finds most probable; NaN for text  */
    double exact;              /* share of sequences with every target right; NaN for text           */
    double lift;               /* nats by which the targets are more probable than when the places they are to be found at
                                * hold other answers; NaN when not asked for                          */
    /* by order among the sequence's targets; tokens between answer and question; place of the answer over length */
    loci_buckets by_position, by_distance, by_depth;
} loci_evaluation;

/* Over `windows` validation sequences. pass: without SAVE, of rows x seq. lift: measure it, which takes twice the time. */
loci_status loci_evaluate(loci_evaluation *out, const loci_data *d, loci_pass *pass, int64_t windows, bool lift,
                          volatile sig_atomic_t *stop, loci_error *err);
/* How many the config wants. */
int64_t loci_evaluation_windows(const loci_data *d, const loci_conf *conf, int64_t seq);
/* {loss_nats, tokens, sequences, accuracy, exact, lift_nats, by_position, by_distance, by_depth}; the last three are lists of
 * {from, to, n, accuracy}. What was not measured is null. NULL when there is no memory. */
struct json_t;
struct json_t *loci_evaluation_json(const loci_evaluation *e);

/* State of one stream decoding token by token with a context of `capacity`, in bytes. */
loci_status loci_stream_bytes(uint64_t *out, loci_model *m, int64_t capacity, loci_error *err);

#endif
