/* SPDX-License-Identifier: Apache-2.0
 *
 * loci/loci.h from a program's side: settings, runs against single steps, examples, weights, checkpoints, refusals, and
 * what happens when memory ends. Streams have a file of their own.
 */
#include "core/base/base.h"
#include "core/tensor/file.h"
#include "tests/ck.h"
#include <loci/loci.h>
#include <pthread.h>
#include <unistd.h>

static loci_error ck_err = LOCI_ERROR_INIT;

static char folder[64]; /* of this program, removed at the end of each test that asks for it */

static const char tiny[] = "[run]\nthreads = 1\n[model]\nlayers = 1\ndim = 16\n[mixer.mha]\nheads = 2\nwindow_tok = 8\n"
                           "[memory]\nbackend = titans\nheads = 2\n[compose]\nbackend = mag\n"
                           "[data]\ntrain = text\nseq_tok = 16\n"
                           "[train]\nsteps = 4\nbatch = 2\nlr = 3e-3\nwarmup = 2\neval_tokens = 320\naccumulate = 2\n";

static loci_status begin(void)
{
    loci_status status;
    loci_text text = {0};
    char path[128];

    loci_error_clear(&ck_err);
    snprintf(folder, sizeof folder, "/tmp/loci-api-XXXXXX");
    if (!mkdtemp(folder))
        return loci_fail(&ck_err, LOCI_E_IO, "no temporary folder");
    snprintf(path, sizeof path, "%s/text", folder);
    for (int i = 0; i < 400; i++)
        loci_text_add(&text, "%d the king sees the queen, ", i % 7);
    status = loci_file_write(path, text.at, text.len, &ck_err);
    loci_text_free(&text);
    return status;
}

static void end(void)
{
    loci_folder_remove(folder, NULL);
}

/* The tiny model; `more` is laid over it. The config's folder is `folder`. */
static loci_status settings_of(loci_settings **s, const char *more)
{
    loci_status status = LOCI_OK;
    char name[128];

    snprintf(name, sizeof name, "%s/tiny.ini", folder);
    LOCI_TRY(loci_settings_new(s, &ck_err));
    LOCI_TRY(loci_settings_text(*s, name, tiny, strlen(tiny), &ck_err));
    LOCI_TRY(loci_settings_text(*s, name, more, strlen(more), &ck_err));
out:
    return status;
}

static loci_status open_engine(loci_engine **e, const char *more, uint64_t flags, const char *checkpoint)
{
    loci_engine_options o = {sizeof o, 0, flags, checkpoint, getenv("LOCI_TEST_PLUGINS")};
    loci_settings *s = NULL;
    loci_status status = settings_of(&s, more);

    if (status == LOCI_OK)
        status = loci_engine_open(e, s, &o, &ck_err);
    loci_settings_free(s);
    return status;
}

static bool same_weights(loci_engine *a, loci_engine *b)
{
    loci_engine_facts f = {.struct_size = sizeof f};
    bool same = true;

    loci_engine_describe(a, &f);
    for (int32_t i = 0; i < f.weights; i++) {
        const loci_tensor *x, *y;
        const char *name;
        if (loci_engine_weight(a, i, &name, &x, NULL, NULL) != LOCI_OK ||
            loci_engine_weight_named(b, name, &y, NULL, NULL) != LOCI_OK)
            return false;
        same &= !memcmp(loci_ptr(x), loci_ptr(y), (size_t)loci_elements(x) * loci_dtype_bytes(x->dtype));
    }
    return same;
}

/* ---- settings --------------------------------------------------------------------------------------------------- */

