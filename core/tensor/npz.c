/* SPDX-License-Identifier: Apache-2.0
 *
 * core/tensor: npz, a zip file of npy arrays: read, as numpy.savez writes it.
 *
 *     | local header, array | local header, array | ... | central directory: one record each | end record |
 *
 * The end record is found from behind, the central directory gives names, sizes and places, the local headers must
 * agree.
 *
 *  (1) Entries are stored. A compressed one is refused with the remedy, so no inflater of ours meets hostile input.
 *  (2) Every entry lies before the central directory; entries do not overlap; names are unique and end in ".npy". A
 * name is never used as a path. (3) The checksum of every entry is verified. (4) Files of 4 GiB and more (zip64) are
 * refused: safetensors is the format for them. numpy always puts a zip64 field into the local header; it is skipped,
 * the central directory has the sizes.
 *
 * Source: PKWARE's APPNOTE 6.3, sections 4.3.7, 4.3.12, 4.3.16.
 */
#include "core/tensor/tensors.h"

#include <stdlib.h>
#include <string.h>

enum { LOCAL = 30, CENTRAL = 46, END = 22, COMMENT_MAX = 65535 };

typedef struct entry {
    uint64_t at, bytes; /* of the array; at is 0 until the local header was read */
    uint64_t local;
    uint32_t crc;
    uint32_t tensor;
} entry;

static uint32_t u16(const unsigned char *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8;
}

static uint32_t u32(const unsigned char *p)
{
    return u16(p) | u16(p + 2) << 16;
}

uint32_t loci__crc32(uint32_t crc, const void *bytes, size_t n)
{
    uint32_t table[256];
    const unsigned char *p = bytes;
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t v = i;
        for (int bit = 0; bit < 8; bit++)
            v = v >> 1 ^ (v & 1 ? UINT32_C(0xEDB88320) : 0);
        table[i] = v;
    }
    for (crc = ~crc; n > 0; n--, p++)
        crc = crc >> 8 ^ table[(crc ^ *p) & 0xff];
    return ~crc;
}

static loci_status bad(const loci_tensors *t, loci_error *err, const char *text)
{
    return loci_fail(err, LOCI_E_CHECKPOINT, "%s: malformed zip: %s", t->path, text);
}

/* *dir: the central directory's bytes; *dir_at: where it lies. */
static loci_status read_directory(unsigned char **dir, uint64_t *dir_at, uint32_t *dir_n, uint32_t *n,
                                  const loci_tensors *t, loci_error *err)
{
    uint64_t tail_n = t->size < END + COMMENT_MAX ? t->size : END + COMMENT_MAX, end_at;
    unsigned char *tail = loci_alloc(tail_n), *end = NULL;
    loci_status status;

    if (!tail)
        return loci_fail(err, LOCI_E_NOMEM, "%s: no memory for %llu bytes", t->path, (unsigned long long)tail_n);
    LOCI_TRY(loci__tensors_pread(t, tail, tail_n, t->size - tail_n, err));
    for (uint64_t back = END; back <= tail_n && !end; back++)
        if (memcmp(tail + tail_n - back, "PK\5\6", 4) == 0 && u16(tail + tail_n - back + 20) == back - END)
            end = tail + tail_n - back;
    if (!end) {
        status = bad(t, err, "no end record");
        goto out;
    }
    end_at = t->size - tail_n + (uint64_t)(end - tail);
    *n = u16(end + 10);
    *dir_n = u32(end + 12);
    *dir_at = u32(end + 16);
    if (*n == 0xffff || *dir_n == UINT32_MAX || *dir_at == UINT32_MAX || t->size > UINT32_MAX) {
        status =
            loci_fail(err, LOCI_E_UNSUPPORTED, "%s: an npz file of 4 GiB or more; save it as safetensors", t->path);
        goto out;
    }
    if (u16(end + 4) != 0 || u16(end + 6) != 0 || u16(end + 8) != *n) {
        status = bad(t, err, "it has several volumes");
        goto out;
    }
    if (*dir_at + *dir_n != end_at) {
        status = bad(t, err, "the central directory does not end at the end record");
        goto out;
    }
    if ((uint64_t)*n * CENTRAL > *dir_n) {
        status = bad(t, err, "the central directory is too short for its entries");
        goto out;
    }
    if (!(*dir = loci_alloc(*dir_n))) {
        status = loci_fail(err, LOCI_E_NOMEM, "%s: no memory for %u bytes", t->path, *dir_n);
        goto out;
    }
    LOCI_TRY(loci__tensors_pread(t, *dir, *dir_n, *dir_at, err));
out:
    loci_free(tail);
    return status;
}

static loci_status check_record(const unsigned char *r, uint32_t left, const loci_tensors *t, loci_error *err)
{
    const char *name = (const char *)r + CENTRAL, *fault;
    uint32_t name_n;
    if (left < CENTRAL || memcmp(r, "PK\1\2", 4) != 0 || left - CENTRAL < u16(r + 28) + u16(r + 30) + u16(r + 32))
        return bad(t, err, "a broken record in the central directory");
    name_n = u16(r + 28);
    if (name_n < 5 || memcmp(name + name_n - 4, ".npy", 4) != 0)
        return loci_fail(
            err, LOCI_E_UNSUPPORTED,
            "%s: a zip file with an entry that is not an npy array; if pytorch wrote it, save it as safetensors",
            t->path);
    if ((fault = loci__name_fault(name, name_n - 4)))
        return loci_fail(err, LOCI_E_CHECKPOINT, "%s: %s", t->path, fault);
    if (u16(r + 8) & 1)
        return loci_fail(err, LOCI_E_UNSUPPORTED, "%s: encrypted", t->path);
    if (u16(r + 10) != 0)
        return loci_fail(err, LOCI_E_UNSUPPORTED, "%s: compressed; use numpy.savez in place of savez_compressed",
                         t->path);
    if (u32(r + 20) == UINT32_MAX || u32(r + 42) == UINT32_MAX)
        return loci_fail(err, LOCI_E_UNSUPPORTED, "%s: an npz file of 4 GiB or more; save it as safetensors", t->path);
    if (u32(r + 20) != u32(r + 24))
        return bad(t, err, "an entry is stored with two different sizes");
    return LOCI_OK;
}

