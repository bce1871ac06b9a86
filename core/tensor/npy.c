/* SPDX-License-Identifier: Apache-2.0
 *
 * core/tensor: numpy's format of one array: read.
 *
 *     | 0x93 NUMPY | major minor | N, little-endian, 2 bytes in version 1, else 4 | N bytes of text | the elements |
 *     {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }
 *
 * The text is a Python literal. What is read here is the little grammar that numpy writes: the three keys, once each in
 * any order, a quoted dtype, True or False, a tuple of counts. No recursion, nothing is evaluated.
 *
 *  (1) The elements fill the rest exactly: shape times dtype, multiplied with checks, equals the bytes behind the text.
 *  (2) Objects are pickles and hold code: refused. So are byte orders and dtypes that are not ours.
 *
 * Source: numpy.lib.format.
 */
#include "core/tensor/tensors.h"

#include <string.h>

enum { HEAD_MAX = 65536 };

static const struct {
    const char *descr, *name;
} descrs[] = {
    {"<f4", "F32"}, {"<f8", "F64"}, {"<f2", "F16"}, {"<i8", "I64"}, {"<i4", "I32"}, {"<i2", "I16"},
    {"|i1", "I8"},  {"<u8", "U64"}, {"<u4", "U32"}, {"<u2", "U16"}, {"|u1", "U8"},  {"|b1", "BOOL"},
};

/* ---- the text: a cursor that skips blanks ----------------------------------------------------------------------- */

typedef struct cursor {
    const char *at, *end;
} cursor;

static void skip_blanks(cursor *c)
{
    while (c->at < c->end && (*c->at == ' ' || *c->at == '\n'))
        c->at++;
}

static bool take(cursor *c, const char *word)
{
    size_t n = strlen(word);
    skip_blanks(c);
    if ((size_t)(c->end - c->at) < n || memcmp(c->at, word, n) != 0)
        return false;
    c->at += n;
    return true;
}

/* A quoted word of printable characters without quotes and backslashes, of fewer than cap bytes. */
static bool take_quoted(cursor *c, char *to, size_t cap)
{
    char quote;
    size_t n = 0;
    skip_blanks(c);
    if (c->at == c->end || (*c->at != '\'' && *c->at != '"'))
        return false;
    quote = *c->at++;
    for (; c->at < c->end && *c->at != quote; c->at++) {
        if (n + 1 >= cap || *c->at < 0x20 || *c->at > 0x7e || *c->at == '\\')
            return false;
        to[n++] = *c->at;
    }
    to[n] = '\0';
    return take(c, (char[]){quote, '\0'});
}

static bool take_count(cursor *c, int64_t *out)
{
    uint64_t v = 0;
    const char *first;
    skip_blanks(c);
    for (first = c->at; c->at < c->end && *c->at >= '0' && *c->at <= '9'; c->at++)
        if (!loci_mul(&v, v, 10) || !loci_add(&v, v, (uint64_t)(*c->at - '0')) || v > INT64_MAX)
            return false;
    *out = (int64_t)v;
    return c->at > first;
}

/* (), (3,), (3, 4), (3, 4,); *ndim is -1 when there are too many. */
static bool take_shape(cursor *c, int32_t *ndim, int64_t *shape)
{
    *ndim = 0;
    if (!take(c, "("))
        return false;
    while (!take(c, ")")) {
        if (*ndim == LOCI_MAX_DIM) {
            *ndim = -1;
            return false;
        }
        if (!take_count(c, &shape[*ndim]))
            return false;
        (*ndim)++;
        if (!take(c, ","))
            return take(c, ")");
    }
    return true;
}

typedef struct literal {
    char descr[16], key[16];
    bool fortran, has_descr, has_order, has_shape;
    int32_t ndim;
    int64_t shape[LOCI_MAX_DIM];
} literal;

static bool take_pair(cursor *c, literal *l)
{
    if (!take_quoted(c, l->key, sizeof l->key) || !take(c, ":"))
        return false;
    if (strcmp(l->key, "descr") == 0 && !l->has_descr)
        return l->has_descr = take_quoted(c, l->descr, sizeof l->descr);
    if (strcmp(l->key, "fortran_order") == 0 && !l->has_order)
        return l->has_order = (l->fortran = take(c, "True")) || take(c, "False");
    if (strcmp(l->key, "shape") == 0 && !l->has_shape)
        return l->has_shape = take_shape(c, &l->ndim, l->shape);
    return false;
}

static bool take_literal(cursor *c, literal *l)
{
    if (!take(c, "{"))
        return false;
    while (!take(c, "}")) {
        if (!take_pair(c, l))
            return false;
        if (!take(c, ",")) {
            if (!take(c, "}"))
                return false;
            break;
        }
    }
    skip_blanks(c);
    return c->at == c->end && l->has_descr && l->has_order && l->has_shape;
}

/* ---- the array --------------------------------------------------------------------------------------------------- */

