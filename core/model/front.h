/* SPDX-License-Identifier: Apache-2.0
 *
 * The front end's own struct, and the pieces of memory its calls are made of; see front.c.
 */
#ifndef LOCI_CORE_MODEL_FRONT_H
#define LOCI_CORE_MODEL_FRONT_H

#include "core/model/node_impl.h"
#include "core/model/tools.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct loci_front {
    int64_t dim, heads, dk, dv, taps;
    double init_std;
    bool silu, l2, out_norm, out_gate, out_proj;
    const char *gate_bias;
    bool on[3]; /* q, k, v: does the rule want it */
    uint32_t n_params;
    uint32_t tail[3];
    const loci_weight *w[3], *conv[3], *gate_w[LOCI_MAX_GATES], *gate_b[LOCI_MAX_GATES], *norm, *z, *o;
};

/* What a forward computes and its backward reads. A piece that a switch leaves out is the piece before it. */
struct front_pieces {
    void *p[3], *c[3], *a[3], *n[3], *stat[3]; /* projected, convolved, activated, normalised, 1 / norm */
    void *gate_z[LOCI_MAX_GATES], *gate[LOCI_MAX_GATES];
    void *y, *y_stat, *yn, *z, *out; /* of the rule, normalised, gate before its activation, gated */
};

#endif
