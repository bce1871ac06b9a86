/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/simt/block.h: the fibers of the block that runs, for simt.cc, which starts and picks them, and wait.cc, where they
 * wait.
 */
#ifndef LOCI_SIMT_BLOCK_H
#define LOCI_SIMT_BLOCK_H

#include "fiber.h"
#include "simt.h"
#include "sites.h"

#define MOST 1024

enum state { READY, IN_WARP, IN_BLOCK, DONE };

struct fiber {
    struct context context;
    dim3 thread;
    state at;
    const char *what, *file;
    int line;
    uint32_t mask;
    simt_warp_fn *fn;
    void *arg;
    struct copy *copies; /* in flight, oldest first */
    int n_copies, room, group;
};

extern fiber fibers[MOST];
extern fiber *now;
extern int n_fibers, n_block; /* in the block; of them, at a barrier */

void make_ready(fiber *f);
/* The running fiber waits until somebody makes it ready. */
void wait_as(state at);
/* Ends the launch if a copy of the running fiber is in flight. */
void refuse_copies(void);
void drop_copies(fiber *f);

#endif
