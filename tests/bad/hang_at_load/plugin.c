/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/bad: its start-up code waits for what never comes.
 */
#include "../base.h"

#include <unistd.h>

static void __attribute__((constructor)) start(void)
{
    for (;;)
        pause();
}
