/* SPDX-License-Identifier: Apache-2.0
 *
 * core/bench: what its files share.
 */
#ifndef LOCI_CORE_BENCH_IMPL_H
#define LOCI_CORE_BENCH_IMPL_H

#include "core/bench/bench.h"
#include "core/bench/fma.h"

/* The loops of the best instruction set that this machine has and LOCI_CPU allows. */
loci_status loci__bench_fma(const loci_fma **out, loci_error *err);

double loci__cpu_seconds(void); /* of this process, all threads */

#endif