/* The local header of an entry: its name must be the record's, the array must end before `limit`. */
static loci_status read_local(entry *e, const unsigned char *record, uint64_t limit, const loci_tensors *t,
                              loci_error *err)
{
    unsigned char h[LOCAL];
    uint32_t name_n = u16(record + 28);
    char *name = NULL;
    loci_status status;

    if (e->local > limit || limit - e->local < LOCAL + name_n)
        return bad(t, err, "an entry lies outside");
    if (!(name = loci_alloc(name_n)))
        return loci_fail(err, LOCI_E_NOMEM, "%s: no memory for a name", t->path);
    LOCI_TRY(loci__tensors_pread(t, h, LOCAL, e->local, err));
    LOCI_TRY(loci__tensors_pread(t, name, name_n, e->local + LOCAL, err));
    e->at = e->local + LOCAL + name_n + u16(h + 28);
    if (memcmp(h, "PK\3\4", 4) != 0 || u16(h + 26) != name_n || memcmp(name, record + CENTRAL, name_n) != 0 ||
        u16(h + 8) != 0)
        status = bad(t, err, "a local header that disagrees with the central directory");
    else if (e->at > limit || e->bytes > limit - e->at)
        status = bad(t, err, "an entry lies outside");
out:
    loci_free(name);
    return status;
}

static int by_local(const void *a, const void *b)
{
    const entry *p = a, *q = b;
    return p->local < q->local ? -1 : p->local > q->local;
}

static loci_status read_entries(loci_tensors *t, entry *entries, const unsigned char *dir, uint32_t dir_n,
                                uint64_t dir_at, loci_error *err)
{
    const unsigned char *r = dir, *end = dir + dir_n;
    char *names = t->names;
    uint64_t last = 0;
    loci_status status = LOCI_OK;

    for (uint32_t i = 0; i < t->n && status == LOCI_OK; i++) {
        entry *e = &entries[i];
        size_t n;
        status = check_record(r, (uint32_t)(end - r), t, err);
        if (status != LOCI_OK)
            break;
        n = u16(r + 28) - 4;
        t->at[i].name = memcpy(names, r + CENTRAL, n);
        names += n + 1; /* reserved as zeros */
        *e = (entry){.bytes = u32(r + 20), .local = u32(r + 42), .crc = u32(r + 16), .tensor = i};
        status = read_local(e, r, dir_at, t, err);
        r += CENTRAL + u16(r + 28) + u16(r + 30) + u16(r + 32);
    }
    if (status == LOCI_OK && r != end)
        status = bad(t, err, "bytes behind the last record of the central directory");
    if (status != LOCI_OK)
        return status;
    qsort(entries, t->n, sizeof *entries, by_local);
    for (uint32_t i = 0; i < t->n; i++) {
        if (entries[i].local < last)
            return bad(t, err, "two entries overlap");
        last = entries[i].at + entries[i].bytes;
    }
    return LOCI_OK;
}

loci_status loci__npz_read(loci_tensors *t, loci_error *err)
{
    unsigned char *dir = NULL;
    entry *entries = NULL;
    uint64_t dir_at = 0;
    uint32_t dir_n = 0, n = 0, *crc = NULL;
    loci_status status;

    LOCI_TRY(read_directory(&dir, &dir_at, &dir_n, &n, t, err));
    LOCI_TRY(loci__tensors_reserve(t, n, dir_n, err)); /* a name is part of a record that is 46 bytes longer */
    entries = loci_alloc(n * sizeof *entries);
    crc = loci_alloc(n * sizeof *crc);
    if (!entries || !crc) {
        status = loci_fail(err, LOCI_E_NOMEM, "%s: no memory for the list of %u arrays", t->path, n);
        goto out;
    }
    LOCI_TRY(read_entries(t, entries, dir, dir_n, dir_at, err));
    for (uint32_t i = 0; i < n; i++) {
        const entry *e = &entries[i];
        char what[256];
        (void)snprintf(what, sizeof what, "%s: array %.64s", t->path, t->at[e->tensor].name);
        LOCI_TRY(loci__npy_head(t, e->tensor, e->at, e->bytes, what, &crc[i], err));
    }
    LOCI_TRY(loci__tensors_load(t, err));
    for (uint32_t i = 0; i < n; i++) {
        const loci_named *x = &t->at[entries[i].tensor];
        if (loci__crc32(crc[i], x->data, x->bytes) != entries[i].crc) { /* (3) */
            status = loci_fail(err, LOCI_E_CHECKPOINT, "%s: array %s: its checksum is wrong", t->path, x->name);
            goto out;
        }
    }
out:
    loci_free(dir);
    loci_free(entries);
    loci_free(crc);
    return status;
}
