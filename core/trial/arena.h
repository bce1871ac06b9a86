/* SPDX-License-Identifier: Apache-2.0
 *
 * core/trial/arena: memory whose end is exact. Behind a guarded arena lies a page that may not be touched, before it
 * another one; what alignment leaves between its end and that page is filled with a known byte. Without a guard it is
 * ordinary counted memory.
 *
 *  (1) Of a device that is not the CPU an arena has two sides: `at`, host memory, which the trial writes and reads,
 *      and a copy on the device, which the component is given (loci__arena_given). `up` copies the one over the other
 *      before a call, `down` the other way after it.
 *  (2) The device's side lies at the same distance from a 64-byte boundary as the host's. It has no pages; known bytes
 *      stand before and behind it.
 */
#ifndef LOCI_CORE_TRIAL_ARENA_H
#define LOCI_CORE_TRIAL_ARENA_H

#include "core/model/node.h"

struct arena {
    void *at;       /* aligned as asked for */
    uint64_t bytes; /* that may be used     */
    void *map;      /* NULL: not guarded    */
    uint64_t mapped;
    loci_context *cx; /* NULL: host memory only */
    char *card;       /* the device's side, its known bytes included */
};

/* align: a power of two, at most 4096. guard: all bytes 0xff (NaN of every float type); else zeros. cx: of the device
 * to have a side on; NULL, or that of the CPU: none. */
loci_status loci__arena_new(struct arena *a, loci_context *cx, uint64_t bytes, uint64_t align, bool guard,
                            loci_error *err);
void loci__arena_free(struct arena *a);
/* 0xff again, where guarded. */
void loci__arena_spoil(struct arena *a);
/* Are the bytes between the end and the page still as they were, and those around the device's side? */
bool loci__arena_intact(const struct arena *a);

/* (1): the address that a component gets. */
void *loci__arena_given(const struct arena *a);
loci_status loci__arena_up(struct arena *a, loci_error *err);
loci_status loci__arena_down(struct arena *a, loci_error *err);
/* Until the device has done what it was asked for. */
loci_status loci__arena_wait(const struct arena *a, loci_error *err);

#endif
