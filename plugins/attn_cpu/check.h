/* SPDX-License-Identifier: Apache-2.0
 *
 * What a tensor of a call must be: desc.c checks those of the descriptor, call.c the rest.
 */
#ifndef ATTN_CPU_CHECK_H
#define ATTN_CPU_CHECK_H

#include "tile.h"

#define ONE_TOO UINT32_C(1)      /* << axis: the axis may also be 1          */
#define AT_LEAST UINT32_C(0x100) /* << axis: the axis may also be longer     */
#define PACKED UINT32_C(0x10000) /* the last axis has stride 1               */

/* A tensor that is there has this dtype, these dimensions, no negative stride, and data. */
loci_status cpu_check(loci_error *err, const char *name, const loci_tensor *t, loci_dtype type, uint32_t also,
                      int32_t ndim, const int64_t *dim);
/* An output in which several elements from axis `from` on share their memory would be written by several threads. */
loci_status cpu_apart(loci_error *err, const char *name, const loci_tensor *t, int32_t from);

/* Returns from the caller when t is wrong. */
#define CHECK(t, type, also, ...) \
    do { \
        const int64_t dim_[] = {__VA_ARGS__}; \
        loci_status s_ = cpu_check(err, #t, t, type, also, (int32_t)(sizeof dim_ / sizeof *dim_), dim_); \
        if (s_) \
            return s_; \
    } while (0)

/* Every field of the descriptor. With a block table S becomes the longest k_len. */
loci_status cpu_desc_read(cpu_call *c, loci_dtype acc, loci_error *err);

#endif
