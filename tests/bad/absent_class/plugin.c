/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/bad: the note names a class that the descriptor does not list.
 */
#define NOTE "class=memory/momentum\nclass=memory/forgotten\n"
#include "../base.h"
