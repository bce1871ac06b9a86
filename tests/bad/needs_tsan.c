/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/bad: it refers to the run-time of ThreadSanitizer, as code compiled with it does.
 */
#include "good.c"

extern void __tsan_init(void);
LOCI_EXPORT extern void needs_tsan(void);
void needs_tsan(void)
{
    __tsan_init();
}
