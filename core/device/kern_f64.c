/* SPDX-License-Identifier: Apache-2.0
 *
 * The float64 table, for any x86-64: gradient checks and the oracle of float32.
 */
#define REAL double
#define REAL_BITS 64
#define TABLE loci_kern_f64
#define TABLE_NAME "f64"
#define TABLE_LEVEL LOCI_CPU_REF
#include "core/device/kern.tmpl"
