/* SPDX-License-Identifier: Apache-2.0
 *
 * The recurrences in f32, compiled for AVX-512 F, DQ, BW and VL. See scan_kernel.tmpl.
 */
#define REAL float
#define REAL_BITS 32
#define NAME(f) f##_avx512
#define VEC_BYTES 64
#define REGISTERS 32
#define KERNEL loci_scan_f32__avx512
#include "core/device/scan_kernel.tmpl"
