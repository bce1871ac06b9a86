/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/bad: nothing is wrong: the base of the attentions.
 */
#include "../attention.h"
