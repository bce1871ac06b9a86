/* SPDX-License-Identifier: Apache-2.0
 *
 * The step of a training, on tokens drawn from the seed: what a model costs does not depend on the text. The same batch
 * again and again is learnt by heart, and that costs the same too.
 */
#include "core/bench/bench.h"
#include "core/train/train.h"
#include <string.h>

struct training {
    loci_context *cx;
    loci_model *m;
    loci_pass *pass;
    int32_t *tokens, *targets;
    int64_t accumulate, steps, step, targets_n;
};

static loci_status call(void *arg, loci_error *err)
{
    loci_status status = LOCI_OK;
    struct training *t = arg;
    double loss, norm;
    int64_t count;

    LOCI_TRY(loci_weights_zero_grads(&t->m->weights, t->cx));
    for (int64_t a = 0; a < t->accumulate; a++) {
        LOCI_TRY(loci_pass_forward(t->pass, t->tokens, t->targets, NULL, 0, 1, (uint64_t)(t->step * t->accumulate + a),
                                   1.0 / (double)(t->targets_n * t->accumulate), &loss, &count, NULL, err));
        LOCI_TRY(loci_pass_backward(t->pass, err));
    }
    LOCI_TRY(loci_optimiser_norm(t->m, &norm, err));
    LOCI_TRY(loci_optimiser_step(t->m, t->cx->conf, loci_schedule_lr(t->cx->conf, t->step % t->steps, t->steps),
                                 t->step, norm, err));
    t->step++;
out:
    return status;
}

static loci_status tokens(struct training *t, int64_t n, loci_error *err)
{
    t->tokens = loci_alloc((size_t)n * sizeof *t->tokens);
    t->targets = loci_alloc((size_t)n * sizeof *t->targets);
    if (!t->tokens || !t->targets)
        return loci_fail(err, LOCI_E_NOMEM, "out of memory for a batch of %lld tokens", (long long)n);
    for (int64_t i = 0; i < n; i++) {
        const uint64_t x = (uint64_t)i * UINT64_C(0x9E3779B97F4A7C15);
        t->tokens[i] = (int32_t)((x >> 33) % (uint64_t)t->m->vocab);
        t->targets[i] = (int32_t)((x >> 17) % (uint64_t)t->m->vocab);
    }
    return LOCI_OK;
}

loci_status loci_bench_train(loci_bench_row *out, loci_context *cx, int64_t rows, int64_t seq,
                             const loci_bench_how *how, loci_error *err)
{
    loci_status status = LOCI_OK;
    struct training t = {.cx = cx};
    uint64_t weights;

    memset(out, 0, sizeof *out);
    t.accumulate = loci_conf_int(cx->conf, -1, "train", "accumulate");
    t.steps = loci_conf_int(cx->conf, -1, "train", "steps");
    t.steps = t.steps > 0 ? t.steps : 1;
    t.targets_n = rows * seq;
    LOCI_TRY(loci_model_new(&t.m, cx, err));
    LOCI_TRY(loci_pass_new(&t.pass, t.m, rows, seq, rows, rows, seq, LOCI_X_SAVE | LOCI_X_TRAIN, err));
    LOCI_TRY(loci_model_alloc(t.m, true, (uint64_t)loci_conf_int(cx->conf, -1, "run", "seed"), err));
    LOCI_TRY(loci_pass_alloc(t.pass, err));
    LOCI_TRY(tokens(&t, rows * seq, err));
    snprintf(out->backend, sizeof out->backend, "%s", loci_node_id(t.m->layers[0].compose));
    LOCI_TRY(loci_bench_measure(&out->t, &(loci_bench_call){call, NULL, &t}, how, err));
    weights = t.m->weights.elements - (t.m->head == t.m->embed ? 0 : t.m->embed->elements);
    out->tokens = (double)(rows * seq * t.accumulate);
    out->flops = 6.0 * (double)weights * out->tokens;
out:
    loci_free(t.tokens);
    loci_free(t.targets);
    loci_pass_free(t.pass);
    loci_model_free(t.m);
    return status;
}
