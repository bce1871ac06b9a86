/* SPDX-License-Identifier: Apache-2.0
 *
 * What a CPU can do with baseline x86-64, or whatever a vector of 16 bytes becomes elsewhere.
 */
#define WIDTH 16
#define TABLE loci_fma_ref
#define TABLE_NAME "ref"
#define TABLE_LEVEL LOCI_CPU_REF
#include "core/bench/fma.tmpl"
