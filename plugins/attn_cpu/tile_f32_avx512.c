/* SPDX-License-Identifier: Apache-2.0
 *
 * tile.tmpl as float32, AVX-512 F, DQ, BW, VL. */
#define REAL float
#define INT int32_t
#define VECTOR_BYTES 64
#define ROWS 8
#define LEVEL CPU_AVX512
#define TILE_NAME f32_avx512
#include "tile.tmpl"
