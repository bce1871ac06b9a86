/* SPDX-License-Identifier: Apache-2.0
 *
 * Text as bytes: reading, splitting, batches and windows; (1) of data.h.
 */
#include "core/data/source.h"
#include "core/device/rng.h"
#include "core/tensor/file.h"
#include <loci/random.h>
#include <math.h>

#define MOST_BYTES ((size_t)8 << 30)

static loci_status read_text(unsigned char **out, size_t *n, const loci_conf *c, const char *key, loci_error *err)
{
    char *bytes = NULL;
    loci_status status = loci_file_read(&bytes, n, loci_conf_str(c, -1, "data", key), MOST_BYTES, err);

    *out = (unsigned char *)bytes;
    if (status != LOCI_OK) {
        loci_fail_in(err, LOCI_E_DATA, "%s: data.%s", loci_conf_origin(c, -1, "data", key), key);
        return LOCI_E_DATA;
    }
    return LOCI_OK;
}

static loci_status check_lengths(const struct loci_text_data *d, const loci_conf *c, int64_t seq, loci_error *err)
{
    if (d->n_train < (size_t)seq + 1)
        return loci_fail(err, LOCI_E_DATA, "%s: data.train has %zu bytes to train on, and one window needs %lld: lower "
                                           "data.seq_tok or give more text",
                         loci_conf_origin(c, -1, "data", "train"), d->n_train, (long long)seq + 1);
    if (d->n_valid < (size_t)seq + 1)
        return loci_fail(err, LOCI_E_DATA, "%s: %zu bytes are left to validate on, and one window needs %lld: raise "
                                           "data.valid_fraction, lower data.seq_tok or name data.valid",
                         loci_conf_origin(c, -1, "data", "train"), d->n_valid, (long long)seq + 1);
    return LOCI_OK;
}

static loci_status text_open(loci_data *d, const loci_conf *conf, int64_t seq, loci_error *err)
{
    loci_status status = LOCI_OK;
    struct loci_text_data *x = d->own = loci_alloc(sizeof *x);
    const char *valid = loci_conf_str(conf, -1, "data", "valid");
    size_t n = 0;

    if (!x)
        return loci_fail(err, LOCI_E_NOMEM, "out of memory for the data");
    if (!*loci_conf_str(conf, -1, "data", "train"))
        return loci_fail(err, LOCI_E_DATA, "no data: set data.train to a text file (--set data.train=FILE)");
    LOCI_TRY(read_text(&x->text, &n, conf, "train", err));
    x->train = x->text;
    x->n_train = n;
    if (*valid) {
        LOCI_TRY(read_text(&x->valid_text, &x->n_valid, conf, "valid", err));
        x->valid = x->valid_text;
    } else {
        x->n_valid = (size_t)((double)n * loci_conf_real(conf, -1, "data", "valid_fraction"));
        x->n_train = n - x->n_valid;
        x->valid = x->text + x->n_train;
    }
    LOCI_TRY(check_lengths(x, conf, seq, err));
    d->vocab = 256;
    d->labels = seq;
    d->carry = loci_conf_bool(conf, -1, "data", "carry");
    d->bytes = x->n_train + x->n_valid;
    d->train_hash = loci_hash(x->train, x->n_train, 0);
    d->valid_hash = loci_hash(x->valid, x->n_valid, 0);
out:
    return status;
}

static void text_close(loci_data *d)
{
    struct loci_text_data *x = d->own;

    if (!x)
        return;
    loci_free(x->text);
    loci_free(x->valid_text);
    loci_free(x);
}

static loci_status text_fits(const loci_data *d, int64_t vocab, const loci_conf *conf, loci_error *err)
{
    (void)d;
    return loci_fail(err, LOCI_E_CONFIG, "%s: model.vocab = %lld, and text needs 256: one token a byte",
                     loci_conf_origin(conf, -1, "model", "vocab"), (long long)vocab);
}

static void window(const unsigned char *at, int64_t seq, int32_t *tokens, int32_t *targets)
{
    for (int64_t t = 0; t < seq; t++) {
        tokens[t] = at[t];
        targets[t] = at[t + 1];
    }
}

