/* SPDX-License-Identifier: Apache-2.0
 *
 * core/tensor: the safetensors format: read and write.
 *
 *     | 8 bytes: N, little-endian | N bytes: JSON, '{' first, spaces behind | the tensors' bytes, end to end |
 *       {"__metadata__": {"format": "loci"}, "name": {"dtype": "F32", "shape": [2,3], "data_offsets": [0,24]}, ...}
 *
 * Reading believes nothing. It holds afterwards, for every tensor:
 *  (1) its dtype is known, ndim <= 8, and shape times dtype, multiplied with checks, is exactly its range of bytes;
 *  (2) the ranges, sorted, begin at 0, each begins where the one before ends (also the empty ones), the last ends with
 * the file: no hole, no overlap, nothing reversed, nothing outside; (3) no key stands twice, no key is unknown,
 * __metadata__ maps strings to strings and has no effect. Every check comes before the allocation that it guards.
 * Validation is never an assert.
 *
 * Writing sorts by descending alignment, then name, and pads the header so that the data begins at a multiple of 64:
 * every tensor is aligned to its element, and equal tensors give equal files.
 *
 * Source: the format's own description, github.com/huggingface/safetensors. Departures, all stricter: the header is at
 * most 16 MiB (100 MB there), names 512 bytes, unknown keys of an entry are refused.
 */
#include "core/tensor/tensors.h"

#include <stdlib.h>
#include <string.h>

enum { DEPTH = 3, ITEMS = 64, LEAD = 8 }; /* the format nests three deep: header, entry, shape */

static uint64_t load_u64(const unsigned char *p)
{
    uint64_t v = 0;
    for (int i = 7; i >= 0; i--)
        v = v << 8 | p[i];
    return v;
}

static void store_u64(unsigned char *p, uint64_t v)
{
    for (int i = 0; i < 8; i++, v >>= 8)
        p[i] = (unsigned char)v;
}

/* ---- read ------------------------------------------------------------------------------------------------------ */

static loci_status read_header(json_t **out, uint64_t *data_at, const loci_tensors *t, loci_error *err)
{
    unsigned char lead[LEAD];
    char *text = NULL, *what = NULL;
    uint64_t n;
    loci_status status;

    LOCI_TRY(loci__tensors_pread(t, lead, LEAD, 0, err));
    n = load_u64(lead);
    if (n > LOCI_MAX_TENSOR_HEADER || n > t->size - LEAD || n < 2) {
        status = loci_fail(err, LOCI_E_CHECKPOINT,
                           "%s: not safetensors, npy or npz: as safetensors its header would have %llu bytes, of %llu "
                           "in the file and 16777216 at most",
                           t->path, (unsigned long long)n, (unsigned long long)t->size);
        goto out;
    }
    text = loci_alloc(n);
    what = loci_format("%s: header", t->path);
    if (!text || !what) {
        status =
            loci_fail(err, LOCI_E_NOMEM, "%s: no memory for a header of %llu bytes", t->path, (unsigned long long)n);
        goto out;
    }
    LOCI_TRY(loci__tensors_pread(t, text, n, LEAD, err));
    if (text[0] != '{') {
        status = loci_fail(err, LOCI_E_CHECKPOINT, "%s: not safetensors: the header does not begin with {", t->path);
        goto out;
    }
    LOCI_TRY(loci_json_read(out, text, n, DEPTH, ITEMS, what, err));
    *data_at = LEAD + n;
out:
    loci_free(text);
    loci_free(what);
    return status;
}

static loci_status check_meta(const loci_tensors *t, json_t *meta, loci_error *err)
{
    const char *key;
    json_t *value;
    if (!json_is_object(meta))
        return loci_fail(err, LOCI_E_CHECKPOINT, "%s: __metadata__ is not an object", t->path);
    json_object_foreach(meta, key, value) if (!json_is_string(value)) return loci_fail(
        err, LOCI_E_CHECKPOINT, "%s: __metadata__ holds something other than text", t->path);
    return LOCI_OK;
}

static bool get_count(int64_t *out, const json_t *value)
{
    *out = json_integer_value(value);
    return json_is_integer(value) && *out >= 0;
}

