/* SPDX-License-Identifier: Apache-2.0
 *
 * The recurrences in f32, for any CPU. See scan_kernel.tmpl.
 */
#define REAL float
#define REAL_BITS 32
#define NAME(f) f##_f32
#define VEC_BYTES 16
#define REGISTERS 16
#define KERNEL loci_scan_f32__ref
#include "core/device/scan_kernel.tmpl"
