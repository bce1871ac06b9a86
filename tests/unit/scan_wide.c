/* SPDX-License-Identifier: Apache-2.0
 *
 * The recurrences in f32 as they are for registers of 16 lanes (core/device/scan_f32_avx512.c), for any machine: the
 * text has no intrinsics, and a compiler splits vectors that are too long for its registers.
 */
#define REAL float
#define REAL_BITS 32
#define NAME(f) f##_wide
#define VEC_BYTES 64
#define REGISTERS 32
#define KERNEL loci_scan_f32__wide
#include "core/device/scan_kernel.tmpl"