static void settings__are_laid_over_each_other_and_read_back(void)
{
    loci_settings *s = NULL;
    const char *v = NULL;

    CK_OK(begin());
    CK_OK(settings_of(&s, "[train]\nlr = 0.5\n"));
    CK_OK(loci_settings_get(s, "train.lr", &v, &ck_err));
    CK_TRUE(!strcmp(v, "0.5"), "train.lr is %s", v);
    CK_OK(loci_settings_set(s, "train.lr=0.25", &ck_err));
    CK_OK(loci_settings_text(s, "later", "[train]\nlr = 7\n", 15, &ck_err));
    CK_OK(loci_settings_get(s, "train.lr", &v, &ck_err));
    CK_TRUE(!strcmp(v, "0.25"), "a text beats set: %s", v);
    CK_OK(loci_settings_get(s, "model.vocab", &v, &ck_err));
    CK_TRUE(!strcmp(v, "256"), "the default is %s", v);
    CK_TRUE(loci_settings_get(s, "train.ls", &v, &ck_err) == LOCI_E_ARG && !v && strstr(ck_err.msg, "`train.ls`"), "%s",
            ck_err.msg);
    loci_error_clear(&ck_err);
    CK_TRUE(loci_settings_get(s, "lr", &v, &ck_err) == LOCI_E_ARG, "a key without a section is read");
    loci_error_clear(&ck_err);
    CK_TRUE(loci_settings_text(s, "bad", "[train\n", 7, &ck_err) == LOCI_E_CONFIG && strstr(ck_err.msg, "bad:1"), "%s",
            ck_err.msg);
    loci_error_clear(&ck_err);
    CK_TRUE(loci_settings_checkpoint(s, "/nowhere", &ck_err) == LOCI_E_CHECKPOINT, "%s", ck_err.msg);
    loci_settings_free(s);
    loci_settings_free(NULL);
    end();
}

/* ---- runs and steps --------------------------------------------------------------------------------------------- */

struct heard {
    int steps, evals, saves;
    double last;
    volatile sig_atomic_t stop;
    int stop_after;
};

static void hear(void *arg, const loci_training_progress *p)
{
    struct heard *h = arg;

    h->steps += !strcmp(p->event, "step");
    h->evals += !strcmp(p->event, "eval");
    h->saves += !strcmp(p->event, "save");
    h->last = p->loss_nats;
    if (h->stop_after && h->steps == h->stop_after)
        h->stop = 1;
}

static loci_status train(loci_training_result *r, const char *more, const char *dir, struct heard *h, uint64_t flags)
{
    loci_training_options o = {sizeof o, 0, flags, dir, getenv("LOCI_TEST_PLUGINS"), &h->stop, NULL, hear, h};
    loci_settings *s = NULL;
    loci_status status = settings_of(&s, more);

    *r = (loci_training_result){.struct_size = sizeof *r};
    if (status == LOCI_OK)
        status = loci_training_run(r, s, &o, &ck_err);
    loci_settings_free(s);
    return status;
}

static void steps_are_a_run(const char *more)
{
    char dir[128], mine[128], path[4096];
    loci_training_result r;
    struct heard h = {0};
    loci_engine *steps = NULL, *run = NULL;
    loci_measure m = {.struct_size = sizeof m}, v = m;

    CK_OK(begin());
    snprintf(dir, sizeof dir, "%s/run", folder);
    snprintf(mine, sizeof mine, "%s/mine", folder);
    CK_OK(train(&r, more, dir, &h, 0));
    CK_TRUE(h.steps == 4 && h.evals == 1 && isnan(r.accuracy) && r.causal == 1 && h.saves == 1 && r.step == 4 && r.tokens == 4 * 2 * 2 * 16,
            "%d steps, %d evaluations, %d saves, %lld tokens", h.steps, h.evals, h.saves, (long long)r.tokens);
    CK_OK(open_engine(&steps, more, LOCI_ENGINE_TRAIN, NULL));
    for (int i = 0; i < 4; i++) {
        if (i == 2) { /* go on in another engine, from a checkpoint */
            CK_OK(loci_engine_save(steps, mine, path, sizeof path, &ck_err));
            loci_engine_close(steps);
            CK_OK(open_engine(&steps, more, LOCI_ENGINE_TRAIN, path));
        }
        CK_OK(loci_engine_step(steps, NULL, &m, &ck_err));
    }
    CK_TRUE(m.step == 4 && m.loss_nats == r.loss_nats && m.tokens == 64 && m.lr > 0 && m.grad_norm > 0,
            "step %lld, loss %.17g, of the run %.17g", (long long)m.step, m.loss_nats, r.loss_nats);
    CK_OK(loci_engine_evaluate(steps, NULL, &v, &ck_err));
    CK_TRUE(v.loss_nats == r.valid_loss_nats && isnan(v.grad_norm) && isnan(v.accuracy) && v.tokens == 320, "valid %.17g, of the run %.17g",
            v.loss_nats, r.valid_loss_nats);
    CK_OK(open_engine(&run, more, 0, dir)); /* a run folder stands for its newest checkpoint */
    CK_TRUE(same_weights(steps, run), "steps and run left other weights");
    CK_OK(loci_engine_step(steps, NULL, NULL, &ck_err)); /* beyond train.steps */
    CK_TRUE(!same_weights(steps, run), "a fifth step changed nothing");
    loci_engine_close(steps);
    loci_engine_close(run);
    end();
}

