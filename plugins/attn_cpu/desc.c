/* SPDX-License-Identifier: Apache-2.0
 *
 * Reads the descriptor of a call: after it no kernel can reach outside a tensor, whatever numbers stand in block
 * tables, block lists and lengths. Sets what the kernels ask about it: S, look, adjust, fetch, dropout.
 */
#include "check.h"

loci_status cpu_apart(loci_error *err, const char *name, const loci_tensor *t, int32_t from)
{
    for (int32_t i = 0; t && i < t->ndim; i++)
        if (t->shape[i] == 0)
            return LOCI_OK;
    for (int32_t i = from; t && i < t->ndim; i++)
        if (t->shape[i] > 1 && t->strides[i] == 0)
            return cpu_fail(err, LOCI_E_UNSUPPORTED, "axis %d of %s has stride 0: give it memory of its own", i, name);
    return LOCI_OK;
}

loci_status cpu_desc_read(cpu_call *c, loci_dtype acc, loci_error *err)
{
    const loci_attn_desc *a = c->desc;

    LOCI_RETURN_IF(loci_attn_check_desc("attention/cpu", c->io, acc, &c->S, err));
    c->look = a->q_seg || a->mask || a->blocks;
    c->adjust = a->softcap > 0 || a->bias || a->table;
    c->fetch = c->T > 3 * c->ops->lanes || (c->T > 1 && (c->half || a->block_table)); /* a strip alone reads in place */
    c->dropout = c->exec->flags & LOCI_X_TRAIN ? a->dropout : 0;
    return LOCI_OK;
}
