/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/bad: its start-up code crashes.
 */
#include "../base.h"

#include <signal.h>

static void __attribute__((constructor)) start(void)
{
    raise(SIGSEGV);
}
