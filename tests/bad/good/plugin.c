/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/bad: nothing is wrong: the base itself, which every other plugin of this folder spoils in one way.
 */
#include "../base.h"
