/* SPDX-License-Identifier: Apache-2.0
 *
 * core/report: text through another program. Private to this folder.
 */
#ifndef LOCI_CORE_REPORT_PIPE_H
#define LOCI_CORE_REPORT_PIPE_H

#include "core/base/base.h"

/* Start argv[0] (looked up in PATH), write n bytes to its standard input, append its standard output to out. Errors:
 * LOCI_E_UNSUPPORTED when there is no such program; LOCI_E_INTERNAL, with the first line of its standard error, when it
 * fails, takes longer than limit_s seconds (it is killed) or writes more than 64 MiB; LOCI_E_NOMEM. */
loci_status loci__pipe_through(loci_text *out, const char *const *argv, const char *bytes, size_t n, double limit_s,
                               loci_error *err);

#endif
