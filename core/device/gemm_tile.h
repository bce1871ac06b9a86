/* SPDX-License-Identifier: Apache-2.0
 *
 * core/device/gemm_tile: C = alpha op(A) op(B) + beta C whose operands are rounded to bfloat16, by tiles of AMX.
 *
 *  (1) Each thread packs for itself, into a room: numbers that another core has just written are slow to come by. It
 *      keeps the shorter side of the product packed, and for each job packs a strip of the longer one and multiplies.
 *      Jobs are taken from counters until there are none.
 *  (2) What is packed is cut into panels of 32 rows of op(A), or of 32 columns of op(B), and those into steps of 32
 *      along the sum. A step is two tiles of 1 KB, 16 rows of A or 16 columns of B each:
 *
 *          a[panel][step][tile][row][k]                    k < 32
 *          b[panel][step][tile][k / 2][column][k % 2]      two of k are a dword
 *
 *      Rows, columns and k that are not there are zeros on both sides.
 *  (3) A square of C is the product of two panels. Where K is longer than a room holds, or than 32 steps, it goes in
 *      rounds, each added to C in order, with all threads done before the next. Sizes alone decide the rounds, so the
 *      bits of a square do not depend on who computes it.
 */
#ifndef LOCI_CORE_DEVICE_GEMM_TILE_H
#define LOCI_CORE_DEVICE_GEMM_TILE_H

#include "core/device/room.h"
#include "core/device/walk.h"
#include <loci/ops.h>

#include <stdbool.h>

#define LOCI_TILE_SIDE 32                                /* of a panel, a step and a square */
#define LOCI_TILE_STEP (LOCI_TILE_SIDE * LOCI_TILE_SIDE) /* numbers of a step of a panel */
#define LOCI_TILE_ROOM ((size_t)3 << 20)                 /* bytes */
#define LOCI_TILE_ROOM_LEAST ((size_t)128 << 10)

/* Panels of A against panels of B, `pitch` numbers from panel to panel in both. */
typedef struct loci_tile_block {
    const uint16_t *a, *b;
    int64_t pitch, steps;
    int64_t M, N; /* rows and columns of C */
    float *c;
    int64_t c_row;
    float alpha, beta;
} loci_tile_block;

/* gemm_tile.tmpl, on the processor or emulated. */
typedef struct loci_tiles {
    void (*open)(void), (*close)(void); /* around multiply, in its thread */
    /* n vectors x k numbers of each, as (2): x[i row + l col] is number l of vector i; row or col is 1. */
    void (*pack)(uint16_t *to, int64_t pitch, const float *x, int64_t row, int64_t col, int64_t n, int64_t k, bool b);
    void (*multiply)(const loci_tile_block *);
} loci_tiles;

extern const loci_tiles loci_tiles_amx; /* where files for AMX are compiled; needs LOCI_CPU_AMX */

/* Strides in elements; row or column of A and of B is 1, and columns of C are contiguous. */
typedef struct loci_tile_product {
    int64_t M, N, K;
    int64_t a_row, a_col, b_row, b_col, c_row;
    const loci_walk *batch; /* of A, B, C; strides in bytes */
    const char *a, *b;
    char *c;
    float alpha, beta;
} loci_tile_product;

/* rooms have LOCI_TILE_ROOM_LEAST bytes or more. */
loci_status loci_gemm_tiles(const loci_exec *x, const loci_tiles *tiles, loci_rooms *rooms,
                            const loci_tile_product *product);

#endif
