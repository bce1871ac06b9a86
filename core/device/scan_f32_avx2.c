/* SPDX-License-Identifier: Apache-2.0
 *
 * The recurrences in f32, compiled for AVX2 with FMA. See scan_kernel.tmpl.
 */
#define REAL float
#define REAL_BITS 32
#define NAME(f) f##_avx2
#define VEC_BYTES 32
#define REGISTERS 16
#define KERNEL loci_scan_f32__avx2
#include "core/device/scan_kernel.tmpl"
