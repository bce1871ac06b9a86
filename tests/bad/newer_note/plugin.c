/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/bad: the note speaks of a draft that does not exist yet.
 */
#include <loci/plugin.h>

#undef LOCI_ABI_NOTE
#define LOCI_ABI_NOTE "abi=1.draft.999\n"
#include "../base.h"
