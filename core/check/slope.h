/* SPDX-License-Identifier: Apache-2.0
 *
 * core/check/slope: a derivative from differences.
 *
 *     f'(0) ~ (f(-2h) - 8 f(-h) + 8 f(h) - f(2h)) / 12h
 *
 * Of several h the estimate that lies nearest to `near` counts: the error of one h is h^4 times a fifth derivative plus
 * rounding over h, and which of the two rules is not known beforehand. A value that is wrong by more than both at every
 * h is near none of them.
 */
#ifndef LOCI_CORE_CHECK_SLOPE_H
#define LOCI_CORE_CHECK_SLOPE_H

#include "core/base/base.h"

/* *size: the sum of the absolute terms of *value, which says how much of it is rounding. */
typedef loci_status (*loci_line_fn)(void *arg, double at, double *value, double *size, loci_error *err);

typedef struct loci_slope {
    double value, step;
    double rounding; /* by which it may be off for a relative error `eps` of f's terms */
} loci_slope;

/* Stops at the first of the n steps that comes within `enough` of near. */
loci_status loci_slope_of(loci_slope *out, loci_line_fn f, void *arg, const double *steps, uint32_t n, double eps,
                          double near, double enough, loci_error *err);

#endif
