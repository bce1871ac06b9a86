/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/bad: a window is one key wider than the descriptor says.
 */
#define LEFT(window) ((window) + 1)
#include "../attention.h"
