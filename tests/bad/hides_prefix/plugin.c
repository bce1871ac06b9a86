/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/bad: the last key of a prefix is as the others.
 */
#define BEFORE(prefix) ((prefix)-1)
#include "../attention.h"
