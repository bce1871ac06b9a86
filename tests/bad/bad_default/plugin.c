/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/bad: the default of a key does not parse.
 */
#include <loci/plugin.h>

static const loci_key chunk = {
    .struct_size = sizeof chunk, .type = LOCI_KEY_INT, .name = "chunk", .def = "many", .help = "tokens per chunk"};
static const loci_key *const keys[] = {&chunk};
#define KEYS .n_keys = 1, .keys = keys
#include "../base.h"
