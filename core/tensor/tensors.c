/* SPDX-License-Identifier: Apache-2.0
 *
 * core/tensor: an opened tensor file: telling formats apart, reading the bytes, finding a tensor by name.
 *
 *  (1) Only regular files are read, with pread: a pipe could block, a map could fault when the file shrinks under it.
 *  (2) Every tensor starts at a multiple of 64 in one block of memory, however it lay in the file. The block exceeds
 * the file by at most 63 bytes per tensor, and a tensor costs the file more than that in its header. (3) Names are
 * looked up in a sorted list: a file of many tensors cannot make opening a model quadratic.
 */
#include "core/tensor/tensors.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Well-formed UTF-8: no overlong form, no surrogate, nothing past U+10FFFF. */
bool loci__utf8(const char *text, size_t len)
{
    const unsigned char *s = (const unsigned char *)text, *end = s + len;
    while (s < end) {
        int more = *s < 0x80 ? 0 : *s < 0xC2 ? -1 : *s < 0xE0 ? 1 : *s < 0xF0 ? 2 : *s < 0xF5 ? 3 : -1;
        if (more < 0 || end - s <= more)
            return false;
        if ((*s == 0xE0 && s[1] < 0xA0) || (*s == 0xED && s[1] > 0x9F) || (*s == 0xF0 && s[1] < 0x90) ||
            (*s == 0xF4 && s[1] > 0x8F))
            return false;
        for (s++; more > 0; more--, s++)
            if ((*s & 0xC0) != 0x80)
                return false;
    }
    return true;
}

const char *loci__name_fault(const char *name, size_t len)
{
    if (len == 0)
        return "an empty name";
    if (len > LOCI_MAX_TENSOR_NAME)
        return "a name longer than 512 bytes";
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)name[i] < 0x20 || name[i] == 0x7f)
            return "a control character in a name";
    return loci__utf8(name, len) ? NULL : "a name that is not utf-8";
}

loci_status loci__tensors_pread(const loci_tensors *t, void *to, uint64_t n, uint64_t from, loci_error *err)
{
    char *at = to;
    while (n > 0) {
        size_t piece = n < (UINT64_C(1) << 30) ? (size_t)n : (size_t)1 << 30;
        ssize_t got = pread(t->fd, at, piece, (off_t)from);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return loci_fail(err, LOCI_E_IO, "%s: %s", t->path, strerror(errno));
        if (got == 0)
            return loci_fail(err, LOCI_E_IO, "%s: ended at byte %llu while it was read, at first it had %llu bytes",
                             t->path, (unsigned long long)from, (unsigned long long)t->size);
        at += got;
        from += (uint64_t)got;
        n -= (uint64_t)got;
    }
    return LOCI_OK;
}

loci_status loci__tensors_reserve(loci_tensors *t, uint32_t n, size_t names_bytes, loci_error *err)
{
    if (n > LOCI_MAX_TENSORS)
        return loci_fail(err, LOCI_E_CHECKPOINT, "%s: %u tensors, the limit is %d", t->path, n, LOCI_MAX_TENSORS);
    t->at = loci_alloc(n * sizeof *t->at);
    t->offset = loci_alloc(n * sizeof *t->offset);
    t->by_name = loci_alloc(n * sizeof *t->by_name);
    t->names = loci_alloc(names_bytes);
    t->n = n;
    if (!t->at || !t->offset || !t->by_name || !t->names)
        return loci_fail(err, LOCI_E_NOMEM, "%s: no memory for the list of %u tensors", t->path, n);
    return LOCI_OK;
}

static int by_name(const void *a, const void *b, void *list)
{
    const loci_named *at = list;
    return strcmp(at[*(const uint32_t *)a].name, at[*(const uint32_t *)b].name);
}

#define PIECE (UINT64_C(1) << 20)

/* Every byte once, through one piece. */
static loci_status pass_over(const loci_tensors *t, loci_error *err)
{
    loci_status status = LOCI_OK;
    char *piece = loci_alloc(PIECE);

    if (!piece)
        return loci_fail(err, LOCI_E_NOMEM, "%s: no memory to read it", t->path);
    for (uint32_t i = 0; i < t->n; i++)
        for (uint64_t done = 0, n; done < t->at[i].bytes && status == LOCI_OK; done += n) {
            n = t->at[i].bytes - done < PIECE ? t->at[i].bytes - done : PIECE;
            status = loci__tensors_pread(t, piece, n, t->offset[i] + done, err);
        }
    loci_free(piece);
    return status;
}

