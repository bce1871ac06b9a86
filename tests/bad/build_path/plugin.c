/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/bad: it looks for libraries in a folder of the machine it was linked on (local.mk).
 */
#include "../base.h"
