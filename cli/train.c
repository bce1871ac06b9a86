/* SPDX-License-Identifier: Apache-2.0
 *
 * loci train: one run from one config.
 */
#include "cli/cli.h"
#include "core/train/train.h"
#include <loci/loci.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

static bool resume;

enum { KEY_RESUME = 2000 };

static const struct argp_option options[] = {
    {"resume", KEY_RESUME, 0, 0, "Go on with what run.dir holds; without a checkpoint, start at step 0", 1}, {0}};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    (void)arg;
    (void)state;
    if (key != KEY_RESUME)
        return ARGP_ERR_UNKNOWN;
    resume = true;
    return 0;
}

static void show(void *arg, const loci_training_progress *p)
{
    loci_progress line = {.event = p->event,
                          .step = p->step,
                          .steps = p->steps,
                          .loss = p->loss_nats,
                          .valid_loss = p->valid_loss_nats,
                          .accuracy = p->accuracy,
                          .lr = p->lr,
                          .grad_norm = p->grad_norm,
                          .tokens_per_s = p->tokens_per_s,
                          .eta_s = p->eta_s};

    cli_show_progress(arg, &line);
}

static loci_status run(const struct options *o, loci_error *err)
{
    loci_status status = LOCI_OK;
    loci_conf *conf = NULL;
    loci_training_result r = {.struct_size = sizeof r};
    struct options own = {0};
    struct cli_progress shown = {NULL, o->level < LOCI_LOG_INFO, o->json, 0};
    loci_training_options how = {.struct_size = sizeof how,
                                 .flags = (resume ? LOCI_TRAINING_RESUME : 0) |
                                          (o->allow_unknown ? LOCI_TRAINING_ALLOW_UNKNOWN : 0),
                                 .plugin_path = o->plugin_path,
                                 .stop = &cli_stop,
                                 .save = &cli_save,
                                 .progress = show,
                                 .arg = &shown};
    char *dir = NULL, *base = NULL, bytes[2][32], more[48];

    if (o->n_words > 1)
        return loci_fail(err, LOCI_E_ARG, "train takes one config, and %zu were given: lay them over each other with -c",
                         o->n_words);
    LOCI_TRY(cli_join_words(&own, o, err));
    LOCI_TRY(cli_config(&conf, &own, NULL, err));
    dir = cli_run_dir(conf, &own, "run");
    base = dir ? loci_format("%s/config.ini", dir) : NULL;
    if (!base) {
        status = loci_fail(err, LOCI_E_NOMEM, "out of memory");
        goto out;
    }
    if (resume && own.n_configs == 0 && access(base, F_OK) == 0) { /* the run knows its config */
        loci_conf_free(conf);
        conf = NULL;
        LOCI_TRY(cli_config(&conf, &own, base, err));
    }
    how.dir = dir;
    status = loci_training_run(&r, conf, &how, err);
    cli_clear_line();
    if (status != LOCI_OK && status != LOCI_E_STOPPED)
        goto out;
    if (o->json) {
        json_t *end = json_pack("{s:s, s:I, s:o, s:o, s:o, s:o, s:I, s:I, s:I, s:s, s:s, s:b}", "event", "end", "step",
                                (json_int_t)r.step, "loss_nats", cli_real(r.loss_nats), "valid_loss_nats",
                                cli_real(r.valid_loss_nats), "accuracy", cli_real(r.accuracy), "tokens_per_s",
                                cli_real(r.tokens_per_s), "parameters",
                                (json_int_t)r.parameters, "state_bytes", (json_int_t)r.state_bytes, "peak_bytes",
                                (json_int_t)r.peak_bytes, "checkpoint", r.checkpoint, "run", dir, "causal", r.causal);
        if (end)
            json_dumpf(end, stdout, JSON_COMPACT | JSON_REAL_PRECISION(17));
        json_decref(end);
        putchar('\n');
    } else if (status == LOCI_OK) {
        if (isfinite(r.accuracy))
            snprintf(more, sizeof more, "accuracy %.4f", r.accuracy);
        else
            snprintf(more, sizeof more, "(%.4f bits a byte)", r.valid_loss_nats / log(2));
        printf("step %lld  loss %.4f  valid %.4f nats %s  %.0f tokens/s\n"
               "%llu parameters, state of a stream %s, peak memory %s\ncheckpoint %s\n",
               (long long)r.step, r.loss_nats, r.valid_loss_nats, more, r.tokens_per_s,
               (unsigned long long)r.parameters, cli_bytes(bytes[0], r.state_bytes), cli_bytes(bytes[1], r.peak_bytes),
               r.checkpoint);
        if (!r.causal)
            printf("the model " LOCI_NOT_CAUSAL "\n");
    }
out:
    loci_conf_free(conf);
    loci_free(own.configs);
    loci_free(dir);
    loci_free(base);
    return status;
}

const struct verb verb_train = {
    "train", "[CONFIG]", "train one model from one config",
    "Train the model that the config describes, on the text that data.train names or on a synthetic task, into the folder run.dir "
    "(default runs/NAME).\v"
    "Ctrl-C finishes the step, saves and leaves with exit code 9; --resume goes on from there and ends with the same bits "
    "as a run that was never stopped. SIGUSR1 saves and goes on.\n\n"
    "  loci train -c etc/mac.ini --set data.train=book.txt\n"
    "  loci train --set run.dir=runs/mac --resume",
    options, parse, run};
