/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/bad: the default of a key lies outside its range.
 */
#include <loci/plugin.h>

static const loci_key chunk = {.struct_size = sizeof chunk, .type = LOCI_KEY_INT, .name = "chunk", .def = "256",
                               .help = "Tokens of a chunk.", .min = 1, .max = 128};
#define EXTRA_KEY &chunk
#include "../base.h"