static void step__on_the_configs_data_is_that_of_a_run(void)
{
    steps_are_a_run("");
}

static void step__carries_state_as_a_run_does(void)
{
    steps_are_a_run("[data]\ncarry = yes\n");
}

static void run__stops_saves_and_is_resumed(void)
{
    char one[128], two[128];
    loci_training_result r, whole;
    struct heard h = {.stop_after = 2}, all = {0};
    loci_engine *a = NULL, *b = NULL;

    CK_OK(begin());
    snprintf(one, sizeof one, "%s/one", folder);
    snprintf(two, sizeof two, "%s/two", folder);
    CK_TRUE(train(&r, "", one, &h, 0) == LOCI_E_STOPPED && r.step == 2 && r.checkpoint[0], "%s", ck_err.msg);
    loci_error_clear(&ck_err);
    h = (struct heard){0};
    CK_TRUE(train(&r, "", one, &h, 0) != LOCI_OK && strstr(ck_err.msg, "--resume"), "a run is written over: %s",
            ck_err.msg);
    loci_error_clear(&ck_err);
    CK_OK(train(&r, "", one, &h, LOCI_TRAINING_RESUME));
    CK_TRUE(h.steps == 2, "%d steps after the stop", h.steps);
    CK_OK(train(&whole, "", two, &all, 0));
    CK_TRUE(r.loss_nats == whole.loss_nats && r.valid_loss_nats == whole.valid_loss_nats, "other losses");
    CK_OK(open_engine(&a, "", 0, one));
    CK_OK(open_engine(&b, "", 0, two));
    CK_TRUE(same_weights(a, b), "other weights");
    loci_engine_close(a);
    loci_engine_close(b);
    end();
}

static void run__without_a_folder_is_refused(void)
{
    loci_training_result r;
    struct heard h = {0};

    CK_OK(begin());
    CK_TRUE(train(&r, "", NULL, &h, 0) == LOCI_E_ARG && strstr(ck_err.msg, "run.dir"), "%s", ck_err.msg);
    loci_error_clear(&ck_err);
    CK_TRUE(loci_training_run(&r, NULL, NULL, &ck_err) == LOCI_E_ARG, "no settings are taken");
    end();
}

/* ---- examples --------------------------------------------------------------------------------------------------- */

