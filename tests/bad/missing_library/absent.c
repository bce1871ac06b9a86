/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/bad: the library that missing_library.c is linked to, and that no search finds.
 */
__attribute__((visibility("default"))) extern int loci_absent(void);
int loci_absent(void)
{
    return 1;
}
