/* SPDX-License-Identifier: Apache-2.0
 *
 * The class attention/cuda: what it fits, how much scratch it plans, and its two entry points.
 */
#include <stdio.h>

#include "attn_call.h"

struct loci_module {
    const loci_host *host;
};

#define SERVED \
    (LOCI_A_WINDOW | LOCI_A_PREFIX | LOCI_A_POS | LOCI_A_SEGMENTS | LOCI_A_LENGTHS | LOCI_A_MASK | LOCI_A_BIAS | \
     LOCI_A_SLOPES | LOCI_A_TABLE | LOCI_A_SOFTCAP | LOCI_A_SINK | LOCI_A_DROPOUT | LOCI_A_PAGED | LOCI_A_BLOCKS)

static loci_status fit(const loci_host *host, const loci_config *config, const loci_shape *shape, loci_fit *out)
{
    (void)host;
    (void)config;
    out->score = 0;
    if (shape->device.type != LOCI_CUDA)
        snprintf(out->reason, sizeof out->reason, "cuda runs on the device cuda only");
    else if (cuda_type(shape->dtype) < 0)
        snprintf(out->reason, sizeof out->reason, "cuda serves f32, bf16 and fp16, not code %u of %u bits",
                 shape->dtype.code, shape->dtype.bits);
    else if (shape->dk > ATTN_WIDEST || shape->dv > ATTN_WIDEST)
        snprintf(out->reason, sizeof out->reason, "heads are %lld and %lld wide, the widest served is %d",
                 (long long)shape->dk, (long long)shape->dv, ATTN_WIDEST);
    else if (shape->features & ~SERVED)
        snprintf(out->reason, sizeof out->reason, "features 0x%llx are newer than cuda",
                 (unsigned long long)(shape->features & ~SERVED));
    else if ((shape->features & LOCI_A_PAGED) && (shape->flags & LOCI_X_SAVE))
        snprintf(out->reason, sizeof out->reason, "the backward of a block table is not served");
    else if ((shape->k_heads && shape->heads % shape->k_heads) || (shape->v_heads && shape->heads % shape->v_heads))
        snprintf(out->reason, sizeof out->reason, "%lld query heads are no multiple of %lld key and %lld value heads",
                 (long long)shape->heads, (long long)shape->k_heads, (long long)shape->v_heads);
    else {
        out->score = 210;
        snprintf(out->reason, sizeof out->reason, "tiles with online softmax, %s",
                 cuda_type(shape->dtype) == ATTN_F32 ? "float" : "tensor cores");
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
        return cuda_fail(err, LOCI_E_NOMEM, "no memory for a module of %zu bytes", sizeof *m);
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
    uint64_t scratch, host;

    (void)m;
    (void)op;
    if (cuda_type(shape->dtype) < 0)
        return cuda_fail(err, LOCI_E_UNSUPPORTED, "cuda serves f32, bf16 and fp16, not code %u of %u bits",
                         shape->dtype.code, shape->dtype.bits);
    cuda_call_room(shape, &scratch, &host);
    if (scratch == UINT64_MAX || host == UINT64_MAX)
        return cuda_fail(err, LOCI_E_UNSUPPORTED,
                         "scratch for %lld rows of %lld queries and %lld keys exceeds 2^64 bytes",
                         (long long)shape->rows, (long long)shape->seq, (long long)shape->ctx);
    need->scratch = need->scratch > scratch ? need->scratch : scratch;
    need->host = need->host > host ? need->host : host;
    return LOCI_OK;
}

static loci_status run(const loci_exec *exec, const loci_attn_io *io, int backward, loci_error *err)
{
    attn_args a;
    int e;

    LOCI_RETURN_IF(cuda_call_read(&a, exec, io, backward, err));
    e = backward ? attn_cuda_backward(&a, exec->stream) : attn_cuda_forward(&a, exec->stream);
    return e ? cuda_fail(err, LOCI_E_DEVICE, "%s: %s", backward ? "backward" : "forward", rt_error(e)) : LOCI_OK;
}

static loci_status forward(loci_module *m, const loci_exec *exec, const loci_attn_io *io, loci_error *err)
{
    (void)m;
    return run(exec, io, 0, err);
}

static loci_status backward(loci_module *m, const loci_exec *exec, const loci_attn_io *io, loci_error *err)
{
    (void)m;
    return run(exec, io, 1, err);
}

static const loci_attention iface = {sizeof iface, 0, forward, backward};

const loci_class loci_attn_cuda_class = {
    .struct_size = sizeof(loci_class),
    .id = "cuda",
    .kind = LOCI_KIND_ATTENTION,
    .version = "1.0",
    .summary = "softmax attention in tiles on a GPU",
    .doc =
        "o = softmax(cap(scale q k') + bias + slope + table, mask) v by online softmax over tiles of keys; a backward\n"
        "recomputes the weights from lse, without atomics: the bits of a gradient are the same in every run.\n"
        "f32 by multiply and add; bf16 and fp16 on tensor cores, with f32 sums. Heads up to 256 wide.\n"
        "Tiles that no block list names are skipped.\n"
        "Not served: the backward of a block table, gradients of tables above 32 buckets.\n"
        "Cost: 4 T S d operations a head forward, 14 T S d backward; memory O(T + S).\n"
        "Source: Dao 2023 (FlashAttention-2), algorithm 1; its backward in two walks.\n"
        "Use: on the device cuda.",
    .caps = LOCI_CAP_BACKWARD | LOCI_CAP_CAUSAL,
    .fit = fit,
    .create = create,
    .destroy = destroy,
    .plan = plan,
    .iface = &iface,
};