/* One entry of the header: (1) and the part of (2) that concerns one tensor. begin and end are relative to the data. */
static loci_status read_entry(loci_named *out, uint64_t *begin, json_t *entry, const loci_tensors *t,
                              uint64_t data_bytes, loci_error *err)
{
    const char *key, *dtype = NULL, *name = out->name;
    json_t *value, *shape = NULL, *offsets = NULL;
    int64_t b, e;
    uint64_t bytes;

    json_object_foreach(entry, key, value)
    {
        if (strcmp(key, "dtype") == 0)
            dtype = json_string_value(value);
        else if (strcmp(key, "shape") == 0)
            shape = value;
        else if (strcmp(key, "data_offsets") == 0)
            offsets = value;
        else
            return loci_fail(err, LOCI_E_CHECKPOINT,
                             "%s: tensor %s: its entry has a key that is none of dtype, shape, data_offsets", t->path,
                             name);
    }
    if (!dtype || !json_is_array(shape) || !json_is_array(offsets) || json_array_size(offsets) != 2)
        return loci_fail(err, LOCI_E_CHECKPOINT,
                         "%s: tensor %s: dtype as text, shape as list and data_offsets as list of two are wanted",
                         t->path, name);
    if (!loci_dtype_named(&out->dtype, dtype))
        return loci_fail(err, LOCI_E_UNSUPPORTED,
                         "%s: tensor %s: dtype is none of F64 F32 F16 BF16 I64 I32 I16 I8 U64 U32 U16 U8 BOOL", t->path,
                         name);
    if (json_array_size(shape) > LOCI_MAX_DIM)
        return loci_fail(err, LOCI_E_CHECKPOINT, "%s: tensor %s: %zu dimensions, the limit is %d", t->path, name,
                         json_array_size(shape), LOCI_MAX_DIM);
    out->ndim = (int32_t)json_array_size(shape);
    for (int32_t i = 0; i < out->ndim; i++)
        if (!get_count(&out->shape[i], json_array_get(shape, (size_t)i)))
            return loci_fail(err, LOCI_E_CHECKPOINT, "%s: tensor %s: dimension %d is not a count", t->path, name,
                             (int)i);
    if (!loci_shape_bytes(&bytes, out->dtype, out->ndim, out->shape))
        return loci_fail(err, LOCI_E_CHECKPOINT, "%s: tensor %s: the size of its shape overflows", t->path, name);
    if (!get_count(&b, json_array_get(offsets, 0)) || !get_count(&e, json_array_get(offsets, 1)) || b > e)
        return loci_fail(err, LOCI_E_CHECKPOINT, "%s: tensor %s: data_offsets are not two ascending counts", t->path,
                         name);
    if ((uint64_t)e > data_bytes)
        return loci_fail(err, LOCI_E_CHECKPOINT, "%s: tensor %s: its bytes end at %lld, the file's at %llu", t->path,
                         name, (long long)e, (unsigned long long)data_bytes);
    if ((uint64_t)(e - b) != bytes)
        return loci_fail(err, LOCI_E_CHECKPOINT, "%s: tensor %s: %llu bytes by dtype and shape, %lld by data_offsets",
                         t->path, name, (unsigned long long)bytes, (long long)(e - b));
    out->bytes = bytes;
    *begin = (uint64_t)b;
    return LOCI_OK;
}

typedef struct place {
    uint64_t begin;
    loci_named named;
} place;

static int by_place(const void *a, const void *b)
{
    const place *p = a, *q = b;
    if (p->begin != q->begin)
        return p->begin < q->begin ? -1 : 1;
    if (p->named.bytes != q->named.bytes)
        return p->named.bytes < q->named.bytes ? -1 : 1;
    return strcmp(p->named.name, q->named.name);
}

static loci_status order(loci_tensors *t, place *places, uint32_t n, uint64_t data_at, loci_error *err)
{
    uint64_t end = 0;
    qsort(places, n, sizeof *places, by_place);
    for (uint32_t i = 0; i < n; i++) {
        if (places[i].begin != end) /* (2) */
            return loci_fail(err, LOCI_E_CHECKPOINT,
                             "%s: tensor %s: begins at %llu, the bytes before it end at %llu: %s", t->path,
                             places[i].named.name, (unsigned long long)places[i].begin, (unsigned long long)end,
                             places[i].begin > end ? "a hole" : "an overlap");
        t->at[i] = places[i].named;
        t->offset[i] = data_at + end;
        end += places[i].named.bytes;
    }
    if (data_at + end != t->size)
        return loci_fail(err, LOCI_E_CHECKPOINT, "%s: %llu bytes behind the last tensor", t->path,
                         (unsigned long long)(t->size - data_at - end));
    return LOCI_OK;
}

