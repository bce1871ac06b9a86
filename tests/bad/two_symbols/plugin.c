/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/bad: it exports a helper beside its descriptor.
 */
#include "../base.h"

LOCI_EXPORT extern int helper(void);
int helper(void)
{
    return 1;
}
