/* SPDX-License-Identifier: Apache-2.0
 *
 * Which bf16 instructions this process may use.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif
#include "core/bench/dot.h"
#include "core/device/cpu.h"

#if defined(__x86_64__)
#include <cpuid.h>

/* Leaf 7, subleaf 1: AVX512-BF16 is bit 5 of eax. */
static bool has_dot(void)
{
    unsigned a = 0, b = 0, c = 0, d = 0;

    return __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a >> 5 & 1);
}
#else
static bool has_dot(void)
{
    return false;
}
#endif

/* `level` has asked the processor, the system and LOCI_CPU for the tiles. */
bool loci__dot_runs(enum loci_dot_need need, int level)
{
    return need == LOCI_DOT_AMX ? level >= LOCI_CPU_AMX : level >= LOCI_CPU_AVX512 && has_dot();
}
