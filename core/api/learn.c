/* SPDX-License-Identifier: Apache-2.0
 *
 * Learning and judging by single calls: what a run does between its evaluations, in the hands of the caller.
 */
#include "core/api/api.h"
#include <math.h>
#include <string.h>

static int64_t setting(const loci_engine *e, const char *section, const char *key)
{
    return loci_conf_int(e->conf, -1, section, key);
}

/* ---- rooms: passes and data, made when first wanted ------------------------------------------------------------- */

static loci_status fit_pass(loci_pass **p, loci_engine *e, int64_t rows, int64_t seq, int64_t capacity, uint64_t flags,
                            loci_error *err)
{
    loci_status status = LOCI_OK;
    loci_pass *fresh = NULL;

    if (*p && (*p)->session.rows == rows && (*p)->session.seq == seq)
        return LOCI_OK;
    loci_pass_free(*p); /* first, so that both need not fit */
    *p = NULL;
    LOCI_TRY(loci_pass_new(&fresh, e->model, rows, seq, rows, rows, capacity, flags, err));
    loci_pass_losses_alone(fresh);
    LOCI_TRY(loci_pass_alloc(fresh, err));
    *p = fresh;
    return LOCI_OK;
out:
    loci_pass_free(fresh);
    return status;
}

static void forget_data(loci_engine *e)
{
    loci_data_free(e->data);
    loci_free(e->tokens);
    loci_free(e->targets);
    loci_free(e->runs);
    e->data = NULL;
    e->tokens = e->targets = NULL;
    e->runs = NULL;
}

static loci_status fit_data(loci_engine *e, loci_error *err)
{
    loci_status status = LOCI_OK;
    size_t n = (size_t)(setting(e, "train", "batch") * setting(e, "data", "seq_tok"));

    if (e->data)
        return LOCI_OK;
    LOCI_TRY(loci_data_open(&e->data, e->conf, setting(e, "data", "seq_tok"), err));
    LOCI_TRY(loci_data_fits(e->data, e->model->vocab, e->conf, err));
    e->at.train_hash = e->data->train_hash;
    e->at.valid_hash = e->data->valid_hash;
    e->tokens = loci_alloc(n * sizeof *e->tokens);
    e->targets = loci_alloc(n * sizeof *e->targets);
    e->runs = loci_alloc((size_t)setting(e, "train", "batch") * sizeof *e->runs);
    if (!e->tokens || !e->targets || !e->runs)
        status = loci_fail(err, LOCI_E_NOMEM, "out of memory for a batch");
out:
    if (status != LOCI_OK)
        forget_data(e);
    return status;
}

static loci_status fit_own(loci_engine *e, bool learn, loci_error *err)
{
    loci_status status = LOCI_OK;
    int64_t rows = setting(e, "train", "batch"), seq = setting(e, "data", "seq_tok");

    LOCI_TRY(fit_data(e, err));
    status = learn ? fit_pass(&e->own.learn, e, rows, seq, e->data->carry ? loci_data_longest(e->data, rows, seq) : seq,
                              LOCI_X_SAVE | LOCI_X_TRAIN, err)
                   : fit_pass(&e->own.judge, e, rows, seq, seq, 0, err);
out:
    return status;
}

void loci_api_forget(loci_engine *e)
{
    loci_pass_free(e->own.learn);
    loci_pass_free(e->own.judge);
    loci_pass_free(e->given.learn);
    loci_pass_free(e->given.judge);
    forget_data(e);
}

/* ---- checkpoints ------------------------------------------------------------------------------------------------ */

loci_status loci_api_restore(loci_engine *e, const char *folder, loci_error *err)
{
    loci_status status = LOCI_OK;
    bool carried = e->train && loci_conf_bool(e->conf, -1, "data", "carry");
    loci_saved saved;

    if (carried)
        LOCI_TRY(fit_own(e, true, err));
    LOCI_TRY(loci_checkpoint_read(&saved, folder, e->model, carried ? e->own.learn : NULL, e->train, err));
    e->at = saved;
out:
    return status;
}

