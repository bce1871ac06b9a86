/* SPDX-License-Identifier: Apache-2.0
 *
 * compose: the forms of the gate that joins y and m: attention and memory in mac and mag, input and memory in mal.
 *
 *     normgate  o = a o s        a = gate_y o rms(y), s = sigmoid(gate_m o rms(m))
 *     mul       o = y o m
 *     sig       o = y o s        s = sigmoid(m)
 *     lerp      o = g o y + (1 - g) o m        g = sigmoid(W [y; m])
 *     add       o = y + m
 *
 * Titans (Behrouz et al. 2025, sections 4.1 and 4.2) normalises both outputs, each with a learned vector of gains, and
 * lets them pass a non-linearity, but leaves it and the product's form open: normgate is the reading closest to it. A
 * sigmoid on the memory's side keeps o alive while the memory is still empty: with s = sigmoid(0) = 1/2 the block
 * starts as halved attention, where mul would stop signal and gradient alike.
 *
 *  (1) Statistics and activations are computed again in the backward: a gate saves nothing but y and m.
 *  (2) Backwards add to dy and dm. With dz what arrives before a sigmoid s: dz = s (1 - s) o (ds).
 */
#include "parts.h"
#include <string.h>

#define NORM_EPS 1e-6

typedef loci_status forward_fn(const struct call *c, const struct gate *g, const loci_tensor *o, const loci_tensor *y,
                               const loci_tensor *m);
typedef loci_status backward_fn(const struct call *c, const struct gate *g, const loci_tensor *d_o,
                                const loci_tensor *y, const loci_tensor *m, const loci_tensor *dy,
                                const loci_tensor *dm);

struct gate_form {
    const char *name;
    bool rows, norms, matrix; /* needs scratch rows; statistics and gains; W */
    forward_fn *forward;
    backward_fn *backward;
};

/* ---- steps ------------------------------------------------------------------------------------------------------- */

/* out = alpha f(a) + beta out; out = alpha f(a, b) + beta out */
static loci_status map1(const struct call *c, int32_t f, const loci_tensor *out, const loci_tensor *a, double alpha,
                        double beta)
{
    return c->m->ops->map1(c->x, f, out, a, alpha, beta, c->err);
}

static loci_status map2(const struct call *c, int32_t f, const loci_tensor *out, const loci_tensor *a,
                        const loci_tensor *b, double alpha, double beta)
{
    return c->m->ops->map2(c->x, f, out, a, b, alpha, beta, c->err);
}

/* ---- normgate ---------------------------------------------------------------------------------------------------- */

/* out = gain o rms(x), and its statistics where asked for. */
static loci_status norm(const struct call *c, const loci_tensor *out, const loci_tensor *x, uint32_t gain, void *stat)
{
    loci_view v;

    return c->m->ops->norm(c->x, LOCI_NORM_RMS, out, x, &c->s->params[gain],
                           stat ? column(&v, c, stat, x->shape[0]) : NULL, NORM_EPS, c->err);
}

static loci_status norm_back(const struct call *c, const loci_tensor *dx, const loci_tensor *x, uint32_t gain,
                             const void *stat, const loci_tensor *dy)
{
    loci_view v;

    return c->m->ops->norm_back(c->x, LOCI_NORM_RMS, dx, &c->s->grads[gain], x, &c->s->params[gain],
                                column(&v, c, stat, x->shape[0]), dy, c->err);
}

static loci_status normgate(const struct call *c, const struct gate *g, const loci_tensor *o, const loci_tensor *y,
                            const loci_tensor *m)
{
    loci_view s;

    matrix(&s, c, g->s, o->shape[0]);
    LOCI_RETURN_IF(norm(c, o, y, c->m->w_gate_y, NULL));
    LOCI_RETURN_IF(norm(c, &s.t, m, c->m->w_gate_m, NULL));
    LOCI_RETURN_IF(map1(c, LOCI_MAP_SIGMOID, &s.t, &s.t, 1, 0));
    return map2(c, LOCI_MAP_MUL, o, o, &s.t, 1, 0);
}

static loci_status normgate_back(const struct call *c, const struct gate *g, const loci_tensor *d_o,
                                 const loci_tensor *y, const loci_tensor *m, const loci_tensor *dy,
                                 const loci_tensor *dm)
{
    loci_view s, t;

    matrix(&s, c, g->s, d_o->shape[0]);
    matrix(&t, c, g->t, d_o->shape[0]);
    LOCI_RETURN_IF(norm(c, &t.t, y, c->m->w_gate_y, g->stat_y));
    LOCI_RETURN_IF(norm(c, &s.t, m, c->m->w_gate_m, g->stat_m));
    LOCI_RETURN_IF(map1(c, LOCI_MAP_SIGMOID, &s.t, &s.t, 1, 0));
    LOCI_RETURN_IF(map2(c, LOCI_MAP_MUL, &t.t, &t.t, d_o, 1, 0));
    LOCI_RETURN_IF(map2(c, LOCI_MAP_SIGMOID_BACK_Y, &t.t, &s.t, &t.t, 1, 0));
    LOCI_RETURN_IF(norm_back(c, dm, m, c->m->w_gate_m, g->stat_m, &t.t));
    LOCI_RETURN_IF(map2(c, LOCI_MAP_MUL, &t.t, &s.t, d_o, 1, 0));
    return norm_back(c, dy, y, c->m->w_gate_y, g->stat_y, &t.t);
}

