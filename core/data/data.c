/* SPDX-License-Identifier: Apache-2.0
 *
 * Text as bytes: reading, splitting, batches and windows; see data.h.
 */
#include "core/data/data.h"
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

static loci_status check_lengths(const loci_data *d, const loci_conf *c, int64_t seq, loci_error *err)
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

loci_status loci_data_open(loci_data **out, const loci_conf *conf, int64_t seq, loci_error *err)
{
    loci_status status = LOCI_OK;
    loci_data *d = loci_alloc(sizeof *d);
    const char *valid = loci_conf_str(conf, -1, "data", "valid");
    size_t n = 0;

    *out = NULL;
    if (!d)
        return loci_fail(err, LOCI_E_NOMEM, "out of memory for the data");
    if (!*loci_conf_str(conf, -1, "data", "train")) {
        status = loci_fail(err, LOCI_E_DATA, "no data: set data.train to a text file (--set data.train=FILE)");
        goto out;
    }
    d->carry = loci_conf_bool(conf, -1, "data", "carry");
    LOCI_TRY(read_text(&d->text, &n, conf, "train", err));
    d->train = d->text;
    d->n_train = n;
    if (*valid) {
        LOCI_TRY(read_text(&d->valid_text, &d->n_valid, conf, "valid", err));
        d->valid = d->valid_text;
    } else {
        d->n_valid = (size_t)((double)n * loci_conf_real(conf, -1, "data", "valid_fraction"));
        d->n_train = n - d->n_valid;
        d->valid = d->text + d->n_train;
    }
    LOCI_TRY(check_lengths(d, conf, seq, err));
    d->train_hash = loci_hash(d->train, d->n_train, 0);
    d->valid_hash = loci_hash(d->valid, d->n_valid, 0);
    *out = d;
    return LOCI_OK;
out:
    loci_data_free(d);
    return status;
}

void loci_data_free(loci_data *d)
{
    if (!d)
        return;
    loci_free(d->text);
    loci_free(d->valid_text);
    loci_free(d);
}

static void window(const unsigned char *at, int64_t seq, int32_t *tokens, int32_t *targets)
{
    for (int64_t t = 0; t < seq; t++) {
        tokens[t] = at[t];
        targets[t] = at[t + 1];
    }
}

void loci_data_batch(const loci_data *d, uint64_t seed, uint64_t micro, int64_t rows, int64_t seq, int32_t *tokens,
                     int32_t *targets, loci_run *runs)
{
    uint64_t places = d->n_train - (uint64_t)seq, key = loci_random_name_key(seed, "data");
    uint64_t share = d->n_train / (uint64_t)rows, pieces = share > (uint64_t)seq ? (share - 1) / (uint64_t)seq : 1;

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
        window(d->train + begin, seq, tokens + r * seq, targets + r * seq);
        runs[r] = (loci_run){(int32_t)r, 0, (int32_t)seq, (int32_t)r, pos, id};
    }
}

int64_t loci_data_longest(const loci_data *d, int64_t rows, int64_t seq)
{
    int64_t share = (int64_t)d->n_train / rows;

    return d->carry && share > seq ? share : seq;
}

int64_t loci_data_windows(const loci_data *d, int64_t tokens, int64_t seq)
{
    int64_t all = (int64_t)((d->n_valid - 1) / (uint64_t)seq), n = tokens / seq;

    n = n < all ? n : all;
    return n > 0 ? n : 1;
}

void loci_data_window(const loci_data *d, int64_t i, int64_t n, int64_t seq, int32_t *tokens, int32_t *targets)
{
    int64_t room = (int64_t)d->n_valid - 1 - seq, begin = n > 1 ? i * (room / (n - 1)) : 0;

    window(d->valid + begin, seq, tokens, targets);
}

loci_status loci_data_baselines(loci_baselines *out, const loci_data *d, int64_t tokens, int64_t seq, loci_error *err)
{
    int64_t n = loci_data_windows(d, tokens, seq);
    double one[256], total = (double)d->n_train + 256, row[256] = {0};
    uint32_t *pair = loci_alloc(sizeof *pair * 256 * 256);
    int32_t *in = loci_alloc((size_t)seq * sizeof *in), *next = loci_alloc((size_t)seq * sizeof *next);
    loci_status status = LOCI_OK;

    *out = (loci_baselines){log(256), 0, 0};
    if (!pair || !in || !next) {
        status = loci_fail(err, LOCI_E_NOMEM, "out of memory for the baselines");
        goto out;
    }
    for (int i = 0; i < 256; i++)
        one[i] = 1 / total;
    for (size_t i = 0; i < d->n_train; i++) {
        one[d->train[i]] += 1 / total;
        if (i + 1 < d->n_train) {
            pair[256 * d->train[i] + d->train[i + 1]]++;
            row[d->train[i]]++;
        }
    }
    for (int64_t i = 0; i < n; i++) {
        loci_data_window(d, i, n, seq, in, next);
        for (int64_t t = 0; t < seq; t++) {
            double p = one[next[t]];
            out->unigram -= log(p);
            out->bigram -= log((pair[256 * in[t] + next[t]] + 256 * p) / (row[in[t]] + 256));
        }
    }
    out->unigram /= (double)(n * seq);
    out->bigram /= (double)(n * seq);
out:
    loci_free(pair);
    loci_free(in);
    loci_free(next);
    return status;
}