loci_status loci_engine_save(loci_engine *e, const char *dir, char *path, size_t n, loci_error *err)
{
    loci_status status = LOCI_OK;

    if (!e->train)
        return loci_fail(err, LOCI_E_ARG,
                         "a checkpoint holds the moments of the optimiser: open the engine with "
                         "LOCI_ENGINE_TRAIN");
    status = loci_checkpoint_write(&e->at, dir, e->model, e->data && e->data->carry ? e->own.learn : NULL, e->conf,
                                   setting(e, "train", "keep"), err);
    if (status == LOCI_OK && path && strlen(e->at.path) >= n)
        status = loci_fail(err, LOCI_E_ARG, "the path of the checkpoint needs %zu bytes and there are %zu: it is %s",
                           strlen(e->at.path) + 1, n, e->at.path);
    else if (status == LOCI_OK && path)
        memcpy(path, e->at.path, strlen(e->at.path) + 1);
    return status;
}

/* ---- steps ------------------------------------------------------------------------------------------------------ */

static loci_status check_examples(const loci_engine *e, const loci_examples *x, int64_t *targets, loci_error *err)
{
    uint64_t n;

    *targets = 0;
    if (!LOCI_HAS(x, loci_examples, targets) || !x->tokens || !x->targets)
        return loci_fail(err, LOCI_E_ARG, "examples need tokens and targets");
    if (x->rows < 1 || x->seq < 1 || !loci_mul(&n, (uint64_t)x->rows, (uint64_t)x->seq) || n > INT32_MAX)
        return loci_fail(err, LOCI_E_ARG,
                         "examples of %lld rows of %lld tokens: both are 1 or more, and 2^31 - 1 together",
                         (long long)x->rows, (long long)x->seq);
    for (uint64_t i = 0; i < n; i++) {
        if (x->tokens[i] < 0 || x->tokens[i] >= e->model->vocab || x->targets[i] < -1 ||
            x->targets[i] >= e->model->vocab)
            return loci_fail(
                err, LOCI_E_ARG, "token %llu is %d and its target %d: tokens are 0 to %lld, targets also -1",
                (unsigned long long)i, (int)x->tokens[i], (int)x->targets[i], (long long)e->model->vocab - 1);
        *targets += x->targets[i] >= 0;
    }
    if (!*targets)
        return loci_fail(err, LOCI_E_ARG, "no token of the examples has a target");
    return LOCI_OK;
}

static loci_status must_be_finite(double value, loci_pass *pass, bool back, loci_error *err)
{
    char what[400];
    loci_status status;

    if (isfinite(value))
        return LOCI_OK;
    status = loci_pass_find_fault(pass, back, what, sizeof what, err);
    return status != LOCI_OK ? status
                             : loci_fail(err, LOCI_E_NUMERIC,
                                         "the %s is not finite: %s: lower train.lr or the step size of "
                                         "the memory",
                                         back ? "gradient" : "loss", what);
}

/* Gradients of one micro-batch are added, and its loss, all as a share of `over` tokens. */
static loci_status micro_batch(loci_engine *e, loci_pass *pass, const int32_t *tokens, const int32_t *targets,
                               const loci_run *runs, uint64_t micro, double over, double *loss, loci_error *err)
{
    loci_status status = LOCI_OK;
    double sum = 0;
    int64_t count = 0;

    LOCI_TRY(loci_pass_forward(pass, tokens, targets, runs, runs ? (uint32_t)pass->session.rows : 0,
                               (uint64_t)setting(e, "run", "seed"), micro, 1 / over, &sum, &count, NULL, err));
    LOCI_TRY(must_be_finite(sum, pass, false, err));
    LOCI_TRY(loci_pass_backward(pass, err));
    *loss += sum / over;
out:
    return status;
}

