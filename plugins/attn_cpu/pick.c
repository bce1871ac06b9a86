/* SPDX-License-Identifier: Apache-2.0
 *
 * Which kernel this machine runs. LOCI_CPU caps the choice as it does for the device: ref, avx2, avx512 or amx; the
 * device refuses other values, so here they mean no cap.
 */
#include <stdlib.h>
#include <string.h>

#include "tile.h"

const tile_ops *attn_cpu_tile_only;

int tile_machine(void)
{
#if defined(__x86_64__)
    int avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");

    if (avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl"))
        return CPU_AVX512;
    if (avx2)
        return CPU_AVX2;
#endif
    return CPU_REF;
}

int tile_cap(void)
{
    static const char *const names[] = {"ref", "avx2", "avx512"};
    const char *cap = secure_getenv("LOCI_CPU");

    for (int level = CPU_REF; cap && level < CPU_AMX; level++)
        if (strcmp(cap, names[level]) == 0)
            return level;
    return CPU_AMX;
}

const tile_ops *tile_pick(void)
{
    static const tile_ops *const all[] = {
#define TILE(name, level) &attn_cpu_tile_##name,
#include "tile.inc"
#undef TILE
    };
    int level = tile_machine(), most = tile_cap();
    const tile_ops *best = all[0];

    if (attn_cpu_tile_only)
        return attn_cpu_tile_only;
    level = level < most ? level : most;
    for (size_t n = 0; n < sizeof all / sizeof *all; n++)
        if (all[n]->level <= level)
            best = all[n];
    return best;
}
