/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/bad: it needs a library that was there when it was linked and is nowhere now (absent.c).
 */
#include "../base.h"

extern int loci_absent(void);
static int __attribute__((used)) needs_it(void)
{
    return loci_absent();
}
