/* SPDX-License-Identifier: Apache-2.0
 *
 * The feed-forward network of a layer:  next = u + W_d a,  a = gelu(W_u n) or silu(W_g n) o W_u n,  n = rms(u).
 *
 * Kept for the backward: u, up = W_u n and gate = W_g n; n and a are computed again. Two buffers of its width do:
 *
 *     f2 = a       f1 = da = dy W_d       dW_d += dy' f2
 *     swiglu       f2 = dup = silu(gate) o f1       f1 = dgate = silu'(gate) o (f1 o up)
 *     gelu         f1 = dup = gelu'(up) o f1
 */
#include "core/model/pass.h"

static loci_status activation(const loci_exec *x, const loci_model *m, const struct layer_pieces *b, void *a, int64_t h,
                              loci_error *err)
{
    return m->ffn == LOCI_FFN_SWIGLU ? loci_map2(x, m->dtype, LOCI_MAP_SILU_MUL, a, b->gate, b->up, h, 1, 0, err)
                                     : loci_map1(x, m->dtype, LOCI_MAP_GELU, a, b->up, h, 1, 0, err);
}

loci_status loci_ffn_forward(const loci_exec *x, const loci_pass *p, const struct loci_layer *l,
                             const struct layer_pieces *b, const struct scratch_pieces *s, void *next, loci_error *err)
{
    loci_status status = LOCI_OK;
    const loci_model *m = p->model;
    int64_t n = tokens_of(p);

    if (next)
        LOCI_TRY(loci_map1(x, m->dtype, LOCI_MAP_COPY, next, b->u, n * m->dim, 1, 0, err));
    if (m->ffn == LOCI_FFN_NONE)
        return LOCI_OK;
    LOCI_TRY(loci_rms(x, m->dtype, s->n, b->u, l->norm2, b->stat2, n, m->eps, err));
    LOCI_TRY(loci_linear(x, m->dtype, b->up, s->n, l->up, n, 0, err));
    if (m->ffn == LOCI_FFN_SWIGLU)
        LOCI_TRY(loci_linear(x, m->dtype, b->gate, s->n, l->gate, n, 0, err));
    if (!next)
        return LOCI_OK;
    LOCI_TRY(activation(x, m, b, s->f1, n * m->hidden, err));
    status = loci_linear(x, m->dtype, next, s->f1, l->down, n, 1, err);
out:
    return status;
}

loci_status loci_ffn_back(const loci_exec *x, const loci_pass *p, const struct loci_layer *l,
                          const struct layer_pieces *b, const struct scratch_pieces *s, loci_error *err)
{
    loci_status status = LOCI_OK;
    const loci_model *m = p->model;
    const bool gated = m->ffn == LOCI_FFN_SWIGLU;
    int64_t n = tokens_of(p), h = n * m->hidden;

    if (m->ffn == LOCI_FFN_NONE)
        return LOCI_OK;
    LOCI_TRY(loci_rms(x, m->dtype, s->n, b->u, l->norm2, NULL, n, m->eps, err));
    LOCI_TRY(activation(x, m, b, s->f2, h, err));
    LOCI_TRY(loci_linear_back(x, m->dtype, s->f1, s->f2, l->down, s->dx, n, 0, err));
    if (gated) {
        LOCI_TRY(loci_map2(x, m->dtype, LOCI_MAP_SILU_MUL, s->f2, b->gate, s->f1, h, 1, 0, err));
        LOCI_TRY(loci_map2(x, m->dtype, LOCI_MAP_MUL, s->f1, s->f1, b->up, h, 1, 0, err));
        LOCI_TRY(loci_map2(x, m->dtype, LOCI_MAP_SILU_BACK, s->f1, b->gate, s->f1, h, 1, 0, err));
    } else {
        LOCI_TRY(loci_map2(x, m->dtype, LOCI_MAP_GELU_BACK, s->f1, b->up, s->f1, h, 1, 0, err));
    }
    LOCI_TRY(loci_linear_back(x, m->dtype, s->dn, s->n, l->up, gated ? s->f2 : s->f1, n, 0, err));
    if (gated)
        LOCI_TRY(loci_linear_back(x, m->dtype, s->dn, s->n, l->gate, s->f1, n, 1, err));
    status = loci_rms_back(x, m->dtype, s->dx, b->u, l->norm2, b->stat2, s->dn, n, err);
out:
    return status;
}
