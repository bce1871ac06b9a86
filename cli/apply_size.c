/* SPDX-License-Identifier: Apache-2.0
 *
 * loci apply: sizes from the file. The axes of a tensor are symbols (B T S H d ...); the first tensor that has one says
 * what it is, and every other must agree.
 */
#include "cli/apply.h"
#include "core/tensor/figures.h"
#include <string.h>

void apply_shape(loci_text *t, int32_t ndim, const int64_t *shape)
{
    loci_text_add(t, "[");
    for (int32_t i = 0; i < ndim; i++)
        loci_text_add(t, "%s%lld", i ? ", " : "", (long long)shape[i]);
    loci_text_add(t, "]");
}

static int64_t symbol(const struct apply *a, const char *name, int64_t otherwise)
{
    for (uint32_t i = 0; i < a->n_symbols; i++)
        if (!strcmp(a->symbols[i].name, name))
            return a->symbols[i].n;
    return otherwise;
}

/* "IN: `v` is [2, 7, 2, 4]: " and why not. */
static loci_status misshaped(const struct apply *a, const loci_named *t, const char *axes, const char *why, loci_error *err)
{
    loci_text shape = {0};
    loci_status status;

    apply_shape(&shape, t->ndim, t->shape);
    status = loci_fail(err, LOCI_E_CHECKPOINT, "%s: `%s` is %s and must be [%s]%s", a->in, t->name,
                       shape.at ? shape.at : "", axes, why);
    loci_text_free(&shape);
    return status;
}

/* The axes that the words name; a word that ends with 1 may also be 1, `n` is any number. More axes may follow a rest
 * of "...". */
static loci_status bind(struct apply *a, const loci_named *t, const char *axes, loci_error *err)
{
    char word[8], why[160];
    int32_t i = 0;

    for (const char *at = axes; *at; at += strcspn(at, " "), at += *at == ' ', i++) {
        const size_t n = strcspn(at, " ");
        struct apply_symbol *s = NULL;
        bool or_one;
        if (!strncmp(at, "...", 3))
            return LOCI_OK;
        snprintf(word, sizeof word, "%.*s", (int)n, at);
        or_one = n > 1 && word[n - 1] == '1';
        if (or_one)
            word[n - 1] = '\0';
        if (i >= t->ndim)
            return misshaped(a, t, axes, "", err);
        if (!strcmp(word, "n") || (or_one && t->shape[i] == 1))
            continue;
        for (uint32_t k = 0; k < a->n_symbols; k++)
            s = !strcmp(a->symbols[k].name, word) ? &a->symbols[k] : s;
        if (!s && a->n_symbols < APPLY_SYMBOLS) {
            s = &a->symbols[a->n_symbols++];
            snprintf(s->name, sizeof s->name, "%s", word);
            s->n = t->shape[i];
            s->by = t->name;
        }
        if (s && s->n != t->shape[i]) {
            snprintf(why, sizeof why, ": %s is %lld in `%.60s`, change one", word, (long long)s->n, s->by);
            return misshaped(a, t, axes, why, err);
        }
    }
    return i == t->ndim ? LOCI_OK : misshaped(a, t, axes, "", err);
}

static loci_status wanted(struct apply *a, const char *name, const char *axes, loci_error *err)
{
    const loci_named *t = loci_tensors_find(a->file, name);

    return t ? bind(a, t, axes, err)
             : loci_fail(err, LOCI_E_CHECKPOINT, "%s: there is no `%s` [%s], which %s needs", a->in, name, axes, a->c.word);
}

static loci_status optional(struct apply *a, const char *name, const char *axes, loci_error *err)
{
    const loci_named *t = loci_tensors_find(a->file, name);

    return t ? bind(a, t, axes, err) : LOCI_OK;
}

/* The type computed in is that of the first tensor. */
static loci_status take_dtype(struct apply *a, const char *const *names, loci_error *err)
{
    const loci_named *t = NULL;

    for (; *names && !t; names++)
        t = loci_tensors_find(a->file, *names);
    if (!t) {
        a->size.dtype = loci_f32;
        return LOCI_OK;
    }
    a->size.dtype = t->dtype;
    if (loci_dtype_is(t->dtype, loci_f32) || loci_dtype_is(t->dtype, loci_f64) || loci_dtype_is(t->dtype, loci_bf16))
        return LOCI_OK;
    return loci_fail(err, LOCI_E_CHECKPOINT, "%s: `%s` is %s: F32, F64 or BF16 can be computed in, convert it", a->in,
                     t->name, loci_dtype_name(t->dtype));
}