loci_status loci__safetensors_read(loci_tensors *t, loci_error *err)
{
    json_t *header = NULL, *value;
    place *places = NULL;
    const char *key;
    uint64_t data_at = 0;
    size_t n, names = 0, name_at = 0;
    uint32_t i = 0;
    loci_status status;

    LOCI_TRY(read_header(&header, &data_at, t, err));
    if ((value = json_object_get(header, "__metadata__"))) {
        LOCI_TRY(check_meta(t, value, err));
        t->meta = json_incref(value);
        (void)json_object_del(header, "__metadata__");
    }
    n = json_object_size(header);
    n = n > LOCI_MAX_TENSORS ? LOCI_MAX_TENSORS + 1 : n;
    json_object_foreach(header, key, value)
    {
        const char *fault = loci__name_fault(key, strlen(key));
        if (fault) {
            status = loci_fail(err, LOCI_E_CHECKPOINT, "%s: %s", t->path, fault);
            goto out;
        }
        if (json_object_size(value) != 3) { /* before any list is allocated that a small file could blow up */
            status = loci_fail(err, LOCI_E_CHECKPOINT,
                               "%s: tensor %s: its entry is not of dtype, shape and data_offsets", t->path, key);
            goto out;
        }
        names += strlen(key) + 1;
    }
    LOCI_TRY(loci__tensors_reserve(t, (uint32_t)n, names, err));
    if (!(places = loci_alloc(n * sizeof *places))) {
        status = loci_fail(err, LOCI_E_NOMEM, "%s: no memory for the list of %zu tensors", t->path, n);
        goto out;
    }
    json_object_foreach(header, key, value)
    {
        size_t len = strlen(key) + 1;
        places[i].named.name = memcpy(t->names + name_at, key, len);
        name_at += len;
        LOCI_TRY(read_entry(&places[i].named, &places[i].begin, value, t, t->size - data_at, err));
        i++;
    }
    LOCI_TRY(order(t, places, i, data_at, err));
    json_decref(header);
    header = NULL;
    LOCI_TRY(loci__tensors_load(t, err));
out:
    json_decref(header);
    loci_free(places);
    return status;
}

/* ---- write ----------------------------------------------------------------------------------------------------- */

static int by_alignment(const void *a, const void *b)
{
    const loci_named *const *p = a, *const *q = b;
    int order = (int)(*q)->dtype.bits - (int)(*p)->dtype.bits;
    return order ? order : strcmp((*p)->name, (*q)->name);
}

static loci_status sort_checked(const loci_named **sorted, uint64_t *all, const loci_named *tensors, uint32_t n,
                                const char *path, loci_error *err)
{
    for (uint32_t i = 0; i < n; i++) {
        const loci_named *x = sorted[i] = &tensors[i];
        const char *fault = loci__name_fault(x->name, strlen(x->name));
        uint64_t bytes;
        if (fault)
            return loci_fail(err, LOCI_E_ARG, "%s: tensor %u: %s", path, i, fault);
        if (strcmp(loci_dtype_name(x->dtype), "?") == 0)
            return loci_fail(err, LOCI_E_ARG, "%s: tensor %s: safetensors has no such dtype", path, x->name);
        if (!loci_shape_bytes(&bytes, x->dtype, x->ndim, x->shape) || bytes != x->bytes || (bytes && !x->data) ||
            !loci_add(all, *all, bytes))
            return loci_fail(err, LOCI_E_ARG, "%s: tensor %s: its shape, dtype and bytes do not agree", path, x->name);
    }
    qsort(sorted, n, sizeof *sorted, by_alignment);
    return LOCI_OK;
}

static loci_status add(json_t *object, const char *key, json_t *value, const char *path, loci_error *err)
{
    if (value && json_object_get(object, key)) {
        json_decref(value);
        return loci_fail(err, LOCI_E_ARG, "%s: %s stands twice", path, key);
    }
    if (!value || json_object_set_new(object, key, value) != 0)
        return loci_fail(err, LOCI_E_NOMEM, "%s: no memory for its header", path);
    return LOCI_OK;
}

