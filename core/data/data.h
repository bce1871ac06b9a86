/* SPDX-License-Identifier: Apache-2.0
 *
 * core/data: where tokens come from.
 *
 * Text files are bytes. Which bytes make a batch follows from (seed, step) alone, so that nothing has to be remembered
 * to resume, and every arm of a comparison reads the same order.
 *
 *  (1) Training windows start at places drawn by Philox, keyed (seed, micro-batch, row); with data.carry every row reads
 *      its own share of the text in order, and its memory goes on from batch to batch.
 *  (2) Validation text is never trained on: a file of its own, or the last data.valid_fraction of the bytes.
 *  (3) Evaluation reads windows at even distances over the validation text, without overlap; every window starts from
 *      the initial state.
 */
#ifndef LOCI_CORE_DATA_DATA_H
#define LOCI_CORE_DATA_DATA_H

#include "core/base/base.h"
#include "core/config/config.h"

typedef struct loci_data {
    unsigned char *text, *valid_text;
    const unsigned char *train, *valid;
    size_t n_train, n_valid;
    bool carry;
    uint64_t train_hash, valid_hash; /* XXH64, stored in checkpoints */
} loci_data;

/* Reads data.train and data.valid; needs at least one window of `seq` + 1 bytes in each part. */
loci_status loci_data_open(loci_data **out, const loci_conf *conf, int64_t seq, loci_error *err);
void loci_data_free(loci_data *d);

/* One training batch: tokens and targets [rows * seq], one run a row. */
void loci_data_batch(const loci_data *d, uint64_t seed, uint64_t micro, int64_t rows, int64_t seq, int32_t *tokens,
                     int32_t *targets, loci_run *runs);

/* The longest document that batches of such a shape make: one share of the text with data.carry, else one window. */
int64_t loci_data_longest(const loci_data *d, int64_t rows, int64_t seq);

/* How many windows an evaluation over about `tokens` tokens has. */
int64_t loci_data_windows(const loci_data *d, int64_t tokens, int64_t seq);
/* Window i of n: tokens and targets [seq]. */
void loci_data_window(const loci_data *d, int64_t i, int64_t n, int64_t seq, int32_t *tokens, int32_t *targets);

/* What counting does on the same windows, nats a token: uniform = ln 256; unigram and bigram counts of the training
 * text with add-one smoothing, the bigram's towards the unigram: p(b|a) = (c(a,b) + 256 p(b)) / (c(a) + 256). */
typedef struct loci_baselines {
    double uniform, unigram, bigram;
} loci_baselines;
loci_status loci_data_baselines(loci_baselines *out, const loci_data *d, int64_t tokens, int64_t seq, loci_error *err);

#endif
