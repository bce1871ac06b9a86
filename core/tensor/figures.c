/* SPDX-License-Identifier: Apache-2.0
 *
 * core/tensor: figures about tensors: see figures.h.
 *
 *  (1) The mean and the spread are taken in two passes: a sum of squares minus a squared mean loses every digit of a
 *      spread that is small beside the mean.
 */
#include "core/tensor/figures.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- one value ------------------------------------------------------------------------------------------------- */

static double half(uint16_t bits)
{
    int exponent = (bits >> 10) & 31, fraction = bits & 1023;
    double v = exponent == 31 ? (fraction ? NAN : INFINITY)
               : exponent     ? ldexp(1024 + fraction, exponent - 25)
                              : ldexp(fraction, -24);

    return bits & 0x8000 ? -v : v;
}

static double brain(uint16_t bits)
{
    uint32_t wide = (uint32_t)bits << 16;
    float v;

    memcpy(&v, &wide, sizeof v);
    return (double)v;
}

#define READ(type) \
    do { \
        type v_; \
        memcpy(&v_, at, sizeof v_); \
        return (double)v_; \
    } while (0)

double loci_named_value(const loci_named *t, uint64_t i)
{
    const char *at = (const char *)t->data + i * loci_dtype_bytes(t->dtype);
    uint16_t bits;

    if (t->dtype.code == LOCI_BFLOAT || (t->dtype.code == LOCI_FLOAT && t->dtype.bits == 16)) {
        memcpy(&bits, at, sizeof bits);
        return t->dtype.code == LOCI_BFLOAT ? brain(bits) : half(bits);
    }
    if (t->dtype.code == LOCI_FLOAT && t->dtype.bits == 32)
        READ(float);
    if (t->dtype.code == LOCI_FLOAT)
        READ(double);
    switch (t->dtype.bits) {
    case 64:
        if (t->dtype.code == LOCI_INT)
            READ(int64_t);
        READ(uint64_t);
    case 32:
        if (t->dtype.code == LOCI_INT)
            READ(int32_t);
        READ(uint32_t);
    case 16:
        if (t->dtype.code == LOCI_INT)
            READ(int16_t);
        READ(uint16_t);
    default:
        if (t->dtype.code == LOCI_INT)
            READ(int8_t);
        READ(uint8_t);
    }
}

uint64_t loci_named_elements(const loci_named *t)
{
    return t->bytes / loci_dtype_bytes(t->dtype);
}

/* ---- one tensor ------------------------------------------------------------------------------------------------ */

loci_figures loci_figures_of(const loci_named *t)
{
    loci_figures f = {.n = loci_named_elements(t), .min = INFINITY, .max = -INFINITY};
    double sum = 0, squares = 0, spread = 0, n;

    for (uint64_t i = 0; i < f.n; i++) {
        double v = loci_named_value(t, i);
        if (!isfinite(v)) {
            f.not_finite++;
            continue;
        }
        f.zeros += v == 0;
        f.min = fmin(f.min, v);
        f.max = fmax(f.max, v);
        sum += v;
        squares += v * v;
    }
    n = (double)(f.n - f.not_finite);
    if (n == 0) {
        f.mean = f.std = f.rms = f.min = f.max = f.max_abs = NAN;
        return f;
    }
    f.mean = sum / n;
    for (uint64_t i = 0; i < f.n; i++) { /* (1) */
        double v = loci_named_value(t, i);
        if (isfinite(v))
            spread += (v - f.mean) * (v - f.mean);
    }
    f.std = sqrt(spread / n);
    f.rms = sqrt(squares / n);
    f.max_abs = fmax(fabs(f.min), fabs(f.max));
    return f;
}

void loci_figures_bins(uint64_t *counts, uint32_t bins, const loci_named *t, const loci_figures *f)
{
    double width = (f->max - f->min) / bins;

    memset(counts, 0, bins * sizeof *counts);
    for (uint64_t i = 0; i < f->n; i++) {
        double v = loci_named_value(t, i), at;
        if (!isfinite(v))
            continue;
        at = width > 0 ? (v - f->min) / width : 0;
        counts[at >= bins ? bins - 1 : (uint32_t)at]++;
    }
}

