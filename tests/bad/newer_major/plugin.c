/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/bad: the note speaks of the next major of the abi.
 */
#include <loci/plugin.h>

#undef LOCI_ABI_NOTE
#define LOCI_ABI_NOTE "abi=2.0\n"
#include "../base.h"
