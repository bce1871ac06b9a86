/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/bad: the interface has no forward.
 */
#define IFACE_FORWARD NULL
#include "../base.h"
