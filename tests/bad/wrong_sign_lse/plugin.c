/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/bad: lse is stored with the wrong sign.
 */
#define LSE_OUT(lse) (-(lse))
#define LSE_IN(lse) (-(lse))
#include "../attention.h"
