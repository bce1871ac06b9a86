/* SPDX-License-Identifier: Apache-2.0
 *
 * A run from its config to its last checkpoint: folder, memory plan, loop, log.
 */
#include "core/train/train.h"
#include "core/config/diff.h"
#include "core/report/log.h"
#include "core/tensor/file.h"
#include "core/train/folder.h"
#include "core/train/machine.h"
#include <math.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct run {
    loci_conf *conf;
    const loci_train_how *how;
    loci_context *cx;
    loci_model *model;
    loci_pass *train, *eval;
    loci_data *data;
    loci_joblog *log;
    struct loci_run_folder folder;
    int32_t *tokens, *targets;
    loci_run *runs;
    int64_t rows, seq, accumulate, labels, steps, skipped; /* labels: targets of a step */
    uint64_t seed;
    loci_saved at; /* step, tokens, seconds, losses so far */
    double norm;
    bool resumed;
};

static int64_t setting(const struct run *r, const char *key)
{
    return loci_conf_int(r->conf, -1, "train", key);
}

/* ---- set-up -------------------------------------------------------------------------------------------------------------- */

static loci_status memory_plan(const struct run *r, loci_error *err)
{
    uint64_t size = loci_dtype_bytes(r->model->dtype), weights = r->model->weights.elements * size;
    uint64_t train = loci_pass_bytes(r->train), eval = loci_pass_bytes(r->eval);
    uint64_t data = r->data->bytes, total = 4 * weights + train + eval + data;
    uint64_t limit = (uint64_t)loci_conf_int(r->conf, -1, "run", "max_memory");
    const char *whose = limit ? "run.max_memory allows" : "this machine has free";

    limit = limit ? limit : loci_machine_memory();
    loci_log(LOCI_LOG_INFO, "plan",
             "memory: weights %.1f MiB, gradients and moments %.1f, activations and scratch %.1f, evaluation %.1f, data "
             "%.1f: %.1f MiB in all (%llu parameters)",
             (double)weights / 1048576, 3 * (double)weights / 1048576, (double)train / 1048576, (double)eval / 1048576,
             (double)data / 1048576, (double)total / 1048576, (unsigned long long)r->model->weights.elements);
    if (limit && total > limit)
        return loci_fail(err, LOCI_E_NOMEM,
                         "this run needs %.1f MiB and %s %.1f MiB: lower train.batch, data.seq_tok or model.dim",
                         (double)total / 1048576, whose, (double)limit / 1048576);
    return LOCI_OK;
}

static loci_status open_model(struct run *r, loci_error *err)
{
    loci_status status = LOCI_OK;
    uint64_t flags = LOCI_X_SAVE | LOCI_X_TRAIN;

    LOCI_TRY(loci_context_new(&r->cx, r->conf, r->how->plugin_path, r->how->allow_unknown, err));
    r->seed = (uint64_t)loci_conf_int(r->conf, -1, "run", "seed");
    r->rows = setting(r, "batch");
    r->accumulate = setting(r, "accumulate");
    r->steps = setting(r, "steps");
    r->seq = loci_conf_int(r->conf, -1, "data", "seq_tok");
    LOCI_TRY(loci_data_open(&r->data, r->conf, r->seq, err));
    r->labels = r->rows * r->data->labels * r->accumulate;
    LOCI_TRY(loci_model_new(&r->model, r->cx, err));
    LOCI_TRY(loci_data_fits(r->data, r->model->vocab, r->conf, err));
    if (!r->how->reuse) /* compare says it once for an arm */
        loci_model_warn(r->model);
    LOCI_TRY(loci_pass_new(&r->train, r->model, r->rows, r->seq, r->rows, r->rows,
                           loci_data_longest(r->data, r->rows, r->seq), flags, err));
    LOCI_TRY(loci_pass_new(&r->eval, r->model, r->rows, r->seq, r->rows, r->rows, r->seq, 0, err));
    loci_pass_losses_alone(r->eval);
    loci_pass_borrow(r->eval, r->train);
    LOCI_TRY(memory_plan(r, err));
    LOCI_TRY(loci_model_alloc(r->model, true, r->seed, err));
    LOCI_TRY(loci_pass_alloc(r->train, err));
    LOCI_TRY(loci_pass_alloc(r->eval, err));
    r->tokens = loci_alloc((size_t)(r->rows * r->seq) * sizeof *r->tokens);
    r->targets = loci_alloc((size_t)(r->rows * r->seq) * sizeof *r->targets);
    r->runs = loci_alloc((size_t)r->rows * sizeof *r->runs);
    if (!r->tokens || !r->targets || !r->runs)
        status = loci_fail(err, LOCI_E_NOMEM, "out of memory for a batch");
out:
    return status;
}

