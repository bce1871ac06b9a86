/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/bad: it needs a library that was there when it was linked and is nowhere now (absent.c).
 */
#include "good.c"

extern int loci_absent(void);
LOCI_EXPORT extern int missing_library(void);
int missing_library(void)
{
    return loci_absent();
}
