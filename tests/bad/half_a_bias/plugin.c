/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/bad: a bias gets half of its gradient.
 */
#define D_BIAS(ds) (0.5 * (ds))
#include "../attention.h"
