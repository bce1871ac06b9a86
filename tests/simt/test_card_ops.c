/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/unit/test_ops.c on the card that runs on the host: see card.h.
 */
#define CK_CARD 1
#include "tests/unit/test_ops.c"
