/* SPDX-License-Identifier: Apache-2.0
 *
 * amx.tmpl and amx_back.tmpl with their tile instructions emulated, for tests. */
#include "../../isa/amx_emulated.h"
#define AMX_NAME bf16_amx_emulated
#include "amx_rows.h"
#include "amx.tmpl"
#include "amx_back.tmpl"
