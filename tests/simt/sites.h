/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/simt/sites.h: the lines that wait.
 */
#ifndef LOCI_SIMT_SITES_H
#define LOCI_SIMT_SITES_H

/* Notes that this line ran; true where it is to be left out. */
int simt_skipped(const char *what, const char *file, int line);

#endif
