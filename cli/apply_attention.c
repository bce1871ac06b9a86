/* SPDX-License-Identifier: Apache-2.0
 *
 * loci apply: the sizes and the descriptor of an attention from the tensors of the file. What would have a backend read
 * outside of them (lengths, block numbers) is refused here.
 */
#include "cli/apply.h"
#include "core/tensor/figures.h"
#include <string.h>

/* The longest row of a paged call, since k and v are blocks there. */
static loci_status longest(struct apply *a, loci_error *err)
{
    const loci_named *t = loci_tensors_find(a->file, "lengths");
    int64_t most = 0;

    if (!t)
        return loci_fail(err, LOCI_E_CHECKPOINT, "%s: `block_table` needs `lengths` [B], the keys of every row", a->in);
    for (uint64_t i = 0; i < loci_named_elements(t); i++)
        most = loci_named_value(t, i) > (double)most && loci_named_value(t, i) < INT32_MAX
                   ? (int64_t)loci_named_value(t, i)
                   : most;
    a->symbols[a->n_symbols++] = (struct apply_axis){"S", most, "lengths"};
    return LOCI_OK;
}

/* A table that names a block beyond the last one would read outside of k. */
static loci_status check_table(const struct apply *a, loci_error *err)
{
    const loci_named *t = loci_tensors_find(a->file, "block_table"), *lengths = loci_tensors_find(a->file, "lengths");
    const int64_t per_row = t->shape[1], block = a->desc.block_tok, blocks = apply_symbol(a, "blocks", 0);

    for (int64_t b = 0; b < t->shape[0]; b++) {
        const double keys = loci_named_value(lengths, (uint64_t)b);
        if (keys > (double)(per_row * block))
            return loci_fail(err, LOCI_E_CHECKPOINT,
                             "%s: `lengths` says %g keys at row %lld, and `block_table` has %lld "
                             "blocks of %lld: add blocks",
                             a->in, keys, (long long)b, (long long)per_row, (long long)block);
        for (int64_t i = 0; i < per_row && (double)(i * block) < keys; i++) {
            const double at = loci_named_value(t, (uint64_t)(b * per_row + i));
            if (at < 0 || at >= (double)blocks)
                return loci_fail(err, LOCI_E_CHECKPOINT, "%s: `block_table` names block %g at row %lld: `k` has %lld",
                                 a->in, at, (long long)b, (long long)blocks);
        }
    }
    return LOCI_OK;
}

/* Lengths beyond their axis would read outside of it too. */
static loci_status check_lengths(const struct apply *a, const char *name, const char *axis, loci_error *err)
{
    const loci_named *t = loci_tensors_find(a->file, name);

    for (uint64_t i = 0; t && i < loci_named_elements(t); i++)
        if (!(loci_named_value(t, i) >= 0 && loci_named_value(t, i) <= (double)apply_symbol(a, axis, 0)))
            return loci_fail(err, LOCI_E_CHECKPOINT, "%s: `%s` holds %.10g: from 0 to %s = %lld is wanted", a->in, name,
                             loci_named_value(t, i), axis, (long long)apply_symbol(a, axis, 0));
    return LOCI_OK;
}

loci_status apply_attention(struct apply *a, loci_error *err)
{
    loci_status status = LOCI_OK;
    const bool paged = loci_tensors_find(a->file, "block_table") != NULL;

    LOCI_TRY(apply_dtype(a, (const char *const[]){"q", "k", "v", NULL}, err));
    LOCI_TRY(apply_wanted(a, "q", "B T H d", err));
    if (paged)
        LOCI_TRY(longest(a, err));
    LOCI_TRY(apply_wanted(a, "k", paged ? "blocks tok Hk d" : "B S Hk d", err));
    LOCI_TRY(apply_wanted(a, "v", paged ? "blocks tok Hv e" : "B S Hv e", err));
    for (size_t i = 0; i < cli_n_optionals; i++) {
        const struct cli_optional *p = &cli_optionals[i];
        const loci_named *t = loci_tensors_find(a->file, p->name);
        const loci_tensor *view;
        if (!t)
            continue;
        LOCI_TRY(apply_bind(a, t, p->axes, err));
        view = loci_view_set(&a->views[i], NULL, (loci_device){LOCI_CPU, 0}, t->dtype, t->ndim, t->shape);
        *(const loci_tensor **)(void *)((char *)&a->desc + p->at) = view;
        if (!strcmp(p->name, "segment_ids")) {
            a->desc.k_seg = view;
            if (apply_symbol(a, "T", 0) != apply_symbol(a, "S", 0))
                return apply_misshaped(a, t, "B S",
                                       ": it holds for queries and keys, which are not as many; give `q_seg` and "
                                       "`k_seg`",
                                       err);
            if (loci_tensors_find(a->file, "q_seg") || loci_tensors_find(a->file, "k_seg"))
                return loci_fail(err, LOCI_E_CHECKPOINT, "%s: `segment_ids` is both `q_seg` and `k_seg`: give one kind",
                                 a->in);
        }
    }
    LOCI_TRY(check_lengths(a, "lengths", "S", err));
    LOCI_TRY(check_lengths(a, "q_len", "T", err));
    if (a->desc.table && !a->desc.max_distance)
        a->desc.max_distance = 128; /* T5's */
    a->size.docs = apply_symbol(a, "B", 0);
    a->size.seq = apply_symbol(a, "T", 0);
    a->size.keys = apply_symbol(a, "S", 0);
    a->size.heads = apply_symbol(a, "H", 0);
    a->size.k_heads = apply_symbol(a, "Hk", 0);
    a->size.v_heads = apply_symbol(a, "Hv", 0);
    a->size.dk = apply_symbol(a, "d", 0);
    a->size.dv = apply_symbol(a, "e", 0);
    a->size.blocks = apply_symbol(a, "blocks", 0);
    if (paged && a->desc.block_tok && (int64_t)a->desc.block_tok != apply_symbol(a, "tok", 0)) {
        status = loci_fail(err, LOCI_E_ARG, "--desc: block_tok = %u, and `k` of %s has blocks of %lld",
                           a->desc.block_tok, a->in, (long long)apply_symbol(a, "tok", 0));
        goto out;
    }
    if (paged) {
        a->desc.block_tok = (uint32_t)apply_symbol(a, "tok", 0);
        LOCI_TRY(check_table(a, err));
    }
    if (a->size.k_heads == 0 || a->size.v_heads == 0 || a->size.heads % a->size.k_heads ||
        a->size.heads % a->size.v_heads)
        status = loci_fail(err, LOCI_E_CHECKPOINT,
                           "%s: %lld heads of `q` over %lld of `k` and %lld of `v`: they must divide it", a->in,
                           (long long)a->size.heads, (long long)a->size.k_heads, (long long)a->size.v_heads);
out:
    return status;
}
