/* SPDX-License-Identifier: Apache-2.0
 *
 * How long it takes to find every plugin and load it. What is loaded stays (registry.h (4)), so each sample is a
 * process of its own, which times itself and leaves the two numbers in memory that both see.
 */
#include "core/bench/impl.h"
#include "core/plugin/isolate.h"
#include <string.h>
#include <sys/mman.h>

#define LEAST 5
#define MOST 200

struct sample {
    const loci_conf *conf;
    const char *plugin_path;
    struct found {
        double wall, cpu;
        uint32_t loaded;
    } * found; /* shared with the processes */
};

/* A file that cannot be used counts for what it took to find that out. */
static loci_status load_all(void *arg, loci_reply *reply)
{
    const struct sample *s = arg;
    struct found *to = s->found;
    loci_status status;
    loci_error err = LOCI_ERROR_INIT;
    loci_registry *r = NULL;
    double wall, cpu;
    loci_cpu_clock clock;

    loci__cpu_clock_open(&clock);
    cpu = loci__cpu_clock_read(&clock);
    wall = loci_seconds();
    to->loaded = 0;
    status = loci_context_registry(&r, s->conf, s->plugin_path, &err);
    for (uint32_t i = 0; status == LOCI_OK && i < loci_registry_n(r); i++) {
        const loci_entry *e = loci_registry_entry(r, i);
        loci_error why = LOCI_ERROR_INIT;
        const loci_class *cls;
        if (!e->broken && !e->shadowed_by && loci_registry_find(r, &cls, e->kind, e->id, NULL, &why) == LOCI_OK)
            to->loaded++;
    }
    to->wall = loci_seconds() - wall;
    to->cpu = loci__cpu_clock_read(&clock) - cpu;
    snprintf(reply->text, sizeof reply->text, "%s", err.msg);
    loci_registry_free(r);
    return status;
}

static loci_status take(struct sample *s, const loci_bench_how *how, loci_error *err)
{
    const loci_limits limits = {.seconds = 60, .stop = how->stop};
    loci_outcome o;
    char words[512];
    loci_status status = loci_isolate(&o, &limits, load_all, s, err);

    if (status != LOCI_OK)
        return status;
    if (o.ending == LOCI_CANCELLED)
        return loci_fail(err, LOCI_E_STOPPED, "stopped while measuring");
    if (o.ending != LOCI_ENDED) {
        loci_outcome_words(words, sizeof words, &o, limits.seconds);
        return loci_fail(err, LOCI_E_PLUGIN,
                         "a process that loads every plugin died (%s): `loci list --deep` says which file it is",
                         words);
    }
    return o.status == LOCI_OK ? LOCI_OK : loci_fail(err, o.status, "%.480s", o.reply.text);
}

loci_status loci_bench_startup(loci_bench_row *out, const loci_conf *conf, const char *plugin_path,
                               const loci_bench_how *how, loci_error *err)
{
    loci_status status = LOCI_OK;
    double wall[MOST], cpu[MOST];
    const double start = loci_seconds();
    struct sample s = {conf, plugin_path, NULL};
    uint32_t n = 0;

    memset(out, 0, sizeof *out);
    s.found = mmap(NULL, sizeof *s.found, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (s.found == MAP_FAILED)
        return loci_fail(err, LOCI_E_NOMEM, "out of memory for a shared page");
    LOCI_TRY(take(&s, how, err)); /* reads the files from the disk, for those that follow */
    for (; n < MOST && (n < LEAST || loci_seconds() - start < how->seconds); n++) {
        if (how->stop && *how->stop) {
            status = loci_fail(err, LOCI_E_STOPPED, "stopped while measuring");
            goto out;
        }
        LOCI_TRY(take(&s, how, err));
        wall[n] = s.found->wall;
        cpu[n] = s.found->cpu;
    }
    snprintf(out->backend, sizeof out->backend, "%u classes", s.found->loaded);
    out->t = (loci_bench_times){.samples = n,
                                .calls = n,
                                .median = loci_bench_quantile(wall, n, 0.5),
                                .p10 = loci_bench_quantile(wall, n, 0.1),
                                .p90 = loci_bench_quantile(wall, n, 0.9),
                                .least = wall[0],
                                .most = wall[n - 1],
                                .cpu = loci_bench_quantile(cpu, n, 0.5)};
out:
    munmap(s.found, sizeof *s.found);
    return status;
}
