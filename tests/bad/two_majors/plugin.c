/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/bad: nothing is wrong: it serves a host of this major and one of the next.
 */
#include "../base.h"

LOCI_EXPORT extern const char loci_plugin_v2[];
const char loci_plugin_v2[] = "what the next host would read";
