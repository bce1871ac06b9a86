/* SPDX-License-Identifier: Apache-2.0
 *
 * amx.tmpl and amx_back.tmpl on a processor with AMX. */
#include "../../isa/amx_hard.h"
#define AMX_NAME bf16_amx
#include "amx_rows.h"
#include "amx.tmpl"
#include "amx_back.tmpl"
