/* SPDX-License-Identifier: Apache-2.0
 *
 * Tensors of a call: types, shapes, strides.
 */
#include "attn_call.h"

int32_t cuda_type(loci_dtype t)
{
    if (t.lanes == 1 && t.code == LOCI_FLOAT && t.bits == 32)
        return ATTN_F32;
    if (t.lanes == 1 && t.code == LOCI_BFLOAT && t.bits == 16)
        return ATTN_BF16;
    if (t.lanes == 1 && t.code == LOCI_FLOAT && t.bits == 16)
        return ATTN_FP16;
    return -1;
}

loci_status cuda_check(loci_error *err, const char *name, const loci_tensor *t, loci_dtype type, uint32_t also,
                       int32_t ndim, const int64_t *dim)
{
    int empty = 0, shared = -1;

    if (!t)
        return LOCI_OK;
    if (t->dtype.code != type.code || t->dtype.bits != type.bits || t->dtype.lanes != 1)
        return cuda_fail(err, LOCI_E_ARG, "%s has dtype code %u of %u bits, wanted code %u of %u bits", name,
                         t->dtype.code, t->dtype.bits, type.code, type.bits);
    if (t->ndim != ndim)
        return cuda_fail(err, LOCI_E_ARG, "%s has %d axes, wanted %d", name, t->ndim, ndim);
    for (int32_t i = 0; i < ndim; i++) {
        if (t->shape[i] != dim[i] && !((also & ONE_TOO << i) && t->shape[i] == 1) &&
            !((also & AT_LEAST << i) && t->shape[i] > dim[i]))
            return cuda_fail(err, LOCI_E_ARG, "axis %d of %s is %lld long, wanted %lld", i, name,
                             (long long)t->shape[i], (long long)dim[i]);
        empty |= t->shape[i] == 0;
        if (t->shape[i] > 1 && t->strides[i] == 0)
            shared = i;
    }
    if (empty)
        return LOCI_OK;
    if (!t->data)
        return cuda_fail(err, LOCI_E_ARG, "%s has no data", name);
    if ((also & PACKED) && t->shape[ndim - 1] > 1 && t->strides[ndim - 1] != 1)
        return cuda_fail(err, LOCI_E_UNSUPPORTED, "the last axis of %s has stride %lld, wanted 1", name,
                         (long long)t->strides[ndim - 1]);
    if ((also & WRITTEN) && shared >= 0)
        return cuda_fail(err, LOCI_E_UNSUPPORTED, "axis %d of %s has stride 0: give it memory of its own", shared,
                         name);
    return LOCI_OK;
}
