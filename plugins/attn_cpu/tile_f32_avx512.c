/* SPDX-License-Identifier: Apache-2.0
 *
 * tile.tmpl as float32, AVX-512 F, DQ, BW, VL. */
#include <immintrin.h>

#define REAL float
#define INT int32_t
#define LANES 16
#define ROWS 8
#define EXPS 4
#define LARGER(a, b) ((vec)_mm512_max_ps((__m512)(a), (__m512)(b)))
#define LEVEL CPU_AVX512
#define TILE_NAME f32_avx512
#include "tile.tmpl"
