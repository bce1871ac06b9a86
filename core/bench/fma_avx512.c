/* SPDX-License-Identifier: Apache-2.0
 *
 * What a CPU can do with AVX-512.
 */
#define WIDTH 64
#define TABLE loci_fma_avx512
#define TABLE_NAME "avx512"
#define TABLE_LEVEL LOCI_CPU_AVX512
#include "core/bench/fma.tmpl"
