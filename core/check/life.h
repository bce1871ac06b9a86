/* SPDX-License-Identifier: Apache-2.0
 *
 * core/check: an instance made by hand, call by call, under a ledger: what loci_node_new does, but so that the test sees
 * each answer of the plugin itself.
 *
 *  (1) The children are those of a node that was made in the ordinary way and stands beside it (the donor). They were
 *      made for the same config, so an instance of that config can be bound to them. A class without children needs no
 *      donor beyond the shape of its place.
 *  (2) What a plugin says on a failure is its own loci_error, untouched.
 */
#ifndef LOCI_CORE_CHECK_LIFE_H
#define LOCI_CORE_CHECK_LIFE_H

#include "core/check/check.h"
#include "core/check/ledger.h"

typedef struct loci_life {
    loci_check *c;
    loci_ledger *ledger;
    loci_node *donor; /* NULL when there are no children */
    loci_weights weights;
    loci_config config;
    loci_shape shape; /* the component's own, as its place in a model gives it */
    const char *call; /* the last call that was made: "create", "bind" ... */
} loci_life;

/* Close it in either case. */
loci_status loci_life_open(loci_life *life, loci_check *c, loci_error *err);
void loci_life_close(loci_life *life);

/* create, child_shape, bind, declare. On failure *out is NULL, what was made is destroyed, *said is the plugin's own
 * message and life->call the call that failed. */
loci_status loci_life_make(loci_life *life, loci_module **out, loci_error *said);
void loci_life_end(loci_life *life, loci_module *m);
/* make for tests that expect it to succeed: err has the call and what it said. */
loci_status loci_life_must_make(loci_life *life, loci_module **out, loci_error *err);

/* The ops that plan is asked for: n of them. */
const int32_t *loci_life_ops(const loci_check *c, uint32_t *n);
const char *loci_op_name(int32_t op);

/* Sizes for plan that a session of these calls would have; *session must outlive the shape. */
void loci_life_sizes(loci_shape *out, struct loci_session *session, const loci_life *life, int64_t rows, int64_t seq,
                     uint64_t flags);

#endif
