/* SPDX-License-Identifier: Apache-2.0
 *
 * compose: the gate that joins attention and memory in mac and mag (Titans: Behrouz et al. 2025, sections 4.1 and 4.2:
 * both outputs are normalised, each with a learned vector of gains, and pass a non-linearity).
 *
 *     o = a o s      a = gate_y o rms(y)      s = sigmoid(gate_m o rms(m))
 *
 * The paper leaves the non-linearity and the product's form open. A sigmoid on the memory's side keeps o alive while
 * the memory is still empty: with s = sigmoid(0) = 1/2 the block starts as halved attention. Statistics and activations
 * are computed again in the backward, so a gate saves nothing but y and m.
 *
 *     ds = s (1 - s) (do o a)   goes through the norm to dm and gate_m;   da = do o s   through the other to dy, gate_y
 */
#include "parts.h"

#define NORM_EPS 1e-6

void gate_cut(struct gate *g, const loci_module *m, int64_t n, bool back, loci_cursor *scratch)
{
    const uint64_t column_bytes = (uint64_t)n * m->shape.acc.bits / 8;

    g->s = cut_rows(scratch, m, n);
    g->t = back ? cut_rows(scratch, m, n) : NULL;
    g->stat_y = back ? loci_cut(scratch, column_bytes) : NULL;
    g->stat_m = back ? loci_cut(scratch, column_bytes) : NULL;
}

/* out = gain o rms(x), and its statistics where asked for. */
static loci_status norm(const struct call *c, const loci_tensor *out, const void *x, uint32_t gain, void *stat,
                        int64_t n)
{
    loci_view vx, vs;

    return c->m->ops->norm(c->x, LOCI_NORM_RMS, out, matrix(&vx, c, x, n), &c->s->params[gain],
                           stat ? column(&vs, c, stat, n) : NULL, NORM_EPS, c->err);
}

static loci_status norm_back(const struct call *c, void *dx, const void *x, uint32_t gain, const void *stat,
                             const loci_tensor *dy, int64_t n)
{
    loci_view vdx, vx, vs;

    return c->m->ops->norm_back(c->x, LOCI_NORM_RMS, matrix(&vdx, c, dx, n), &c->s->grads[gain], matrix(&vx, c, x, n),
                                &c->s->params[gain], column(&vs, c, stat, n), dy, c->err);
}

loci_status gate_forward(const struct call *c, const struct gate *g, const loci_tensor *o, const void *y, const void *m,
                         int64_t n)
{
    const loci_ops *ops = c->m->ops;
    loci_view s;

    matrix(&s, c, g->s, n);
    LOCI_RETURN_IF(norm(c, o, y, c->m->w_gate_y, NULL, n));
    LOCI_RETURN_IF(norm(c, &s.t, m, c->m->w_gate_m, NULL, n));
    LOCI_RETURN_IF(ops->map1(c->x, LOCI_MAP_SIGMOID, &s.t, &s.t, 1, 0, c->err));
    return ops->map2(c->x, LOCI_MAP_MUL, o, o, &s.t, 1, 0, c->err);
}

loci_status gate_backward(const struct call *c, const struct gate *g, const loci_tensor *d_o, const void *y,
                          const void *m, void *dy, void *dm, int64_t n)
{
    const loci_ops *ops = c->m->ops;
    loci_view s, t;

    matrix(&s, c, g->s, n);
    matrix(&t, c, g->t, n);
    LOCI_RETURN_IF(norm(c, &t.t, y, c->m->w_gate_y, g->stat_y, n));
    LOCI_RETURN_IF(norm(c, &s.t, m, c->m->w_gate_m, g->stat_m, n));
    LOCI_RETURN_IF(ops->map1(c->x, LOCI_MAP_SIGMOID, &s.t, &s.t, 1, 0, c->err));
    LOCI_RETURN_IF(ops->map2(c->x, LOCI_MAP_MUL, &t.t, &t.t, d_o, 1, 0, c->err));
    LOCI_RETURN_IF(ops->map2(c->x, LOCI_MAP_SIGMOID_BACK_Y, &t.t, &s.t, &t.t, 1, 0, c->err));
    LOCI_RETURN_IF(norm_back(c, dm, m, c->m->w_gate_m, g->stat_m, &t.t, n));
    LOCI_RETURN_IF(ops->map2(c->x, LOCI_MAP_MUL, &t.t, &s.t, d_o, 1, 0, c->err));
    return norm_back(c, dy, y, c->m->w_gate_y, g->stat_y, &t.t, n);
}
