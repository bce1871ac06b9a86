/* SPDX-License-Identifier: Apache-2.0
 *
 * Weights: declared by name, allocated in one piece per role, filled from Philox.
 *
 * (1) Element i of a weight is drawn from (seed, full name, i): two models that share a name share its values.
 * (2) A weight that writes into the residual stream is scaled by 1 / sqrt(2 n_layers), so that the variance of the
 *     stream at initialisation does not grow with depth (Radford et al. 2019).
 * (3) Values are drawn in float64 and rounded to the type, so f32 and f64 models start at the same point.
 */
#include "core/model/node.h"
#include "core/device/rng.h"
#include <math.h>
#include <string.h>

loci_status loci_weights_add(loci_weights *w, const char *prefix, const loci_slot *slot, loci_dtype dtype,
                             const loci_weight **out, loci_error *err)
{
    loci_status status = LOCI_OK;
    loci_weight *p = NULL;
    loci_weight **grown;
    uint64_t n = 1;

    p = loci_alloc(sizeof *p);
    if (!p)
        return loci_fail(err, LOCI_E_NOMEM, "out of memory for the weight %s.%s", prefix, slot->name);
    p->name = loci_format("%s%s%s", prefix, *prefix ? "." : "", slot->name);
    if (!p->name) {
        status = loci_fail(err, LOCI_E_NOMEM, "out of memory for the weight %s.%s", prefix, slot->name);
        goto out;
    }
    if (loci_weights_find(w, p->name)) {
        status = loci_fail(err, LOCI_E_INTERNAL, "the weight %s is declared twice", p->name);
        goto out;
    }
    for (int32_t i = 0; i < slot->ndim; i++)
        if (slot->shape[i] < 0 || !loci_mul(&n, n, (uint64_t)slot->shape[i])) {
            status = loci_fail(err, LOCI_E_CONFIG, "the weight %s is too large: lower model.dim or the head sizes",
                               p->name);
            goto out;
        }
    p->flags = slot->flags;
    p->init = slot->init;
    p->a = slot->a;
    p->b = slot->b;
    p->elements = n;
    loci_view_set(&p->value, NULL, (loci_device){LOCI_CPU, 0}, dtype, slot->ndim, slot->shape);
    if (w->n == w->cap) {
        uint32_t cap = w->cap ? 2 * w->cap : 32;
        grown = loci_realloc(w->at, cap * sizeof *w->at);
        if (!grown) {
            status = loci_fail(err, LOCI_E_NOMEM, "out of memory for the list of weights");
            goto out;
        }
        w->at = grown;
        w->cap = cap;
    }
    w->at[w->n++] = p;
    w->elements += n;
    if (out)
        *out = p;
    return LOCI_OK;
out:
    loci_free(p->name);
    loci_free(p);
    return status;
}

/* One piece of memory for a role, cut in the order of declaration. */
static loci_status place(loci_weights *w, loci_context *cx, int role, size_t at, loci_error *err)
{
    uint64_t total = 0, bytes;

    for (uint32_t i = 0; i < w->n; i++) {
        loci_weight *p = w->at[i];
        if (!loci_mul(&bytes, p->elements, loci_dtype_bytes(p->value.t.dtype)) || bytes > UINT64_MAX / 4 ||
            !loci_add(&total, total, loci_align64(bytes)))
            return loci_fail(err, LOCI_E_NOMEM, "the weights are too large to address: lower model.dim or model.layers");
    }
    w->memory[role] = loci_device_alloc(cx, total);
    if (!w->memory[role])
        return loci_fail(err, LOCI_E_NOMEM, "out of memory: %llu bytes for %s", (unsigned long long)total,
                         role == 0 ? "weights" : role == 1 ? "gradients" : "optimiser state");
    w->bytes = total;
    total = 0;
    for (uint32_t i = 0; i < w->n; i++) {
        loci_weight *p = w->at[i];
        loci_view *v = (loci_view *)(void *)((char *)p + at);
        loci_view_set(v, (char *)w->memory[role] + total, cx->device, p->value.t.dtype, p->value.t.ndim,
                      p->value.t.shape);
        total += loci_align64(p->elements * loci_dtype_bytes(p->value.t.dtype));
    }
    return LOCI_OK;
}