static json_t *entry_of(const loci_named *x, uint64_t begin)
{
    json_t *shape = json_array();
    for (int32_t i = 0; shape && i < x->ndim; i++)
        if (json_array_append_new(shape, json_integer(x->shape[i])) != 0) {
            json_decref(shape);
            shape = NULL;
        }
    return shape ? json_pack("{s:s, s:o, s:[I,I]}", "dtype", loci_dtype_name(x->dtype), "shape", shape, "data_offsets",
                             (json_int_t)begin, (json_int_t)(begin + x->bytes))
                 : NULL;
}

/* *out: the lead, the header and its padding. */
static loci_status make_head(char **out, size_t *out_n, const loci_named *const *sorted, uint32_t n,
                             const char *const *meta, const char *path, loci_error *err)
{
    json_t *root = json_object(), *pairs = NULL;
    uint64_t begin = 0;
    size_t need, all;
    loci_status status = LOCI_OK;

    if (!root || (meta && !(pairs = json_object()))) {
        status = loci_fail(err, LOCI_E_NOMEM, "%s: no memory for its header", path);
        goto out;
    }
    for (size_t i = 0; meta && meta[i]; i += 2) {
        if (!loci__utf8(meta[i], strlen(meta[i])) || !loci__utf8(meta[i + 1], strlen(meta[i + 1]))) {
            status = loci_fail(err, LOCI_E_ARG, "%s: metadata that is not utf-8", path);
            goto out;
        }
        LOCI_TRY(add(pairs, meta[i], json_string(meta[i + 1]), path, err));
    }
    if (meta)
        LOCI_TRY(add(root, "__metadata__", json_incref(pairs), path, err));
    for (uint32_t i = 0; i < n; i++) {
        if (strcmp(sorted[i]->name, "__metadata__") == 0) {
            status = loci_fail(err, LOCI_E_ARG, "%s: no tensor can be called __metadata__", path);
            goto out;
        }
        LOCI_TRY(add(root, sorted[i]->name, entry_of(sorted[i], begin), path, err));
        begin += sorted[i]->bytes;
    }
    need = json_dumpb(root, NULL, 0, JSON_COMPACT);
    all = loci_align64(LEAD + need);
    if (all - LEAD > LOCI_MAX_TENSOR_HEADER) {
        status = loci_fail(err, LOCI_E_ARG,
                           "%s: a header of %zu bytes for %u tensors, the limit is 16777216; use fewer "
                           "tensors to a file",
                           path, need, n);
        goto out;
    }
    if (need == 0 || !(*out = loci_alloc(all)) || json_dumpb(root, *out + LEAD, need, JSON_COMPACT) != need) {
        status = loci_fail(err, LOCI_E_NOMEM, "%s: no memory for a header of %zu bytes", path, need);
        goto out;
    }
    memset(*out + LEAD + need, ' ', all - LEAD - need);
    store_u64((unsigned char *)*out, all - LEAD);
    *out_n = all;
out:
    json_decref(root);
    json_decref(pairs);
    return status;
}

loci_status loci_tensors_write(const char *path, const loci_named *tensors, uint32_t n, const char *const *meta,
                               loci_error *err)
{
    const loci_named **sorted = NULL;
    loci_writer *w = NULL;
    char *head = NULL;
    size_t head_n = 0;
    uint64_t all = 0;
    loci_status status;

    if (n > LOCI_MAX_TENSORS)
        return loci_fail(err, LOCI_E_ARG, "%s: %u tensors, the limit is %d", path, n, LOCI_MAX_TENSORS);
    if (!(sorted = loci_alloc(n * sizeof *sorted)))
        return loci_fail(err, LOCI_E_NOMEM, "%s: no memory for the list of %u tensors", path, n);
    LOCI_TRY(sort_checked(sorted, &all, tensors, n, path, err));
    LOCI_TRY(make_head(&head, &head_n, sorted, n, meta, path, err));
    LOCI_TRY(loci_writer_begin(&w, path, head_n + all, err));
    LOCI_TRY(loci_writer_put(w, head, head_n, err));
    for (uint32_t i = 0; i < n; i++)
        LOCI_TRY(loci_writer_put(w, sorted[i]->data, sorted[i]->bytes, err));
    status = loci_writer_commit(w, err);
    w = NULL;
out:
    loci_writer_drop(w);
    loci_free(head);
    loci_free(sorted);
    return status;
}
