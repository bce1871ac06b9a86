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

int64_t apply_symbol(const struct apply *a, const char *name, int64_t otherwise)
{
    for (uint32_t i = 0; i < a->n_symbols; i++)
        if (!strcmp(a->symbols[i].name, name))
            return a->symbols[i].n;
    return otherwise;
}

/* "IN: `v` is [2, 7, 2, 4]: " and why not. */
loci_status apply_misshaped(const struct apply *a, const loci_named *t, const char *axes, const char *why,
                            loci_error *err)
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
loci_status apply_bind(struct apply *a, const loci_named *t, const char *axes, loci_error *err)
{
    char word[8], why[160];
    int32_t i = 0;

    for (const char *at = axes; *at; at += strcspn(at, " "), at += *at == ' ', i++) {
        const size_t n = strcspn(at, " ");
        struct apply_axis *s = NULL;
        bool or_one;
        if (!strncmp(at, "...", 3))
            return LOCI_OK;
        snprintf(word, sizeof word, "%.*s", (int)n, at);
        or_one = n > 1 && word[n - 1] == '1';
        if (or_one)
            word[n - 1] = '\0';
        if (i >= t->ndim)
            return apply_misshaped(a, t, axes, "", err);
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
            return apply_misshaped(a, t, axes, why, err);
        }
    }
    return i == t->ndim ? LOCI_OK : apply_misshaped(a, t, axes, "", err);
}

loci_status apply_wanted(struct apply *a, const char *name, const char *axes, loci_error *err)
{
    const loci_named *t = loci_tensors_find(a->file, name);

    return t ? apply_bind(a, t, axes, err)
             : loci_fail(err, LOCI_E_CHECKPOINT, "%s: there is no `%s` [%s], which %s needs", a->in, name, axes,
                         a->c.word);
}

static loci_status optional(struct apply *a, const char *name, const char *axes, loci_error *err)
{
    const loci_named *t = loci_tensors_find(a->file, name);

    return t ? apply_bind(a, t, axes, err) : LOCI_OK;
}

/* The type computed in is that of the first tensor. */
loci_status apply_dtype(struct apply *a, const char *const *names, loci_error *err)
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

static loci_status rule(struct apply *a, loci_error *err)
{
    loci_status status = LOCI_OK;
    int64_t dk, dv;

    LOCI_TRY(apply_dtype(a, (const char *const[]){"q", "k", "v", "d_y", NULL}, err));
    LOCI_TRY(optional(a, "q", "B T H d", err));
    LOCI_TRY(optional(a, "k", "B T H d", err));
    LOCI_TRY(optional(a, "v", "B T H e", err));
    LOCI_TRY(optional(a, "d_y", "B T H e", err));
    for (uint32_t i = 0; i < loci_tensors_n(a->file); i++)
        if (!strncmp(loci_tensors_at(a->file, i)->name, "gate.", 5))
            LOCI_TRY(apply_bind(a, loci_tensors_at(a->file, i), "B T H ...", err));
    dk = loci_conf_int(a->c.conf, -1, "memory", "dk");
    dv = loci_conf_int(a->c.conf, -1, "memory", "dv");
    a->size.docs = apply_symbol(a, "B", -1);
    a->size.seq = apply_symbol(a, "T", -1);
    a->size.heads = apply_symbol(a, "H", -1);
    a->size.dk = apply_symbol(a, "d", dk > 0 ? dk : apply_symbol(a, "e", 0));
    a->size.dv = apply_symbol(a, "e", dv > 0 ? dv : a->size.dk);
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

    LOCI_TRY(apply_dtype(a, (const char *const[]){"x", NULL}, err));
    LOCI_TRY(apply_wanted(a, "x", "B T D", err));
    if (!strcmp(a->c.kind, "mixer"))
        LOCI_TRY(optional(a, "context", "B S D", err));
    a->size.docs = apply_symbol(a, "B", 0);
    a->size.seq = apply_symbol(a, "T", 0);
    a->size.keys = apply_symbol(a, "S", 0);
    a->size.dim = apply_symbol(a, "D", 0);
    if (loci_conf_is_set(a->c.conf, -1, "model", "dim") &&
        loci_conf_int(a->c.conf, -1, "model", "dim") != a->size.dim) {
        status = loci_fail(err, LOCI_E_CHECKPOINT, "%s: `x` is %lld wide, and %s says model.dim = %lld: change one",
                           a->in, (long long)a->size.dim, loci_conf_origin(a->c.conf, -1, "model", "dim"),
                           (long long)loci_conf_int(a->c.conf, -1, "model", "dim"));
        goto out;
    }
    snprintf(set, sizeof set, "model.dim=%lld", (long long)a->size.dim);
    LOCI_TRY(loci_conf_set(a->c.conf, set, a->in, err));
    if (loci_conf_int(a->c.conf, -1, "model", "dim") != a->size.dim)
        status = loci_fail(err, LOCI_E_CHECKPOINT,
                           "%s: `x` is %lld wide, which model.dim cannot be: `loci config "
                           "--help-config=model` has its range",
                           a->in, (long long)a->size.dim);
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
        return apply_attention(a, err);
    status = !strcmp(a->c.kind, "memory") && !a->layer ? rule(a, err) : layer(a, err);
    a->size.capacity = a->pos + a->size.seq;
    return status;
}
