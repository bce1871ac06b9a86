/* SPDX-License-Identifier: Apache-2.0
 *
 * core/report: the log of a run, log.jsonl: one JSON object per line, the truth about the run.
 *
 *  (1) A line is handed to the system whole, with one write, before loci_joblog_line returns: killing the process loses
 * no line. loci_joblog_sync (call it with each checkpoint) makes what stands there survive a power cut. (2) A line that
 * could not be written whole is taken back, so that the next one starts at the beginning of a line. (3) Opening a log
 * to go on at a step removes a torn last line and everything from the first line whose "step" lies behind that step:
 * the resumed run writes those lines again. (4) Reading skips what is not a JSON object, with a warning, and goes on: a
 * log is evidence, not code.
 *
 * Fields that readers of logs rely on are listed in docs/design/files.md.
 */
#ifndef LOCI_CORE_REPORT_LOG_H
#define LOCI_CORE_REPORT_LOG_H

#include "core/base/base.h"

#include <jansson.h>

#define LOCI_MAX_LOG_LINE (1 << 20) /* bytes */

typedef struct loci_joblog loci_joblog;

/* Open for appending; created when missing. keep_step: the last step to keep (3), or -1 to keep every whole line. */
loci_status loci_joblog_open(loci_joblog **out, const char *path, int64_t keep_step, loci_error *err);
/* Append one object. It is lent. Numbers that are not finite cannot stand in JSON: loci_json_real makes them null. */
loci_status loci_joblog_line(loci_joblog *log, const json_t *object, loci_error *err);
/* The same, and takes over the reference; NULL is LOCI_E_NOMEM: loci_joblog_put(log, json_pack(...), err). */
loci_status loci_joblog_put(loci_joblog *log, json_t *object, loci_error *err);
loci_status loci_joblog_sync(loci_joblog *log, loci_error *err);
loci_status loci_joblog_close(loci_joblog *log,
                              loci_error *err); /* syncs; frees log whatever it returns; accepts NULL */

/* Call fn with every valid line in order, `number` counting lines from 1; a failure of fn ends the reading and is
 * returned. object is lent. */
typedef loci_status (*loci_joblog_fn)(void *arg, const json_t *object, uint64_t number, loci_error *err);
loci_status loci_joblog_each(const char *path, loci_joblog_fn fn, void *arg, loci_error *err);

#endif