static void examples__are_learned_and_judged(void)
{
    int32_t tokens[3 * 10], targets[3 * 10];
    loci_examples x = {sizeof x, 0, 3, 10, tokens, targets};
    loci_measure before = {.struct_size = sizeof before}, after = before, step = before;
    loci_engine *e = NULL;

    CK_OK(begin());
    ck_seed = 2;
    for (int i = 0; i < 30; i++) {
        tokens[i] = (int32_t)(ck_bits() % 256);
        targets[i] = i % 10 < 2 ? -1 : (tokens[i] * 7) % 256;
    }
    /* No data of the config are needed. */
    CK_OK(open_engine(&e, "[data]\ntrain =\n[train]\nlr = 1e-2\nschedule = constant\n", LOCI_ENGINE_TRAIN, NULL));
    CK_OK(loci_engine_evaluate(e, &x, &before, &ck_err));
    for (int i = 0; i < 40; i++)
        CK_OK(loci_engine_step(e, &x, &step, &ck_err));
    CK_TRUE(step.tokens == 24 && before.tokens == 24 && step.step == 40, "%lld tokens", (long long)step.tokens);
    CK_OK(loci_engine_evaluate(e, &x, &after, &ck_err));
    CK_TRUE(before.loss_nats > 5 && after.loss_nats < before.loss_nats - 1, "the loss went from %g to %g",
            before.loss_nats, after.loss_nats);
    x.rows = 2; /* other sizes are planned anew */
    CK_OK(loci_engine_step(e, &x, &step, &ck_err));
    CK_TRUE(step.tokens == 16, "%lld tokens", (long long)step.tokens);
    CK_TRUE(loci_engine_step(e, NULL, NULL, &ck_err) == LOCI_E_DATA, "data that nobody named are found: %s",
            ck_err.msg);
    loci_engine_close(e);
    end();
}

static void refuses(loci_engine *e, const loci_examples *x, const char *why)
{
    loci_error_clear(&ck_err);
    CK_TRUE(loci_engine_step(e, x, NULL, &ck_err) == LOCI_E_ARG && strstr(ck_err.msg, why), "wanted `%s`, got `%s`",
            why, ck_err.msg);
}

static void examples__that_are_wrong_are_refused(void)
{
    int32_t tokens[4] = {1, 2, 3, 4}, targets[4] = {2, 3, 4, 5};
    loci_examples x = {sizeof x, 0, 2, 2, tokens, targets};
    loci_engine *e = NULL;

    CK_OK(begin());
    CK_OK(open_engine(&e, "", LOCI_ENGINE_TRAIN, NULL));
    x.rows = 0;
    refuses(e, &x, "0 rows");
    x.rows = INT64_MAX;
    refuses(e, &x, "together");
    x.rows = 2;
    tokens[2] = 256;
    refuses(e, &x, "token 2 is 256");
    tokens[2] = -1;
    refuses(e, &x, "token 2 is -1");
    tokens[2] = 3;
    targets[3] = -2;
    refuses(e, &x, "its target -2");
    for (int i = 0; i < 4; i++)
        targets[i] = -1;
    refuses(e, &x, "no token");
    x.targets = NULL;
    refuses(e, &x, "need tokens and targets");
    loci_engine_close(e);
    CK_OK(open_engine(&e, "", 0, NULL));
    loci_error_clear(&ck_err);
    CK_TRUE(loci_engine_step(e, NULL, NULL, &ck_err) == LOCI_E_ARG && strstr(ck_err.msg, "LOCI_ENGINE_TRAIN"), "%s",
            ck_err.msg);
    loci_error_clear(&ck_err);
    CK_TRUE(loci_engine_save(e, folder, NULL, 0, &ck_err) == LOCI_E_ARG, "moments that are not there are saved");
    loci_engine_close(e);
    end();
}

static void step__that_is_not_finite_changes_nothing(void)
{
    int32_t tokens[4] = {1, 2, 3, 4}, targets[4] = {2, 3, 4, 5};
    loci_examples x = {sizeof x, 0, 1, 4, tokens, targets};
    const loci_tensor *w;
    loci_engine *e = NULL;
    float was[16];

    CK_OK(begin());
    CK_OK(open_engine(&e, "", LOCI_ENGINE_TRAIN, NULL));
    CK_OK(loci_engine_weight_named(e, "norm.weight", &w, NULL, &ck_err));
    ((float *)loci_ptr(w))[3] = NAN;
    memcpy(was, loci_ptr(w), sizeof was);
    CK_TRUE(loci_engine_step(e, &x, NULL, &ck_err) == LOCI_E_NUMERIC && strstr(ck_err.msg, "norm.weight"), "%s",
            ck_err.msg);
    CK_TRUE(!memcmp(was, loci_ptr(w), sizeof was), "the weights were changed");
    loci_engine_close(e);
    end();
}

