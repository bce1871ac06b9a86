/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/bad: its start-up code switches the loading thread to flush-to-zero, as -ffast-math does when linking.
 */
#include "../base.h"

#if defined(__x86_64__)
#include <xmmintrin.h>

static void __attribute__((constructor)) start(void)
{
    _mm_setcsr(_mm_getcsr() | 0x8040u);
}
#endif
