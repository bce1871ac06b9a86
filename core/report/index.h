/* SPDX-License-Identifier: Apache-2.0
 *
 * core/report: which runs are there? An index of the run folders below a folder (runs/), in runs.sqlite.
 *
 *  (1) The folders are the truth, the index a copy that makes many of them quick to list: deleting it loses nothing.
 * One that is damaged, or was written by another version, is thrown away and rebuilt, with a warning. (2) A run is a
 * folder with a log.jsonl; its name is its path below the folder ("sweep/mac-seed1"). Folders are searched three deep,
 * links are not followed, checkpoints not entered. (3) Without SQLite the scan still works; the functions of the index
 * return LOCI_E_UNSUPPORTED and name the package.
 */
#ifndef LOCI_CORE_REPORT_INDEX_H
#define LOCI_CORE_REPORT_INDEX_H

#include "core/base/base.h"

typedef struct loci_run_row {
    const char *name;         /* path below the folder                                                        */
    double started, finished; /* seconds since 1970; NaN: unknown, not finished                               */
    uint64_t config_hash;     /* XXH64 of config.ini; 0: there is none                                        */
    int64_t step;             /* the last that the log mentions; -1                                           */
    double loss_nats, valid_loss_nats; /* the last in the log; NaN                                            */
} loci_run_row;

typedef loci_status (*loci_run_fn)(void *arg, const loci_run_row *row, loci_error *err);

/* Read one run folder; row->name is the `name` given. LOCI_E_IO when it holds no readable log.jsonl. */
loci_status loci_run_read(loci_run_row *row, const char *name, const char *folder, loci_error *err);
/* Call fn for every run below the folder, in the order of names. A run that cannot be read is left out with a warning.
 */
loci_status loci_runs_scan(const char *folder, loci_run_fn fn, void *arg, loci_error *err);

typedef struct loci_runs loci_runs;
/* Open FOLDER/runs.sqlite, made when missing (and then empty: rebuild it). One thread at a time; several processes may.
 */
loci_status loci_runs_open(loci_runs **out, const char *folder, loci_error *err);
void loci_runs_close(loci_runs *runs); /* accepts NULL */
loci_status loci_runs_add(loci_runs *runs, const loci_run_row *row,
                          loci_error *err); /* replaces the row of that name */
loci_status loci_runs_list(loci_runs *runs, loci_run_fn fn, void *arg, loci_error *err); /* newest first */
loci_status loci_runs_rebuild(loci_runs *runs, loci_error *err);                         /* all or nothing */

#endif
