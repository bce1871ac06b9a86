/* SPDX-License-Identifier: Apache-2.0
 *
 * core/bench/dot: loops of nothing but bf16 products added up in float32, one for each instruction that does that.
 *
 * A CPU that has such an instruction does not promise that it is faster than a float32 multiply-add, nor that the
 * operating system lets it be used: loci__dot_runs asks both, and what is fastest is for peak.c to find out.
 */
#ifndef LOCI_CORE_BENCH_DOT_H
#define LOCI_CORE_BENCH_DOT_H

#include <stdbool.h>
#include <stdint.h>

enum loci_dot_need { LOCI_DOT_AVX512BF16, LOCI_DOT_AMX };

typedef struct loci_dot {
    const char *name; /* of the instruction              */
    enum loci_dot_need need;
    double ops;       /* of a round                      */
    double even, odd; /* what so many rounds come to     */
    double (*bf16)(int64_t rounds);
} loci_dot;

#define LOCI_DOT(name) extern const loci_dot loci_dot_##name;
#include "core/bench/dot.inc"
#undef LOCI_DOT

/* May this process use the instruction: CPU, operating system and LOCI_CPU (`level`, LOCI_CPU_*) all agree. */
bool loci__dot_runs(enum loci_dot_need need, int level);

#endif