loci_status loci_weights_alloc(loci_weights *w, loci_context *cx, bool grads, bool moments, loci_error *err)
{
    loci_status status = LOCI_OK;

    LOCI_TRY(place(w, cx, 0, offsetof(loci_weight, value), err));
    if (grads)
        LOCI_TRY(place(w, cx, 1, offsetof(loci_weight, grad), err));
    if (moments) {
        LOCI_TRY(place(w, cx, 2, offsetof(loci_weight, m), err));
        LOCI_TRY(place(w, cx, 3, offsetof(loci_weight, v), err));
    }
out:
    return status;
}

static void fill(double *at, const loci_weight *p, uint64_t n, uint64_t key, double scale)
{
    switch (p->init) {
    case LOCI_INIT_NORMAL:
        loci_random_fill_normal(at, n, key);
        for (uint64_t i = 0; i < n; i++)
            at[i] = scale * (p->a + p->b * at[i]);
        break;
    case LOCI_INIT_UNIFORM:
        loci_random_fill_uniform(at, n, key);
        for (uint64_t i = 0; i < n; i++)
            at[i] = scale * (p->a + (p->b - p->a) * at[i]);
        break;
    default:
        for (uint64_t i = 0; i < n; i++)
            at[i] = p->init == LOCI_INIT_CONST ? p->a : 0;
    }
}

loci_status loci_weights_init(loci_weights *w, loci_context *cx, uint64_t seed, loci_error *err)
{
    loci_status status = LOCI_OK;
    double *wide = NULL;
    uint64_t most = 1;

    for (uint32_t i = 0; i < w->n; i++)
        most = w->at[i]->elements > most ? w->at[i]->elements : most;
    wide = loci_alloc(most * sizeof *wide);
    if (!wide)
        return loci_fail(err, LOCI_E_NOMEM, "out of memory while the weights are initialised");
    for (uint32_t i = 0; i < w->n; i++) {
        loci_weight *p = w->at[i];
        double scale = (p->flags & LOCI_SLOT_RESIDUAL) && w->residual_scale && w->n_layers > 0
                           ? 1 / sqrt(2.0 * w->n_layers)
                           : 1;
        uint64_t bytes = p->elements * loci_dtype_bytes(p->value.t.dtype);
        fill(wide, p, p->elements, loci_random_name_key(seed, p->name), scale);
        for (uint64_t j = 0; j < p->elements && p->value.t.dtype.bits == 32; j++) {
            float narrow = (float)wide[j]; /* rounded in place: the bytes written lie behind those still to be read */
            memcpy((char *)wide + j * sizeof narrow, &narrow, sizeof narrow);
        }
        LOCI_TRY(cx->device_class->up(cx->device_module, NULL, loci_ptr(&p->value.t), wide, bytes));
    }
out:
    loci_free(wide);
    return status;
}

loci_status loci_weights_zero_grads(loci_weights *w, loci_context *cx)
{
    return w->memory[1] ? cx->device_class->zero(cx->device_module, NULL, w->memory[1], w->bytes) : LOCI_OK;
}

const loci_weight *loci_weights_find(const loci_weights *w, const char *name)
{
    for (uint32_t i = 0; i < w->n; i++)
        if (!strcmp(w->at[i]->name, name))
            return w->at[i];
    return NULL;
}

void loci_weights_free(loci_weights *w, loci_context *cx)
{
    for (int i = 0; i < 4; i++)
        if (w->memory[i])
            loci_device_free(cx, w->memory[i]);
    for (uint32_t i = 0; i < w->n; i++) {
        loci_free(w->at[i]->name);
        loci_free(w->at[i]);
    }
    loci_free(w->at);
    memset(w, 0, sizeof *w);
}
