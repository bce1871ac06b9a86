/* SPDX-License-Identifier: Apache-2.0
 *
 * The recurrences in f32, compiled for AVX2 with FMA. See scan_kernel.tmpl.
 */
#define REAL float
#define NAME(f) f##_avx2
#define EXP(x) expf(x)
#define VECTOR_BYTES 32
#define KERNEL loci_scan_f32__avx2
#include "core/device/scan_kernel.tmpl"
