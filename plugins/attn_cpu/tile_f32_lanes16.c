/* SPDX-License-Identifier: Apache-2.0
 *
 * tile.tmpl as float32 with the vectors of AVX-512, for processors without: the compiler makes two or four of each.
 * Only tests have it, in place of tile_f32_avx512.c, so that they walk its text everywhere. */
#define REAL float
#define INT int32_t
#define LANES 16
#define ROWS 8
#define EXPS 4
#ifdef __AVX2__
#define LEVEL CPU_AVX2
#else
#define LEVEL CPU_REF
#endif
#define TILE_NAME f32_lanes16
#include "tile.tmpl"
