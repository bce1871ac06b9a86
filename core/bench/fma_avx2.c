/* SPDX-License-Identifier: Apache-2.0
 *
 * What a CPU can do with AVX2 and FMA.
 */
#define WIDTH 32
#define TABLE loci_fma_avx2
#define TABLE_NAME "avx2"
#define TABLE_LEVEL LOCI_CPU_AVX2
#include "core/bench/fma.tmpl"
