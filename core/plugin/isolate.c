/* SPDX-License-Identifier: Apache-2.0
 *
 * core/plugin/isolate: see isolate.h.
 *
 *     parent                                child
 *     page = mmap(shared)                   group of its own, limits, signals as a fresh process has them
 *     fork ------------------------------>  descriptors 1 and 2 become files in memory
 *     poll(pipe) ... time, *stop            loci_stage() writes into the page
 *     the pipe ends: wait                   fn() -> status and reply in the page, _exit
 *
 *  (1) The pipe carries nothing: its end says that the child is gone. A process that the child left behind may hold
 *      it open, so the child is also asked for every now and then.
 *  (2) The page is written by code that may run wild. `done` must hold a number drawn for this call, and every text is
 *      cut at its size before it is read.
 *  (3) Only the calling thread goes on in the child. The command has one more, which waits for signals: it has begun to
 *      before the first fork (main.c), and holds no lock, neither malloc's nor a sanitizer's.
 *  (4) The library never ends a process that it was given; this one it made. _exit, not exit: handlers that a plugin
 *      registered with atexit are none of this call.
 */
#include "core/plugin/isolate.h"
#include "core/plugin/look.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct page {
    uint64_t done; /* (2) */
    loci_status status;
    char stage[LOCI_STAGE_BYTES];
    loci_reply reply;
};

enum { KEPT = 3 }; /* standard output, standard error, the log */

static char *stage_at; /* LOCI_STAGE_BYTES of the page, or NULL */

void loci_stage(const char *fmt, ...)
{
    va_list args;

    if (!stage_at)
        return;
    va_start(args, fmt);
    (void)vsnprintf(stage_at, LOCI_STAGE_BYTES, fmt, args);
    va_end(args);
}

/* ---- the child --------------------------------------------------------------------------------------------------- */

static void keep_log(void *arg, int32_t level, const char *module, const char *msg)
{
    const int *fd = arg;

    if (level <= LOCI_LOG_WARN)
        (void)!dprintf(*fd, "%s: %s\n", module, msg);
}

static void like_a_fresh_process(const loci_limits *limits, const int kept[KEPT])
{
    const struct rlimit none = {0, 0}, memory = {limits->bytes, limits->bytes};
    sigset_t all;

    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (int i = 1; i < NSIG; i++)
        signal(i, SIG_DFL);
    sigemptyset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    setrlimit(RLIMIT_CORE, &none);
    if (limits->bytes && !loci_host_san())
        setrlimit(RLIMIT_AS, &memory);
    dup2(kept[0], STDOUT_FILENO);
    dup2(kept[1], STDERR_FILENO);
    setvbuf(stderr, NULL, _IONBF, 0);
    loci_log_to(keep_log, (void *)(uintptr_t)&kept[2]);
}

static void child(struct page *page, uint64_t token, const loci_limits *limits, const int kept[KEPT],
                  loci_isolated_fn fn, void *arg)
{
    like_a_fresh_process(limits, kept);
    stage_at = page->stage;
    page->status = fn(arg, &page->reply);
    fflush(stdout);
    page->done = token;
    _exit(0); /* the forked child alone; what the host registered with atexit is not its to run */
}

/* ---- the parent -------------------------------------------------------------------------------------------------- */

/* n - 1 bytes at most of what was printed: the first ones, or the last. */
static void read_kept(char *to, size_t n, int fd, bool last)
{
    off_t size = lseek(fd, 0, SEEK_END);
    ssize_t got = pread(fd, to, n - 1, last && size > (off_t)n - 1 ? size - (off_t)n + 1 : 0);

    to[got > 0 ? got : 0] = '\0';
}

static enum loci_ending wait_for(pid_t pid, int pipe_end, const loci_limits *limits, int *how)
{
    const double until = loci_seconds() + limits->seconds;
    enum loci_ending ending = LOCI_ENDED;

    for (;;) {
        struct pollfd p = {pipe_end, 0, 0};
        const double left = until - loci_seconds();
        int ready = poll(&p, 1, left > 0.05 ? 50 : left > 0 ? (int)(left * 1000) + 1 : 0);
        pid_t got = waitpid(pid, how, ready > 0 ? 0 : WNOHANG); /* (1) */

        if (got == pid || (got < 0 && errno != EINTR))
            break;
        if (limits->stop && *limits->stop)
            ending = LOCI_CANCELLED;
        else if (loci_seconds() >= until)
            ending = LOCI_TIMED_OUT;
        else
            continue;
        kill(-pid, SIGKILL);
        kill(pid, SIGKILL);
        while (waitpid(pid, how, 0) < 0 && errno == EINTR)
            ;
        return ending;
    }
    kill(-pid, SIGKILL); /* what it left behind */
    return ending;
}

