/* SPDX-License-Identifier: Apache-2.0
 *
 * tile.tmpl as float32, AVX2 and FMA. */
#include <immintrin.h>

#define REAL float
#define INT int32_t
#define LANES 8
#define ROWS 4
#define STEPS 4
#define COLS 3
#define EXPS 4
#define AGAIN 1
#define LARGER(a, b) ((vec)_mm256_max_ps((__m256)(a), (__m256)(b)))
#define HELD(v) __asm__("" : "+x"(v))
#define LEVEL CPU_AVX2
#define TILE_NAME f32_avx2
#include "tile.tmpl"
