/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/bad: its start-up code greets on standard output.
 */
#include "../base.h"

static void __attribute__((constructor)) start(void)
{
    puts("momentum 1.0 loaded");
}