static void read_page(loci_outcome *out, const struct page *page, uint64_t token, int how)
{
    memcpy(out->stage, page->stage, sizeof out->stage);
    out->stage[sizeof out->stage - 1] = '\0';
    if (out->ending != LOCI_ENDED)
        return;
    if (page->done == token && WIFEXITED(how) && WEXITSTATUS(how) == 0) {
        out->status = page->status;
        out->reply = page->reply;
        out->reply.text[sizeof out->reply.text - 1] = '\0';
        return;
    }
    out->ending = LOCI_CRASHED;
    out->signal = WIFSIGNALED(how) ? WTERMSIG(how) : 0;
    out->exit_code = WIFEXITED(how) ? WEXITSTATUS(how) : 0;
}

loci_status loci_isolate(loci_outcome *out, const loci_limits *limits, loci_isolated_fn fn, void *arg, loci_error *err)
{
    loci_status status = LOCI_OK;
    struct page *page = mmap(NULL, sizeof *page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    const int kept[KEPT] = {memfd_create("stdout", MFD_CLOEXEC), memfd_create("stderr", MFD_CLOEXEC),
                            memfd_create("log", MFD_CLOEXEC)};
    const double begin = loci_seconds();
    uint64_t token = (uint64_t)(begin * 1e9) ^ ((uint64_t)getpid() << 40) ^ UINT64_C(0x9E3779B97F4A7C15);
    int ends[2] = {-1, -1}, how = 0;
    pid_t pid = -1;

    memset(out, 0, sizeof *out);
    fflush(NULL);
    if (page == MAP_FAILED || kept[0] < 0 || kept[1] < 0 || kept[2] < 0 || pipe2(ends, O_CLOEXEC) ||
        (pid = fork()) < 0) {
        status = loci_fail(err, LOCI_E_NOMEM, "no process can be started: %s", strerror(errno));
        goto out;
    }
    if (!pid) {
        close(ends[0]);
        child(page, token, limits, kept, fn, arg);
    }
    setpgid(pid, pid);
    close(ends[1]);
    ends[1] = -1;
    out->ending = wait_for(pid, ends[0], limits, &how);
    out->seconds = loci_seconds() - begin;
    read_page(out, page, token, how);
    read_kept(out->out, sizeof out->out, kept[0], false);
    read_kept(out->err, sizeof out->err, kept[1], true);
    read_kept(out->log, sizeof out->log, kept[2], true);
out:
    for (int i = 0; i < KEPT; i++)
        if (kept[i] >= 0)
            close(kept[i]);
    for (int i = 0; i < 2; i++)
        if (ends[i] >= 0)
            close(ends[i]);
    if (page != MAP_FAILED)
        munmap(page, sizeof *page);
    return status;
}

void loci_not_isolated(loci_outcome *out, loci_isolated_fn fn, void *arg)
{
    const double begin = loci_seconds();

    memset(out, 0, sizeof *out);
    stage_at = out->stage;
    out->status = fn(arg, &out->reply);
    stage_at = NULL;
    out->seconds = loci_seconds() - begin;
}

/* ---- words ------------------------------------------------------------------------------------------------------- */

/* The line of what was printed that says most: a sanitizer's, else the last one. */
static void telling_line(char *to, size_t n, const char *text)
{
    static const char *const marks[] = {"ERROR: AddressSanitizer: ", "ERROR: ThreadSanitizer: ", "runtime error: "};
    const char *at = NULL;
    size_t len;

    for (size_t i = 0; i < sizeof marks / sizeof *marks && !at; i++)
        at = strstr(text, marks[i]);
    if (!at) {
        const char *end = text + strlen(text);
        while (end > text && end[-1] == '\n')
            end--;
        for (at = end; at > text && at[-1] != '\n'; at--)
            ;
    }
    len = strcspn(at, "\n");
    snprintf(to, n, "%.*s", (int)(len < 200 ? len : 200), at);
}

void loci_outcome_words(char *to, size_t n, const loci_outcome *o, double limit_s)
{
    const char *where = o->stage[0] ? o->stage : "the start of the test";
    const char *name = o->signal ? sigabbrev_np(o->signal) : NULL;
    char line[256];
    size_t len;

    telling_line(line, sizeof line, o->err);
    switch (o->ending) {
    case LOCI_TIMED_OUT:
        snprintf(to, n, "not back after %g s: %s", limit_s, where);
        break;
    case LOCI_CANCELLED:
        snprintf(to, n, "interrupted: %s", where);
        break;
    case LOCI_CRASHED:
        if (name)
            snprintf(to, n, "SIG%s: %s", name, where);
        else if (o->signal)
            snprintf(to, n, "signal %d: %s", o->signal, where);
        else
            snprintf(to, n, "the process ended with exit code %d: %s", o->exit_code, where);
        break;
    default:
        to[0] = '\0';
        return;
    }
    len = strlen(to);
    if (line[0])
        snprintf(to + len, n - len, " (it printed: %s)", line);
}
