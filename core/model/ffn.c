/* SPDX-License-Identifier: Apache-2.0
 *
 * The feed-forward network of a layer:  y = W_d a,  a = gelu(W_u n) or silu(W_g n) o W_u n,  n = rms(u).
 *
 * Kept for the backward: u, up = W_u n and gate = W_g n; n and a are computed again. From f1 = da = dy W_d follow, in one
 * pass over the three (core/device/fused.h), each in the place of what it is the last to read:
 *
 *     swiglu       f1 = a       up = dup = silu(gate) o da       gate = dgate = silu'(gate) o up o da
 *     gelu         f1 = a       up = dup = gelu'(up) o da
 *
 * On a device that has no such pass a takes a buffer of its own, f2, which exists there alone.
 */
#include "core/model/pass.h"
#include "core/device/fused.h"

static loci_status activation(const loci_exec *x, const loci_model *m, const struct layer_pieces *b, void *a, int64_t h,
                              loci_error *err)
{
    return m->ffn == LOCI_FFN_SWIGLU ? loci_map2(x, m->dtype, LOCI_MAP_SILU_MUL, a, b->gate, b->up, h, 1, 0, err)
                                     : loci_map1(x, m->dtype, LOCI_MAP_GELU, a, b->up, h, 1, 0, err);
}

loci_status loci_ffn_forward(const loci_exec *x, const loci_pass *p, const struct loci_layer *l,
                             const struct layer_pieces *b, const struct scratch_pieces *s, void *y, loci_error *err)
{
    loci_status status = LOCI_OK;
    const loci_model *m = p->model;
    int64_t n = tokens_of(p);

    LOCI_TRY(loci_linear(x, m->dtype, b->up, s->n, l->up, n, 0, err));
    if (m->ffn == LOCI_FFN_SWIGLU)
        LOCI_TRY(loci_linear(x, m->dtype, b->gate, s->n, l->gate, n, 0, err));
    if (!y)
        return LOCI_OK;
    LOCI_TRY(activation(x, m, b, s->f1, n * m->hidden, err));
    status = loci_linear(x, m->dtype, y, s->f1, l->down, n, 0, err);
out:
    return status;
}

/* Of da, in f1: where a, d(up) and d(gate) are afterwards. */
struct back {
    void *a, *dup, *dgate;
};

static loci_status activation_back(struct back *to, const loci_exec *x, const loci_model *m, const struct layer_pieces *b,
                                   const struct scratch_pieces *s, int64_t h, loci_error *err)
{
    loci_status status = LOCI_OK;
    const struct loci_fused *fused = m->cx->fused;
    const bool gated = m->ffn == LOCI_FFN_SWIGLU;
    loci_view va, vu, vg;

    if (fused) {
        const loci_tensor *a = loci_view4(&va, x, m->dtype, s->f1, h, -1, -1, -1),
                          *up = loci_view4(&vu, x, m->dtype, b->up, h, -1, -1, -1),
                          *gate = loci_view4(&vg, x, m->dtype, b->gate, h, -1, -1, -1);
        *to = (struct back){s->f1, b->up, b->gate};
        return gated ? fused->swiglu_back(x, a, gate, up, gate, up, a, err) : fused->gelu_back(x, a, up, up, a, err);
    }
    *to = (struct back){s->f2, s->f1, b->gate};
    LOCI_TRY(activation(x, m, b, s->f2, h, err));
    if (!gated)
        return loci_map2(x, m->dtype, LOCI_MAP_GELU_BACK, s->f1, b->up, s->f1, h, 1, 0, err);
    LOCI_TRY(loci_map2(x, m->dtype, LOCI_MAP_MUL, b->up, b->up, s->f1, h, 1, 0, err));
    LOCI_TRY(loci_map2(x, m->dtype, LOCI_MAP_SILU_MUL, s->f1, b->gate, s->f1, h, 1, 0, err));
    status = loci_map2(x, m->dtype, LOCI_MAP_SILU_BACK, b->gate, b->gate, b->up, h, 1, 0, err);
out:
    return status;
}

loci_status loci_ffn_back(const loci_exec *x, const loci_pass *p, const struct loci_layer *l,
                          const struct layer_pieces *b, const struct scratch_pieces *s, loci_error *err)
{
    loci_status status = LOCI_OK;
    const loci_model *m = p->model;
    int64_t n = tokens_of(p);
    struct back of;

    if (m->ffn == LOCI_FFN_NONE)
        return LOCI_OK;
    LOCI_TRY(loci_linear_dx(x, m->dtype, s->f1, l->down, s->dx, n, 0, err));
    LOCI_TRY(activation_back(&of, x, m, b, s, n * m->hidden, err));
    LOCI_TRY(loci_linear_back(x, m->dtype, NULL, of.a, l->down, s->dx, n, 0, err));
    LOCI_TRY(loci_rms(x, m->dtype, s->n, b->u, l->norm2, NULL, n, m->eps, err));
    LOCI_TRY(loci_linear_back(x, m->dtype, s->dn, s->n, l->up, of.dup, n, 0, err));
    if (m->ffn == LOCI_FFN_SWIGLU)
        LOCI_TRY(loci_linear_back(x, m->dtype, s->dn, s->n, l->gate, of.dgate, n, 1, err));
    status = loci_rms_back(x, m->dtype, s->dx, b->u, l->norm2, b->stat2, s->dn, n, err);
out:
    return status;
}