/* ---- mul, sig, add ----------------------------------------------------------------------------------------------- */

static loci_status mul(const struct call *c, const struct gate *g, const loci_tensor *o, const loci_tensor *y,
                       const loci_tensor *m)
{
    (void)g;
    return map2(c, LOCI_MAP_MUL, o, y, m, 1, 0);
}

static loci_status mul_back(const struct call *c, const struct gate *g, const loci_tensor *d_o, const loci_tensor *y,
                            const loci_tensor *m, const loci_tensor *dy, const loci_tensor *dm)
{
    (void)g;
    LOCI_RETURN_IF(map2(c, LOCI_MAP_MUL, dy, d_o, m, 1, 1));
    return map2(c, LOCI_MAP_MUL, dm, d_o, y, 1, 1);
}

static loci_status sig(const struct call *c, const struct gate *g, const loci_tensor *o, const loci_tensor *y,
                       const loci_tensor *m)
{
    loci_view s;

    LOCI_RETURN_IF(map1(c, LOCI_MAP_SIGMOID, matrix(&s, c, g->s, o->shape[0]), m, 1, 0));
    return map2(c, LOCI_MAP_MUL, o, y, &s.t, 1, 0);
}

static loci_status sig_back(const struct call *c, const struct gate *g, const loci_tensor *d_o, const loci_tensor *y,
                            const loci_tensor *m, const loci_tensor *dy, const loci_tensor *dm)
{
    loci_view s, t;

    LOCI_RETURN_IF(map1(c, LOCI_MAP_SIGMOID, matrix(&s, c, g->s, d_o->shape[0]), m, 1, 0));
    LOCI_RETURN_IF(map2(c, LOCI_MAP_MUL, dy, d_o, &s.t, 1, 1));
    LOCI_RETURN_IF(map2(c, LOCI_MAP_MUL, matrix(&t, c, g->t, d_o->shape[0]), d_o, y, 1, 0));
    return map2(c, LOCI_MAP_SIGMOID_BACK_Y, dm, &s.t, &t.t, 1, 1);
}

static loci_status add(const struct call *c, const struct gate *g, const loci_tensor *o, const loci_tensor *y,
                       const loci_tensor *m)
{
    (void)g;
    return map2(c, LOCI_MAP_ADD, o, y, m, 1, 0);
}

static loci_status add_back(const struct call *c, const struct gate *g, const loci_tensor *d_o, const loci_tensor *y,
                            const loci_tensor *m, const loci_tensor *dy, const loci_tensor *dm)
{
    (void)g;
    (void)y;
    (void)m;
    LOCI_RETURN_IF(map1(c, LOCI_MAP_COPY, dy, d_o, 1, 1));
    return map1(c, LOCI_MAP_COPY, dm, d_o, 1, 1);
}

/* ---- lerp -------------------------------------------------------------------------------------------------------- */

/* The columns of W [D, 2D] that meet y (0) or m (1). */
static const loci_tensor *half(loci_view *v, const loci_tensor *w, int which)
{
    v->t = *w;
    v->t.shape = v->shape;
    v->t.strides = v->strides;
    v->t.byte_offset += (uint64_t)(which * w->shape[0]) * w->dtype.bits / 8;
    v->shape[0] = v->shape[1] = w->shape[0];
    v->strides[0] = w->strides[0];
    v->strides[1] = 1;
    return &v->t;
}

static loci_status gemm(const struct call *c, uint32_t flags, const loci_tensor *out, const loci_tensor *a,
                        const loci_tensor *b, double beta)
{
    const loci_gemm g = {sizeof g, flags, 1, beta, a, b, out};

    return c->m->ops->gemm(c->x, &g, c->err);
}

/* s = sigmoid(W [y; m]) */
static loci_status share(const struct call *c, const loci_tensor *s, const loci_tensor *y, const loci_tensor *m)
{
    const loci_tensor *w = &c->s->params[c->m->w_gate];
    loci_view v;

    LOCI_RETURN_IF(gemm(c, LOCI_GEMM_TB, s, y, half(&v, w, 0), 0));
    LOCI_RETURN_IF(gemm(c, LOCI_GEMM_TB, s, m, half(&v, w, 1), 1));
    return map1(c, LOCI_MAP_SIGMOID, s, s, 1, 0);
}