/* ---- attention --------------------------------------------------------------------------------------------------- */

/* The longest row of a paged call, since k and v are blocks there. */
static loci_status longest(struct apply *a, loci_error *err)
{
    const loci_named *t = loci_tensors_find(a->file, "lengths");
    int64_t most = 0;

    if (!t)
        return loci_fail(err, LOCI_E_CHECKPOINT, "%s: `block_table` needs `lengths` [B], the keys of every row", a->in);
    for (uint64_t i = 0; i < loci_named_elements(t); i++)
        most = loci_named_value(t, i) > (double)most ? (int64_t)loci_named_value(t, i) : most;
    a->symbols[a->n_symbols++] = (struct apply_symbol){"S", most, "lengths"};
    return LOCI_OK;
}

/* A table that names a block beyond the last one would read outside of k. */
static loci_status check_table(const struct apply *a, loci_error *err)
{
    const loci_named *t = loci_tensors_find(a->file, "block_table"), *lengths = loci_tensors_find(a->file, "lengths");
    const int64_t per_row = t->shape[1], block = a->desc.block_tok, blocks = symbol(a, "blocks", 0);

    for (int64_t b = 0; b < t->shape[0]; b++) {
        const double keys = loci_named_value(lengths, (uint64_t)b);
        if (keys > (double)(per_row * block))
            return loci_fail(err, LOCI_E_CHECKPOINT, "%s: `lengths` says %g keys at row %lld, and `block_table` has %lld "
                             "blocks of %lld: add blocks", a->in, keys, (long long)b, (long long)per_row, (long long)block);
        for (int64_t i = 0; i < per_row && (double)(i * block) < keys; i++) {
            const double at = loci_named_value(t, (uint64_t)(b * per_row + i));
            if (at < 0 || at >= (double)blocks)
                return loci_fail(err, LOCI_E_CHECKPOINT, "%s: `block_table` names block %g at row %lld: `k` has %lld", a->in,
                                 at, (long long)b, (long long)blocks);
        }
    }
    return LOCI_OK;
}

