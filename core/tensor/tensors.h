/* SPDX-License-Identifier: Apache-2.0
 *
 * core/tensor: what the readers of the three formats share. Private to this folder.
 *
 * A reader fills `at` (name, dtype, shape, bytes) and `offset` (where the bytes lie in the file) and calls
 * loci__tensors_load, which allocates once, for sizes that are known to lie in the file, and reads.
 */
#ifndef LOCI_CORE_TENSOR_TENSORS_H
#define LOCI_CORE_TENSOR_TENSORS_H

#include "core/tensor/file.h"
#include "core/tensor/json.h"

struct loci_tensors {
    const char *path; /* lent, for messages while the file is being opened */
    int fd;           /* -1 once opened */
    bool passing;     /* of safetensors the data are read and not kept */
    uint64_t size;    /* of the file */
    loci_named *at;
    uint64_t *offset;
    uint32_t n, *by_name; /* by_name: sorted */
    char *names, *data;
    json_t *meta; /* NULL, or an object of strings */
};

loci_status loci__safetensors_read(loci_tensors *t, loci_error *err);
loci_status loci__npy_read(loci_tensors *t, loci_error *err);
loci_status loci__npz_read(loci_tensors *t, loci_error *err);

/* pread of exactly n bytes that the caller knows to lie in the file. */
loci_status loci__tensors_pread(const loci_tensors *t, void *to, uint64_t n, uint64_t from, loci_error *err);
/* Room for n tensors and their names, NULs included. */
loci_status loci__tensors_reserve(loci_tensors *t, uint32_t n, size_t names_bytes, loci_error *err);
loci_status loci__tensors_load(loci_tensors *t, loci_error *err);
/* NULL, or what is wrong with the name: empty, longer than LOCI_MAX_TENSOR_NAME, control characters, not UTF-8. */
const char *loci__name_fault(const char *name, size_t len);

bool loci__utf8(const char *text, size_t len);

/* One npy array of `bytes` bytes at `from` (a file, or an entry of an npz): fills at[i] but the name, and offset[i].
 * The caller's crc, when not NULL, is continued over the head. */
loci_status loci__npy_head(loci_tensors *t, uint32_t i, uint64_t from, uint64_t bytes, const char *what, uint32_t *crc,
                           loci_error *err);
uint32_t loci__crc32(uint32_t crc, const void *bytes, size_t n); /* of zip; begins with 0 */

#endif
