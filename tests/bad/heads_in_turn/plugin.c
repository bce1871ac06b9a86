/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/bad: heads of q take those of k in turn.
 */
#define KEY_HEAD(h) ((h) % p->Hk)
#include "../attention.h"
