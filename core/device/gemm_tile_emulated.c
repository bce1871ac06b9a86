/* SPDX-License-Identifier: Apache-2.0
 *
 * gemm_tile.tmpl with its tile instructions emulated, for tests. */
#include "isa/amx_emulated.h"
#define TILE_TABLE loci_tiles_emulated
#include "core/device/gemm_tile.tmpl"