/* ---- weights and engines ---------------------------------------------------------------------------------------- */

static void weight__views_are_the_weights(void)
{
    const int32_t token = 65;
    loci_engine_facts f = {.struct_size = sizeof f};
    const loci_tensor *w, *grad, *logits;
    const char *name, *value;
    uint64_t elements = 0;
    loci_engine *e = NULL;
    loci_stream *s = NULL;

    CK_OK(begin());
    CK_OK(open_engine(&e, "", LOCI_ENGINE_TRAIN, NULL));
    loci_engine_describe(e, &f);
    for (int32_t i = 0; i < f.weights; i++) {
        CK_OK(loci_engine_weight(e, i, &name, &w, &grad, &ck_err));
        elements += (uint64_t)loci_elements(w);
        CK_TRUE(loci_ptr(w) && loci_ptr(grad) && w->device.type == LOCI_CPU && *name, "weight %d is no view", i);
    }
    CK_TRUE(elements == f.parameters && f.layers == 1 && f.dim == 16 && f.vocab == 256 && f.streams == 1 && f.step == 0,
            "%llu elements, %llu parameters", (unsigned long long)elements, (unsigned long long)f.parameters);
    CK_OK(loci_engine_get(e, "memory.titans.mode", &value, &ck_err));
    CK_TRUE(!strcmp(value, "auto"), "memory.titans.mode is %s", value);
    CK_TRUE(loci_engine_weight(e, f.weights, NULL, NULL, NULL, &ck_err) == LOCI_E_ARG, "one weight too many");
    loci_error_clear(&ck_err);
    CK_TRUE(loci_engine_weight_named(e, "nothing", NULL, NULL, &ck_err) == LOCI_E_ARG &&
                strstr(ck_err.msg, "`nothing`"),
            "%s", ck_err.msg);
    loci_error_clear(&ck_err);
    /* A norm of zero silences the head: what is written counts at the next call. */
    CK_OK(loci_stream_open(&s, e, NULL, &ck_err));
    CK_OK(loci_stream_feed(s, &token, 1, &logits, &ck_err));
    CK_TRUE(((float *)loci_ptr(logits))[7] != 0, "a logit is 0 before");
    CK_OK(loci_engine_weight_named(e, "norm.weight", &w, NULL, &ck_err));
    memset(loci_ptr(w), 0, 16 * sizeof(float));
    CK_OK(loci_stream_feed(s, &token, 1, &logits, &ck_err));
    for (int i = 0; i < 256; i++)
        CK_TRUE(((float *)loci_ptr(logits))[i] == 0, "logit %d is not 0", i);
    loci_stream_close(s);
    loci_engine_close(e);
    end();
}

static void engine__opens_a_checkpoint_without_settings(void)
{
    char path[4096];
    loci_engine_options o = {.struct_size = sizeof o, .plugin_path = getenv("LOCI_TEST_PLUGINS")};
    loci_engine_facts f = {.struct_size = sizeof f};
    loci_engine *e = NULL, *again = NULL;

    CK_OK(begin());
    CK_OK(open_engine(&e, "[run]\nseed = 9\n", LOCI_ENGINE_TRAIN, NULL));
    CK_OK(loci_engine_step(e, NULL, NULL, &ck_err));
    CK_OK(loci_engine_save(e, folder, path, sizeof path, &ck_err));
    o.checkpoint = path;
    CK_OK(loci_engine_open(&again, NULL, &o, &ck_err));
    loci_engine_describe(again, &f);
    CK_TRUE(same_weights(e, again) && f.step == 1, "another model, at step %lld", (long long)f.step);
    loci_engine_close(e);
    loci_engine_close(again);
    CK_TRUE(loci_engine_open(&e, NULL, NULL, &ck_err) == LOCI_E_ARG && !e, "an engine of nothing");
    loci_error_clear(&ck_err);
    CK_TRUE(open_engine(&e, "[model]\ndim = 32\n", 0, path) == LOCI_E_CHECKPOINT && !e, "weights of another width: %s",
            ck_err.msg);
    loci_error_clear(&ck_err);
    CK_TRUE(open_engine(&e, "[memory]\nbackend = nosuch\n", 0, NULL) == LOCI_E_PLUGIN && !e &&
                strstr(ck_err.msg, "nosuch"),
            "%s", ck_err.msg);
    loci_error_clear(&ck_err);
    end();
}

