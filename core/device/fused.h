/* SPDX-License-Identifier: Apache-2.0
 *
 * core/device/fused: steps that a layer of the host's model takes in one pass over memory where loci.ops/1 takes several.
 *
 * For the model alone (core/model/tools.c), which does the same by loci.ops/1 on a device without them: no plugin uses
 * them, so they are in no public header (docs/adr/0005). Rows are contiguous, tensors [N,C] of one type, f32 or f64.
 */
#ifndef LOCI_CORE_DEVICE_FUSED_H
#define LOCI_CORE_DEVICE_FUSED_H

#include <loci/ops.h>

#define LOCI_EXT_FUSED "loci.fused/1"

typedef struct loci_fused {
    /* u = a + b;  y = u r gain,  r = (mean u^2 + eps)^-1/2, which goes to stat [N] unless that is NULL. u may be a or b. */
    loci_status (*add_norm)(const loci_exec *, const loci_tensor *u, const loci_tensor *y, const loci_tensor *stat,
                            const loci_tensor *a, const loci_tensor *b, const loci_tensor *gain, double eps,
                            loci_error *);
    /* The way back of y = silu(g) o u (Shazeer 2020), and y once more:
     *   y = silu(g) o u    dg = silu'(g) o u o dy    du = silu(g) o dy
     * y, dg and du may be the storage of any of g, u and dy. */
    loci_status (*swiglu_back)(const loci_exec *, const loci_tensor *y, const loci_tensor *dg, const loci_tensor *du,
                               const loci_tensor *g, const loci_tensor *u, const loci_tensor *dy, loci_error *);
    /* y = gelu(g)    dg = gelu'(g) o dy, under the same rule. */
    loci_status (*gelu_back)(const loci_exec *, const loci_tensor *y, const loci_tensor *dg, const loci_tensor *g,
                             const loci_tensor *dy, loci_error *);
} loci_fused;

extern const loci_fused loci_cpu_fused;

#endif
