/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/bad: a query that sees nothing divides 0 by 0.
 */
#define EMPTY(top) 0
#include "../attention.h"