loci_status loci__tensors_load(loci_tensors *t, loci_error *err)
{
    uint64_t all = 0;
    loci_status status = LOCI_OK;
    for (uint32_t i = 0; i < t->n; i++) {
        t->by_name[i] = i;
        if (!loci_add(&all, all, loci_align64(t->at[i].bytes)))
            return loci_fail(err, LOCI_E_CHECKPOINT, "%s: the sizes of its tensors overflow", t->path);
    }
    qsort_r(t->by_name, t->n, sizeof *t->by_name, by_name, t->at);
    for (uint32_t i = 1; i < t->n; i++)
        if (strcmp(t->at[t->by_name[i - 1]].name, t->at[t->by_name[i]].name) == 0)
            return loci_fail(err, LOCI_E_CHECKPOINT, "%s: tensor %s stands twice", t->path, t->at[t->by_name[i]].name);
    if (t->passing)
        return pass_over(t, err);
    t->data = loci_alloc(all);
    if (!t->data)
        return loci_fail(err, LOCI_E_NOMEM, "%s: no memory for %llu bytes of tensors", t->path,
                         (unsigned long long)all);
    all = 0;
    for (uint32_t i = 0; i < t->n && status == LOCI_OK; i++) {
        t->at[i].data = t->data + all;
        status = loci__tensors_pread(t, t->data + all, t->at[i].bytes, t->offset[i], err);
        all += loci_align64(t->at[i].bytes);
    }
    return status;
}

static loci_status open_regular(loci_tensors *t, loci_error *err)
{
    struct stat st;
    t->fd = open(t->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (t->fd < 0 || fstat(t->fd, &st) != 0)
        return loci_fail(err, LOCI_E_IO, "%s: %s", t->path, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return loci_fail(err, LOCI_E_IO, "%s: not a regular file", t->path);
    t->size = (uint64_t)st.st_size;
    return LOCI_OK;
}

static loci_status read_by_content(loci_tensors *t, loci_error *err)
{
    char head[9] = "";
    loci_status status;
    if (t->size < 8)
        return loci_fail(err, LOCI_E_CHECKPOINT, "%s: %llu bytes are too few for safetensors, npy or npz", t->path,
                         (unsigned long long)t->size);
    status = loci__tensors_pread(t, head, t->size < 9 ? 8 : 9, 0, err);
    if (status != LOCI_OK)
        return status;
    if (t->passing && memcmp(head + 8, "{", 1) != 0)
        return loci_fail(err, LOCI_E_CHECKPOINT, "%s: not a safetensors file", t->path);
    if (memcmp(head, "\x93NUMPY", 6) == 0)
        return loci__npy_read(t, err);
    if (memcmp(head, "PK\3\4", 4) == 0 || memcmp(head, "PK\5\6", 4) == 0)
        return loci__npz_read(t, err);
    if (memcmp(head, "GGUF", 4) == 0 || memcmp(head, "\x89HDF", 4) == 0)
        return loci_fail(err, LOCI_E_UNSUPPORTED, "%s: a %s file, convert it to safetensors", t->path,
                         head[0] == 'G' ? "gguf" : "hdf5");
    if ((unsigned char)head[0] == 0x80 && head[1] >= 2 && head[1] <= 5 && head[8] != '{')
        return loci_fail(err, LOCI_E_UNSUPPORTED, "%s: a python pickle, which holds code; save it as safetensors",
                         t->path);
    return loci__safetensors_read(t, err);
}

static loci_status open_file(loci_tensors **out, const char *path, bool passing, loci_error *err)
{
    loci_status status;
    loci_tensors *t = loci_alloc(sizeof *t);
    *out = NULL;
    if (!t)
        return loci_fail(err, LOCI_E_NOMEM, "%s: no memory to open it", path);
    t->path = path;
    t->fd = -1;
    t->passing = passing;
    LOCI_TRY(open_regular(t, err));
    LOCI_TRY(read_by_content(t, err));
out:
    if (t->fd >= 0)
        close(t->fd);
    t->fd = -1;
    t->path = NULL;
    loci_free(t->offset);
    t->offset = NULL;
    if (status == LOCI_OK)
        *out = t;
    else
        loci_tensors_close(t);
    return status;
}

loci_status loci_tensors_open(loci_tensors **out, const char *path, loci_error *err)
{
    return open_file(out, path, false, err);
}

loci_status loci_tensors_check(const char *path, loci_error *err)
{
    loci_tensors *t = NULL;
    loci_status status = open_file(&t, path, true, err);

    loci_tensors_close(t);
    return status;
}

void loci_tensors_close(loci_tensors *t)
{
    if (!t)
        return;
    loci_free(t->at);
    loci_free(t->by_name);
    loci_free(t->names);
    loci_free(t->data);
    json_decref(t->meta);
    loci_free(t);
}

uint32_t loci_tensors_n(const loci_tensors *t)
{
    return t->n;
}

const loci_named *loci_tensors_at(const loci_tensors *t, uint32_t i)
{
    return i < t->n ? &t->at[i] : NULL;
}

const loci_named *loci_tensors_find(const loci_tensors *t, const char *name)
{
    uint32_t low = 0, high = t->n;
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        int order = strcmp(name, t->at[t->by_name[mid]].name);
        if (order == 0)
            return &t->at[t->by_name[mid]];
        if (order < 0)
            high = mid;
        else
            low = mid + 1;
    }
    return NULL;
}

const char *loci_tensors_meta(const loci_tensors *t, const char *key)
{
    return json_string_value(json_object_get(t->meta, key));
}
