/* SPDX-License-Identifier: Apache-2.0
 *
 * Which bf16 instructions this process may use. Tiles have registers so large that Linux gives them only to a process
 * that has asked (Documentation/arch/x86/xstate.rst); until then their first use is a signal.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif
#include "core/bench/dot.h"
#include "core/device/cpu.h"
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ASK_FOR_STATE 0x1023 /* ARCH_REQ_XCOMP_PERM of arch_prctl */
#define TILE_DATA 18         /* the state component               */

/* Leaf 7, subleaf 0: AMX-BF16 is bit 22 of edx, AMX-TILE bit 24; leaf 7, subleaf 1: AVX512-BF16 is bit 5 of eax. */
static bool cpu_has(enum loci_dot_need need)
{
    unsigned a = 0, b = 0, c = 0, d = 0;

    if (!__get_cpuid_count(7, need == LOCI_DOT_AVX512BF16, &a, &b, &c, &d))
        return false;
    return need == LOCI_DOT_AVX512BF16 ? (a >> 5 & 1) : (d >> 22 & 1) && (d >> 24 & 1);
}

static bool system_gives(enum loci_dot_need need)
{
    return need != LOCI_DOT_AMX || syscall(SYS_arch_prctl, ASK_FOR_STATE, TILE_DATA) == 0;
}
#else
static bool cpu_has(enum loci_dot_need need)
{
    (void)need;
    return false;
}
static bool system_gives(enum loci_dot_need need)
{
    (void)need;
    return false;
}
#endif

/* Below avx512 LOCI_CPU forbids both, at avx512 the tiles. Whether `level` ever says amx is the device's affair. */
static bool cap_allows(enum loci_dot_need need, int level)
{
    const char *cap = getenv("LOCI_CPU");

    return level >= LOCI_CPU_AVX512 && (need != LOCI_DOT_AMX || !cap || strcmp(cap, "avx512") != 0);
}

bool loci__dot_runs(enum loci_dot_need need, int level)
{
    return cap_allows(need, level) && cpu_has(need) && system_gives(need);
}
