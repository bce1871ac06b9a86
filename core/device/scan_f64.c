/* SPDX-License-Identifier: Apache-2.0
 *
 * The recurrences in f64, for any CPU: the form that gradients are checked in. See scan_kernel.tmpl.
 */
#define REAL double
#define REAL_BITS 64
#define NAME(f) f##_f64
#define VEC_BYTES 16
#define REGISTERS 16
#define KERNEL loci_scan_f64__ref
#include "core/device/scan_kernel.tmpl"
