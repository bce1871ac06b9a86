/* SPDX-License-Identifier: Apache-2.0
 *
 * How long it takes to find every plugin and load it. What is loaded stays (registry.h (4)), so each sample is a
 * process of its own, which times itself and sends the two numbers home.
 */
#include "core/bench/impl.h"
#include <errno.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define LEAST 5
#define MOST 200

struct sent {
    double wall, cpu;
    loci_status status;
    uint32_t loaded;
    char msg[512];
};

/* A file that cannot be used counts for what it took to find that out. */
static void load_all(struct sent *to, const loci_conf *conf, const char *plugin_path)
{
    loci_error err = LOCI_ERROR_INIT;
    loci_registry *r = NULL;
    double wall = loci_seconds(), cpu = loci__cpu_seconds();

    to->status = loci_context_registry(&r, conf, plugin_path, &err);
    for (uint32_t i = 0; to->status == LOCI_OK && i < loci_registry_n(r); i++) {
        const loci_entry *e = loci_registry_entry(r, i);
        loci_error why = LOCI_ERROR_INIT;
        const loci_class *cls;
        if (!e->broken && !e->shadowed_by && loci_registry_find(r, &cls, e->kind, e->id, NULL, &why) == LOCI_OK)
            to->loaded++;
    }
    to->wall = loci_seconds() - wall;
    to->cpu = loci__cpu_seconds() - cpu;
    snprintf(to->msg, sizeof to->msg, "%s", err.msg);
    loci_registry_free(r);
}

static loci_status sample(struct sent *s, const loci_conf *conf, const char *plugin_path, loci_error *err)
{
    int ends[2], how = 0;
    ssize_t got;
    pid_t child;

    if (pipe(ends) != 0)
        return loci_fail(err, LOCI_E_IO, "no pipe for a process that starts: %s", strerror(errno));
    child = fork();
    if (child == 0) {
        memset(s, 0, sizeof *s);
        load_all(s, conf, plugin_path);
        _exit(write(ends[1], s, sizeof *s) == (ssize_t)sizeof *s ? 0 : 1);
    }
    close(ends[1]);
    do
        got = child > 0 ? read(ends[0], s, sizeof *s) : 0;
    while (got < 0 && errno == EINTR);
    close(ends[0]);
    if (child < 0)
        return loci_fail(err, LOCI_E_IO, "no process can be started: %s", strerror(errno));
    while (waitpid(child, &how, 0) < 0 && errno == EINTR)
        ;
    if (got != (ssize_t)sizeof *s)
        return loci_fail(err, LOCI_E_PLUGIN,
                         "a process that loads every plugin died: `loci list --deep` says which file it is");
    return s->status == LOCI_OK ? LOCI_OK : loci_fail(err, s->status, "%s", s->msg);
}

loci_status loci_bench_startup(loci_bench_row *out, const loci_conf *conf, const char *plugin_path,
                               const loci_bench_how *how, loci_error *err)
{
    loci_status status = LOCI_OK;
    double wall[MOST], cpu[MOST];
    const double start = loci_seconds();
    struct sent s;
    uint32_t n = 0;

    memset(out, 0, sizeof *out);
    LOCI_TRY(sample(&s, conf, plugin_path, err)); /* reads the files from the disk, for those that follow */
    for (; n < MOST && (n < LEAST || loci_seconds() - start < how->seconds); n++) {
        if (how->stop && *how->stop) {
            status = loci_fail(err, LOCI_E_STOPPED, "stopped while measuring");
            goto out;
        }
        LOCI_TRY(sample(&s, conf, plugin_path, err));
        wall[n] = s.wall;
        cpu[n] = s.cpu;
    }
    snprintf(out->backend, sizeof out->backend, "%u classes", s.loaded);
    out->t = (loci_bench_times){.samples = n,
                                .calls = n,
                                .median = loci_bench_quantile(wall, n, 0.5),
                                .p10 = loci_bench_quantile(wall, n, 0.1),
                                .p90 = loci_bench_quantile(wall, n, 0.9),
                                .least = wall[0],
                                .most = wall[n - 1],
                                .cpu = loci_bench_quantile(cpu, n, 0.5)};
out:
    return status;
}