static loci_status accept(loci_named *out, const literal *l, uint64_t data_bytes, const char *what, loci_error *err)
{
    const char *name = NULL;
    for (size_t i = 0; i < sizeof descrs / sizeof *descrs; i++)
        if (strcmp(descrs[i].descr, l->descr) == 0)
            name = descrs[i].name;
    if (strchr(l->descr, 'O'))
        return loci_fail(err, LOCI_E_UNSUPPORTED, "%s: python objects, which hold code; save numbers", what);
    if (l->descr[0] == '>')
        return loci_fail(err, LOCI_E_UNSUPPORTED, "%s: dtype %s is big-endian; save it with astype('<%s')", what,
                         l->descr, l->descr + 1);
    if (!name || !loci_dtype_named(&out->dtype, name))
        return loci_fail(err, LOCI_E_UNSUPPORTED, "%s: dtype %s: floats of 2, 4, 8 bytes, integers and bool are read",
                         what, l->descr);
    if (l->fortran && l->ndim > 1)
        return loci_fail(err, LOCI_E_UNSUPPORTED, "%s: in fortran order; save numpy.ascontiguousarray of it", what);
    out->ndim = l->ndim;
    memcpy(out->shape, l->shape, sizeof out->shape);
    if (!loci_shape_bytes(&out->bytes, out->dtype, out->ndim, out->shape))
        return loci_fail(err, LOCI_E_CHECKPOINT, "%s: the size of its shape overflows", what);
    if (out->bytes != data_bytes) /* (1) */
        return loci_fail(err, LOCI_E_CHECKPOINT, "%s: %llu bytes by dtype and shape, %llu in the file", what,
                         (unsigned long long)out->bytes, (unsigned long long)data_bytes);
    return LOCI_OK;
}

loci_status loci__npy_head(loci_tensors *t, uint32_t i, uint64_t from, uint64_t bytes, const char *what, uint32_t *crc,
                           loci_error *err)
{
    unsigned char lead[12] = {0};
    char *text = NULL;
    uint64_t lead_n, n;
    literal l = {.ndim = 0};
    cursor c;
    loci_status status;

    if (bytes < 10)
        return loci_fail(err, LOCI_E_CHECKPOINT, "%s: %llu bytes are too few for an npy array", what,
                         (unsigned long long)bytes);
    LOCI_TRY(loci__tensors_pread(t, lead, bytes < 12 ? bytes : 12, from, err));
    lead_n = lead[6] == 1 ? 10 : 12;
    n = (uint64_t)lead[8] | (uint64_t)lead[9] << 8;
    if (lead[6] != 1)
        n |= (uint64_t)lead[10] << 16 | (uint64_t)lead[11] << 24;
    if (memcmp(lead, "\x93NUMPY", 6) != 0 || lead[6] < 1 || lead[6] > 3 || lead[7] != 0) {
        status = loci_fail(err, LOCI_E_CHECKPOINT, "%s: not an npy array of version 1.0, 2.0 or 3.0", what);
        goto out;
    }
    if (bytes < lead_n || n > bytes - lead_n || n > HEAD_MAX) {
        status = loci_fail(err, LOCI_E_CHECKPOINT, "%s: a header of %llu bytes, of %llu in all and %d at most", what,
                           (unsigned long long)n, (unsigned long long)bytes, HEAD_MAX);
        goto out;
    }
    if (!(text = loci_alloc(n))) {
        status = loci_fail(err, LOCI_E_NOMEM, "%s: no memory for a header of %llu bytes", what, (unsigned long long)n);
        goto out;
    }
    LOCI_TRY(loci__tensors_pread(t, text, n, from + lead_n, err));
    c = (cursor){text, text + n};
    if (!take_literal(&c, &l)) {
        status = l.ndim < 0
                     ? loci_fail(err, LOCI_E_CHECKPOINT, "%s: more than %d dimensions", what, LOCI_MAX_DIM)
                     : loci_fail(err, LOCI_E_CHECKPOINT, "%s: malformed header at its byte %td", what, c.at - text);
        goto out;
    }
    LOCI_TRY(accept(&t->at[i], &l, bytes - lead_n - n, what, err));
    t->offset[i] = from + lead_n + n;
    if (crc)
        *crc = loci__crc32(loci__crc32(*crc, lead, lead_n), text, n);
out:
    loci_free(text);
    return status;
}

loci_status loci__npy_read(loci_tensors *t, loci_error *err)
{
    const char *slash = strrchr(t->path, '/'), *name = slash ? slash + 1 : t->path;
    size_t n = strlen(name);
    loci_status status;
    if (n > 4 && strcmp(name + n - 4, ".npy") == 0)
        n -= 4;
    if (loci__name_fault(name, n)) {
        name = "array";
        n = 5;
    }
    status = loci__tensors_reserve(t, 1, n + 1, err);
    if (status != LOCI_OK)
        return status;
    t->at[0].name = memcpy(t->names, name, n);
    status = loci__npy_head(t, 0, 0, t->size, t->path, NULL, err);
    return status == LOCI_OK ? loci__tensors_load(t, err) : status;
}
