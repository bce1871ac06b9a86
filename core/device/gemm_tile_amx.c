/* SPDX-License-Identifier: Apache-2.0
 *
 * gemm_tile.tmpl on a processor with AMX. */
#include "isa/amx_hard.h"
#define TILE_TABLE loci_tiles_amx
#include "core/device/gemm_tile.tmpl"
