/* SPDX-License-Identifier: Apache-2.0
 *
 * Evaluation: loss and right answers over validation sequences, and the size of a stream's state.
 *
 *  (1) The lift is measured by a second pass over the same sequences, in which the places where the answers stand hold
 *      other answers, and the targets are still the first ones.
 */
#include "core/train/train.h"
#include "core/train/score.h"

struct batch {
    int32_t *tokens, *targets, *sources, *answers; /* [rows, seq] */
};

static loci_status batch_new(struct batch *b, size_t n, loci_error *err)
{
    *b = (struct batch){loci_alloc(n * sizeof *b->tokens), loci_alloc(n * sizeof *b->targets),
                        loci_alloc(n * sizeof *b->sources), loci_alloc(n * sizeof *b->answers)};
    return b->tokens && b->targets && b->sources && b->answers
               ? LOCI_OK
               : loci_fail(err, LOCI_E_NOMEM, "out of memory for an evaluation batch");
}

static void batch_free(struct batch *b)
{
    loci_free(b->tokens);
    loci_free(b->targets);
    loci_free(b->sources);
    loci_free(b->answers);
}

/* Sequences i .. of n; a row too many has no targets. */
static void fill(struct batch *b, const loci_data *d, int64_t i, int64_t n, int64_t rows, int64_t seq)
{
    for (int64_t r = 0; r < rows; r++) {
        if (i + r < n)
            loci_data_window(d, i + r, n, seq, b->tokens + r * seq, b->targets + r * seq, b->sources + r * seq);
        for (int64_t t = 0; i + r >= n && t < seq; t++) {
            b->tokens[r * seq + t] = 0;
            b->targets[r * seq + t] = b->sources[r * seq + t] = -1;
        }
    }
}

/* (1) */
static void replace_answers(struct batch *b, const loci_data *d, int64_t i, int64_t rows, int64_t seq)
{
    for (int64_t r = 0; r < rows; r++)
        for (int64_t t = r * seq; t < (r + 1) * seq; t++)
            if (b->targets[t] >= 0)
                b->tokens[r * seq + b->sources[t]] = loci_data_other(d, i + r, b->sources[t], b->targets[t]);
}

static loci_status forward(loci_pass *pass, const struct batch *b, double *sum, int64_t *count, loci_error *err)
{
    return loci_pass_forward(pass, b->tokens, b->targets, NULL, 0, 0, 0, 0, sum, count, NULL, err);
}

loci_status loci_evaluate(loci_evaluation *out, const loci_data *d, loci_pass *pass, int64_t windows, bool lift,
                          volatile sig_atomic_t *stop, loci_error *err)
{
    loci_status status = LOCI_OK;
    const int64_t rows = pass->session.rows, seq = pass->session.seq;
    double sum = 0, one, other;
    struct batch b;
    int64_t count;

    lift = lift && d->scored;
    loci_score_begin(out, d, windows);
    LOCI_TRY(batch_new(&b, (size_t)(rows * seq), err));
    for (int64_t i = 0; i < windows && !(stop && *stop); i += rows) {
        fill(&b, d, i, windows, rows, seq);
        loci_pass_ask(pass, d->scored ? b.answers : NULL);
        LOCI_TRY(forward(pass, &b, &one, &count, err));
        sum += one;
        out->tokens += count;
        if (!d->scored)
            continue;
        for (int64_t r = 0; r < rows && i + r < windows; r++)
            loci_score_sequence(out, seq, b.targets + r * seq, b.sources + r * seq, b.answers + r * seq);
        if (lift) {
            replace_answers(&b, d, i, rows, seq);
            loci_pass_ask(pass, NULL);
            LOCI_TRY(forward(pass, &b, &other, &count, err));
            out->lift += other - one;
        }
    }
    if (stop && *stop) {
        status = loci_fail(err, LOCI_E_STOPPED, "the evaluation was interrupted: there is no result");
        goto out;
    }
    loci_score_end(out, sum, lift);
out:
    loci_pass_ask(pass, NULL);
    batch_free(&b);
    return status;
}

loci_status loci_stream_bytes(uint64_t *out, loci_model *m, int64_t capacity, loci_error *err)
{
    loci_pass *p = NULL;
    loci_status status = loci_pass_new(&p, m, 1, 1, 1, 1, capacity, 0, err);

    *out = status == LOCI_OK ? p->state_bytes : 0;
    loci_pass_free(p);
    return status;
}
