/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/abi/golden_attention.c: the golden plugin of attention: the descriptor and the tensors of a call.
 *
 *     o = the number of keys S        lse = S        dq, dk, dv += 1
 */
#include "golden_parts.h"

LOCI_EXPORT extern const loci_plugin loci_plugin_v1;

struct loci_module {
    const loci_host *host;
};

static void tell_attention(const loci_host *h, const loci_attention *a)
{
    TELL(h, loci_attention, a, struct_size);
    TELL(h, loci_attention, a, reserved0);
    TELL(h, loci_attention, a, forward);
    TELL(h, loci_attention, a, backward);
}

static loci_status fit(const loci_host *host, const loci_config *config, const loci_shape *shape, loci_fit *out)
{
    HEARD(host, loci_class, fit, host, config, shape, out);
    golden_tell_plugin(host, &loci_plugin_v1);
    tell_attention(host, loci_plugin_v1.classes[0]->iface);
    golden_read_shape(host, shape);
    golden_tell_fit(host, out);
    return LOCI_OK;
}

static loci_status create(const loci_host *host, const loci_config *config, const loci_site *site,
                          const loci_shape *shape, loci_module **out, loci_error *err)
{
    loci_module *m = host->alloc(host, sizeof *m);

    HEARD(host, loci_class, create, host, config, site, shape, out, err);
    golden_read_host(host);
    golden_read_site(host, site);
    if (!m)
        return LOCI_E_NOMEM;
    m->host = host;
    *out = m;
    ANSWER(host, loci_class, create, m);
    return LOCI_OK;
}

static void destroy(loci_module *m)
{
    HEARD(m->host, loci_class, destroy, m);
    m->host->free(m->host, m);
}

static loci_status plan(loci_module *m, const loci_shape *shape, int32_t op, loci_need *need, loci_error *err)
{
    HEARD(m->host, loci_class, plan, m, shape, op, need, err);
    if (op == GOLDEN_NO_OP)
        return golden_refuse(m->host, err);
    golden_tell_need(m->host, need, 64, 128, 192);
    return LOCI_OK;
}

static void read_blocks(const loci_host *h, const loci_blocks *b)
{
    GOT(h, loci_blocks, b, struct_size);
    GOT(h, loci_blocks, b, bq);
    GOT(h, loci_blocks, b, bk);
    GOT(h, loci_blocks, b, heads);
    GOT(h, loci_blocks, b, ptr);
    GOT(h, loci_blocks, b, col);
    GOT(h, loci_blocks, b, kind);
    GOT(h, loci_blocks, b, t_ptr);
    GOT(h, loci_blocks, b, t_col);
    GOT(h, loci_blocks, b, t_kind);
    GOT(h, loci_blocks, b, tiles);
}

static void read_desc(const loci_host *h, const loci_attn_desc *d)
{
    GOT(h, loci_attn_desc, d, struct_size);
    GOT(h, loci_attn_desc, d, causal);
    GOT(h, loci_attn_desc, d, scale);
    GOT(h, loci_attn_desc, d, softcap);
    GOT(h, loci_attn_desc, d, window_left);
    GOT(h, loci_attn_desc, d, window_right);
    GOT(h, loci_attn_desc, d, prefix);
    GOT(h, loci_attn_desc, d, offset);
    GOT(h, loci_attn_desc, d, q_pos);
    GOT(h, loci_attn_desc, d, k_pos);
    GOT(h, loci_attn_desc, d, q_seg);
    GOT(h, loci_attn_desc, d, k_seg);
    GOT(h, loci_attn_desc, d, q_len);
    GOT(h, loci_attn_desc, d, k_len);
    GOT(h, loci_attn_desc, d, mask);
    GOT(h, loci_attn_desc, d, bias);
    GOT(h, loci_attn_desc, d, slopes);
    GOT(h, loci_attn_desc, d, table);
    GOT(h, loci_attn_desc, d, max_distance);
    GOT(h, loci_attn_desc, d, bidirectional);
    GOT(h, loci_attn_desc, d, sink);
    GOT(h, loci_attn_desc, d, dropout);
    GOT(h, loci_attn_desc, d, rng_stream);
    GOT(h, loci_attn_desc, d, block_tok);
    GOT(h, loci_attn_desc, d, ids);
    GOT(h, loci_attn_desc, d, block_table);
    GOT(h, loci_attn_desc, d, blocks);
    if (d->blocks)
        read_blocks(h, d->blocks);
}

