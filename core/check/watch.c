/* SPDX-License-Identifier: Apache-2.0
 *
 * core/check: see watch.h.
 *
 *  (1) A descriptor that was closed and another opened under its number is a change of kind at best; device and inode
 *      are not compared, because a log that is rotated is nobody's fault.
 *  (2) A thread that has ended may still be listed for a moment: a larger count is believed when it stays.
 */
#include "core/check/watch.h"
#include "core/tensor/file.h"

#include <dirent.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

/* A sanitizer brings its own malloc, which mallinfo2 knows nothing of. */
extern size_t __sanitizer_get_current_allocated_bytes(void) __attribute__((weak));

uint64_t loci_heap_bytes(void)
{
    if (__sanitizer_get_current_allocated_bytes)
        return __sanitizer_get_current_allocated_bytes();
    return mallinfo2().uordblks + mallinfo2().hblkhd;
}

static uint64_t hash_environment(void)
{
    uint64_t h = 0;

    for (char **e = environ; e && *e; e++)
        h = loci_hash(*e, strlen(*e), h);
    return h;
}

static void list_open(uint8_t *open, size_t n)
{
    struct stat st;

    for (size_t i = 0; i < n; i++)
        open[i] = fstat((int)i, &st) ? 0 : (uint8_t)(1 + ((st.st_mode & S_IFMT) >> 12));
}

static int count_threads(void)
{
    DIR *d = opendir("/proc/self/task");
    int n = 0;

    for (struct dirent *e; d && (e = readdir(d));)
        n += e->d_name[0] != '.';
    if (d)
        closedir(d);
    return n;
}

static off_t printed_to(int fd)
{
    struct stat st;

    return fstat(fd, &st) || !S_ISREG(st.st_mode) ? 0 : st.st_size;
}

loci_status loci_watch_begin(loci_watched *w, loci_error *err)
{
    loci_status status = loci_manners_record(&w->manners, err);

    w->environment = hash_environment();
    w->threads = count_threads();
    list_open(w->open, sizeof w->open);
    memset(&w->mask, 0, sizeof w->mask);
    sigprocmask(SIG_SETMASK, NULL, &w->mask);
    fflush(stdout);
    for (int i = 0; i < 2; i++)
        w->printed[i] = printed_to(STDOUT_FILENO + i);
    return status;
}

static void compare_open(const loci_watched *w, loci_text *t)
{
    uint8_t now[sizeof w->open];
    char link[64], target[200];

    list_open(now, sizeof now);
    for (int i = 0; i < (int)sizeof now; i++) {
        ssize_t n;
        if (now[i] == w->open[i])
            continue;
        snprintf(link, sizeof link, "/proc/self/fd/%d", i);
        n = now[i] ? readlink(link, target, sizeof target - 1) : -1;
        target[n > 0 ? n : 0] = '\0';
        loci_text_add(t, "%s%s descriptor %d", t->len ? ", " : "",
                      !now[i]      ? "closed"
                      : w->open[i] ? "replaced"
                                   : "opened",
                      i);
        if (target[0])
            loci_text_add(t, " (%s)", target);
    }
}

static void compare_threads(const loci_watched *w, loci_text *t)
{
    int now = count_threads();

    for (int i = 0; i < 20 && now != w->threads; i++) { /* (2) */
        nanosleep(&(struct timespec){0, 5000000}, NULL);
        now = count_threads();
    }
    if (now != w->threads)
        loci_text_add(t, "%sleft %d threads where there were %d", t->len ? ", " : "", now, w->threads);
}

loci_status loci_watch_end(loci_watched *w, const char *what, loci_error *err)
{
    loci_status status = LOCI_OK;
    loci_text changed = {0}, all = {0};
    sigset_t mask;

    memset(&mask, 0, sizeof mask);
    fflush(stdout);
    sigprocmask(SIG_SETMASK, NULL, &mask);
    compare_open(w, &all); /* before the manners close theirs */
    loci_manners_restore(&w->manners, &changed);
    if (changed.len)
        loci_text_add(&all, "%schanged %s", all.len ? ", " : "", changed.at);
    if (hash_environment() != w->environment)
        loci_text_add(&all, "%schanged the environment", all.len ? ", " : "");
    if (memcmp(&mask, &w->mask, sizeof mask) != 0)
        loci_text_add(&all, "%schanged the mask of signals", all.len ? ", " : "");
    for (int i = 0; i < 2; i++)
        if (printed_to(STDOUT_FILENO + i) != w->printed[i])
            loci_text_add(&all, "%sprinted %lld bytes on standard %s", all.len ? ", " : "",
                          (long long)(printed_to(STDOUT_FILENO + i) - w->printed[i]), i ? "error" : "output");
    compare_threads(w, &all);
    if (all.failed || changed.failed)
        status = loci_fail(err, LOCI_E_NOMEM, "out of memory");
    else if (all.len)
        status = loci_fail(err, LOCI_E_PLUGIN, "%s %s: a plugin leaves the process as it was", what, all.at);
    loci_text_free(&all);
    loci_text_free(&changed);
    return status;
}
