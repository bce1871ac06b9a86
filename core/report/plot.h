/* SPDX-License-Identifier: Apache-2.0
 *
 * core/report: curves drawn by gnuplot, as SVG text.
 *
 * A plot has series (arms); a series has lines (seeds). Every line is drawn thin and pale, their mean strong, in a
 * palette that colour-blind readers can tell apart (Okabe and Ito), with a dash pattern of its own from the eighth
 * series on. The mean is taken where every line of the series has a point, so that a run that is shorter does not bend
 * it.
 *
 *  (1) gnuplot is a child process fed through a socket; no shell is involved, no file is written, no settings of the
 * user are read. Text reaches it only in single quotes, in which gnuplot substitutes nothing, and without apostrophes.
 *  (2) The result is well-formed XML of its own: title and description for readers who cannot see it, no script, no
 *      reference to anything outside.
 */
#ifndef LOCI_CORE_REPORT_PLOT_H
#define LOCI_CORE_REPORT_PLOT_H

#include "core/base/base.h"

typedef struct loci_line {
    uint32_t n;
    const double *x, *y; /* x rising; points that are not finite (or <= 0 on a log axis) are left out */
} loci_line;

typedef struct loci_series {
    const char *name;
    uint32_t n_lines;
    const loci_line *lines;
} loci_series;

typedef struct loci_plot {
    const char *title, *about;     /* about: a sentence for the description; NULL: made from the names */
    const char *x_label, *y_label; /* with units: "step", "validation loss (nats)" */
    bool log_x, log_y;
    uint32_t n_series;
    const loci_series *series;
} loci_plot;

/* Append the SVG to out. Errors: LOCI_E_UNSUPPORTED without gnuplot (and which package has it), LOCI_E_DATA when there
 * is no point to draw, LOCI_E_INTERNAL with gnuplot's own words, LOCI_E_NOMEM. out is as before after a failure. */
loci_status loci_plot_svg(loci_text *out, const loci_plot *plot, loci_error *err);

/* Text for HTML or XML: & < > " ' escaped, control characters other than tab and newline replaced. */
void loci_text_escaped(loci_text *out, const char *s);

#endif
