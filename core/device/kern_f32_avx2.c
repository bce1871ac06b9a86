/* SPDX-License-Identifier: Apache-2.0
 *
 * The float32 table for AVX2 with FMA.
 */
#define REAL float
#define REAL_BITS 32
#define TABLE loci_kern_f32_avx2
#define TABLE_NAME "avx2"
#define TABLE_LEVEL LOCI_CPU_AVX2
#include "core/device/kern.tmpl"
