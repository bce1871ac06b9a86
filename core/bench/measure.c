/* SPDX-License-Identifier: Apache-2.0
 *
 * Timing a call: warm up, then samples until the budget is spent.
 *
 *  (1) A sample lasts SHORTEST at least: where nothing has to be put back between calls, it is as many calls as that
 *      takes.
 *  (2) The budget counts everything, so that a row with much to put back ends in time too. LEAST samples are taken
 *      unless they last longer than PATIENCE budgets.
 */
#include "core/bench/impl.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SHORTEST 50e-6
#define LEAST 3
#define PATIENCE 20
#define MOST 65536

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

double loci_bench_quantile(double *x, size_t n, double q)
{
    const double at = q * (double)(n - 1);
    const size_t i = (size_t)at;

    qsort(x, n, sizeof *x, ascending);
    return i + 1 < n ? x[i] + (at - (double)i) * (x[i + 1] - x[i]) : x[n - 1];
}

/* ---- cold caches ------------------------------------------------------------------------------------------------- */

/* Twice what the last level says it holds; machines under a hypervisor say odd things, so within bounds. */
static size_t evict_bytes(void)
{
    const long says = sysconf(_SC_LEVEL3_CACHE_SIZE);
    const size_t least = (size_t)64 << 20, most = (size_t)512 << 20, twice = says > 0 ? 2 * (size_t)says : least;

    return twice < least ? least : twice > most ? most : twice;
}

struct sampling {
    const loci_bench_call *c;
    const loci_bench_how *how;
    uint64_t inner; /* calls of a sample */
    double *wall, *cpu;
    size_t n, cap;
    char *evict; /* twice what the caches hold; written once, so that it is memory and not the page of zeros */
    size_t evict_bytes;
    volatile char sink;
    loci_cpu_clock clock;
};

/* By reading: lines that were written would have to go back to memory while the call reads its own. */
static void evict(struct sampling *s)
{
    const size_t line = 64;
    char sum = 0;

    for (size_t i = 0; i < s->evict_bytes; i += line)
        sum = (char)(sum ^ s->evict[i]);
    s->sink = sum;
}

static loci_status stopped(const struct sampling *s, loci_error *err)
{
    return s->how->stop && *s->how->stop ? loci_fail(err, LOCI_E_STOPPED, "stopped while measuring") : LOCI_OK;
}

/* One sample; `keep` false: of the warm-up. */
static loci_status sample(struct sampling *s, bool keep, double *wall, loci_error *err)
{
    loci_status status = stopped(s, err);
    double start, cpu;

    for (uint64_t i = 0; s->c->again && status == LOCI_OK && i < s->inner; i++)
        status = s->c->again(s->c->arg, err);
    if (s->evict)
        evict(s);
    if (keep && s->how->profile)
        loci_profile_begin(s->how->profile);
    cpu = loci__cpu_clock_read(&s->clock);
    start = loci_seconds();
    for (uint64_t i = 0; status == LOCI_OK && i < s->inner; i++)
        status = s->c->call(s->c->arg, err);
    *wall = (loci_seconds() - start) / (double)s->inner;
    cpu = (loci__cpu_clock_read(&s->clock) - cpu) / (double)s->inner;
    if (keep && s->how->profile)
        loci_profile_end(s->how->profile);
    if (keep && status == LOCI_OK) {
        s->wall[s->n] = *wall;
        s->cpu[s->n++] = cpu;
    }
    return status;
}

static loci_status room(struct sampling *s, loci_error *err)
{
    const size_t cap = s->cap ? 2 * s->cap : 64;
    double *wall, *cpu;

    if (s->n < s->cap)
        return LOCI_OK;
    wall = loci_realloc(s->wall, cap * sizeof *wall);
    if (wall)
        s->wall = wall;
    cpu = wall ? loci_realloc(s->cpu, cap * sizeof *cpu) : NULL;
    if (!cpu)
        return loci_fail(err, LOCI_E_NOMEM, "out of memory for %zu samples", cap);
    s->cpu = cpu;
    s->cap = cap;
    return LOCI_OK;
}

/* Two calls at least, a tenth of the budget at most; and (1). */
static loci_status warm_up(struct sampling *s, loci_error *err)
{
    loci_status status = LOCI_OK;
    const double start = loci_seconds();
    double one = 0, least = INFINITY;

    for (int i = 0; i < 2 || (i < 1000 && loci_seconds() - start < 0.1 * s->how->seconds); i++) {
        LOCI_TRY(sample(s, false, &one, err));
        least = one < least ? one : least;
        if (i == 0 && one > s->how->seconds)
            break;
    }
    if (!s->c->again && !s->evict && least < SHORTEST)
        s->inner = (uint64_t)ceil(SHORTEST / (least > 1e-9 ? least : 1e-9));
out:
    return status;
}

loci_status loci_bench_measure(loci_bench_times *out, const loci_bench_call *c, const loci_bench_how *how,
                               loci_error *err)
{
    loci_status status = LOCI_OK;
    struct sampling s = {.c = c, .how = how, .inner = 1};
    double start, one;

    memset(out, 0, sizeof *out);
    if (how->cold) {
        s.evict_bytes = evict_bytes();
        s.evict = loci_alloc(s.evict_bytes);
        if (!s.evict)
            return loci_fail(err, LOCI_E_NOMEM, "out of memory: %zu bytes to fill the caches with", s.evict_bytes);
        memset(s.evict, 1, s.evict_bytes);
    }
    LOCI_TRY(warm_up(&s, err));
    loci__cpu_clock_open(&s.clock); /* now the threads are there */
    if (how->profile)
        loci_profile_clear(how->profile);
    start = loci_seconds();
    for (double spent = 0; s.n < MOST; spent = loci_seconds() - start) {
        if (s.n > 0 && spent >= how->seconds && (s.n >= LEAST || spent >= PATIENCE * how->seconds))
            break;
        LOCI_TRY(room(&s, err));
        LOCI_TRY(sample(&s, true, &one, err));
    }
    *out = (loci_bench_times){.samples = (uint32_t)s.n,
                              .calls = (uint64_t)s.n * s.inner,
                              .median = loci_bench_quantile(s.wall, s.n, 0.5),
                              .p10 = loci_bench_quantile(s.wall, s.n, 0.1),
                              .p90 = loci_bench_quantile(s.wall, s.n, 0.9),
                              .least = s.wall[0],
                              .most = s.wall[s.n - 1],
                              .cpu = loci_bench_quantile(s.cpu, s.n, 0.5)};
out:
    loci_free(s.wall);
    loci_free(s.cpu);
    loci_free(s.evict);
    return status;
}