static void text_batch(const loci_data *d, uint64_t seed, uint64_t micro, int64_t rows, int64_t seq, int32_t *tokens,
                       int32_t *targets, loci_run *runs)
{
    const struct loci_text_data *x = d->own;
    uint64_t places = x->n_train - (uint64_t)seq, key = loci_random_name_key(seed, "data");
    uint64_t share = x->n_train / (uint64_t)rows, pieces = share > (uint64_t)seq ? (share - 1) / (uint64_t)seq : 1;

    for (int64_t r = 0; r < rows; r++) {
        uint64_t begin, draw = micro * (uint64_t)rows + (uint64_t)r, piece = micro % pieces;
        int64_t pos = 0;
        uint64_t id = draw;
        if (d->carry && share > (uint64_t)seq) {
            begin = (uint64_t)r * share + piece * (uint64_t)seq;
            pos = (int64_t)(piece * (uint64_t)seq);
            id = (micro / pieces) * (uint64_t)rows + (uint64_t)r;
        } else {
            begin = loci_random_below(key, draw, places);
        }
        window(x->train + begin, seq, tokens + r * seq, targets + r * seq);
        runs[r] = (loci_run){(int32_t)r, 0, (int32_t)seq, (int32_t)r, pos, id};
    }
}

static int64_t text_longest(const loci_data *d, int64_t rows, int64_t seq)
{
    const struct loci_text_data *x = d->own;
    int64_t share = (int64_t)x->n_train / rows;

    return d->carry && share > seq ? share : seq;
}

static int64_t text_most(const loci_data *d, int64_t seq)
{
    const struct loci_text_data *x = d->own;

    return (int64_t)((x->n_valid - 1) / (uint64_t)seq);
}

static void text_window(const loci_data *d, int64_t i, int64_t n, int64_t seq, int32_t *tokens, int32_t *targets,
                        int32_t *sources)
{
    const struct loci_text_data *x = d->own;
    int64_t room = (int64_t)x->n_valid - 1 - seq, begin = n > 1 ? i * (room / (n - 1)) : 0;

    window(x->valid + begin, seq, tokens, targets);
    for (int64_t t = 0; sources && t < seq; t++)
        sources[t] = -1;
}

static loci_status text_baselines(loci_baselines *out, const loci_data *d, int64_t windows, int64_t seq, loci_error *err)
{
    const struct loci_text_data *x = d->own;
    double one[256], total = (double)x->n_train + 256, row[256] = {0}, unigram = 0, bigram = 0;
    uint32_t *pair = loci_alloc(sizeof *pair * 256 * 256);
    int32_t *in = loci_alloc((size_t)seq * sizeof *in), *next = loci_alloc((size_t)seq * sizeof *next);
    double tokens = (double)(windows * seq);
    loci_status status = LOCI_OK;

    if (!pair || !in || !next) {
        status = loci_fail(err, LOCI_E_NOMEM, "out of memory for the baselines");
        goto out;
    }
    for (int i = 0; i < 256; i++)
        one[i] = 1 / total;
    for (size_t i = 0; i < x->n_train; i++) {
        one[x->train[i]] += 1 / total;
        if (i + 1 < x->n_train) {
            pair[256 * x->train[i] + x->train[i + 1]]++;
            row[x->train[i]]++;
        }
    }
    for (int64_t i = 0; i < windows; i++) {
        text_window(d, i, windows, seq, in, next, NULL);
        for (int64_t t = 0; t < seq; t++) {
            double p = one[next[t]];
            unigram -= log(p);
            bigram -= log((pair[256 * in[t] + next[t]] + 256 * p) / (row[in[t]] + 256));
        }
    }
    *out = (loci_baselines){
        3,
        {{"uniform", "every byte equally likely: ln 256", log(256), NAN},
         {"unigram", "byte counts of the training text", unigram / tokens, NAN},
         {"bigram", "counts of byte pairs, smoothed towards the unigram", bigram / tokens, NAN}}};
out:
    loci_free(pair);
    loci_free(in);
    loci_free(next);
    return status;
}

const struct loci_source loci__source_text = {"text",     text_open,   text_close, text_fits,     text_batch, text_longest,
                                              text_most, text_window, NULL,       text_baselines};
