/* SPDX-License-Identifier: Apache-2.0
 *
 * tile.tmpl as float32, AVX2 and FMA. */
#define REAL float
#define INT int32_t
#define VECTOR_BYTES 32
#define ROWS 4
#define LEVEL CPU_AVX2
#define TILE_NAME f32_avx2
#include "tile.tmpl"
