/* SPDX-License-Identifier: Apache-2.0
 *
 * The tile instructions of AMX in C, so that the kernels are tested where the processor has none. Names and meaning are
 * those of amx_hard.h; the arithmetic is that of Intel's manual for TDPBF16PS: products of the even and of the odd
 * elements of pairs are summed apart from zero in ascending k, each with one rounding, then added to each other and to
 * c; subnormal operands and results are zeros of their sign.
 *
 * Tiles belong to the thread. To use one without a configuration is an error here as it is there, and ends the program.
 */
#ifndef LOCI_ISA_AMX_EMULATED_H
#define LOCI_ISA_AMX_EMULATED_H

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef union amx_tile {
    uint16_t half[16][32];
    uint32_t bits[16][16];
    float value[16][16];
} amx_tile;

static _Thread_local amx_tile amx_tiles[8];
static _Thread_local int amx_configured;

static inline float amx_flush(float x)
{
    return fabsf(x) < 0x1p-126f ? copysignf(0, x) : x;
}

static inline float amx_widen(uint16_t half)
{
    union {
        uint32_t bits;
        float value;
    } wide = {(uint32_t)half << 16};

    return amx_flush(wide.value);
}

static inline void amx_configure(int on)
{
    memset(amx_tiles, 0, sizeof amx_tiles);
    amx_configured = on;
}

static inline amx_tile *amx_at(int t)
{
    if (!amx_configured)
        abort();
    return &amx_tiles[t];
}

static inline void amx_load(int t, const void *at, int64_t stride)
{
    for (int64_t m = 0; m < 16; m++)
        memcpy(amx_at(t)->bits[m], (const char *)at + m * stride, 64);
}

static inline void amx_store(int t, void *at, int64_t stride)
{
    for (int64_t m = 0; m < 16; m++)
        memcpy((char *)at + m * stride, amx_at(t)->bits[m], 64);
}

static inline void amx_product(int to, int left, int right)
{
    amx_tile *c = amx_at(to);
    const amx_tile *a = amx_at(left), *b = amx_at(right);
    float wide[16][32];

    for (int k = 0; k < 16; k++)
        for (int n = 0; n < 32; n++)
            wide[k][n] = amx_widen(b->half[k][n]);
    for (int m = 0; m < 16; m++) {
        float sum[32] = {0};

        for (int k = 0; k < 16; k++)
            for (int n = 0; n < 32; n++)
                sum[n] = amx_flush(fmaf(amx_widen(a->half[m][2 * k + n % 2]), wide[k][n], sum[n]));
        for (int n = 0; n < 16; n++)
            c->value[m][n] = amx_flush(amx_flush(c->value[m][n]) + amx_flush(sum[2 * n] + sum[2 * n + 1]));
    }
}

#define TILE_OPEN() amx_configure(1)
#define TILE_CLOSE() amx_configure(0)
#define TILE_ZERO(t) memset(amx_at(t), 0, sizeof(amx_tile))
#define TILE_LOAD(t, at, stride) amx_load(t, at, stride)
#define TILE_STREAM(t, at, stride) amx_load(t, at, stride)
#define TILE_STORE(t, at, stride) amx_store(t, at, stride)
#define TILE_PRODUCT(c, a, b) \
    do { \
        _Static_assert((c) != (a) && (c) != (b) && (a) != (b), "the processor refuses equal tiles"); \
        amx_product(c, a, b); \
    } while (0)

#endif
