/* SPDX-License-Identifier: Apache-2.0
 *
 * core/report: the log of a run: see log.h, whose numbers the comments cite.
 */
#include "core/report/log.h"
#include "core/report/lines.h"
#include "core/tensor/json.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DEPTH = 16 };

struct loci_joblog {
    int fd;
    char *path, *line;
    size_t cap;
};

/* ---- reading ------------------------------------------------------------------------------------------------------
 */

json_t *loci__line_parse(const loci_line_at *line, const char *path, loci_error *err)
{
    json_t *object = NULL;
    char what[256];
    (void)snprintf(what, sizeof what, "%.200s:%llu", path, (unsigned long long)line->number);
    if (!line->fits)
        (void)loci_fail(err, LOCI_E_CHECKPOINT, "%s: longer than %d bytes", what, LOCI_MAX_LOG_LINE);
    else if (!line->whole)
        (void)loci_fail(err, LOCI_E_CHECKPOINT, "%s: the line is torn", what);
    else
        (void)loci_json_read(&object, line->text, line->n, DEPTH, 0, what, err);
    return object;
}

/* Fill buf up to cap; *n bytes are there already. */
static loci_status fill(int fd, const char *path, char *buf, size_t *n, size_t cap, bool *ended, loci_error *err)
{
    while (*n < cap) {
        ssize_t got = read(fd, buf + *n, cap - *n);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return loci_fail(err, LOCI_E_IO, "%s: %s", path, strerror(errno));
        if (got == 0) {
            *ended = true;
            break;
        }
        *n += (size_t)got;
    }
    return LOCI_OK;
}

loci_status loci__lines_each(int fd, const char *path, loci_lines_fn fn, void *arg, loci_error *err)
{
    const size_t cap = LOCI_MAX_LOG_LINE + 1; /* a line and its newline */
    char *buf = loci_alloc(cap + 1);
    loci_line_at line = {.number = 1, .fits = true};
    size_t n = 0, used = 0; /* buf holds n bytes, of which `used` are done with */
    bool ended = false;
    loci_status status = LOCI_OK;

    if (!buf)
        return loci_fail(err, LOCI_E_NOMEM, "%s: no memory to read it", path);
    while (status == LOCI_OK && (!ended || used < n)) {
        char *end = memchr(buf + used, '\n', n - used);
        if (!end && !ended && (used > 0 || n < cap)) { /* make room behind what is left of the line, and read on */
            memmove(buf, buf + used, n - used);
            n -= used;
            used = 0;
            LOCI_TRY(fill(fd, path, buf, &n, cap, &ended, err));
            continue;
        }
        line.text = buf + used;
        line.whole = end != NULL;
        line.fits &= end || ended;
        line.n += end ? (size_t)(end - line.text) : n - used;
        used = end ? (size_t)(end - buf) + 1 : n;
        if (!end && !ended)
            continue; /* of a line too long: count it and drop it */
        buf[end ? used - 1 : n] = '\0';
        status = fn(arg, &line, err);
        line = (loci_line_at){.begin = line.begin + line.n + 1, .number = line.number + 1, .fits = true};
    }
out:
    loci_free(buf);
    return status == LOCI_LINES_ENOUGH ? LOCI_OK : status;
}

