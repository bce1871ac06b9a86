/* SPDX-License-Identifier: Apache-2.0
 *
 * core/report: text through another program, without a shell and without a deadlock.
 *
 *  (1) One poll loop feeds and drains: a child that writes before it has read everything cannot block both sides.
 *  (2) Its standard input is a socket, because send can be told not to raise SIGPIPE; a library does not touch the
 * process's signal handlers. (3) Every descriptor is close-on-exec; the child has its three and nothing of ours.
 */
#include "core/report/pipe.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

enum { OUT_MAX = 64 << 20, SAID_MAX = 4096 };

typedef struct child {
    pid_t pid;
    int in, out, said; /* our ends: its standard input, output, error; -1: closed */
} child;

static void shut(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static loci_status start(child *c, const char *const *argv, loci_error *err)
{
    int in[2] = {-1, -1}, out[2] = {-1, -1}, said[2] = {-1, -1}, failed;
    posix_spawn_file_actions_t acts;
    posix_spawnattr_t attr;
    sigset_t none;
    loci_status status = LOCI_OK;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, in) != 0 || pipe2(out, O_CLOEXEC) != 0 ||
        pipe2(said, O_CLOEXEC) != 0 || fcntl(in[0], F_SETFL, O_NONBLOCK) != 0) {
        status = loci_fail(err, LOCI_E_IO, "%s: %s", argv[0], strerror(errno));
        goto out;
    }
    if (posix_spawn_file_actions_init(&acts) != 0) {
        status = loci_fail(err, LOCI_E_NOMEM, "%s: no memory to start it", argv[0]);
        goto out;
    }
    if (posix_spawnattr_init(&attr) != 0) {
        (void)posix_spawn_file_actions_destroy(&acts);
        status = loci_fail(err, LOCI_E_NOMEM, "%s: no memory to start it", argv[0]);
        goto out;
    }
    sigemptyset(&none); /* a caller may block signals; its child takes them */
    failed = posix_spawn_file_actions_adddup2(&acts, in[1], 0) || posix_spawn_file_actions_adddup2(&acts, out[1], 1) ||
                     posix_spawn_file_actions_adddup2(&acts, said[1], 2) || posix_spawnattr_setsigmask(&attr, &none) ||
                     posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK)
                 ? ENOMEM
                 : posix_spawnp(&c->pid, argv[0], &acts, &attr, (char *const *)(uintptr_t)argv, environ);
    (void)posix_spawnattr_destroy(&attr);
    (void)posix_spawn_file_actions_destroy(&acts);
    if (failed == ENOENT || failed == EACCES)
        status = loci_fail(err, LOCI_E_UNSUPPORTED, "%s is not in PATH", argv[0]);
    else if (failed)
        status = loci_fail(err, failed == ENOMEM ? LOCI_E_NOMEM : LOCI_E_IO, "%s: %s", argv[0], strerror(failed));
out:
    shut(&in[1]);
    shut(&out[1]);
    shut(&said[1]);
    *c = (child){c->pid, in[0], out[0], said[0]};
    return status;
}

/* Read once; the end closes. */
static void drain(int *fd, loci_text *to, size_t most)
{
    char piece[16384];
    ssize_t got = read(*fd, piece, sizeof piece);
    if (got < 0 && errno == EINTR)
        return;
    if (got <= 0)
        shut(fd);
    else if (to->len + (size_t)got <= most)
        loci_text_bytes(to, piece, (size_t)got);
    else
        to->failed = true;
}

/* (1). False when the time is up. */
static bool converse(child *c, loci_text *out, loci_text *said, const char *bytes, size_t n, double limit_s)
{
    double end = loci_seconds() + limit_s;
    while (c->out >= 0 || c->said >= 0) {
        struct pollfd fds[3] = {{c->in, POLLOUT, 0}, {c->out, POLLIN, 0}, {c->said, POLLIN, 0}};
        double left = end - loci_seconds();
        if (left <= 0 || out->failed)
            return out->failed;
        if (poll(fds, 3, (int)(left * 1000) + 1) <= 0)
            continue;
        if (fds[0].revents) {
            ssize_t did = n ? send(c->in, bytes, n, MSG_NOSIGNAL) : 0; /* (2) */
            if (did > 0) {
                bytes += did;
                n -= (size_t)did;
            }
            if (n == 0 || (did < 0 && errno != EAGAIN && errno != EINTR))
                shut(&c->in);
        }
        if (fds[1].revents)
            drain(&c->out, out, OUT_MAX);
        if (fds[2].revents)
            drain(&c->said, said, SAID_MAX);
    }
    return true;
}

loci_status loci__pipe_through(loci_text *out, const char *const *argv, const char *bytes, size_t n, double limit_s,
                               loci_error *err)
{
    child c = {.pid = -1};
    loci_text said = {0};
    int how = 0;
    bool in_time = false;
    loci_status status = start(&c, argv, err);

    if (status == LOCI_OK) {
        in_time = converse(&c, out, &said, bytes, n, limit_s);
        if (!in_time || out->failed)
            (void)kill(c.pid, SIGKILL);
    }
    shut(&c.in);
    shut(&c.out);
    shut(&c.said);
    if (status != LOCI_OK)
        return status;
    while (waitpid(c.pid, &how, 0) < 0 && errno == EINTR)
        ;
    for (char *s = said.at; s && *s; s++) /* one printable line of what it said */
        *s = (unsigned char)*s < 0x20 || *s == 0x7f ? ' ' : *s;
    if (!in_time)
        status = loci_fail(err, LOCI_E_INTERNAL, "%s: took longer than %g s", argv[0], limit_s);
    else if (out->failed)
        status = loci_fail(err, LOCI_E_NOMEM, "%s: no memory for its output", argv[0]);
    else if (!WIFEXITED(how) || WEXITSTATUS(how) != 0)
        status = loci_fail(err, WIFEXITED(how) && WEXITSTATUS(how) == 127 ? LOCI_E_UNSUPPORTED : LOCI_E_INTERNAL,
                           "%s failed: %.300s", argv[0], said.len ? said.at : "it said nothing");
    loci_text_free(&said);
    return status;
}
