/* SPDX-License-Identifier: Apache-2.0
 *
 * core/config/lines: one text, line by line, through inih, into items.
 *
 * inih splits lines and trims; it also forgives much, silently: it cuts long lines and section names, drops what
 * follows a NUL, drops values behind " ;", glues indented lines to the key above, takes an empty key, and reports only
 * the first bad line. So it is handed nothing but lines that have one meaning:
 *
 *  (1) Our reader counts the lines, judges each, reports it with its number, and gives inih an empty line instead of
 *      one that was refused, a comment or a blank. inih calls the handler before it asks for the next line, so the
 *      reader's count is the handler's line.
 *  (2) A refused section header silences the keys below it: they would land in the section above.
 *  (3) inih's options are variables of the process. They are set for the time of a call and put back, one call at a
 *      time; the thread's locale is C meanwhile, because inih trims by isspace.
 *  (4) Whatever inih says that the reader did not expect is a defect and reported as one.
 */
#include "core/config/conf.h"

#include <pthread.h>
#include <string.h>
#define INI_HANDLER_LINENO 1 /* Debian's libinih passes it, whatever the header's default */
#include <ini.h>

typedef struct reader {
    loci__text_source *src;
    loci__include **last; /* where the next include goes */
    size_t at;
    uint32_t line, source, problems_before;
    char header[LOCI_CONF_SECTION + 1]; /* what inih must believe the section to be */
    loci__place place;
    bool in_section, silenced; /* (2) */
    loci_status status;
} reader;

static void bad(reader *r, const char *what)
{
    loci__problem(r->src->problems, "%s:%u: %s", r->src->name, r->line, what);
}

/* Put an item of this line into the config. key NULL: a header. */
static loci_status add(reader *r, const char *key, const char *value)
{
    loci_conf *c = r->src->conf;
    loci__item item = {.at = r->place, .dir = r->src->dir, .source = r->source, .line = r->line};
    char *origin = loci_format("%s:%u", r->src->name, r->line);

    item.level = c->floor + LOCI_CONF_FROM_FILE;
    item.origin = origin ? loci__conf_string(c, origin, strlen(origin)) : NULL;
    loci_free(origin);
    if (!item.origin)
        return LOCI_E_NOMEM;
    if (key && !(item.key = loci__conf_intern(c, key, strlen(key))))
        return LOCI_E_NOMEM;
    if (key && !(item.raw = loci__conf_string(c, value, strlen(value))))
        return LOCI_E_NOMEM;
    return loci__conf_add(c, &item, NULL);
}

/* True: inih shall see the line. */
static bool take_header(reader *r, const char *s, size_t n)
{
    char why[300];
    const char *close = memchr(s, ']', n);
    loci_status status;

    r->in_section = r->silenced = true;
    if (!close) {
        bad(r, "section header without ']'");
        return false;
    }
    for (const char *p = close + 1; p < s + n; p++)
        if (*p != ' ' && *p != '\t') {
            bad(r, *p == ';' || *p == '#' ? "text behind a section header, comments start a line of their own"
                                          : "text behind a section header, one line holds one thing");
            return false;
        }
    status = loci__place_parse(r->src->conf, &r->place, s + 1, (size_t)(close - s - 1), why, sizeof why);
    if (status == LOCI_E_CONFIG) {
        bad(r, why);
        return false;
    }
    r->status = status == LOCI_OK ? add(r, NULL, NULL) : status;
    r->silenced = false;
    memcpy(r->header, s + 1, (size_t)(close - s - 1));
    r->header[close - s - 1] = '\0';
    return true;
}

/* Judge the line (1). True: inih shall see it. */
static bool take_line(reader *r, const char *s, size_t n)
{
    char why[300], text[100];
    size_t mark;

    if (!loci__text_ok(s, n, why, sizeof why)) {
        bad(r, why);
        return false;
    }
    if (n > LOCI_CONF_LINE) {
        snprintf(why, sizeof why, "the line has %zu bytes, the limit is %d", n, LOCI_CONF_LINE);
        bad(r, why);
        return false;
    }
    for (mark = 0; mark < n && (s[mark] == ' ' || s[mark] == '\t'); mark++)
        ;
    if (mark == n || s[mark] == ';' || s[mark] == '#')
        return false;
    if (mark > 0) {
        bad(r, "indented line, a value is one line and a key starts in the first column");
        return false;
    }
    if (s[0] == '[')
        return take_header(r, s, n);
    for (mark = 0; mark < n && s[mark] != '=' && s[mark] != ':'; mark++)
        ;
    if (mark == n || s[mark] == ':') {
        char line[64];
        size_t part = n < sizeof line - 1 ? n : sizeof line - 1;
        memcpy(line, s, part);
        line[part] = '\0';
        snprintf(why, sizeof why, "neither [section] nor key = value: %s", loci__short(text, 40, line));
        bad(r, why);
        return false;
    }
    return true;
}

