/* SPDX-License-Identifier: Apache-2.0
 *
 * loci eval: loss and right answers of a checkpoint on validation data.
 */
#include "cli/cli.h"
#include "core/train/train.h"
#include <math.h>
#include <string.h>

static void print_buckets(const char *title, const loci_buckets *b)
{
    printf("%s\n", title);
    for (uint32_t i = 0; i < b->n; i++)
        if (b->at[i].n)
            printf("  %6g to %-6g  %.4f  of %lld\n", b->at[i].from, b->at[i].to,
                   (double)b->at[i].right / (double)b->at[i].n, (long long)b->at[i].n);
}

static void print(const loci_evaluation *e, const loci_saved *s, const loci_model *m)
{
    const char *mark = loci_model_causal(m) ? "" : "; the model " LOCI_NOT_CAUSAL;

    if (!e->scored) {
        printf("loss %.6f nats (%.6f bits a byte) over %lld tokens, step %lld%s\n", e->loss, e->loss / log(2),
               (long long)e->tokens, (long long)s->step, mark);
        return;
    }
    printf("accuracy %.4f  (whole sequences %.4f)  loss %.6f nats  lift %.4f nats  over %lld answers of %lld sequences, step "
           "%lld%s\n",
           e->accuracy, e->exact, e->loss, e->lift, (long long)e->tokens, (long long)e->sequences, (long long)s->step,
           mark);
    print_buckets("by order of the question", &e->by_position);
    print_buckets("by distance from answer to question, tokens", &e->by_distance);
    print_buckets("by depth of the answer, share of the sequence", &e->by_depth);
}

static json_t *document(const loci_evaluation *e, const loci_model *m)
{
    json_t *doc = loci_evaluation_json(e);

    if (!doc)
        return NULL;
    json_object_set_new(doc, "bits_per_byte", e->scored ? json_null() : cli_real(e->loss / log(2)));
    json_object_set_new(doc, "causal", json_boolean(loci_model_causal(m)));
    return doc;
}

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
    loci_evaluation e;
    int64_t rows, seq;

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
    LOCI_TRY(loci_data_fits(d, m->vocab, conf, err));
    loci_model_warn(m);
    LOCI_TRY(loci_model_alloc(m, false, 0, err));
    LOCI_TRY(loci_checkpoint_read(&saved, folder, m, NULL, false, err));
    LOCI_TRY(loci_pass_new(&pass, m, rows, seq, rows, rows, seq, 0, err));
    loci_pass_losses_alone(pass);
    LOCI_TRY(loci_pass_alloc(pass, err));
    LOCI_TRY(loci_evaluate(&e, d, pass, loci_evaluation_windows(d, conf, seq), true, &cli_stop, err));
    if (o->json)
        status = cli_print_json(document(&e, m), err);
    else
        print(&e, &saved, m);
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
    "eval", "CHECKPOINT", "the loss of a checkpoint on validation data",
    "Evaluate a checkpoint (or the newest of a run folder). Its own config is the base; -c and --set are laid over it, so "
    "that another mode or backend can be tried on the same weights, or a task at another length. On a task it counts right "
    "answers, and says by how many nats they are more probable than when other answers stand where they are to be found.\v"
    "  loci eval runs/mac\n"
    "  loci eval runs/mac --set memory.titans.mode=sequential\n"
    "  loci eval runs/needle/mag/seed-1 --set data.seq_tok=512 --set train.eval_sequences=500",
    NULL, NULL, run};
