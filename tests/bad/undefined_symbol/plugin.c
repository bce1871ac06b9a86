/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/bad: it calls a function that nothing defines; linked with -z defs this would not have passed.
 */
#include "../base.h"

extern int loci_defined_nowhere(void);
static int __attribute__((used)) needs_it(void)
{
    return loci_defined_nowhere();
}