/* inih's source of lines, in the manner of fgets. */
static char *next_line(char *to, int room, void *arg)
{
    reader *r = arg;
    const char *s = r->src->bytes + r->at, *end;
    size_t n;

    if (r->status != LOCI_OK || r->at >= r->src->n)
        return NULL;
    if (r->src->problems->n - r->problems_before >= LOCI_CONF_PROBLEMS) {
        bad(r, "too many problems, the rest of the file is not read");
        return NULL;
    }
    end = memchr(s, '\n', r->src->n - r->at);
    n = end ? (size_t)(end - s) : r->src->n - r->at;
    r->at += n + (end != NULL);
    r->line++;
    if (end && n && s[n - 1] == '\r')
        n--;
    if (!take_line(r, s, n))
        n = 0;
    if (n + 2 > (size_t)room) { /* an inih built otherwise than this one was asked to behave (4) */
        bad(r, "inih has no room for the line");
        r->status = LOCI_E_INTERNAL;
        return NULL;
    }
    memcpy(to, s, n);
    memcpy(to + n, "\n", 2);
    return to;
}

static loci_status take_include(reader *r, const char *key, const char *value)
{
    loci_conf *c = r->src->conf;
    loci__include *inc;
    char *origin, why[200], cut[80];

    if (strcmp(key, "include") != 0) {
        snprintf(why, sizeof why, "key `%s` before the first section, only include may stand there",
                 loci__short(cut, 64, key));
        bad(r, why);
        return LOCI_OK;
    }
    if (value[0] == '\0') {
        bad(r, "include names no file");
        return LOCI_OK;
    }
    origin = loci_format("%s:%u", r->src->name, r->line);
    inc = loci__conf_take(c, sizeof *inc);
    if (origin && inc) {
        inc->file = loci__conf_string(c, value, strlen(value));
        inc->origin = loci__conf_string(c, origin, strlen(origin));
    }
    loci_free(origin);
    if (!inc || !inc->file || !inc->origin)
        return LOCI_E_NOMEM;
    *r->last = inc;
    r->last = &inc->next;
    return LOCI_OK;
}

/* inih found key = value. */
static int take_pair(void *arg, const char *section, const char *key, const char *value, int lineno)
{
    reader *r = arg;
    char why[300];

    (void)lineno; /* wrong after a long line */
    if (r->status != LOCI_OK)
        return 1;
    if (!key || !value || (!r->silenced && strcmp(section, r->header) != 0)) {
        r->status = LOCI_E_INTERNAL;
        return 1;
    }
    if (!loci__key_ok(key, why, sizeof why))
        bad(r, why);
    else if (!r->in_section)
        r->status = take_include(r, key, value);
    else if (r->silenced)
        return 1;
    else if (r->place.section[0] == '\0') {
        snprintf(why, sizeof why, "key `%s` in [arm.%s], an arm's keys stand in [arm.%s.SECTION]", key, r->place.arm,
                 r->place.arm);
        bad(r, why);
    } else
        r->status = add(r, key, value);
    return 1;
}

/* (3) */
static int run_inih(reader *r)
{
    static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;
    locale_t before;
    int rc;

    pthread_mutex_lock(&one_at_a_time);
    bool multiline = ini_allow_multiline, bom = ini_allow_bom, inline_comments = ini_allow_inline_comments;
    bool no_value = ini_allow_no_value, stack = ini_use_stack, stop = ini_stop_on_first_error;
    int max_line = ini_max_line, initial = ini_initial_alloc;
    ini_allow_multiline = ini_allow_bom = ini_allow_inline_comments = ini_allow_no_value = false;
    ini_use_stack = ini_stop_on_first_error = false;
    ini_max_line = ini_initial_alloc = LOCI_CONF_LINE + 3;
    before = uselocale(loci__c_locale());
    rc = ini_parse_stream(next_line, r, take_pair, r);
    uselocale(before);
    ini_allow_multiline = multiline;
    ini_allow_bom = bom;
    ini_allow_inline_comments = inline_comments;
    ini_allow_no_value = no_value;
    ini_use_stack = stack;
    ini_stop_on_first_error = stop;
    ini_max_line = max_line;
    ini_initial_alloc = initial;
    pthread_mutex_unlock(&one_at_a_time);
    return rc;
}

loci_status loci__lines_read(loci__text_source *src, loci_error *err)
{
    reader r = {.src = src, .last = &src->includes, .problems_before = src->problems->n};
    int rc;

    if (src->n >= 3 && memcmp(src->bytes, "\xEF\xBB\xBF", 3) == 0)
        r.at = 3;
    r.source = ++src->conf->n_sources;
    rc = run_inih(&r);
    if (r.status == LOCI_E_NOMEM || rc == -2)
        return loci__nomem(err);
    if (r.status == LOCI_E_CONFIG) /* the config is full */
        return loci_fail(err, LOCI_E_CONFIG, "%s:%u: a config holds at most %d lines", src->name, r.line,
                         LOCI_CONF_ITEMS);
    if (r.status != LOCI_OK || rc != 0)
        return loci_fail(err, LOCI_E_INTERNAL,
                         "%s:%d: the inih library and its reader disagree, report this as a defect", src->name,
                         rc > 0 ? rc : (int)r.line);
    return LOCI_OK;
}
