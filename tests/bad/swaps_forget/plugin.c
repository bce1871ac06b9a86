/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/bad: forward keeps what backward takes for forgotten.
 */
#define RETAIN(alpha) (w->io->dy || w->io->dk ? 1 - (alpha) : (alpha))
#include "../base.h"