static loci_status open_log(int *fd, const char *path, int flags, loci_error *err)
{
    struct stat st;
    *fd = open(path, flags | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0666);
    if (*fd < 0 || fstat(*fd, &st) != 0)
        return loci_fail(err, LOCI_E_IO, "%s: %s", path, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return loci_fail(err, LOCI_E_IO, "%s: not a regular file", path);
    return LOCI_OK;
}

typedef struct each {
    const char *path;
    loci_joblog_fn fn;
    void *arg;
} each;

static loci_status each_line(void *arg, const loci_line_at *line, loci_error *err)
{
    each *e = arg;
    loci_error why = LOCI_ERROR_INIT;
    json_t *object = loci__line_parse(line, e->path, &why);
    loci_status status;
    if (!object && why.code == LOCI_E_NOMEM)
        return loci_fail(err, why.code, "%s", why.msg);
    if (!object) {
        loci_log(LOCI_LOG_WARN, "report", "%s: the line is left out", why.msg); /* (4) */
        return LOCI_OK;
    }
    status = e->fn(e->arg, object, line->number, err);
    json_decref(object);
    return status;
}

loci_status loci_joblog_each(const char *path, loci_joblog_fn fn, void *arg, loci_error *err)
{
    each e = {path, fn, arg};
    int fd = -1;
    loci_status status;
    LOCI_TRY(open_log(&fd, path, O_RDONLY, err));
    status = loci__lines_each(fd, path, each_line, &e, err);
out:
    if (fd >= 0)
        close(fd);
    return status;
}

/* ---- writing ------------------------------------------------------------------------------------------------------
 */

typedef struct keep {
    const char *path;
    int64_t step;
    uint64_t end; /* the log ends here: behind the last line to keep */
} keep;

static loci_status keep_line(void *arg, const loci_line_at *line, loci_error *err)
{
    keep *k = arg;
    json_t *object, *step;
    bool later;
    (void)err;
    if (!line->whole)
        return LOCI_LINES_ENOUGH; /* torn: the last */
    if (k->step >= 0 && (object = loci__line_parse(line, k->path, NULL))) {
        step = json_object_get(object, "step");
        later = json_is_number(step) && json_number_value(step) > (double)k->step;
        json_decref(object);
        if (later)
            return LOCI_LINES_ENOUGH;
    }
    k->end = line->begin + line->n + 1;
    return LOCI_OK;
}

/* (3) */
static loci_status cut(int fd, const char *path, int64_t keep_step, loci_error *err)
{
    keep k = {.path = path, .step = keep_step};
    struct stat st;
    loci_status status = loci__lines_each(fd, path, keep_line, &k, err);
    if (status != LOCI_OK)
        return status;
    if (fstat(fd, &st) != 0 || ((uint64_t)st.st_size > k.end && ftruncate(fd, (off_t)k.end) != 0))
        return loci_fail(err, LOCI_E_IO, "%s: %s", path, strerror(errno));
    return LOCI_OK;
}

loci_status loci_joblog_open(loci_joblog **out, const char *path, int64_t keep_step, loci_error *err)
{
    loci_status status;
    loci_joblog *log = loci_alloc(sizeof *log);
    *out = NULL;
    if (!log)
        return loci_fail(err, LOCI_E_NOMEM, "%s: no memory to open it", path);
    log->fd = -1;
    if (!(log->path = loci_strdup(path))) {
        status = loci_fail(err, LOCI_E_NOMEM, "%s: no memory to open it", path);
        goto out;
    }
    LOCI_TRY(open_log(&log->fd, path, O_RDWR | O_CREAT | O_APPEND, err));
    LOCI_TRY(cut(log->fd, path, keep_step, err));
    *out = log;
    log = NULL;
out:
    if (log) {
        if (log->fd >= 0)
            close(log->fd);
        loci_free(log->path);
        loci_free(log);
    }
    return status;
}

static loci_status write_line(loci_joblog *log, size_t n, loci_error *err)
{
    struct stat st;
    size_t done = 0;
    int failed;
    if (fstat(log->fd, &st) != 0)
        return loci_fail(err, LOCI_E_IO, "%s: %s", log->path, strerror(errno));
    while (done < n) {
        ssize_t did = write(log->fd, log->line + done, n - done);
        if (did < 0 && errno == EINTR)
            continue;
        if (did < 0)
            break;
        done += (size_t)did;
    }
    if (done == n)
        return LOCI_OK;
    failed = errno;
    if (done > 0 && ftruncate(log->fd, st.st_size) != 0) /* (2) */
        return loci_fail(err, LOCI_E_IO, "%s: %s, and the torn line cannot be taken back", log->path, strerror(failed));
    return loci_fail(err, LOCI_E_IO, "%s: %s", log->path, strerror(failed));
}

loci_status loci_joblog_line(loci_joblog *log, const json_t *object, loci_error *err)
{
    size_t n;
    if (!json_is_object(object))
        return loci_fail(err, LOCI_E_ARG, "%s: a line is a json object", log->path);
    n = json_dumpb(object, log->line, log->cap, JSON_COMPACT);
    if (n == 0 || n >= LOCI_MAX_LOG_LINE)
        return loci_fail(err, n ? LOCI_E_ARG : LOCI_E_NOMEM, "%s: a line of %zu bytes, the limit is %d", log->path, n,
                         LOCI_MAX_LOG_LINE - 1);
    if (n + 1 > log->cap) {
        char *more = loci_realloc(log->line, 2 * (n + 1));
        if (!more)
            return loci_fail(err, LOCI_E_NOMEM, "%s: no memory for a line of %zu bytes", log->path, n);
        log->line = more;
        log->cap = 2 * (n + 1);
        if (json_dumpb(object, log->line, log->cap, JSON_COMPACT) != n)
            return loci_fail(err, LOCI_E_NOMEM, "%s: no memory for a line of %zu bytes", log->path, n);
    }
    log->line[n] = '\n';
    return write_line(log, n + 1, err);
}

loci_status loci_joblog_put(loci_joblog *log, json_t *object, loci_error *err)
{
    loci_status status = object ? loci_joblog_line(log, object, err)
                                : loci_fail(err, LOCI_E_NOMEM, "%s: no memory for a line", log->path);
    json_decref(object);
    return status;
}

loci_status loci_joblog_sync(loci_joblog *log, loci_error *err)
{
    if (fsync(log->fd) != 0)
        return loci_fail(err, LOCI_E_IO, "%s: fsync: %s", log->path, strerror(errno));
    return LOCI_OK;
}

loci_status loci_joblog_close(loci_joblog *log, loci_error *err)
{
    loci_status status;
    if (!log)
        return LOCI_OK;
    status = loci_joblog_sync(log, err);
    if (close(log->fd) != 0 && status == LOCI_OK)
        status = loci_fail(err, LOCI_E_IO, "%s: close: %s", log->path, strerror(errno));
    loci_free(log->path);
    loci_free(log->line);
    loci_free(log);
    return status;
}
