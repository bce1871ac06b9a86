/* SPDX-License-Identifier: Apache-2.0
 *
 * core/device/kern: the inner loops of loci.ops/1 on the CPU, one table per element type and instruction set.
 *
 *  (1) One text, kern.tmpl and the kern_*.tmpl it includes, is compiled once per table; kern.inc lists the tables.
 *  (2) A kernel works on one contiguous row. Shapes, strides, threads and errors are the business of ops_*.c.
 *  (3) A sum over a row has 16 partial sums, element i going to number i mod 16, folded in halves at the end; so the
 *      order of a sum is the same whatever the instruction set, and no flag that reorders sums is needed.
 *  (4) y may be exactly a (or b, or x) in map1, map2, rope and xent; apart from that, arguments do not overlap.
 *  (5) beta 0 never reads y.
 */
#ifndef LOCI_CORE_DEVICE_KERN_H
#define LOCI_CORE_DEVICE_KERN_H

#include <loci/ops.h>
#include <stdbool.h>

#define LOCI_KERN_TAPS 8    /* most taps of one call of conv and conv_dw */
#define LOCI_KERN_WIDE 128  /* most channels of one */
#define LOCI_KERN_PAIRS 512 /* most pairs of channels of one call of rope */
#define LOCI_KERN_LOWER 64  /* most rows of one of lower */

/* Elements are float or double; `size` says which. */
typedef struct loci_kern {
    const char *name;
    int level; /* LOCI_CPU_* it needs */
    uint32_t size;

    void (*fill)(void *y, int64_t n, double value);
    /* a_step, b_step: 1, or 0 for one value that stands for all. */
    void (*map1)(int32_t f, void *y, const void *a, int64_t a_step, int64_t n, double alpha, double beta);
    void (*map2)(int32_t f, void *y, const void *a, int64_t a_step, const void *b, int64_t b_step, int64_t n,
                 double alpha, double beta);
    /* float32 to the nearest bfloat16, ties to even; NaN stays NaN. NULL in float64. */
    void (*narrow)(uint16_t *y, const float *a, int64_t n);
    double (*dot)(const void *a, int64_t a_step, const void *b, int64_t b_step, int64_t n);

    /* One row of a norm. gain may be NULL, stat points at one r or is NULL. */
    void (*norm)(int32_t kind, void *y, const void *x, const void *gain, void *stat, int64_t n, double eps);
    void (*norm_dx)(int32_t kind, void *dx, const void *x, const void *gain, const void *dy, const void *stat,
                    int64_t n);
    void (*norm_dgain)(void *dgain, const void *x, const void *dy, const void *stat, int64_t n);
    /* fused.h: one row, and n elements; the storage rules are there. */
    void (*add_norm)(void *u, void *y, const void *a, const void *b, const void *gain, void *stat, int64_t n,
                     double eps);
    void (*swiglu_back)(void *y, void *dg, void *du, const void *g, const void *u, const void *dy, int64_t n);
    void (*gelu_back)(void *y, void *dg, const void *g, const void *dy, int64_t n);

    /* wt[l][c] = w[c * w_row + l] for n channels and `taps` taps; wt has rows of LOCI_KERN_WIDE. */
    void (*conv_weights)(void *wt, const void *w, int64_t w_row, int64_t taps, int64_t n);
    /* y[c] = sum over l of wt[l][c] src[l][c], plus y[c] when `add`. */
    void (*conv)(void *y, const void *wt, const void *const *src, int64_t taps, int64_t n, int add);
    /* acc[l][c] += dy[c] src[l][c]; and at the end dw[c * w_row + l] += acc[l][c]. */
    void (*conv_dw)(void *acc, const void *dy, const void *const *src, int64_t taps, int64_t n);
    void (*conv_dw_add)(void *dw, int64_t w_row, const void *acc, int64_t taps, int64_t n);

    /* Sines and cosines of the angles pos freq[i] dir, i < n <= LOCI_KERN_PAIRS. */
    void (*angles)(void *sine, void *cosine, int64_t n, const double *freq, double pos, double dir);
    /* One token: pairs first .. first + n - 1 of every head, channels i and i + rot/2, turned by them. */
    void (*rope)(void *y, int64_t y_head, const void *x, int64_t x_head, int64_t heads, int64_t rot, int64_t first,
                 int64_t n, const void *sine, const void *cosine);
    /* One row; returns the loss. d may be NULL or x. */
    double (*xent)(void *d, const void *x, int64_t n, int64_t target, double scale);
    double (*sumsq)(const void *a, int64_t n);
    void (*adamw)(void *p, const void *g, void *m, void *v, int64_t n, const loci_adamw *step);

    /* C = alpha A B + beta C in one thread; strides of row and column in elements; C's columns are contiguous. */
    void (*gemm)(int64_t M, int64_t N, int64_t K, double alpha, const void *a, int64_t a_row, int64_t a_col,
                 const void *b, int64_t b_row, int64_t b_col, double beta, void *c, int64_t c_row);
    /* The same with a square A of at most LOCI_KERN_LOWER rows, of which the part up to the diagonal counts or, where
     * `transposed`, that from it on; the rest is not read. */
    void (*lower)(int64_t M, int64_t N, bool transposed, double alpha, const void *a, int64_t a_row, int64_t a_col,
                  const void *b, int64_t b_row, int64_t b_col, double beta, void *c, int64_t c_row);
    double gemm_most; /* multiplications of a block up to which it was measured to win over the libraries */
} loci_kern;

/* What an open device uses. */
typedef struct loci_kern_set {
    int level; /* LOCI_CPU_*: the cap for libraries and for the scans too */
    const loci_kern *f32, *f64;
    struct loci_rooms *bf16;        /* not NULL: the operands of products are rounded to bfloat16, in these rooms */
    const struct loci_tiles *tiles; /* and multiplied by these, in place of a library */
} loci_kern_set;

extern const loci_kern loci_kern_f64;
#define LOCI_KERN(isa, need) extern const loci_kern loci_kern_f32_##isa;
#include "core/device/kern.inc"
#undef LOCI_KERN

#endif
