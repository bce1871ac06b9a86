/* SPDX-License-Identifier: Apache-2.0
 *
 * core/data: where sequences come from.
 *
 * A *source* is the bytes of a text or a synthetic task. Which sequences make a batch follows from (seed, step) alone, so
 * that nothing has to be remembered to resume, and every arm of a comparison reads the same ones in the same order.
 *
 *  (1) Text. Training windows start at places drawn by Philox, keyed (seed, micro-batch, row); with data.carry every row
 *      reads its own share of the text in order, and its memory goes on from batch to batch. Validation text is never
 *      trained on: a file of its own, or the last data.valid_fraction of the bytes; its windows lie at even distances,
 *      without overlap.
 *  (2) Tasks. Sequence i of a split is made when it is asked for, by Philox keyed (seed, split, i): no sequence of the one
 *      split is a sequence of the other, but by the chance that two draws are equal. Each is a document of its own.
 *  (3) A target is the token to predict *at* a position, -1 where nothing is asked. Every sequence of a source has the same
 *      number of them.
 *  (4) A source answers one thread at a time.
 */
#ifndef LOCI_CORE_DATA_DATA_H
#define LOCI_CORE_DATA_DATA_H

#include "core/base/base.h"
#include "core/config/config.h"

typedef struct loci_data {
    const struct loci_source *source; /* source.h */
    void *own;                        /* the source's */
    int64_t vocab;                    /* tokens are 0 .. vocab - 1 */
    int64_t labels;                   /* targets of a sequence of the opened length */
    bool carry, scored;               /* scored: there are right answers, so that accuracy means something */
    uint64_t bytes;                   /* of memory held */
    uint64_t train_hash, valid_hash;  /* XXH64, stored in checkpoints: of the text, or of the first sequences */
} loci_data;

/* What data.source names, for sequences of `seq` tokens. Text needs at least one window of `seq` + 1 bytes in each part. */
loci_status loci_data_open(loci_data **out, const loci_conf *conf, int64_t seq, loci_error *err);
void loci_data_free(loci_data *d);
/* Can a model with such a vocabulary read it? LOCI_E_CONFIG with the remedy if not. */
loci_status loci_data_fits(const loci_data *d, int64_t vocab, const loci_conf *conf, loci_error *err);

/* One training batch: tokens and targets [rows * seq], one run a row. */
void loci_data_batch(const loci_data *d, uint64_t seed, uint64_t micro, int64_t rows, int64_t seq, int32_t *tokens,
                     int32_t *targets, loci_run *runs);

/* The longest document that batches of such a shape make: one share of the text with data.carry, else one sequence. */
int64_t loci_data_longest(const loci_data *d, int64_t rows, int64_t seq);

/* How many sequences an evaluation has: of at most `sequences`, or when that is 0 of about `tokens` tokens. */
int64_t loci_data_windows(const loci_data *d, int64_t sequences, int64_t tokens, int64_t seq);
/* Validation sequence i of n: tokens and targets [seq]. sources [seq] (may be NULL) gets the place where the answer to a
 * target stands, -1 where there is none. */
void loci_data_window(const loci_data *d, int64_t i, int64_t n, int64_t seq, int32_t *tokens, int32_t *targets,
                      int32_t *sources);
/* Scored sources: another answer in place of the token that sequence i holds at its place `at`, a source of a target. */
int32_t loci_data_other(const loci_data *d, int64_t i, int32_t at, int32_t token);

/* What predictors without a model reach on the same sequences. Text: counts, in nats a token: uniform = ln 256; unigram and
 * bigram of the training text with add-one smoothing, the bigram's towards the unigram: p(b|a) = (c(a,b) + 256 p(b)) /
 * (c(a) + 256). Tasks: chance, each of the V possible answers equally likely: ln V nats, accuracy 1 / V. */
typedef struct loci_baseline {
    const char *name, *about;
    double loss, accuracy; /* NaN: not known */
} loci_baseline;
typedef struct loci_baselines {
    uint32_t n;
    loci_baseline at[3];
} loci_baselines;
loci_status loci_data_baselines(loci_baselines *out, const loci_data *d, int64_t windows, int64_t seq, loci_error *err);

#endif
