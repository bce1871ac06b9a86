/* SPDX-License-Identifier: Apache-2.0
 *
 * core/device/pool: the threads of the CPU device.
 *
 * loci_pool_run cuts [0, n) into ceil(n / grain) pieces, whatever the number of threads, and returns when all are done.
 *
 *  (1) Which pieces exist depends on n and grain alone; only who computes a piece depends on the threads.
 *  (2) The caller works too, as worker 0; the others are 1 .. workers - 1.
 *  (3) A call made inside a piece runs inline, in order, as the worker of that piece. So does a call that finds the
 *      pool busy with another thread's call: nobody ever waits for a stranger's work.
 *  (4) Threads start at the first call that can use them, and again after a fork. When one cannot be started the pool
 *      works with those it has.
 *  (5) An idle thread spins for some 30 microseconds, then blocks.
 *      Threads keep off the core that the caller is on, where there is a core for each.
 *  (6) Inside a piece subnormal numbers count as 0, whichever thread computes it; a caller finds its control word as it
 *      was (flush.h).
 */
#ifndef LOCI_CORE_DEVICE_POOL_H
#define LOCI_CORE_DEVICE_POOL_H

#include "core/base/base.h"

typedef struct loci_pool loci_pool;

/* threads counts the caller; 0 or less: one per core this process may use. NULL when there is no memory. */
loci_pool *loci_pool_new(int threads);
/* No call may be running. Accepts NULL. */
void loci_pool_free(loci_pool *pool);
uint32_t loci_pool_workers(const loci_pool *pool);
/* n <= 0 does nothing; a grain below 1 counts as 1. Cannot fail. */
void loci_pool_run(loci_pool *pool, int64_t n, int64_t grain, loci_task_fn fn, void *arg);

#endif
