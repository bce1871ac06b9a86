/* SPDX-License-Identifier: Apache-2.0
 *
 * loci eval: the loss of a checkpoint on validation text.
 */
#include "cli/cli.h"
#include "core/train/train.h"
#include <math.h>
#include <string.h>

static loci_status run(const struct options *o, loci_error *err)
{
    loci_status status = LOCI_OK;
    char folder[4096], *base = NULL;
    loci_conf *conf = NULL;
    loci_context *cx = NULL;
    loci_model *m = NULL;
    loci_pass *pass = NULL;
    loci_data *d = NULL;
    loci_saved saved;
    double loss = 0;
    int64_t tokens = 0, rows, seq;

    if (o->n_words != 1)
        return loci_fail(err, LOCI_E_ARG, "eval takes one checkpoint or run folder, and %zu were given", o->n_words);
    LOCI_TRY(cli_checkpoint(folder, sizeof folder, o->words[0], err));
    base = loci_format("%s/config.ini", folder);
    LOCI_TRY(base ? cli_config(&conf, o, base, err) : loci_fail(err, LOCI_E_NOMEM, "out of memory"));
    LOCI_TRY(loci_context_new(&cx, conf, o->plugin_path, o->allow_unknown, err));
    rows = loci_conf_int(conf, -1, "train", "batch");
    seq = loci_conf_int(conf, -1, "data", "seq_tok");
    LOCI_TRY(loci_data_open(&d, conf, seq, err));
    LOCI_TRY(loci_model_new(&m, cx, err));
    loci_model_warn(m);
    LOCI_TRY(loci_model_alloc(m, false, 0, err));
    LOCI_TRY(loci_checkpoint_read(&saved, folder, m, NULL, false, err));
    LOCI_TRY(loci_pass_new(&pass, m, rows, seq, rows, rows, seq, 0, err));
    LOCI_TRY(loci_pass_alloc(pass, err));
    LOCI_TRY(loci_evaluate(&loss, &tokens, d, pass, loci_conf_int(conf, -1, "train", "eval_tokens"), &cli_stop, err));
    if (o->json)
        status = cli_print_json(json_pack("{s:o, s:o, s:I, s:n, s:b}", "loss_nats", cli_real(loss), "bits_per_byte",
                                          cli_real(loss / log(2)), "tokens", (json_int_t)tokens, "accuracy", "causal",
                                          loci_model_causal(m)),
                                err);
    else
        printf("loss %.6f nats (%.6f bits a byte) over %lld tokens, step %lld%s\n", loss, loss / log(2), (long long)tokens,
               (long long)saved.step, loci_model_causal(m) ? "" : "; the model " LOCI_NOT_CAUSAL);
out:
    loci_pass_free(pass);
    loci_model_free(m);
    loci_data_free(d);
    loci_context_free(cx);
    loci_conf_free(conf);
    loci_free(base);
    return status;
}

const struct verb verb_eval = {
    "eval", "CHECKPOINT", "the loss of a checkpoint on validation text",
    "Evaluate a checkpoint (or the newest of a run folder). Its own config is the base; -c and --set are laid over it, so "
    "that another mode or backend can be tried on the same weights.\v"
    "  loci eval runs/mac\n"
    "  loci eval runs/mac --set memory.titans.mode=sequential",
    NULL, NULL, run};
