/* SPDX-License-Identifier: Apache-2.0
 *
 * core/report: the index of runs in SQLite: see index.h, whose numbers the comments cite.
 *
 *  (4) Values reach SQL only through bound parameters. The journal is the plain one: write-ahead logging does not work
 * on network file systems, where runs folders often lie.
 */
#include "core/report/index.h"

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif
#ifndef LOCI_HAVE_SQLITE
#define LOCI_HAVE_SQLITE 1
#endif

#if LOCI_HAVE_SQLITE

#include <errno.h>
#include <math.h>
#include <sqlite3.h>
#include <string.h>
#include <unistd.h>

enum { SCHEMA = 1, BUSY_MS = 5000 };

struct loci_runs {
    sqlite3 *db;
    char *folder, *path;
};

static loci_status failed(const loci_runs *runs, loci_error *err)
{
    int code = sqlite3_errcode(runs->db) & 0xff;
    return loci_fail(err, code == SQLITE_NOMEM ? LOCI_E_NOMEM : LOCI_E_IO, "%s: %s; it can be deleted and rebuilt",
                     runs->path, sqlite3_errmsg(runs->db));
}

static loci_status execute(loci_runs *runs, const char *sql, loci_error *err)
{
    return sqlite3_exec(runs->db, sql, NULL, NULL, NULL) == SQLITE_OK ? LOCI_OK : failed(runs, err);
}

/* The version of the schema; -1 when the file is no database. */
static int version_of(sqlite3 *db)
{
    sqlite3_stmt *q = NULL;
    int version = -1;
    if (sqlite3_prepare_v2(db, "PRAGMA user_version", -1, &q, NULL) == SQLITE_OK && sqlite3_step(q) == SQLITE_ROW)
        version = sqlite3_column_int(q, 0);
    (void)sqlite3_finalize(q);
    return version;
}

static bool damaged(sqlite3 *db)
{
    int code = sqlite3_errcode(db) & 0xff;
    return code == SQLITE_NOTADB || code == SQLITE_CORRUPT;
}

static loci_status open_db(loci_runs *runs, loci_error *err)
{
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    if (sqlite3_open_v2(runs->path, &runs->db, flags, NULL) != SQLITE_OK)
        return runs->db ? failed(runs, err) : loci_fail(err, LOCI_E_NOMEM, "%s: no memory to open it", runs->path);
    (void)sqlite3_busy_timeout(runs->db, BUSY_MS);
    return LOCI_OK;
}

static loci_status make_tables(loci_runs *runs, loci_error *err)
{
    return execute(
        runs,
        "BEGIN IMMEDIATE; CREATE TABLE IF NOT EXISTS run(name TEXT PRIMARY KEY, started REAL, finished REAL, "
        "config_hash INTEGER, step INTEGER, loss_nats REAL, valid_loss_nats REAL) WITHOUT ROWID; "
        "PRAGMA user_version = 1; COMMIT",
        err);
}

/* (1): throw the file away, make it new, fill it. */
static loci_status start_over(loci_runs *runs, loci_error *err)
{
    loci_status status;
    loci_log(LOCI_LOG_WARN, "report", "%s: damaged or of another version, it is rebuilt", runs->path);
    (void)sqlite3_close(runs->db);
    runs->db = NULL;
    if (unlink(runs->path) != 0)
        return loci_fail(err, LOCI_E_IO, "%s: %s", runs->path, strerror(errno));
    LOCI_TRY(open_db(runs, err));
    LOCI_TRY(make_tables(runs, err));
    LOCI_TRY(loci_runs_rebuild(runs, err));
out:
    return status;
}

loci_status loci_runs_open(loci_runs **out, const char *folder, loci_error *err)
{
    loci_status status;
    loci_runs *runs = loci_alloc(sizeof *runs);
    int version;
    *out = NULL;
    if (!runs || !(runs->folder = loci_strdup(folder)) || !(runs->path = loci_format("%s/runs.sqlite", folder))) {
        status = loci_fail(err, LOCI_E_NOMEM, "%s: no memory to open its index", folder);
        goto out;
    }
    LOCI_TRY(open_db(runs, err));
    version = version_of(runs->db);
    if (version == 0)
        LOCI_TRY(make_tables(runs, err));
    else if (version > 0 ? version != SCHEMA : damaged(runs->db))
        LOCI_TRY(start_over(runs, err));
    else if (version < 0)
        LOCI_TRY(failed(runs, err));
    *out = runs;
    runs = NULL;
out:
    loci_runs_close(runs);
    return status;
}

