/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/bad: it refers to the run-time of ThreadSanitizer, as code compiled with it does.
 */
#include "../base.h"

extern void __tsan_init(void);
static int __attribute__((used)) needs_it(void)
{
    __tsan_init();
    return 0;
}
