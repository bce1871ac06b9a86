/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/bad: the interface has no forward.
 */
#define FORWARD 0
#include "good.c"
