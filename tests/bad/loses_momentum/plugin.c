/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/bad: momentum is lost every eight tokens of a call.
 */
#define MOMENTUM(eta, p) (t > 0 && t % 8 == 0 ? 0 : (eta))
#include "../base.h"
