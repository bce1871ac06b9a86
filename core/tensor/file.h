/* SPDX-License-Identifier: Apache-2.0
 *
 * core/tensor: tensors in files: safetensors (read, write) and npy/npz (read); files that appear whole or not at all.
 *
 * Reading a file never runs code, never reads outside the file, and checks every size before it allocates:
 * docs/design/files.md lists the limits. A message names the file and the tensor.
 */
#ifndef LOCI_CORE_TENSOR_FILE_H
#define LOCI_CORE_TENSOR_FILE_H

#include "core/base/base.h"
#include <loci/author.h>

#define LOCI_MAX_DIM 8
#define LOCI_MAX_TENSOR_NAME 512 /* bytes */
#define LOCI_MAX_TENSORS 1000000 /* in one file */
#define LOCI_MAX_TENSOR_HEADER (UINT64_C(16) << 20)

/* A named tensor in host memory, contiguous; of an opened file also 64-byte aligned. */
typedef struct loci_named {
    const char *name;
    loci_dtype dtype;
    int32_t ndim;
    int64_t shape[LOCI_MAX_DIM];
    const void *data;
    uint64_t bytes;
} loci_named;

typedef struct loci_tensors loci_tensors; /* an opened file */

/* Read a whole file, told apart by content: safetensors, npy, npz (stored). The tensor of an npy file is called as the
 * file without ".npy", those of an npz file likewise. Errors: LOCI_E_IO, LOCI_E_CHECKPOINT (malformed, or over a
 * limit), LOCI_E_UNSUPPORTED (well formed, but big-endian, compressed, Fortran order ...), LOCI_E_NOMEM. */
loci_status loci_tensors_open(loci_tensors **out, const char *path, loci_error *err);
void loci_tensors_close(loci_tensors *t); /* accepts NULL */
/* Could this safetensors file be opened? Its header is judged and every byte read, in a MiB of memory. */
loci_status loci_tensors_check(const char *path, loci_error *err);
uint32_t loci_tensors_n(const loci_tensors *t);
const loci_named *loci_tensors_at(const loci_tensors *t, uint32_t i); /* in the order of the data */
const loci_named *loci_tensors_find(const loci_tensors *t, const char *name);
const char *loci_tensors_meta(const loci_tensors *t, const char *key); /* __metadata__ of safetensors, or NULL */

/* Written to a temporary name in the same folder, synced, renamed, the folder synced. meta: pairs of key and value,
 * NULL ended, or NULL. Tensors are written sorted by descending alignment then name, as the format wants. */
loci_status loci_tensors_write(const char *path, const loci_named *tensors, uint32_t n, const char *const *meta,
                               loci_error *err);

/* The same for any bytes. The target may be missing or a regular file (or a link, which is replaced, not followed). */
loci_status loci_file_write(const char *path, const void *bytes, size_t n, loci_error *err);
/* The same in pieces: begin, put ..., then commit, which makes the file appear; or drop, which leaves no trace. bytes:
 * what will be put, as far as known (0: unknown), held against the free space. A failed put is followed by drop. commit
 * frees w whatever it returns. */
typedef struct loci_writer loci_writer;
loci_status loci_writer_begin(loci_writer **out, const char *path, uint64_t bytes, loci_error *err);
loci_status loci_writer_put(loci_writer *w, const void *bytes, size_t n, loci_error *err);
loci_status loci_writer_commit(loci_writer *w, loci_error *err);
void loci_writer_drop(loci_writer *w); /* accepts NULL */

/* A whole regular file of at most `most` bytes; *out is NUL-terminated and loci_free'd by the caller. n may be NULL. */
loci_status loci_file_read(char **out, size_t *n, const char *path, size_t most, loci_error *err);
loci_status loci_folder_make(const char *path, loci_error *err); /* with its parents */
loci_status loci_folder_sync(const char *path, loci_error *err);
/* The folder and what is in it; never follows links, also not when path is one. A missing folder is no error. */
loci_status loci_folder_remove(const char *path, loci_error *err);
/* XXH64 of a file or of bytes. */
loci_status loci_file_hash(uint64_t *out, const char *path, loci_error *err);
uint64_t loci_hash(const void *bytes, size_t n, uint64_t seed);

/* Views and dtypes. */
extern const loci_dtype loci_f32, loci_f64, loci_i32, loci_i64, loci_u8, loci_bf16, loci_f16;
bool loci_dtype_is(loci_dtype a, loci_dtype b);
const char *loci_dtype_name(loci_dtype d);                /* "F32", as safetensors spells it; "?" */
bool loci_dtype_named(loci_dtype *out, const char *name); /* the other way; all that a file may hold */
static inline uint64_t loci_dtype_bytes(loci_dtype d)
{
    return (uint64_t)d.bits * d.lanes / 8;
}
int64_t loci_elements(const loci_tensor *t);
/* Bytes of a contiguous tensor; false when ndim or a dimension is out of range or the product does not fit an int64_t,
 * counting a dimension of 0 as 1 (so that strides cannot overflow either). */
bool loci_shape_bytes(uint64_t *out, loci_dtype dtype, int32_t ndim, const int64_t *shape);

#endif
