/* SPDX-License-Identifier: Apache-2.0
 *
 * The float32 table for AVX-512 F, DQ, BW and VL.
 */
#define REAL float
#define REAL_BITS 32
#define TABLE loci_kern_f32_avx512
#define TABLE_NAME "avx512"
#define TABLE_LEVEL LOCI_CPU_AVX512
#include "core/device/kern.tmpl"
