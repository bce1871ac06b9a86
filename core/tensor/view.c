/* SPDX-License-Identifier: Apache-2.0
 *
 * core/tensor: dtypes and views: what a tensor is, without any file.
 *
 *  (1) The table below lists every dtype a tensor file may hold, in the spelling of safetensors, with DLPack's codes.
 *      More are readable here than the library computes with: `inspect` shows them, a component refuses them.
 */
#include "core/tensor/file.h"

#include <string.h>

#define DLPACK_BOOL 6

const loci_dtype loci_f32 = {LOCI_FLOAT, 32, 1}, loci_f64 = {LOCI_FLOAT, 64, 1}, loci_i32 = {LOCI_INT, 32, 1},
                 loci_i64 = {LOCI_INT, 64, 1}, loci_u8 = {LOCI_UINT, 8, 1}, loci_bf16 = {LOCI_BFLOAT, 16, 1},
                 loci_f16 = {LOCI_FLOAT, 16, 1};

static const struct {
    const char *name;
    loci_dtype dtype;
} dtypes[] = {
    {"F32", {LOCI_FLOAT, 32, 1}},   {"F64", {LOCI_FLOAT, 64, 1}}, {"F16", {LOCI_FLOAT, 16, 1}},
    {"BF16", {LOCI_BFLOAT, 16, 1}}, {"I64", {LOCI_INT, 64, 1}},   {"I32", {LOCI_INT, 32, 1}},
    {"I16", {LOCI_INT, 16, 1}},     {"I8", {LOCI_INT, 8, 1}},     {"U64", {LOCI_UINT, 64, 1}},
    {"U32", {LOCI_UINT, 32, 1}},    {"U16", {LOCI_UINT, 16, 1}},  {"U8", {LOCI_UINT, 8, 1}},
    {"BOOL", {DLPACK_BOOL, 8, 1}},
};
enum { N_DTYPES = sizeof dtypes / sizeof *dtypes };

bool loci_dtype_is(loci_dtype a, loci_dtype b)
{
    return a.code == b.code && a.bits == b.bits && a.lanes == b.lanes;
}

const char *loci_dtype_name(loci_dtype d)
{
    for (size_t i = 0; i < N_DTYPES; i++)
        if (loci_dtype_is(dtypes[i].dtype, d))
            return dtypes[i].name;
    return "?";
}

bool loci_dtype_named(loci_dtype *out, const char *name)
{
    for (size_t i = 0; i < N_DTYPES; i++)
        if (strcmp(dtypes[i].name, name) == 0) {
            *out = dtypes[i].dtype;
            return true;
        }
    return false;
}

bool loci_shape_bytes(uint64_t *out, loci_dtype dtype, int32_t ndim, const int64_t *shape)
{
    uint64_t all = loci_dtype_bytes(dtype);
    bool empty = false;
    if (ndim < 0 || ndim > LOCI_MAX_DIM)
        return false;
    for (int32_t i = 0; i < ndim; i++) {
        if (shape[i] < 0)
            return false;
        empty |= shape[i] == 0;
        if (!loci_mul(&all, all, shape[i] ? (uint64_t)shape[i] : 1) || all > INT64_MAX)
            return false;
    }
    *out = empty ? 0 : all;
    return true;
}

int64_t loci_elements(const loci_tensor *t)
{
    int64_t n = 1;
    for (int32_t i = 0; i < t->ndim; i++)
        n *= t->shape[i];
    return n;
}
