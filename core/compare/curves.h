/* SPDX-License-Identifier: Apache-2.0
 *
 * The plots of a comparison, drawn from the logs of its runs. Private to this folder.
 */
#ifndef LOCI_CORE_COMPARE_CURVES_H
#define LOCI_CORE_COMPARE_CURVES_H

#include "core/compare/compare.h"
#include "core/report/plot.h"

typedef struct loci_curves {
    uint32_t n;
    loci_plot plots[5];
    struct loci_drawing {
        struct loci_curve *curves; /* [arms][seeds] */
        loci_line *lines;
        loci_series *series;
    } drawings[5];
    size_t n_curves; /* of a drawing */
} loci_curves;

/* Loss over steps; on tasks also right answers, over steps and by where they had to be looked up in the end. */
loci_status loci_curves_read(loci_curves *out, const loci_comparison *c, loci_error *err);
void loci_curves_free(loci_curves *curves); /* also after a failure */
/* Are the arms trained on text? */
bool loci_comparison_on_text(const loci_comparison *c);

#endif
