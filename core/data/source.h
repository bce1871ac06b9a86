/* SPDX-License-Identifier: Apache-2.0
 *
 * core/data/source.h: what a source of sequences is. Private to this folder and its tests.
 */
#ifndef LOCI_CORE_DATA_SOURCE_H
#define LOCI_CORE_DATA_SOURCE_H

#include "core/data/data.h"

/* open fills d->own and the facts of d; close frees d->own, also after an open that failed. The rest is data.h. */
struct loci_source {
    const char *name;
    loci_status (*open)(loci_data *d, const loci_conf *conf, int64_t seq, loci_error *err);
    void (*close)(loci_data *d);
    loci_status (*fits)(const loci_data *d, int64_t vocab, const loci_conf *conf, loci_error *err);
    void (*batch)(const loci_data *d, uint64_t seed, uint64_t micro, int64_t rows, int64_t seq, int32_t *tokens,
                  int32_t *targets, loci_run *runs);
    int64_t (*longest)(const loci_data *d, int64_t rows, int64_t seq);
    int64_t (*most)(const loci_data *d, int64_t seq); /* validation sequences that there are */
    void (*window)(const loci_data *d, int64_t i, int64_t n, int64_t seq, int32_t *tokens, int32_t *targets,
                   int32_t *sources);
    int32_t (*other)(const loci_data *d, int64_t i, int32_t at, int32_t token); /* NULL: not scored */
    loci_status (*baselines)(loci_baselines *out, const loci_data *d, int64_t windows, int64_t seq, loci_error *err);
};
extern const struct loci_source loci__source_text, loci__source_task;

struct loci_text_data {
    unsigned char *text, *valid_text;
    const unsigned char *train, *valid;
    size_t n_train, n_valid;
};

#endif
