/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/bad: keys that a query does not see are multiplied by 0, which keeps what is no number.
 */
#define WEIGHTED(P, v) ((P) * (v))
#include "../attention.h"
