/* SPDX-License-Identifier: Apache-2.0
 *
 * tile.tmpl as float32, for any CPU. */
#define REAL float
#define INT int32_t
#define LANES 4
#define ROWS 4
#define LEVEL CPU_REF
#define TILE_NAME f32
#include "tile.tmpl"
