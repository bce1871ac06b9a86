/* SPDX-License-Identifier: Apache-2.0
 *
 * core/bench/fma: for each instruction set a loop of nothing but multiply-adds, one of nothing but loads, and the
 * triad.
 */
#ifndef LOCI_CORE_BENCH_FMA_H
#define LOCI_CORE_BENCH_FMA_H

#include <stdint.h>

#define LOCI_FMA_CHAINS \
    12 /* independent sums: latency times pipes of every CPU so far, in half the registers of AVX2 */

typedef struct loci_fma {
    const char *name;
    int level; /* LOCI_CPU_* it needs */
    int bytes; /* of a register       */
    /* So many rounds, in each a multiply-add a chain and lane; what comes out is finite, and has to be used. */
    double (*f32)(int64_t rounds);
    double (*f64)(int64_t rounds);
    /* The sum of n bytes, a multiple of 512, aligned to 64. */
    double (*read)(const void *from, int64_t n);
    /* a = b + 3 c over n bytes of floats, aligned and a multiple as above. */
    void (*triad)(void *a, const void *b, const void *c, int64_t n);
} loci_fma;

#define LOCI_FMA(isa, need) extern const loci_fma loci_fma_##isa;
#include "core/bench/fma.inc"
#undef LOCI_FMA

#endif