void loci_runs_close(loci_runs *runs)
{
    if (!runs)
        return;
    (void)sqlite3_close(runs->db);
    loci_free(runs->folder);
    loci_free(runs->path);
    loci_free(runs);
}

loci_status loci_runs_add(loci_runs *runs, const loci_run_row *row, loci_error *err)
{
    sqlite3_stmt *q = NULL;
    loci_status status = LOCI_OK;
    if (sqlite3_prepare_v2(runs->db, "INSERT OR REPLACE INTO run VALUES(?,?,?,?,?,?,?)", -1, &q, NULL) != SQLITE_OK)
        return failed(runs, err);
    if (sqlite3_bind_text(q, 1, row->name, -1, SQLITE_TRANSIENT) != SQLITE_OK || /* (4); NaN is stored as NULL */
        sqlite3_bind_double(q, 2, row->started) != SQLITE_OK || sqlite3_bind_double(q, 3, row->finished) != SQLITE_OK ||
        sqlite3_bind_int64(q, 4, (sqlite3_int64)row->config_hash) != SQLITE_OK ||
        sqlite3_bind_int64(q, 5, row->step) != SQLITE_OK || sqlite3_bind_double(q, 6, row->loss_nats) != SQLITE_OK ||
        sqlite3_bind_double(q, 7, row->valid_loss_nats) != SQLITE_OK || sqlite3_step(q) != SQLITE_DONE)
        status = failed(runs, err);
    (void)sqlite3_finalize(q);
    return status;
}

static double real_or_nan(sqlite3_stmt *q, int column)
{
    return sqlite3_column_type(q, column) == SQLITE_NULL ? NAN : sqlite3_column_double(q, column);
}

loci_status loci_runs_list(loci_runs *runs, loci_run_fn fn, void *arg, loci_error *err)
{
    sqlite3_stmt *q = NULL;
    loci_status status = LOCI_OK;
    int got = SQLITE_DONE;
    if (sqlite3_prepare_v2(runs->db,
                           "SELECT name, started, finished, config_hash, step, loss_nats, valid_loss_nats FROM run "
                           "ORDER BY started DESC, name",
                           -1, &q, NULL) != SQLITE_OK)
        return failed(runs, err);
    while (status == LOCI_OK && (got = sqlite3_step(q)) == SQLITE_ROW) {
        loci_run_row row = {(const char *)sqlite3_column_text(q, 0),
                            real_or_nan(q, 1),
                            real_or_nan(q, 2),
                            (uint64_t)sqlite3_column_int64(q, 3),
                            sqlite3_column_int64(q, 4),
                            real_or_nan(q, 5),
                            real_or_nan(q, 6)};
        status = row.name ? fn(arg, &row, err) : loci_fail(err, LOCI_E_NOMEM, "%s: no memory to list it", runs->path);
    }
    if (status == LOCI_OK && got != SQLITE_DONE)
        status = failed(runs, err);
    (void)sqlite3_finalize(q);
    return status;
}

static loci_status add_row(void *arg, const loci_run_row *row, loci_error *err)
{
    return loci_runs_add(arg, row, err);
}

loci_status loci_runs_rebuild(loci_runs *runs, loci_error *err)
{
    loci_status status = execute(runs, "BEGIN IMMEDIATE", err);
    if (status != LOCI_OK)
        return status;
    LOCI_TRY(execute(runs, "DELETE FROM run", err));
    LOCI_TRY(loci_runs_scan(runs->folder, add_row, runs, err));
    LOCI_TRY(execute(runs, "COMMIT", err));
out:
    if (status != LOCI_OK)
        (void)sqlite3_exec(runs->db, "ROLLBACK", NULL, NULL, NULL);
    return status;
}

#else /* (3) */

static loci_status without(loci_error *err)
{
    return loci_fail(err, LOCI_E_UNSUPPORTED,
                     "built without sqlite: install libsqlite3-dev, configure and build again for an index of runs");
}

loci_status loci_runs_open(loci_runs **out, const char *folder, loci_error *err)
{
    (void)folder;
    *out = NULL;
    return without(err);
}

void loci_runs_close(loci_runs *runs)
{
    (void)runs;
}

loci_status loci_runs_add(loci_runs *runs, const loci_run_row *row, loci_error *err)
{
    (void)runs;
    (void)row;
    return without(err);
}

loci_status loci_runs_list(loci_runs *runs, loci_run_fn fn, void *arg, loci_error *err)
{
    (void)runs;
    (void)fn;
    (void)arg;
    return without(err);
}

loci_status loci_runs_rebuild(loci_runs *runs, loci_error *err)
{
    (void)runs;
    return without(err);
}

#endif
