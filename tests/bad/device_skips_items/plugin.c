/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/bad: a device whose parallel_for forgets the piece at the end that is shorter than the grain.
 */
#define PARALLEL_FOR bad_parallel_for
#include "../device.h"

static loci_status bad_parallel_for(loci_module *m, int64_t n, int64_t grain, loci_task_fn fn, void *arg)
{
    return parallel_for(m, n > grain ? n / grain * grain : n, grain, fn, arg);
}
