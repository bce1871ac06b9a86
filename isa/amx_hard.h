/* SPDX-License-Identifier: Apache-2.0
 *
 * The tile instructions of AMX, as the processor has them; amx_emulated.h is the same in C. A tile is 16 rows of 64
 * bytes, always: what is smaller is padded in memory. Tile numbers are literals, and those of a product differ.
 *
 * Not the compiler's intrinsics: GCC 12's name only 8 of the 64 bytes that ldtilecfg reads and no memory that tileloadd
 * does, so stores before them may be dropped or moved.
 */
#ifndef LOCI_ISA_AMX_HARD_H
#define LOCI_ISA_AMX_HARD_H

#include <stdint.h>

typedef struct amx_config {
    uint8_t palette, start_row, reserved[14];
    uint16_t bytes[16];
    uint8_t rows[16];
} amx_config;

#define TILE_OPEN() \
    do { \
        amx_config config_ = {.palette = 1}; \
        for (int t_ = 0; t_ < 8; t_++) { \
            config_.bytes[t_] = 64; \
            config_.rows[t_] = 16; \
        } \
        __asm__ volatile("ldtilecfg %0" : : "m"(config_)); \
    } while (0)
#define TILE_CLOSE() __asm__ volatile("tilerelease" : : : "memory")
#define TILE_ZERO(t) __asm__ volatile("tilezero %%tmm" #t : :)
/* Rows at a distance of stride bytes. STREAM: to be read once. */
#define TILE_LOAD(t, at, stride) \
    __asm__ volatile("tileloadd (%0,%1,1), %%tmm" #t : : "r"(at), "r"((int64_t)(stride)) : "memory")
#define TILE_STREAM(t, at, stride) \
    __asm__ volatile("tileloaddt1 (%0,%1,1), %%tmm" #t : : "r"(at), "r"((int64_t)(stride)) : "memory")
#define TILE_STORE(t, at, stride) \
    __asm__ volatile("tilestored %%tmm" #t ", (%0,%1,1)" : : "r"(at), "r"((int64_t)(stride)) : "memory")
/* c[m][n] += sum over k of a[m][2 k] b[k][2 n] + a[m][2 k + 1] b[k][2 n + 1], bf16 into f32. */
#define TILE_PRODUCT(c, a, b) __asm__ volatile("tdpbf16ps %%tmm" #b ", %%tmm" #a ", %%tmm" #c : :)

#endif