static loci_status attention(struct apply *a, loci_error *err)
{
    loci_status status = LOCI_OK;
    const bool paged = loci_tensors_find(a->file, "block_table") != NULL;

    LOCI_TRY(take_dtype(a, (const char *const[]){"q", "k", "v", NULL}, err));
    LOCI_TRY(wanted(a, "q", "B T H d", err));
    if (paged)
        LOCI_TRY(longest(a, err));
    LOCI_TRY(wanted(a, "k", paged ? "blocks tok Hk d" : "B S Hk d", err));
    LOCI_TRY(wanted(a, "v", paged ? "blocks tok Hv e" : "B S Hv e", err));
    for (size_t i = 0; i < cli_n_optionals; i++) {
        const struct cli_optional *p = &cli_optionals[i];
        const loci_named *t = loci_tensors_find(a->file, p->name);
        const loci_tensor *view;
        if (!t)
            continue;
        LOCI_TRY(bind(a, t, p->axes, err));
        view = loci_view_set(&a->views[i], NULL, (loci_device){LOCI_CPU, 0}, t->dtype, t->ndim, t->shape);
        *(const loci_tensor **)(void *)((char *)&a->desc + p->at) = view;
        if (!strcmp(p->name, "segment_ids")) {
            a->desc.k_seg = view;
            if (symbol(a, "T", 0) != symbol(a, "S", 0))
                return misshaped(a, t, "B S", ": it holds for queries and keys, which are not as many; give `q_seg` and "
                                              "`k_seg`", err);
            if (loci_tensors_find(a->file, "q_seg") || loci_tensors_find(a->file, "k_seg"))
                return loci_fail(err, LOCI_E_CHECKPOINT, "%s: `segment_ids` is both `q_seg` and `k_seg`: give one kind",
                                 a->in);
        }
    }
    if (a->desc.table && !a->desc.max_distance)
        a->desc.max_distance = 128; /* T5's */
    a->size.docs = symbol(a, "B", 0);
    a->size.seq = symbol(a, "T", 0);
    a->size.keys = symbol(a, "S", 0);
    a->size.heads = symbol(a, "H", 0);
    a->size.k_heads = symbol(a, "Hk", 0);
    a->size.v_heads = symbol(a, "Hv", 0);
    a->size.dk = symbol(a, "d", 0);
    a->size.dv = symbol(a, "e", 0);
    a->size.blocks = symbol(a, "blocks", 0);
    if (paged && a->desc.block_tok && (int64_t)a->desc.block_tok != symbol(a, "tok", 0)) {
        status = loci_fail(err, LOCI_E_ARG, "--desc: block_tok = %u, and `k` of %s has blocks of %lld", a->desc.block_tok,
                           a->in, (long long)symbol(a, "tok", 0));
        goto out;
    }
    if (paged) {
        a->desc.block_tok = (uint32_t)symbol(a, "tok", 0);
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

/* ---- the others -------------------------------------------------------------------------------------------------- */

static loci_status rule(struct apply *a, loci_error *err)
{
    loci_status status = LOCI_OK;
    int64_t dk, dv;

    LOCI_TRY(take_dtype(a, (const char *const[]){"q", "k", "v", "d_y", NULL}, err));
    LOCI_TRY(optional(a, "q", "B T H d", err));
    LOCI_TRY(optional(a, "k", "B T H d", err));
    LOCI_TRY(optional(a, "v", "B T H e", err));
    LOCI_TRY(optional(a, "d_y", "B T H e", err));
    for (uint32_t i = 0; i < loci_tensors_n(a->file); i++)
        if (!strncmp(loci_tensors_at(a->file, i)->name, "gate.", 5))
            LOCI_TRY(bind(a, loci_tensors_at(a->file, i), "B T H ...", err));
    dk = loci_conf_int(a->c.conf, -1, "memory", "dk");
    dv = loci_conf_int(a->c.conf, -1, "memory", "dv");
    a->size.docs = symbol(a, "B", -1);
    a->size.seq = symbol(a, "T", -1);
    a->size.heads = symbol(a, "H", -1);
    a->size.dk = symbol(a, "d", dk > 0 ? dk : symbol(a, "e", 0));
    a->size.dv = symbol(a, "e", dv > 0 ? dv : a->size.dk);
    if (a->size.docs < 0 || a->size.dk <= 0 || a->size.dv <= 0)
        status = loci_fail(err, LOCI_E_CHECKPOINT,
                           "%s: there is none of `q`, `k`, `v`, `d_y`: one of them must say how large %s is", a->in,
                           a->c.word);
    a->size.dim = loci_conf_int(a->c.conf, -1, "model", "dim");
out:
    return status;
}

static loci_status layer(struct apply *a, loci_error *err)
{
    loci_status status = LOCI_OK;
    char set[64];

    LOCI_TRY(take_dtype(a, (const char *const[]){"x", NULL}, err));
    LOCI_TRY(wanted(a, "x", "B T D", err));
    if (!strcmp(a->c.kind, "mixer"))
        LOCI_TRY(optional(a, "context", "B S D", err));
    a->size.docs = symbol(a, "B", 0);
    a->size.seq = symbol(a, "T", 0);
    a->size.keys = symbol(a, "S", 0);
    a->size.dim = symbol(a, "D", 0);
    if (loci_conf_is_set(a->c.conf, -1, "model", "dim") &&
        loci_conf_int(a->c.conf, -1, "model", "dim") != a->size.dim) {
        status = loci_fail(err, LOCI_E_CHECKPOINT, "%s: `x` is %lld wide, and %s says model.dim = %lld: change one", a->in,
                           (long long)a->size.dim, loci_conf_origin(a->c.conf, -1, "model", "dim"),
                           (long long)loci_conf_int(a->c.conf, -1, "model", "dim"));
        goto out;
    }
    snprintf(set, sizeof set, "model.dim=%lld", (long long)a->size.dim);
    LOCI_TRY(loci_conf_set(a->c.conf, set, a->in, err));
    if (loci_conf_int(a->c.conf, -1, "model", "dim") != a->size.dim)
        status = loci_fail(err, LOCI_E_CHECKPOINT, "%s: `x` is %lld wide, which model.dim cannot be: `loci config "
                           "--help-config=model` has its range", a->in, (long long)a->size.dim);
out:
    return status;
}

loci_status apply_size(struct apply *a, loci_error *err)
{
    loci_status status;

    a->views = loci_alloc(cli_n_optionals * sizeof *a->views);
    if (!a->views)
        return loci_fail(err, LOCI_E_NOMEM, "out of memory");
    if (!strcmp(a->c.kind, "attention"))
        return attention(a, err);
    status = !strcmp(a->c.kind, "memory") && !a->layer ? rule(a, err) : layer(a, err);
    a->size.capacity = a->pos + a->size.seq;
    return status;
}
