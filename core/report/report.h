/* SPDX-License-Identifier: Apache-2.0
 *
 * core/report: what a comparison found, as one HTML file that stands alone: it opens without a network, prints, and can
 * be attached to a mail. compare fills the struct, this part only shows it.
 *
 * Text is UTF-8 and may come from anywhere: everything is escaped. Numbers that are not known are NaN, -1 or NULL as
 * said below and show as a dash. All pointers are lent for the call.
 */
#ifndef LOCI_CORE_REPORT_REPORT_H
#define LOCI_CORE_REPORT_REPORT_H

#include "core/compare/stats.h"
#include "core/report/plot.h"

typedef struct loci_report_arm {
    const char *name, *about;                    /* about: a few words, or NULL                                */
    double mean, se;                             /* of the final metric; NaN                                   */
    int32_t n, failed;                           /* seeds with a value, seeds that ended without one           */
    int64_t parameters, state_bytes, peak_bytes; /* -1                                      */
    double tokens_per_s;                         /* NaN                                                        */
    const char *warning;                         /* why its metric must not be taken as it is, or NULL         */
} loci_report_arm;

typedef struct loci_report_key {                /* a key in which arms differ */
    const char *key;                            /* "memory.titans.chunk"                                            */
    const char *const *values, *const *origins; /* per arm; a value of NULL: the arm has no such key        */
} loci_report_key;

typedef struct loci_report_row { /* a number to judge the arms by: uniform bytes, a unigram, gzip ... */
    const char *name, *about;
    double value; /* in the metric's unit */
} loci_report_row;

typedef struct loci_report_config {
    const char *name, *text; /* of an arm; its effective config */
} loci_report_config;

typedef struct loci_report {
    const char *title;
    const char *verdict; /* the first sentence; NULL: made from arms and pairs */
    const char *command, *version, *machine, *date;
    const char *metric, *unit; /* "validation loss", "nats per byte" */
    bool lower_is_better;
    double share_equal; /* share of parameters that start equal in all arms, 0 to 1; NaN */
    uint32_t n_arms, n_pairs, n_keys, n_baselines, n_plots, n_notes, n_configs;
    const loci_report_arm *arms;
    const loci_pair *pairs; /* a and b index arms */
    const loci_report_key *keys;
    const loci_report_row *baselines;
    const loci_plot *plots;
    const char *const *notes; /* anything the reader must know: arms that diverged, ignored keys */
    const loci_report_config *configs;
} loci_report;

/* Append the whole document. A plot that cannot be drawn becomes a sentence that says why; that is not a failure. */
loci_status loci_report_html(loci_text *out, const loci_report *r, loci_error *err);
/* The same into a file, atomically. */
loci_status loci_report_write(const char *path, const loci_report *r, loci_error *err);
/* The verdict in words, plain text, a line per pair: also what the command prints. */
void loci_report_verdict(loci_text *out, const loci_report *r);

#endif
