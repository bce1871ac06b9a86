/* SPDX-License-Identifier: Apache-2.0
 *
 * core/bench/profile: what profile.c and the tables of profile_calls.c share.
 */
#ifndef LOCI_CORE_BENCH_PROFILE_H
#define LOCI_CORE_BENCH_PROFILE_H

#include "core/bench/bench.h"
#include "core/device/fused.h"
#include "core/model/node_impl.h"
#include <loci/scan.h>

/* One thread, with room that keeps it from the cache lines of others. */
typedef struct loci_profile_lane {
    int kind; /* of loci_profile_kind, or none: its time is nobody's */
    double since, seconds[LOCI_PROFILE_KINDS];
    char apart[128];
} loci_profile_lane;

struct loci_profile {
    const loci_ops *ops; /* of the device */
    const loci_scan *scan;
    const loci_fused *fused;
    loci_scan timed_scan; /* its plan is the device's: it is not timed and knows no call */
    loci_host host;       /* as the context had it */
    bool on;
    uint32_t workers;
    double started, wall;
    uint64_t calls[LOCI_PROFILE_KINDS], runs[LOCI_PROFILE_KINDS];
    loci_profile_lane *lanes;
};

extern const loci_ops loci_profile_ops;
extern const loci_fused loci_profile_fused;
extern const loci_scan loci_profile_scan;

loci_profile *loci_profile_of(const loci_exec *x);
/* Around a call of the device: from here on this thread's time is of `kind`; and of what it was before. */
int loci_profile_enter(const loci_exec *x, enum loci_profile_kind kind);
loci_status loci_profile_leave(int was, loci_status status);

#endif
