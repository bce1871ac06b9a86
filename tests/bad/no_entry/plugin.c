/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/bad: it has a note but exports nothing.
 */
#define ENTRY loci_hidden
#include "../base.h"
