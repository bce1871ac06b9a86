/* SPDX-License-Identifier: Apache-2.0
 */
#include "tests/ck.h"
CK_MAIN("deep_more", SUITE)
