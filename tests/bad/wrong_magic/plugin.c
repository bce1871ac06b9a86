/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/bad: the descriptor begins with another number.
 */
#include <loci/plugin.h>

#define HEAD 0x12345678u, sizeof(loci_plugin), LOCI_ABI_MAJOR, LOCI_ABI_DRAFT, 8 * sizeof(void *), LOCI_SAN, 0
#include "../base.h"
