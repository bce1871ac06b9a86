/* SPDX-License-Identifier: Apache-2.0
 *
 * What a CPU can do with tdpbf16ps: a tile of 16 x 16 float32 sums, to which the product of 16 x 32 and 32 x 16 bf16
 * numbers is added.
 *
 *     tiles 0 1 2 3   sums: A B, -A B, A B', -A B'        tiles 4 5   A, -A        tiles 6 7   B, B'
 *
 * Four sums hide the latency of a product. Odd rounds add and even ones take back, so that no sum ever leaves the
 * numbers it began between; all are exact. A row of A holds the bf16 numbers 1 to 32; B is 1/4 everywhere and B' 1/2.
 *
 * The sum that is returned is that of tile 0 alone.
 */
#include "core/bench/dot.h"
#include <immintrin.h>
#include <string.h>

#define ROWS 16
#define PAIRS 16 /* of bf16 numbers in a row of 64 bytes */

struct config {
    uint8_t palette, start, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
} __attribute__((aligned(64)));

/* A small whole number or quarter is a bf16 number: the upper half of its float32. */
static uint16_t bf16(float x)
{
    uint32_t bits;

    memcpy(&bits, &x, sizeof bits);
    return (uint16_t)(bits >> 16);
}

static void open_tiles(void)
{
    struct config c;

    memset(&c, 0, sizeof c);
    c.palette = 1;
    for (int i = 0; i < 8; i++) {
        c.row_bytes[i] = 64;
        c.rows[i] = ROWS;
    }
    /* The intrinsic names 8 bytes as what it reads; without the barrier the rest of c need not be in memory. */
    __asm__ volatile("" : : "r"(&c) : "memory");
    _tile_loadconfig(&c);
}

static double loop(int64_t rounds)
{
    uint16_t a[ROWS][2 * PAIRS], minus_a[ROWS][2 * PAIRS], b[ROWS][2 * PAIRS], b2[ROWS][2 * PAIRS];
    float c[ROWS][16];
    double sum = 0;

    for (int i = 0; i < ROWS; i++)
        for (int k = 0; k < 2 * PAIRS; k++) {
            a[i][k] = bf16((float)(k + 1));
            minus_a[i][k] = bf16((float)-(k + 1));
            b[i][k] = bf16(0.25f);
            b2[i][k] = bf16(0.5f);
        }
    open_tiles();
    __asm__ volatile("" : : "r"(a), "r"(minus_a), "r"(b), "r"(b2) : "memory");
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    _tile_loadd(4, a, 64);
    _tile_loadd(5, minus_a, 64);
    _tile_loadd(6, b, 64);
    _tile_loadd(7, b2, 64);
    for (int64_t k = 0; k + 1 < rounds; k += 2) {
        _tile_dpbf16ps(0, 4, 6);
        _tile_dpbf16ps(1, 5, 6);
        _tile_dpbf16ps(2, 4, 7);
        _tile_dpbf16ps(3, 5, 7);
        _tile_dpbf16ps(0, 5, 6);
        _tile_dpbf16ps(1, 4, 6);
        _tile_dpbf16ps(2, 5, 7);
        _tile_dpbf16ps(3, 4, 7);
    }
    if (rounds % 2) {
        _tile_dpbf16ps(0, 4, 6);
        _tile_dpbf16ps(1, 5, 6);
        _tile_dpbf16ps(2, 4, 7);
        _tile_dpbf16ps(3, 5, 7);
    }
    _tile_stored(0, c, 64);
    __asm__ volatile("" : : "r"(c) : "memory");
    _tile_release();
    for (int i = 0; i < ROWS; i++)
        for (int j = 0; j < 16; j++)
            sum += (double)c[i][j];
    return sum;
}

const loci_dot loci_dot_amx = {"tdpbf16ps", LOCI_DOT_AMX, 4 * 2.0 * 16 * 16 * 32, 0, 16 * 16 * 132, loop};
