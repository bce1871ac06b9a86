/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/bad: its start-up code computes for most of a second.
 */
#include "../base.h"

#include <time.h>

static void __attribute__((constructor)) start(void)
{
    const clock_t begin = clock();

    while (clock() - begin < CLOCKS_PER_SEC * 6 / 10)
        ;
}
