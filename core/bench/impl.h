/* SPDX-License-Identifier: Apache-2.0
 *
 * core/bench: what its files share.
 */
#ifndef LOCI_CORE_BENCH_IMPL_H
#define LOCI_CORE_BENCH_IMPL_H

#include "core/bench/bench.h"
#include "core/bench/dot.h"
#include "core/bench/fma.h"
#include <time.h>

/* The loops of the best instruction set that this machine has and LOCI_CPU allows. */
loci_status loci__bench_fma(const loci_fma **out, loci_error *err);

/* clock.c: the CPU time of every thread there is when it is opened, together. */
#define LOCI_CPU_CLOCKS 1024
typedef struct loci_cpu_clock {
    uint32_t n;
    clockid_t at[LOCI_CPU_CLOCKS];
} loci_cpu_clock;
void loci__cpu_clock_open(loci_cpu_clock *c);
double loci__cpu_clock_read(const loci_cpu_clock *c);

/* expr.c: the value of an expression of names; NaN when it is none. A name that is unknown is NaN. */
typedef struct loci_names {
    double (*value)(void *arg, const char *name, size_t n);
    double (*seen)(void *arg, double back);
    void *arg;
} loci_names;
double loci__expr(const char *text, size_t n, const loci_names *names);

/* cost.c: operations of one token, forward; 0: its class does not say. */
double loci__bench_token_flops(const loci_node *n, const loci_bench_size *z);

#endif