/* train.init: a file of tensors, a checkpoint, or a run (its newest checkpoint). */
static loci_status init_weights(struct run *r, const char *init, loci_error *err)
{
    loci_status status = LOCI_OK;
    char folder[4096], *direct = loci_format("%s/model.safetensors", init);
    loci_saved saved;
    struct stat st;

    if (!direct)
        return loci_fail(err, LOCI_E_NOMEM, "out of memory");
    snprintf(folder, sizeof folder, "%s", init);
    if (stat(init, &st) == 0 && S_ISREG(st.st_mode)) {
        LOCI_TRY(loci_checkpoint_weights(init, r->model, err));
    } else {
        if (access(direct, F_OK) != 0)
            LOCI_TRY(loci_checkpoint_latest(folder, sizeof folder, init, err));
        LOCI_TRY(loci_checkpoint_read(&saved, folder, r->model, NULL, false, err));
    }
    loci_log(LOCI_LOG_INFO, "train", "weights from %s", folder);
out:
    loci_free(direct);
    return status;
}

static loci_status start_or_resume(struct run *r, loci_error *err)
{
    loci_status status = LOCI_OK;
    char latest[4096] = "", *path = NULL;
    const char *init = loci_conf_str(r->conf, -1, "train", "init");
    loci_saved saved;
    loci_error none = LOCI_ERROR_INIT;

    r->at.loss = r->at.valid_loss = r->at.accuracy = NAN;
    if (r->folder.existed && loci_checkpoint_latest(latest, sizeof latest, r->how->dir, &none) == LOCI_OK) {
        LOCI_TRY(loci_checkpoint_read(&saved, latest, r->model, r->data->carry ? r->train : NULL, true, err));
        if (saved.train_hash != r->data->train_hash || saved.valid_hash != r->data->valid_hash) {
            status = loci_fail(err, LOCI_E_DATA, "%s was trained on other data than [data] gives now: name the same files in data.train and "
                               "data.valid (a task: the version of loci that made it), or start a new run with train.init",
                               latest);
            goto out;
        }
        r->at = saved;
        r->resumed = true;
        loci_log(LOCI_LOG_INFO, "train", "resuming %s at step %lld", r->how->dir, (long long)saved.step);
        LOCI_TRY(loci_folder_same_machine(latest, err));
    } else if (*init) {
        LOCI_TRY(init_weights(r, init, err));
    }
    r->at.train_hash = r->data->train_hash;
    r->at.valid_hash = r->data->valid_hash;
    path = loci_format("%s/log.jsonl", r->how->dir);
    LOCI_TRY(path ? loci_joblog_open(&r->log, path, r->resumed ? r->at.step : 0, err)
                  : loci_fail(err, LOCI_E_NOMEM, "out of memory"));
    if (!r->resumed)
        LOCI_TRY(loci_joblog_put(r->log,
                                 json_pack("{s:s, s:i, s:I, s:I, s:b}", "event", "start", "step", 0, "seed",
                                           (json_int_t)r->seed, "parameters", (json_int_t)r->model->weights.elements,
                                           "causal", loci_model_causal(r->model)),
                                 err));
out:
    loci_free(path);
    return status;
}

/* ---- the loop -------------------------------------------------------------------------------------------------------------- */

static loci_status not_finite(struct run *r, bool back, loci_error *err)
{
    char what[400];
    loci_status status = loci_pass_find_fault(r->train, back, what, sizeof what, err);

    if (status != LOCI_OK)
        return status;
    if (!strcmp(loci_conf_str(r->conf, -1, "train", "on_nan"), "skip") && r->skipped < 100) {
        r->skipped++;
        loci_log(LOCI_LOG_WARN, "train", "step %lld is skipped: %s", (long long)r->at.step + 1, what);
        return LOCI_OK;
    }
    return loci_fail(err, LOCI_E_NUMERIC,
                     "step %lld: the %s is not finite: %s: lower train.lr or the step size of the memory, or resume from "
                     "the last checkpoint with train.on_nan = skip",
                     (long long)r->at.step + 1, back ? "gradient" : "loss", what);
}

