/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/bad: keys are read up to their length, that one included.
 */
#define LENGTH(len) ((len) + 1)
#include "../attention.h"
