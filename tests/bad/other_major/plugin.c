/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/bad: it exports the entry of another major only.
 */
#define ENTRY loci_plugin_v2
#include "../base.h"
