/* SPDX-License-Identifier: Apache-2.0
 *
 * core/check: a host whose book is kept: every block of memory it gave out, every slot that was declared, and the n-th
 * allocation refused when a test says so.
 *
 *  (1) It is a copy of the context's table, so that the context and its children go on as they were.
 *  (2) One ledger at a time, one thread: the functions of the table have no other way to find it.
 *  (3) What a plugin does wrong with it is kept in `wrong`, the first thing only.
 */
#ifndef LOCI_CORE_CHECK_LEDGER_H
#define LOCI_CORE_CHECK_LEDGER_H

#include "core/model/node.h"

#define LOCI_LEDGER_BLOCKS 4096
#define LOCI_LEDGER_TAIL 256

typedef struct loci_ledger {
    loci_host host;                /* first: what the plugin gets ...          */
    unsigned char tail[LOCI_LEDGER_TAIL]; /* ... with room for members of later days */
    loci_context *cx;
    void *blocks[LOCI_LEDGER_BLOCKS];
    uint32_t n_blocks;
    uint64_t bytes;
    long calls, fail_at; /* fail_at n: the n-th call from now answers NULL */
    bool refused;        /* it did                                         */
    bool closed;         /* no call of alloc is allowed now                */
    bool no_services;    /* get_ext answers NULL to everything             */
    char wrong[256];
    loci_text declared; /* a line for each slot, gate and sub, as it was declared */
    uint32_t n_params, n_states, n_gates, n_subs;
} loci_ledger;

/* NULL when memory is out. */
loci_ledger *loci_ledger_new(loci_context *cx);
void loci_ledger_free(loci_ledger *l);
/* Forget what was declared. */
void loci_ledger_clear(loci_ledger *l);
/* Did all blocks come back, and nothing else happen? `what` begins the sentence. */
loci_status loci_ledger_balanced(const loci_ledger *l, const char *what, loci_error *err);

#endif
