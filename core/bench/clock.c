/* SPDX-License-Identifier: Apache-2.0
 *
 * The CPU time of all threads, exact to the moment.
 *
 * The clock of the process will not do: it knows how long *other* threads have run only up to the kernel's last tick,
 * some milliseconds ago. Two threads that compute for a millisecond are then seen as one, and the best or the median of
 * many such samples makes a machine twice as fast as it is. The clock of a thread is brought up to date when it is
 * read, also by another thread; so those of all threads there are at the beginning are added. A thread that has ended
 * counts nothing, and one that is made later is not seen: a context has all its threads when it is opened.
 */
#include "core/bench/impl.h"
#include <dirent.h>
#include <stdlib.h>

/* The kernel's number of the CPU clock of thread `tid`: what pthread_getcpuclockid computes from a pthread_t. */
static clockid_t clock_of(long tid)
{
    return (clockid_t)((~(unsigned)tid << 3) | 6);
}

void loci__cpu_clock_open(loci_cpu_clock *c)
{
    DIR *tasks = opendir("/proc/self/task");
    const struct dirent *e;

    c->n = 0;
    while (tasks && (e = readdir(tasks))) {
        const long tid = strtol(e->d_name, NULL, 10);
        if (tid > 0 && c->n < LOCI_CPU_CLOCKS)
            c->at[c->n++] = clock_of(tid);
    }
    if (tasks)
        closedir(tasks);
    if (c->n == 0)
        c->at[c->n++] = CLOCK_PROCESS_CPUTIME_ID; /* no /proc: better than nothing */
}

double loci__cpu_clock_read(const loci_cpu_clock *c)
{
    double sum = 0;

    for (uint32_t i = 0; i < c->n; i++) {
        struct timespec t;
        if (clock_gettime(c->at[i], &t) == 0)
            sum += (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
    }
    return sum;
}
