/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/bad: a sink gets no gradient.
 */
#define D_SINK(d) (0 * (d))
#include "../attention.h"