/* ---- lists of numbers ------------------------------------------------------------------------------------------ */

bool loci_numbers_add(loci_numbers *v, double x)
{
    if (v->n == v->cap) {
        size_t cap = v->cap ? 2 * v->cap : 256;
        double *more = loci_realloc(v->at, cap * sizeof *more);
        if (!more)
            return false;
        v->at = more;
        v->cap = cap;
    }
    v->at[v->n++] = x;
    return true;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

void loci_numbers_sort(loci_numbers *v)
{
    if (v->n)
        qsort(v->at, v->n, sizeof *v->at, by_value);
}

double loci_numbers_quantile(const loci_numbers *v, double q)
{
    double rank = q * (double)(v->n - 1);
    size_t low = (size_t)rank;

    if (!v->n)
        return NAN;
    return low + 1 < v->n ? v->at[low] + (rank - (double)low) * (v->at[low + 1] - v->at[low]) : v->at[v->n - 1];
}

void loci_numbers_free(loci_numbers *v)
{
    loci_free(v->at);
    *v = (loci_numbers){0};
}

/* ---- two files ------------------------------------------------------------------------------------------------- */

static void measure(loci_difference *d)
{
    const loci_named *a = d->a, *b = d->b;
    uint64_t n;
    double apart = 0, size = 0;

    d->rel = d->max_abs = INFINITY;
    if (!a || !b || !loci_dtype_is(a->dtype, b->dtype) || a->ndim != b->ndim ||
        memcmp(a->shape, b->shape, (size_t)a->ndim * sizeof *a->shape))
        return;
    d->comparable = true;
    n = loci_named_elements(a);
    d->same = a->bytes == 0 || memcmp(a->data, b->data, a->bytes) == 0;
    if (d->same) {
        d->rel = d->max_abs = 0;
        return;
    }
    d->max_abs = 0;
    for (uint64_t i = 0; i < n; i++) {
        double x = loci_named_value(a, i), y = loci_named_value(b, i);
        apart += (x - y) * (x - y);
        size += (x * x + y * y) / 2;
        d->max_abs = fabs(x - y) > d->max_abs ? fabs(x - y) : d->max_abs;
    }
    if (!isfinite(apart) || !isfinite(size))
        d->rel = d->max_abs = INFINITY;
    else
        d->rel = size > 0 ? sqrt(apart / size) : 0; /* +0 and -0 differ in bytes alone */
}

static int rank(const loci_difference *d)
{
    return !d->a || !d->b ? 0 : !d->comparable ? 1 : !d->same ? 2 : 3;
}

static int by_difference(const void *left, const void *right)
{
    const loci_difference *a = left, *b = right;

    if (rank(a) != rank(b))
        return rank(a) - rank(b);
    if (rank(a) == 2 && a->rel != b->rel)
        return a->rel < b->rel ? 1 : -1;
    return strcmp(a->name, b->name);
}

loci_status loci_tensors_diff(loci_difference **out, uint32_t *n, const loci_tensors *a, const loci_tensors *b,
                              loci_error *err)
{
    loci_difference *list = loci_alloc(((size_t)loci_tensors_n(a) + loci_tensors_n(b)) * sizeof *list);
    uint32_t count = 0;

    *out = NULL;
    *n = 0;
    if (!list)
        return loci_fail(err, LOCI_E_NOMEM, "out of memory for the differences");
    for (uint32_t i = 0; i < loci_tensors_n(a); i++) {
        const loci_named *t = loci_tensors_at(a, i);
        list[count++] = (loci_difference){.name = t->name, .a = t, .b = loci_tensors_find(b, t->name)};
    }
    for (uint32_t i = 0; i < loci_tensors_n(b); i++) {
        const loci_named *t = loci_tensors_at(b, i);
        if (!loci_tensors_find(a, t->name))
            list[count++] = (loci_difference){.name = t->name, .b = t};
    }
    for (uint32_t i = 0; i < count; i++)
        measure(&list[i]);
    if (count)
        qsort(list, count, sizeof *list, by_difference);
    *out = list;
    *n = count;
    return LOCI_OK;
}
