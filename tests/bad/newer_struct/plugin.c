/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/bad: the note is right, but the descriptor was compiled with another draft.
 */
#include <loci/plugin.h>

#define HEAD LOCI_MAGIC, sizeof(loci_plugin), LOCI_ABI_MAJOR, 999, 8 * sizeof(void *), LOCI_SAN, 0
#include "../base.h"
