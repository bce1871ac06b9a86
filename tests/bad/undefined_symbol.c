/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/bad: it calls a function that nothing defines; linked with -z defs this would not have passed.
 */
#include "good.c"

extern int loci_defined_nowhere(void);
LOCI_EXPORT extern int undefined_symbol(void);
int undefined_symbol(void)
{
    return loci_defined_nowhere();
}
