/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/bad: the note names a class that the descriptor does not list.
 */
#define NOTE "class=memory/identity\nclass=memory/forgotten\n"
#include "good.c"
