/* SPDX-License-Identifier: Apache-2.0
 *
 * core/trial/arena: memory whose end is exact. Behind a guarded arena lies a page that may not be touched, before it
 * another one; what alignment leaves between its end and that page is filled with a known byte. Without a guard it is
 * ordinary counted memory.
 */
#ifndef LOCI_CORE_TRIAL_ARENA_H
#define LOCI_CORE_TRIAL_ARENA_H

#include "core/base/base.h"

struct arena {
    void *at;       /* aligned as asked for */
    uint64_t bytes; /* that may be used     */
    void *map;      /* NULL: not guarded    */
    uint64_t mapped;
};

/* align: a power of two, at most 4096. guard: all bytes 0xff (NaN of every float type); else zeros. */
loci_status loci__arena_new(struct arena *a, uint64_t bytes, uint64_t align, bool guard, loci_error *err);
void loci__arena_free(struct arena *a);
/* 0xff again, where guarded. */
void loci__arena_spoil(struct arena *a);
/* Are the bytes between the end and the page still as they were? */
bool loci__arena_intact(const struct arena *a);

#endif
