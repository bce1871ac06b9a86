/* SPDX-License-Identifier: Apache-2.0
 *
 * The class attention/ref: what it fits, how much scratch it plans, and its two entry points.
 */
#include <stdio.h>

#include "ref.h"

struct loci_module {
    const loci_host *host;
};

#define SERVED (2 * LOCI_A_BLOCKS - 1) /* every feature of the header it was compiled with */

static loci_status fit(const loci_host *host, const loci_config *config, const loci_shape *shape, loci_fit *out)
{
    loci_dtype t = shape->dtype;
    int real = t.code == LOCI_FLOAT && (t.bits == 32 || t.bits == 64);

    (void)host;
    (void)config;
    out->score = 0;
    if (shape->device.type != LOCI_CPU)
        snprintf(out->reason, sizeof out->reason, "ref runs on the cpu only");
    else if (!real && !(t.code == LOCI_BFLOAT && t.bits == 16))
        snprintf(out->reason, sizeof out->reason, "ref serves f32, f64 and bf16");
    else if (shape->features & ~SERVED)
        snprintf(out->reason, sizeof out->reason, "features 0x%llx are newer than this ref",
                 (unsigned long long)(shape->features & ~SERVED));
    else if ((shape->k_heads && shape->heads % shape->k_heads) || (shape->v_heads && shape->heads % shape->v_heads))
        snprintf(out->reason, sizeof out->reason, "%lld query heads are no multiple of %lld key and %lld value heads",
                 (long long)shape->heads, (long long)shape->k_heads, (long long)shape->v_heads);
    else {
        out->score = 10;
        snprintf(out->reason, sizeof out->reason, "the formula as written; serves every feature");
    }
    return LOCI_OK;
}

static loci_status create(const loci_host *host, const loci_config *config, const loci_site *site,
                          const loci_shape *shape, loci_module **out, loci_error *err)
{
    loci_module *m = host->alloc(host, sizeof *m);

    (void)config;
    (void)site;
    (void)shape;
    if (!m)
        return ref_fail(err, LOCI_E_NOMEM, "no memory for a module of %zu bytes", sizeof *m);
    m->host = host;
    *out = m;
    return LOCI_OK;
}

static void destroy(loci_module *m)
{
    if (m)
        m->host->free(m->host, m);
}

static loci_status plan(loci_module *m, const loci_shape *shape, int32_t op, loci_need *need, loci_error *err)
{
    int f64 = shape->dtype.bits == 64;
    uint64_t room = ref_room_bytes(f64, shape->ctx, shape->dk, shape->dv);
    uint64_t shift = shape->flags & LOCI_X_SAVE ? ref_shift_bytes(f64, shape->rows, shape->heads, shape->seq) : 0;
    uint64_t bytes = ref_scratch_bytes(m->host->workers(m->host), room, shift);

    (void)op;
    if (bytes >= UINT64_C(1) << 62)
        return ref_fail(err, LOCI_E_UNSUPPORTED,
                        "scratch for %lld rows of %lld queries and %lld keys exceeds 2^62 bytes",
                        (long long)shape->rows, (long long)shape->seq, (long long)shape->ctx);
    need->scratch = need->scratch > bytes ? need->scratch : bytes;
    return LOCI_OK;
}

static loci_status forward(loci_module *m, const loci_exec *exec, const loci_attn_io *io, loci_error *err)
{
    ref_call c;
    loci_status s = ref_call_read(&c, exec, io, 0, err);

    (void)m;
    if (s)
        return s;
    return c.f64 ? ref_forward_f64(&c) : ref_forward_f32(&c);
}

static loci_status backward(loci_module *m, const loci_exec *exec, const loci_attn_io *io, loci_error *err)
{
    ref_call c;
    loci_status s = ref_call_read(&c, exec, io, 1, err);

    (void)m;
    if (s)
        return s;
    return c.f64 ? ref_backward_f64(&c) : ref_backward_f32(&c);
}

static const loci_attention iface = {sizeof iface, 0, forward, backward};

const loci_class loci_attn_ref_class = {
    .struct_size = sizeof(loci_class),
    .id = "ref",
    .kind = LOCI_KIND_ATTENTION,
    .version = "1.0",
    .summary = "softmax attention as the formula is written: the reference",
    .doc = "o = softmax(scale q k' + bias, mask) v with log-sum-exp, and its gradients from o and lse.\n"
           "Serves every field of the descriptor.\n"
           "Cost: 4 T S d operations a head forward, 16 T S d backward; memory O(T + S).\n"
           "Source: Vaswani et al. 2017, section 3.2.1; backward by recomputation as in Dao et al. 2022, algorithm 4.\n"
           "Use: to check another backend, or for a field of the descriptor that no other serves.",
    .caps = LOCI_CAP_BACKWARD | LOCI_CAP_CAUSAL,
    .fit = fit,
    .create = create,
    .destroy = destroy,
    .plan = plan,
    .iface = &iface,
};
