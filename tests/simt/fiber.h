/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/simt/fiber.h: stacks and the switch between them.
 */
#ifndef LOCI_SIMT_FIBER_H
#define LOCI_SIMT_FIBER_H

#include "asan.h"

#include <stddef.h>

/* A place to continue: a stack pointer, and what AddressSanitizer keeps for it. `bottom` and `size` are its stack. */
struct context {
    void *sp, *fake;
    const void *bottom;
    size_t size;
};

/* Leaves `from` for `to`; returns when somebody switches to `from`. A context that ends is not entered again. */
void fiber_switch(context *from, context *to, int ends);
/* Makes c begin at entry(), which must not return, on a stack of its own: got the first time, used again later. */
void fiber_begin(context *c, void (*entry)(void));
/* The first thing entry() calls; `from` is the context that switched to it. */
void fiber_entered(context *from);

#endif