static void struct__of_an_older_caller_is_neither_read_nor_written_further(void)
{
    struct {
        loci_engine_facts f;
        char after[8];
    } old;
    loci_engine_options o = {.struct_size = offsetof(loci_engine_options, checkpoint),
                             .flags = LOCI_ENGINE_TRAIN,
                             .checkpoint = "/nowhere",
                             .plugin_path = "/nowhere"};
    loci_settings *s = NULL;
    loci_engine *e = NULL;

    CK_OK(begin());
    CK_OK(settings_of(&s, ""));
    setenv("LOCI_PLUGIN_PATH", getenv("LOCI_TEST_PLUGINS"), 1);
    CK_OK(loci_engine_open(&e, s, &o, &ck_err)); /* it knows no checkpoint */
    unsetenv("LOCI_PLUGIN_PATH");
    memset(&old, 0x5A, sizeof old);
    old.f.struct_size = offsetof(loci_engine_facts, dim);
    loci_engine_describe(e, &old.f);
    CK_TRUE(old.f.layers == 1 && old.f.dim == INT64_C(0x5A5A5A5A5A5A5A5A), "dim is %llx",
            (unsigned long long)old.f.dim);
    CK_TRUE(old.f.struct_size == offsetof(loci_engine_facts, dim), "struct_size was changed");
    loci_engine_close(e);
    loci_settings_free(s);
    end();
}

struct worker {
    loci_engine *e;
    loci_status status;
    double loss;
};

static void *work(void *arg)
{
    struct worker *w = arg;
    loci_error err = LOCI_ERROR_INIT;
    loci_measure m = {.struct_size = sizeof m};

    for (int i = 0; i < 30 && w->status == LOCI_OK; i++)
        w->status = loci_engine_step(w->e, NULL, &m, &err);
    w->loss = m.loss_nats;
    return NULL;
}

static void engines__in_two_threads_do_not_disturb_each_other(void)
{
    struct worker w[3] = {{0}};
    pthread_t thread[2];

    CK_OK(begin());
    for (int i = 0; i < 3; i++)
        CK_OK(open_engine(&w[i].e, "[run]\nthreads = 2\n", LOCI_ENGINE_TRAIN, NULL));
    for (int i = 0; i < 2; i++)
        CK_TRUE(pthread_create(&thread[i], NULL, work, &w[i]) == 0, "no thread");
    for (int i = 0; i < 2; i++)
        pthread_join(thread[i], NULL);
    work(&w[2]);
    for (int i = 0; i < 3; i++)
        CK_TRUE(w[i].status == LOCI_OK && w[i].loss == w[2].loss, "engine %d: status %d, loss %.17g, alone %.17g", i,
                w[i].status, w[i].loss, w[2].loss);
    CK_TRUE(same_weights(w[0].e, w[1].e) && same_weights(w[0].e, w[2].e), "other weights");
    for (int i = 0; i < 3; i++)
        loci_engine_close(w[i].e);
    end();
}