/* out = y - m */
static loci_status less(const struct call *c, const loci_tensor *out, const loci_tensor *y, const loci_tensor *m)
{
    LOCI_RETURN_IF(map1(c, LOCI_MAP_COPY, out, y, 1, 0));
    return map1(c, LOCI_MAP_COPY, out, m, -1, 1);
}

static loci_status lerp(const struct call *c, const struct gate *g, const loci_tensor *o, const loci_tensor *y,
                        const loci_tensor *m)
{
    loci_view s;

    LOCI_RETURN_IF(share(c, matrix(&s, c, g->s, o->shape[0]), y, m));
    LOCI_RETURN_IF(less(c, o, y, m)); /* o = m + g o (y - m) */
    LOCI_RETURN_IF(map2(c, LOCI_MAP_MUL, o, o, &s.t, 1, 0));
    return map1(c, LOCI_MAP_COPY, o, m, 1, 1);
}

static loci_status lerp_back(const struct call *c, const struct gate *g, const loci_tensor *d_o, const loci_tensor *y,
                             const loci_tensor *m, const loci_tensor *dy, const loci_tensor *dm)
{
    const loci_tensor *w = &c->s->params[c->m->w_gate], *dw = &c->s->grads[c->m->w_gate];
    loci_view s, t, v;

    LOCI_RETURN_IF(share(c, matrix(&s, c, g->s, d_o->shape[0]), y, m));
    LOCI_RETURN_IF(map2(c, LOCI_MAP_MUL, dy, d_o, &s.t, 1, 1));
    LOCI_RETURN_IF(map1(c, LOCI_MAP_COPY, dm, d_o, 1, 1));
    LOCI_RETURN_IF(map2(c, LOCI_MAP_MUL, dm, d_o, &s.t, -1, 1));
    LOCI_RETURN_IF(less(c, matrix(&t, c, g->t, d_o->shape[0]), y, m)); /* (2): dz = s (1 - s) o (y - m) o do */
    LOCI_RETURN_IF(map2(c, LOCI_MAP_MUL, &t.t, &t.t, d_o, 1, 0));
    LOCI_RETURN_IF(map2(c, LOCI_MAP_SIGMOID_BACK_Y, &t.t, &s.t, &t.t, 1, 0));
    LOCI_RETURN_IF(gemm(c, 0, dy, &t.t, half(&v, w, 0), 1));
    LOCI_RETURN_IF(gemm(c, 0, dm, &t.t, half(&v, w, 1), 1));
    LOCI_RETURN_IF(gemm(c, LOCI_GEMM_TA, half(&v, dw, 0), &t.t, y, 1));
    return gemm(c, LOCI_GEMM_TA, half(&v, dw, 1), &t.t, m, 1);
}

/* ---- the forms --------------------------------------------------------------------------------------------------- */

/* The names are those of GATE_FORMS. */
static const struct gate_form forms[] = {
    {"normgate", true, true, false, normgate, normgate_back},
    {"mul", false, false, false, mul, mul_back},
    {"sig", true, false, false, sig, sig_back},
    {"lerp", true, false, true, lerp, lerp_back},
    {"add", false, false, false, add, add_back},
};

const struct gate_form *gate_find(const char *name)
{
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++)
        if (!strcmp(forms[i].name, name))
            return &forms[i];
    return NULL;
}

loci_status gate_declare(loci_module *m, void *decl)
{
    const int64_t D = m->dim;

    if (m->gate->norms) {
        LOCI_RETURN_IF(gain(m, decl, "gate_y.weight", &m->w_gate_y));
        LOCI_RETURN_IF(gain(m, decl, "gate_m.weight", &m->w_gate_m));
    }
    return m->gate->matrix ? normal(m, decl, "gate.weight", 0, D, 2 * D, &m->w_gate) : LOCI_OK;
}

void gate_cut(struct gate *g, const loci_module *m, int64_t n, bool back, loci_cursor *scratch)
{
    const uint64_t column_bytes = (uint64_t)n * m->shape.acc.bits / 8;

    g->s = m->gate->rows ? cut_rows(scratch, m, n) : NULL;
    g->t = m->gate->rows && back ? cut_rows(scratch, m, n) : NULL;
    g->stat_y = m->gate->norms && back ? loci_cut(scratch, column_bytes) : NULL;
    g->stat_m = m->gate->norms && back ? loci_cut(scratch, column_bytes) : NULL;
}

loci_status gate_forward(const struct call *c, const struct gate *g, const loci_tensor *o, const loci_tensor *y,
                         const loci_tensor *m)
{
    return c->m->gate->forward(c, g, o, y, m);
}

loci_status gate_backward(const struct call *c, const struct gate *g, const loci_tensor *d_o, const loci_tensor *y,
                          const loci_tensor *m, const loci_tensor *dy, const loci_tensor *dm)
{
    return c->m->gate->backward(c, g, d_o, y, m, dy, dm);
}
