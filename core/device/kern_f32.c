/* SPDX-License-Identifier: Apache-2.0
 *
 * The float32 table for any x86-64.
 */
#define REAL float
#define REAL_BITS 32
#define TABLE loci_kern_f32_ref
#define TABLE_NAME "ref"
#define TABLE_LEVEL LOCI_CPU_REF
#include "core/device/kern.tmpl"