static loci_status learn_own(loci_engine *e, int64_t *count, double *loss, loci_error *err)
{
    loci_status status = LOCI_OK;
    int64_t rows = setting(e, "train", "batch"), seq = setting(e, "data", "seq_tok");
    int64_t accumulate = setting(e, "train", "accumulate");

    *count = rows * e->data->labels * accumulate;
    for (int64_t a = 0; a < accumulate; a++) {
        uint64_t micro = (uint64_t)(e->at.step * accumulate + a);
        loci_data_batch(e->data, (uint64_t)setting(e, "run", "seed"), micro, rows, seq, e->tokens, e->targets, e->runs);
        LOCI_TRY(micro_batch(e, e->own.learn, e->tokens, e->targets, e->runs, micro, (double)*count, loss, err));
        if (e->data->carry)
            LOCI_TRY(loci_pass_carry(e->own.learn, err));
    }
out:
    return status;
}

loci_status loci_engine_step(loci_engine *e, const loci_examples *x, loci_measure *out, loci_error *err)
{
    loci_status status = LOCI_OK;
    loci_measure m = {.struct_size = sizeof m, .accuracy = NAN};
    int64_t steps = setting(e, "train", "steps");
    double begun = loci_seconds();

    if (!e->train)
        return loci_fail(err, LOCI_E_ARG, "a step needs gradients: open the engine with LOCI_ENGINE_TRAIN");
    LOCI_TRY(x ? check_examples(e, x, &m.tokens, err) : fit_own(e, true, err));
    if (x)
        LOCI_TRY(fit_pass(&e->given.learn, e, x->rows, x->seq, x->seq, LOCI_X_SAVE | LOCI_X_TRAIN, err));
    LOCI_TRY(loci_weights_zero_grads(&e->model->weights, e->cx));
    LOCI_TRY(x ? micro_batch(e, e->given.learn, x->tokens, x->targets, NULL, (uint64_t)e->at.step, (double)m.tokens,
                             &m.loss_nats, err)
               : learn_own(e, &m.tokens, &m.loss_nats, err));
    m.lr = loci_schedule_lr(e->conf, e->at.step < steps ? e->at.step : steps, steps);
    LOCI_TRY(loci_optimiser_norm(e->model, &m.grad_norm, err));
    LOCI_TRY(must_be_finite(m.grad_norm, x ? e->given.learn : e->own.learn, true, err));
    LOCI_TRY(loci_optimiser_step(e->model, e->conf, m.lr, e->at.step, m.grad_norm, err));
    m.step = ++e->at.step;
    e->at.tokens += m.tokens;
    e->at.loss = m.loss_nats;
    e->at.train_seconds += loci_seconds() - begun;
    LOCI_API_GIVE(out, &m);
out:
    return status;
}

loci_status loci_engine_evaluate(loci_engine *e, const loci_examples *x, loci_measure *out, loci_error *err)
{
    loci_status status = LOCI_OK;
    loci_measure m = {.struct_size = sizeof m, .step = e->at.step, .grad_norm = NAN, .lr = NAN, .accuracy = NAN};

    if (x) {
        double sum = 0;
        LOCI_TRY(check_examples(e, x, &m.tokens, err));
        LOCI_TRY(fit_pass(&e->given.judge, e, x->rows, x->seq, x->seq, 0, err));
        LOCI_TRY(
            loci_pass_forward(e->given.judge, x->tokens, x->targets, NULL, 0, 0, 0, 0, &sum, &m.tokens, NULL, err));
        m.loss_nats = sum / (double)m.tokens;
    } else {
        loci_evaluation own;
        LOCI_TRY(fit_own(e, false, err));
        LOCI_TRY(loci_evaluate(&own, e->data, e->own.judge,
                               loci_evaluation_windows(e->data, e->conf, setting(e, "data", "seq_tok")), false, NULL,
                               err));
        m.loss_nats = e->at.valid_loss = own.loss;
        m.accuracy = e->at.accuracy = own.accuracy;
        m.tokens = own.tokens;
    }
    LOCI_API_GIVE(out, &m);
out:
    return status;
}