static void read_call(const loci_host *h, const loci_exec *x, const loci_attn_io *io)
{
    golden_read_exec(h, x);
    GOT(h, loci_attn_io, io, struct_size);
    GOT(h, loci_attn_io, io, reserved0);
    GOT(h, loci_attn_io, io, desc);
    GOT(h, loci_attn_io, io, q);
    GOT(h, loci_attn_io, io, k);
    GOT(h, loci_attn_io, io, v);
    GOT(h, loci_attn_io, io, o);
    GOT(h, loci_attn_io, io, lse);
    GOT(h, loci_attn_io, io, d_o);
    GOT(h, loci_attn_io, io, d_lse);
    GOT(h, loci_attn_io, io, dq);
    GOT(h, loci_attn_io, io, dk);
    GOT(h, loci_attn_io, io, dv);
    GOT(h, loci_attn_io, io, dbias);
    GOT(h, loci_attn_io, io, dslopes);
    GOT(h, loci_attn_io, io, dtable);
    GOT(h, loci_attn_io, io, dsink);
    read_desc(h, io->desc);
    golden_read_tensor(h, io->k);
}

/* t := by, or t += by, over every element of at most four axes. */
static void everywhere(const loci_tensor *t, double by, int add)
{
    int64_t at[4] = {0}, n = 1;

    for (int32_t i = 0; t && i < t->ndim; i++)
        n *= t->shape[i];
    for (int64_t k = 0; t && k < n; k++) {
        double *p = loci_ptr(t);
        for (int32_t i = 0; i < t->ndim; i++)
            p += at[i] * t->strides[i];
        *p = add ? *p + by : by;
        for (int32_t i = t->ndim; i-- > 0 && ++at[i] == t->shape[i];)
            at[i] = 0;
    }
}

static loci_status forward(loci_module *m, const loci_exec *x, const loci_attn_io *io, loci_error *err)
{
    HEARD(m->host, loci_attention, forward, m, x, io, err);
    read_call(m->host, x, io);
    everywhere(io->o, (double)io->k->shape[1], 0);
    everywhere(io->lse, (double)io->k->shape[1], 0);
    return LOCI_OK;
}

static loci_status backward(loci_module *m, const loci_exec *x, const loci_attn_io *io, loci_error *err)
{
    HEARD(m->host, loci_attention, backward, m, x, io, err);
    read_call(m->host, x, io);
    everywhere(io->dq, 1, 1);
    everywhere(io->dk, 1, 1);
    everywhere(io->dv, 1, 1);
    return LOCI_OK;
}

static const loci_attention attention = {sizeof attention, 0, forward, backward};

static const loci_class golden = {.struct_size = sizeof golden,
                                  .state_version = 2,
                                  .id = "golden",
                                  .kind = LOCI_KIND_ATTENTION,
                                  .version = "1.0",
                                  .summary = "touches everything",
                                  .doc = "o = S",
                                  .caps = LOCI_CAP_BACKWARD | LOCI_CAP_CAUSAL | LOCI_CAP_STREAMING,
                                  .fit = fit,
                                  .create = create,
                                  .destroy = destroy,
                                  .plan = plan,
                                  .iface = &attention};
static const loci_class *const classes[] = {&golden};

const loci_plugin loci_plugin_v1 = {LOCI_PLUGIN_HEAD, "golden", "1.0", "Apache-2.0", 1, 0, classes};
LOCI_PLUGIN_NOTE("class=attention/golden\n");