/* One optimiser step; *done is false when it was skipped for a number that is not finite. */
static loci_status step(struct run *r, loci_error *err)
{
    loci_status status = LOCI_OK;
    double loss = 0, total = 0, lr = loci_schedule_lr(r->conf, r->at.step, r->steps);
    int64_t count = 0, n = r->rows * r->seq;
    bool finite = true;

    LOCI_TRY(loci_weights_zero_grads(&r->model->weights, r->cx));
    for (int64_t a = 0; a < r->accumulate && finite; a++) {
        uint64_t micro = (uint64_t)(r->at.step * r->accumulate + a);
        loci_data_batch(r->data, r->seed, micro, r->rows, r->seq, r->tokens, r->targets, r->runs);
        LOCI_TRY(loci_pass_forward(r->train, r->tokens, r->targets, r->runs, (uint32_t)r->rows, r->seed, micro,
                                   1.0 / (double)r->labels, &loss, &count, NULL, err));
        finite = isfinite(loss);
        if (!finite) {
            LOCI_TRY(not_finite(r, false, err));
            break;
        }
        LOCI_TRY(loci_pass_backward(r->train, err));
        if (r->data->carry)
            LOCI_TRY(loci_pass_carry(r->train, err));
        total += loss / (double)r->labels;
    }
    if (finite) {
        LOCI_TRY(loci_optimiser_norm(r->model, &r->norm, err));
        finite = isfinite(r->norm);
        if (finite)
            LOCI_TRY(loci_optimiser_step(r->model, r->conf, lr, r->at.step, r->norm, err));
        else
            LOCI_TRY(not_finite(r, true, err));
    }
    r->at.loss = finite ? total : NAN;
    r->at.step++;
    r->at.tokens += n * r->accumulate;
out:
    return status;
}

static void tell(const struct run *r, const char *event)
{
    double rate = r->at.train_seconds > 0 ? (double)r->at.tokens / r->at.train_seconds : 0;
    loci_progress p = {event, r->at.step, r->steps, r->at.loss, r->at.valid_loss, r->at.accuracy,
                       loci_schedule_lr(r->conf, r->at.step > 0 ? r->at.step - 1 : 0, r->steps), r->norm, rate,
                       rate > 0 ? (double)((r->steps - r->at.step) * r->rows * r->seq * r->accumulate) / rate : NAN};

    if (r->how->progress)
        r->how->progress(r->how->arg, &p);
}

static json_t *real(double x)
{
    return isfinite(x) ? json_real(x) : json_null();
}

static loci_status log_step(struct run *r, loci_error *err)
{
    return loci_joblog_put(r->log,
                           json_pack("{s:s, s:I, s:o, s:o, s:o}", "event", "step", "step", (json_int_t)r->at.step,
                                     "loss_nats", real(r->at.loss), "lr",
                                     real(loci_schedule_lr(r->conf, r->at.step - 1, r->steps)), "grad_norm",
                                     real(r->norm)),
                           err);
}

static json_t *eval_line(const struct run *r, const loci_evaluation *e)
{
    static const char *const of_tasks[] = {"accuracy", "exact", "by_position", "by_distance", "by_depth"};
    json_t *line = json_pack("{s:s, s:I, s:o, s:I}", "event", "eval", "step", (json_int_t)r->at.step, "valid_loss_nats",
                             real(e->loss), "tokens", (json_int_t)e->tokens);
    json_t *more = loci_evaluation_json(e);

    for (size_t i = 0; e->scored && i < sizeof of_tasks / sizeof *of_tasks; i++)
        json_object_set(line, of_tasks[i], json_object_get(more, of_tasks[i]));
    json_decref(more);
    return line;
}

static loci_status evaluate(struct run *r, loci_error *err)
{
    loci_status status = LOCI_OK;
    loci_evaluation e;

    LOCI_TRY(loci_evaluate(&e, r->data, r->eval, loci_evaluation_windows(r->data, r->conf, r->seq), false, NULL, err));
    r->at.valid_loss = e.loss;
    r->at.accuracy = e.accuracy;
    LOCI_TRY(loci_joblog_put(r->log, eval_line(r, &e), err));
    tell(r, "eval");
out:
    return status;
}

static loci_status save(struct run *r, loci_error *err)
{
    loci_status status = LOCI_OK;

    LOCI_TRY(loci_joblog_sync(r->log, err));
    LOCI_TRY(loci_checkpoint_write(&r->at, r->how->dir, r->model, r->data->carry ? r->train : NULL, r->conf,
                                   setting(r, "keep"), err));
    tell(r, "save");
out:
    return status;
}

