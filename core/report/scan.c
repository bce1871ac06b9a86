/* SPDX-License-Identifier: Apache-2.0
 *
 * core/report: reading run folders: see index.h, whose numbers the comments cite.
 *
 * A row comes from log.jsonl and config.ini. A line's "time", in seconds since 1970, is believed where there is one;
 * else the run started when config.ini was written and, if the log has an "end" line, finished when the log was last
 * written.
 */
#include "core/report/index.h"
#include "core/report/log.h"
#include "core/tensor/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { SCAN_DEPTH = 3 };

/* ---- one run
 * --------------------------------------------------------------------------------------------------------- */

typedef struct facts {
    loci_run_row *row;
    bool ended;
} facts;

static void take(double *to, const json_t *line, const char *key)
{
    const json_t *value = json_object_get(line, key);
    if (json_is_number(value))
        *to = json_number_value(value);
}

static loci_status read_line(void *arg, const json_t *line, uint64_t number, loci_error *err)
{
    facts *f = arg;
    const char *event = json_string_value(json_object_get(line, "event"));
    const json_t *step = json_object_get(line, "step");
    (void)number;
    (void)err;
    f->ended = event && strcmp(event, "end") == 0;
    f->row->finished = NAN;
    if (f->ended)
        take(&f->row->finished, line, "time");
    if (isnan(f->row->started))
        take(&f->row->started, line, "time");
    if (json_is_integer(step))
        f->row->step = json_integer_value(step);
    take(&f->row->loss_nats, line, "loss_nats");
    take(&f->row->valid_loss_nats, line, "valid_loss_nats");
    return LOCI_OK;
}

static double written_at(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 ? (double)st.st_mtim.tv_sec + 1e-9 * (double)st.st_mtim.tv_nsec : NAN;
}

loci_status loci_run_read(loci_run_row *row, const char *name, const char *folder, loci_error *err)
{
    char *log = loci_format("%s/log.jsonl", folder), *config = loci_format("%s/config.ini", folder);
    facts f = {.row = row};
    double written;
    loci_status status;

    *row = (loci_run_row){name, NAN, NAN, 0, -1, NAN, NAN};
    if (!log || !config) {
        status = loci_fail(err, LOCI_E_NOMEM, "%s: no memory to read it", folder);
        goto out;
    }
    LOCI_TRY(loci_joblog_each(log, read_line, &f, err));
    written = written_at(config);
    if (!isnan(written))
        LOCI_TRY(loci_file_hash(&row->config_hash, config, err));
    if (isnan(row->started))
        row->started = written;
    if (f.ended && isnan(row->finished))
        row->finished = written_at(log);
out:
    loci_free(log);
    loci_free(config);
    return status;
}

/* ---- all runs
 * -------------------------------------------------------------------------------------------------------- */

typedef struct names {
    char **at;
    size_t n, cap;
} names;

static bool names_add(names *list, const char *prefix, const char *name)
{
    if (list->n == list->cap) {
        size_t cap = list->cap ? 2 * list->cap : 16;
        char **more = loci_realloc(list->at, cap * sizeof *more);
        if (!more)
            return false;
        list->at = more;
        list->cap = cap;
    }
    list->at[list->n] = *prefix ? loci_format("%s/%s", prefix, name) : loci_strdup(name);
    return list->at[list->n] && ++list->n;
}

static void names_free(names *list)
{
    for (size_t i = 0; i < list->n; i++)
        loci_free(list->at[i]);
    loci_free(list->at);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Names of the folders in FOLDER/PREFIX, sorted, with the prefix before them. */
static loci_status list_folders(names *list, const char *folder, const char *prefix, loci_error *err)
{
    char *path = loci_format("%s/%s", folder, prefix);
    DIR *dir = path ? opendir(path) : NULL;
    struct dirent *e;
    loci_status status = LOCI_OK;

    if (!dir)
        status = path ? loci_fail(err, LOCI_E_IO, "%s: %s", path, strerror(errno))
                      : loci_fail(err, LOCI_E_NOMEM, "%s: no memory to list it", folder);
    while (dir && status == LOCI_OK && (e = readdir(dir))) {
        struct stat st;
        if (e->d_name[0] == '.' || strcmp(e->d_name, "checkpoints") == 0 ||
            fstatat(dirfd(dir), e->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISDIR(st.st_mode)) /* (2) */
            continue;
        if (!names_add(list, prefix, e->d_name))
            status = loci_fail(err, LOCI_E_NOMEM, "%s: no memory to list it", folder);
    }
    if (dir)
        closedir(dir);
    loci_free(path);
    if (list->n)
        qsort(list->at, list->n, sizeof *list->at, by_text);
    return status;
}

static loci_status report_run(const char *folder, const char *name, loci_run_fn fn, void *arg, loci_error *err)
{
    char *path = loci_format("%s/%s", folder, name), *log = loci_format("%s/%s/log.jsonl", folder, name);
    loci_error why = LOCI_ERROR_INIT;
    loci_run_row row;
    struct stat st;
    loci_status status = LOCI_OK;

    if (!path || !log) {
        status = loci_fail(err, LOCI_E_NOMEM, "%s: no memory to read it", folder);
    } else if (lstat(log, &st) == 0 && S_ISREG(st.st_mode)) {
        status = loci_run_read(&row, name, path, &why);
        if (status == LOCI_OK)
            status = fn(arg, &row, err);
        else if (status == LOCI_E_NOMEM)
            status = loci_fail(err, status, "%s", why.msg);
        else {
            loci_log(LOCI_LOG_WARN, "report", "%s: the run is left out", why.msg);
            status = LOCI_OK;
        }
    }
    loci_free(path);
    loci_free(log);
    return status;
}

static loci_status scan_below(const char *folder, const char *prefix, int depth, loci_run_fn fn, void *arg,
                              loci_error *err)
{
    names list = {0};
    loci_status status;
    LOCI_TRY(list_folders(&list, folder, prefix, err));
    for (size_t i = 0; i < list.n; i++) {
        LOCI_TRY(report_run(folder, list.at[i], fn, arg, err));
        if (depth < SCAN_DEPTH)
            LOCI_TRY(scan_below(folder, list.at[i], depth + 1, fn, arg, err));
    }
out:
    names_free(&list);
    return status;
}

loci_status loci_runs_scan(const char *folder, loci_run_fn fn, void *arg, loci_error *err)
{
    return scan_below(folder, "", 1, fn, arg, err);
}