/* Open, step, stream, save; every allocation in turn fails once. */
static loci_status everything(void)
{
    const int32_t tokens[] = {1, 2, 3, 4, 5, 6, 7, 8}, targets[] = {2, 3, 4, 5, 6, 7, 8, 9};
    loci_examples x = {sizeof x, 0, 1, 8, tokens, targets};
    loci_stream_options o = {.struct_size = sizeof o, .piece_tok = 2};
    const loci_tensor *logits;
    loci_engine *e = NULL;
    loci_stream *s = NULL, *twin = NULL;
    int32_t token;
    loci_status status = LOCI_OK;

    LOCI_TRY(open_engine(&e, "[mixer.mha]\nwindow_tok = 0\n", LOCI_ENGINE_TRAIN, NULL));
    LOCI_TRY(loci_engine_step(e, &x, NULL, &ck_err));
    LOCI_TRY(loci_engine_evaluate(e, &x, NULL, &ck_err));
    LOCI_TRY(loci_engine_step(e, NULL, NULL, &ck_err));
    LOCI_TRY(loci_engine_evaluate(e, NULL, NULL, &ck_err));
    LOCI_TRY(loci_stream_open(&s, e, &o, &ck_err));
    LOCI_TRY(loci_stream_prefill(s, tokens, 8, &logits, &ck_err));
    LOCI_TRY(loci_stream_clone(&twin, s, &ck_err));
    status = loci_draw(&token, logits, NULL, 0, &ck_err);
out:
    loci_stream_close(twin);
    loci_stream_close(s);
    loci_engine_close(e);
    return status;
}

static void memory__that_ends_is_said_and_nothing_is_lost(void)
{
    loci_status status = LOCI_E_NOMEM;
    size_t held;
    long n = 0;

    CK_OK(begin());
    CK_OK(everything()); /* what a process keeps is there from now on */
    held = loci_memory_held();
    while (status != LOCI_OK && n < 20000) {
        n += n < 200 ? 1 : 1 + n / 50;
        loci_error_clear(&ck_err);
        loci_memory_fail_at(n);
        status = everything();
        loci_memory_fail_at(0);
        CK_TRUE(status == LOCI_OK || ck_err.msg[0], "allocation %ld: status %d without a word", n, status);
        CK_TRUE(loci_memory_held() == held, "allocation %ld: %zu bytes held became %zu", n, held, loci_memory_held());
    }
    CK_TRUE(n > 100 && status == LOCI_OK, "%ld allocations, the last status %d", n, status);
    end();
}

static void listen(void *arg, int32_t level, const char *module, const char *msg)
{
    int *n = arg;

    *n += level == LOCI_LOG_INFO && !strcmp(module, "select") && strstr(msg, "attention: ") == msg;
}

static void messages__go_where_they_are_sent(void)
{
    loci_engine *e = NULL;
    int n = 0;

    CK_OK(begin());
    loci_on_log(listen, &n);
    CK_OK(open_engine(&e, "", 0, NULL));
    CK_TRUE(n > 0, "nobody was told which attention was chosen");
    loci_engine_close(e);
    loci_on_log(NULL, NULL);
    n = 0;
    CK_OK(open_engine(&e, "", 0, NULL));
    CK_TRUE(n == 0, "who has left is told %d times", n);
    loci_engine_close(e);
    CK_TRUE(!strncmp(loci_version(), "0.", 2) && strlen(loci_version()) >= 5, "version %s", loci_version());
    end();
}

#define TESTS(X) \
    X(settings__are_laid_over_each_other_and_read_back) \
    X(step__on_the_configs_data_is_that_of_a_run) \
    X(step__carries_state_as_a_run_does) X(run__stops_saves_and_is_resumed) X(run__without_a_folder_is_refused) \
        X(examples__are_learned_and_judged) X(examples__that_are_wrong_are_refused) \
            X(step__that_is_not_finite_changes_nothing) X(weight__views_are_the_weights) \
                X(engine__opens_a_checkpoint_without_settings) \
                    X(struct__of_an_older_caller_is_neither_read_nor_written_further) \
                        X(engines__in_two_threads_do_not_disturb_each_other) \
                            X(memory__that_ends_is_said_and_nothing_is_lost) X(messages__go_where_they_are_sent)
CK_MAIN("api", TESTS)