static bool every(int64_t step, int64_t n)
{
    return n > 0 && step % n == 0;
}

static loci_status loop(struct run *r, loci_error *err)
{
    loci_status status = LOCI_OK;
    bool stop = false;

    while (r->at.step < r->steps && !stop) {
        double begin = loci_seconds();
        bool last;
        LOCI_TRY(step(r, err));
        r->at.train_seconds += loci_seconds() - begin;
        last = r->at.step == r->steps;
        if (every(r->at.step, setting(r, "log_every")) || last)
            LOCI_TRY(log_step(r, err));
        tell(r, "step");
        if (every(r->at.step, setting(r, "eval_every")) || last)
            LOCI_TRY(evaluate(r, err));
        stop = r->how->stop && *r->how->stop && !last;
        if (every(r->at.step, setting(r, "save_every")) || last || stop || (r->how->save && *r->how->save)) {
            if (r->how->save)
                *r->how->save = 0;
            LOCI_TRY(save(r, err));
        }
    }
    if (r->steps == 0 && r->at.step == 0) {
        LOCI_TRY(evaluate(r, err));
        LOCI_TRY(save(r, err));
    }
    if (stop)
        status = loci_fail(err, LOCI_E_STOPPED, "stopped at step %lld of %lld, saved in %s: go on with --resume",
                           (long long)r->at.step, (long long)r->steps, r->at.path);
out:
    return status;
}

/* ---- the end ---------------------------------------------------------------------------------------------------------------- */

static loci_status result(loci_result *out, struct run *r, loci_error *err)
{
    out->step = r->at.step;
    out->tokens = r->at.tokens;
    out->loss = r->at.loss;
    out->valid_loss = r->at.valid_loss;
    out->accuracy = r->at.accuracy;
    out->tokens_per_s = r->at.train_seconds > 0 ? (double)r->at.tokens / r->at.train_seconds : 0;
    out->parameters = r->model->weights.elements;
    out->peak_bytes = loci_memory_peak();
    out->causal = loci_model_causal(r->model);
    snprintf(out->checkpoint, sizeof out->checkpoint, "%s", r->at.path);
    return loci_stream_bytes(&out->state_bytes, r->model, r->seq, err);
}

static loci_status log_end(struct run *r, const loci_result *o, loci_error *err)
{
    return loci_joblog_put(
        r->log,
        json_pack("{s:s, s:I, s:I, s:o, s:o, s:o, s:o, s:I, s:I, s:I, s:b}", "event", "end", "step", (json_int_t)o->step,
                  "tokens", (json_int_t)o->tokens, "loss_nats", real(o->loss), "valid_loss_nats", real(o->valid_loss),
                  "accuracy", real(o->accuracy),
                  "tokens_per_s", real(o->tokens_per_s), "parameters", (json_int_t)o->parameters, "state_bytes",
                  (json_int_t)o->state_bytes, "peak_bytes", (json_int_t)o->peak_bytes, "causal", o->causal),
        err);
}

static void close_run(struct run *r)
{
    loci_joblog_close(r->log, NULL);
    loci_pass_free(r->eval);
    loci_pass_free(r->train);
    loci_model_free(r->model);
    loci_context_free(r->cx);
    loci_data_free(r->data);
    loci_free(r->tokens);
    loci_free(r->targets);
    loci_free(r->runs);
    loci_folder_close(&r->folder);
}

loci_status loci_train(loci_result *out, loci_conf *conf, const loci_train_how *how, loci_error *err)
{
    loci_status status = LOCI_OK;
    struct run r = {.conf = conf, .how = how, .folder = {.lock = -1}, .norm = NAN};
    int64_t begun;

    memset(out, 0, sizeof *out);
    loci_memory_reset_peak();
    LOCI_TRY(open_model(&r, err));
    LOCI_TRY(loci_folder_open(&r.folder, how->dir, conf, how->resume, err));
    if (how->reuse && loci_folder_finished(out, how->dir, r.steps, r.data))
        goto out;
    LOCI_TRY(start_or_resume(&r, err));
    begun = r.at.step;
    LOCI_TRY(loop(&r, err));
    LOCI_TRY(result(out, &r, err));
    if (r.at.step > begun || !r.resumed) {
        LOCI_TRY(log_end(&r, out, err));
        LOCI_TRY(loci_joblog_sync(r.log, err));
    }
out:
    if (status == LOCI_E_STOPPED)
        result(out, &r, NULL);
    close_run(&r);
    return status;
}
