/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/bad: the descriptor says that it was compiled with ThreadSanitizer.
 */
#include <loci/plugin.h>

#define HEAD LOCI_MAGIC, sizeof(loci_plugin), LOCI_ABI_MAJOR, LOCI_ABI_DRAFT, 8 * sizeof(void *), 2, 0
#include "../base.h"
