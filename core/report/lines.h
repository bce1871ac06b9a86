/* SPDX-License-Identifier: Apache-2.0
 *
 * core/report: a file as lines of bounded length. Private to this folder.
 */
#ifndef LOCI_CORE_REPORT_LINES_H
#define LOCI_CORE_REPORT_LINES_H

#include "core/report/log.h"

/* One line: text without its newline, NUL-terminated; its length; where it begins in the file; whole: a newline ends
 * it; fits: not longer than LOCI_MAX_LOG_LINE (else text is only its end). Returning other than LOCI_OK ends the
 * reading; LOCI_LINES_ENOUGH does so without a failure. */
typedef struct loci_line_at {
    char *text;
    size_t n;
    uint64_t begin, number;
    bool whole, fits;
} loci_line_at;
#define LOCI_LINES_ENOUGH 1
typedef loci_status (*loci_lines_fn)(void *arg, const loci_line_at *line, loci_error *err);
loci_status loci__lines_each(int fd, const char *path, loci_lines_fn fn, void *arg, loci_error *err);

/* The object of a line, or NULL with a message in err. */
json_t *loci__line_parse(const loci_line_at *line, const char *path, loci_error *err);

#endif
