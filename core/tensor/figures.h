/* SPDX-License-Identifier: Apache-2.0
 *
 * core/tensor: figures about tensors: what stands in one, and how two files of them differ.
 *
 * Every dtype a file may hold is read as float64. Figures are of the finite values alone; those that are not finite are
 * counted.
 */
#ifndef LOCI_CORE_TENSOR_FIGURES_H
#define LOCI_CORE_TENSOR_FIGURES_H

#include "core/tensor/file.h"

typedef struct loci_figures {
    uint64_t n, zeros, not_finite;
    double mean, std, rms, min, max, max_abs; /* NaN when no value is finite; std over n, not n - 1 */
} loci_figures;

double loci_named_value(const loci_named *t, uint64_t i); /* element i, in the order of memory */
uint64_t loci_named_elements(const loci_named *t);
loci_figures loci_figures_of(const loci_named *t);
/* Element counts of `bins` intervals of equal width over [min, max]; the last one holds max. Not finite: in none. */
void loci_figures_bins(uint64_t *counts, uint32_t bins, const loci_named *t, const loci_figures *f);

/* A growing list of numbers, for figures that need them all at once. */
typedef struct loci_numbers {
    double *at;
    size_t n, cap;
} loci_numbers;
bool loci_numbers_add(loci_numbers *v, double x); /* false: out of memory */
void loci_numbers_sort(loci_numbers *v);
/* Of a sorted list, linear between ranks: q 0 is the least, 1 the greatest; NaN when empty. */
double loci_numbers_quantile(const loci_numbers *v, double q);
void loci_numbers_free(loci_numbers *v);

/* One name of two files. rel: rms(a - b) over the root of the mean of both mean squares; 0 when all bytes are equal,
 * infinite when shape or a value that is not finite keeps them from being compared. */
typedef struct loci_difference {
    const char *name;
    const loci_named *a, *b; /* NULL: only in the other */
    bool same, comparable;
    double rel, max_abs; /* max_abs: the largest |a - b| */
} loci_difference;

/* What differs comes first: names of one file only, then other shapes or types, then by rel, largest first; the rest by
 * name. Lent from a and b. loci_free(*out). */
loci_status loci_tensors_diff(loci_difference **out, uint32_t *n, const loci_tensors *a, const loci_tensors *b,
                              loci_error *err);

#endif
