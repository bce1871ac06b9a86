/* SPDX-License-Identifier: Apache-2.0
 *
 * A whole run, for programs: loci_train with the structs of the public header.
 */
#include "core/api/api.h"
#include <math.h>
#include <string.h>

struct listener {
    void (*fn)(void *arg, const loci_training_progress *p);
    void *arg;
};

static void pass_on(void *arg, const loci_progress *p)
{
    const struct listener *l = arg;
    loci_training_progress out = {.struct_size = sizeof out,
                                  .event = p->event,
                                  .step = p->step,
                                  .steps = p->steps,
                                  .loss_nats = p->loss,
                                  .valid_loss_nats = p->valid_loss,
                                  .lr = p->lr,
                                  .grad_norm = p->grad_norm,
                                  .tokens_per_s = p->tokens_per_s,
                                  .eta_s = p->eta_s,
                                  .accuracy = p->accuracy};

    l->fn(l->arg, &out);
}

loci_status loci_training_run(loci_training_result *out, const loci_settings *s, const loci_training_options *options,
                              loci_error *err)
{
    loci_status status = LOCI_OK;
    loci_conf *conf = NULL;
    loci_training_options o;
    loci_result r = {0};
    loci_training_result given = {.struct_size = sizeof given};
    struct listener listener;
    loci_train_how how = {0};

    LOCI_API_TAKE(&o, options);
    if (!s)
        return loci_fail(err, LOCI_E_ARG, "a run needs settings");
    LOCI_TRY(loci_conf_clone(&conf, s, err));
    listener = (struct listener){o.progress, o.arg};
    how = (loci_train_how){.plugin_path = o.plugin_path,
                           .dir = o.dir ? o.dir : loci_conf_str(conf, -1, "run", "dir"),
                           .resume = (o.flags & LOCI_TRAINING_RESUME) != 0,
                           .allow_unknown = (o.flags & LOCI_TRAINING_ALLOW_UNKNOWN) != 0,
                           .stop = o.stop,
                           .save = o.save,
                           .progress = o.progress ? pass_on : NULL,
                           .arg = &listener};
    if (!*how.dir) {
        status = loci_fail(err, LOCI_E_ARG, "a run needs a folder: say it in the options, or set run.dir");
        goto out;
    }
    status = loci_train(&r, conf, &how, err);
    if (status != LOCI_OK && status != LOCI_E_STOPPED)
        goto out;
    given.step = r.step;
    given.tokens = r.tokens;
    given.loss_nats = r.loss;
    given.valid_loss_nats = r.valid_loss;
    given.tokens_per_s = r.tokens_per_s;
    given.parameters = r.parameters;
    given.state_bytes = r.state_bytes;
    given.peak_bytes = r.peak_bytes;
    given.accuracy = r.accuracy;
    given.causal = r.causal;
    snprintf(given.checkpoint, sizeof given.checkpoint, "%s", r.checkpoint);
    LOCI_API_GIVE(out, &given);
out:
    loci_conf_free(conf);
    return status;
}
