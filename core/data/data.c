/* SPDX-License-Identifier: Apache-2.0
 *
 * The two sources behind one door; see data.h.
 */
#include "core/data/source.h"
#include <assert.h>
#include <string.h>

static const struct loci_source *const known[] = {&loci__source_text, &loci__source_task};

loci_status loci_data_open(loci_data **out, const loci_conf *conf, int64_t seq, loci_error *err)
{
    const char *name = loci_conf_str(conf, -1, "data", "source");
    loci_data *d = loci_alloc(sizeof *d);
    loci_status status;

    *out = NULL;
    if (!d)
        return loci_fail(err, LOCI_E_NOMEM, "out of memory for the data");
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (!strcmp(known[i]->name, name))
            d->source = known[i];
    assert(d->source);
    status = d->source->open(d, conf, seq, err);
    if (status == LOCI_OK)
        *out = d;
    else
        loci_data_free(d);
    return status;
}

void loci_data_free(loci_data *d)
{
    if (!d)
        return;
    d->source->close(d);
    loci_free(d);
}

loci_status loci_data_fits(const loci_data *d, int64_t vocab, const loci_conf *conf, loci_error *err)
{
    return vocab >= d->vocab ? LOCI_OK : d->source->fits(d, vocab, conf, err);
}

void loci_data_batch(const loci_data *d, uint64_t seed, uint64_t micro, int64_t rows, int64_t seq, int32_t *tokens,
                     int32_t *targets, loci_run *runs)
{
    d->source->batch(d, seed, micro, rows, seq, tokens, targets, runs);
}

int64_t loci_data_longest(const loci_data *d, int64_t rows, int64_t seq)
{
    return d->source->longest(d, rows, seq);
}

int64_t loci_data_windows(const loci_data *d, int64_t sequences, int64_t tokens, int64_t seq)
{
    int64_t all = d->source->most(d, seq), n = sequences > 0 ? sequences : tokens / seq;

    n = n < all ? n : all;
    return n > 0 ? n : 1;
}

void loci_data_window(const loci_data *d, int64_t i, int64_t n, int64_t seq, int32_t *tokens, int32_t *targets,
                      int32_t *sources)
{
    d->source->window(d, i, n, seq, tokens, targets, sources);
}

int32_t loci_data_other(const loci_data *d, int64_t i, int32_t at, int32_t token)
{
    assert(d->scored);
    return d->source->other(d, i, at, token);
}

loci_status loci_data_baselines(loci_baselines *out, const loci_data *d, int64_t windows, int64_t seq, loci_error *err)
{
    return d->source->baselines(out, d, windows, seq, err);
}
