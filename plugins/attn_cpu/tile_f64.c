/* SPDX-License-Identifier: Apache-2.0
 *
 * tile.tmpl as float64, for any CPU. */
#define REAL double
#define INT int64_t
#define LANES 2
#define ROWS 4
#define LEVEL CPU_REF
#define TILE_NAME f64
#include "tile.tmpl"
