/* SPDX-License-Identifier: Apache-2.0
 *
 * The recurrences in f32, for any CPU. See scan_kernel.tmpl.
 */
#define REAL float
#define NAME(f) f##_f32
#define EXP(x) expf(x)
#define VECTOR_BYTES 16
#define KERNEL loci_scan_f32__ref
#include "core/device/scan_kernel.tmpl"
