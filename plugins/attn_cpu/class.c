/* SPDX-License-Identifier: Apache-2.0
 *
 * The class attention/cpu: what it fits, how much scratch it plans, and its two entry points.
 */
#include <stdio.h>

#include "bf16.h"

struct loci_module {
    const loci_host *host;
    const tile_ops *ops;  /* of float                                             */
    const bf16_ops *half; /* of plain forwards in bf16; NULL where none of them wins */
};

#define SERVED \
    (LOCI_A_WINDOW | LOCI_A_PREFIX | LOCI_A_POS | LOCI_A_SEGMENTS | LOCI_A_LENGTHS | LOCI_A_MASK | LOCI_A_BIAS | \
     LOCI_A_SLOPES | LOCI_A_TABLE | LOCI_A_SOFTCAP | LOCI_A_SINK | LOCI_A_DROPOUT | LOCI_A_PAGED | LOCI_A_BLOCKS)

static loci_status fit(const loci_host *host, const loci_config *config, const loci_shape *shape, loci_fit *out)
{
    const loci_dtype t = shape->dtype;

    (void)host;
    (void)config;
    out->score = 0;
    if (shape->device.type != LOCI_CPU)
        snprintf(out->reason, sizeof out->reason, "cpu runs on the cpu only");
    else if (!(t.code == LOCI_FLOAT && (t.bits == 32 || t.bits == 64)) && !(t.code == LOCI_BFLOAT && t.bits == 16))
        snprintf(out->reason, sizeof out->reason, "cpu serves f32, f64 and bf16, not code %u of %u bits", t.code,
                 t.bits);
    else if (shape->features & ~SERVED)
        snprintf(out->reason, sizeof out->reason, "features 0x%llx are newer than cpu",
                 (unsigned long long)(shape->features & ~SERVED));
    else if ((shape->k_heads && shape->heads % shape->k_heads) || (shape->v_heads && shape->heads % shape->v_heads))
        snprintf(out->reason, sizeof out->reason, "%lld query heads are no multiple of %lld key and %lld value heads",
                 (long long)shape->heads, (long long)shape->k_heads, (long long)shape->v_heads);
    else {
        const bf16_ops *half = t.bits == 16 ? bf16_pick() : NULL;

        out->score = 110;
        snprintf(out->reason, sizeof out->reason, "tiles with online softmax, kernel %s%s%s",
                 t.bits == 64 ? attn_cpu_tile_f64.name : tile_pick()->name, half ? ", plain forwards by " : "",
                 half ? half->name : "");
    }
    return LOCI_OK;
}

static loci_status create(const loci_host *host, const loci_config *config, const loci_site *site,
                          const loci_shape *shape, loci_module **out, loci_error *err)
{
    loci_module *m = host->alloc(host, sizeof *m);

    (void)config;
    (void)site;
    if (!m)
        return cpu_fail(err, LOCI_E_NOMEM, "no memory for a module of %zu bytes", sizeof *m);
    m->host = host;
    m->ops = tile_pick();
    m->half = shape->dtype.bits == 16 ? bf16_pick() : NULL;
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
    cpu_call c = {.ops = shape->dtype.bits == 64 ? &attn_cpu_tile_f64 : m->ops,
                  .B = shape->rows,
                  .T = shape->seq,
                  .S = shape->ctx,
                  .H = shape->heads,
                  .Hk = shape->k_heads,
                  .Hv = shape->v_heads,
                  .d = shape->dk,
                  .e = shape->dv,
                  .half = shape->dtype.bits == 16,
                  .paged = (shape->features & LOCI_A_PAGED) != 0,
                  .workers = m->host->workers(m->host)};
    uint64_t bytes;

    (void)op;
    if (c.B > INT32_MAX || c.T > INT32_MAX || c.S > INT32_MAX || c.d > INT32_MAX || c.e > INT32_MAX)
        return cpu_fail(err, LOCI_E_UNSUPPORTED,
                        "%lld rows, %lld queries, %lld keys or widths %lld, %lld exceed 2^31-1", (long long)c.B,
                        (long long)c.T, (long long)c.S, (long long)c.d, (long long)c.e);
    bytes = cpu_call_cut(&c, (shape->flags & LOCI_X_SAVE) != 0);
    if (bytes != UINT64_MAX)
        bytes = (bytes + 63) / 64 * 64 + bf16_call_bytes(&c, m->half, (shape->flags & LOCI_X_SAVE) != 0);
    if (bytes == UINT64_MAX)
        return cpu_fail(err, LOCI_E_UNSUPPORTED, "scratch for %lld keys of %lld heads exceeds 2^64 bytes",
                        (long long)c.S, (long long)c.H);
    need->scratch = need->scratch > bytes ? need->scratch : bytes;
    return LOCI_OK;
}

static loci_status forward(loci_module *m, const loci_exec *exec, const loci_attn_io *io, loci_error *err)
{
    const tile_ops *ops = io->q && io->q->dtype.bits == 64 ? &attn_cpu_tile_f64 : m->ops;
    cpu_call c;
    loci_status s = cpu_call_read(&c, ops, exec, io, 0, err);

    if (!s && bf16_serves(&c, m->half, 0))
        return bf16_forward(&c, m->half, err);
    return s ? s : cpu_forward(&c);
}

static loci_status backward(loci_module *m, const loci_exec *exec, const loci_attn_io *io, loci_error *err)
{
    const tile_ops *ops = io->q && io->q->dtype.bits == 64 ? &attn_cpu_tile_f64 : m->ops;
    cpu_call c;
    loci_status s = cpu_call_read(&c, ops, exec, io, 1, err);

    if (!s && bf16_serves(&c, m->half, 1))
        return bf16_backward(&c, m->half, err);
    return s ? s : cpu_backward(&c);
}

static const loci_attention iface = {sizeof iface, 0, forward, backward};

const loci_class loci_attn_cpu_class = {
    .struct_size = sizeof(loci_class),
    .id = "cpu",
    .kind = LOCI_KIND_ATTENTION,
    .version = "1.0",
    .summary = "softmax attention in tiles, vectorised: the one to use on a CPU",
    .doc = "o = softmax(cap(scale q k') + bias + slope + table, mask) v by online softmax over tiles of queries and "
           "keys; a\n"
           "backward recomputes the weights from lse. Every feature of the descriptor; f32, f64 and bf16.\n"
           "Cost: 4 T S d operations a head forward, 10 T S d backward; memory O(T + S).\n"
           "Source: Dao 2023 (FlashAttention-2), algorithms 1 and 2, with queries in the lanes.\n"
           "Use: on a CPU; auto takes it wherever it serves what is asked for.",
    .caps = LOCI_CAP_BACKWARD | LOCI_CAP_CAUSAL,
    .fit = fit,
    .create = create,
    .destroy = destroy,
    .plan = plan,
    .iface = &iface,
};
