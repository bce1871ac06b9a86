/* SPDX-License-Identifier: Apache-2.0
 *
 * plugins/attn_cuda/attn_call.h: from a loci_attn_io to attn_args.
 *
 *   attn_desc.c    the descriptor: checked and staged
 *   attn_list.c    block tables and block lists: staged
 *   attn_call.c    one call: its sizes, its tensors, its room
 *   attn_class.c   fit, create, plan and the two entry points
 *
 * What is host memory in a call of a device, and so can be checked: q_pos, q_seg, k_seg, q_len, k_len, ids, block_table
 * and the tensors of block lists, tiles included, like every list of indices (docs/adr/0006). k_pos is a state of the
 * cache and lies on the device, as do q, k, v, mask, bias, slopes, table and sink.
 */
#ifndef ATTN_CUDA_ATTN_CALL_H
#define ATTN_CUDA_ATTN_CALL_H

#include <loci/attention.h>

#include "attn.h"
#include "rt.h"

#define cuda_fail(err, code, ...) loci_refuse(err, code, "attention/cuda", __VA_ARGS__)

extern const loci_class loci_attn_cuda_class;

#define CUDA_BUCKETS 1024    /* the most of a table                                */
#define CUDA_BACK_BUCKETS 32 /* the most whose gradient fits in shared memory      */

/* The most numbers that a block list may be staged as: blocks of 32 x 32 and as much again for tiles, or this. */
#define CUDA_LIST_LEAST (INT64_C(1) << 16)

#define PACKED LOCI_PACKED
#define WRITTEN LOCI_APART

/* Returns from the caller when t is wrong. */
#define CHECK(...) LOCI_ATTN_CHECK("attention/cuda", __VA_ARGS__)

/* ATTN_F32, ATTN_BF16 or ATTN_FP16; -1: none of them. */
int32_t cuda_type(loci_dtype t);
/* Numbers on their way to the device: written to host, copied at once to device. In numbers, not bytes. */
typedef struct attn_stage {
    int32_t *host, *device;
    int64_t used, room;
} attn_stage;

/* n numbers: where the host writes them, and in *device where the kernels will find them. NULL: no room. */
int32_t *cuda_reserve(attn_stage *s, int64_t n, const int32_t **device);
/* attn_list.c: of a descriptor that has been checked. */
loci_status cuda_stage_table(attn_args *a, const loci_attn_desc *d, attn_stage *s, loci_error *err);
loci_status cuda_stage_list(attn_args *a, const loci_blocks *m, attn_stage *s, loci_error *err);

attn_pairs cuda_pairs(const loci_tensor *t);
attn_heads cuda_heads(const loci_tensor *t);
/* Every field of the descriptor. With a block table S becomes the longest k_len. */
loci_status cuda_desc_read(attn_args *a, const loci_exec *exec, const loci_attn_io *io, attn_stage *s, loci_error *err);
/* Bytes of scratch and of host_scratch that every call of this plan can do with; UINT64_MAX: more than there is. */
void cuda_call_room(const loci_shape *shape, uint64_t *scratch, uint64_t *host);
/* Checks everything the host can see, stages what it holds, and fills a. */
loci_status cuda_call_read(attn_args *a, const loci_exec *exec, const loci_attn_io *io, int backward, loci_error *err);

#endif
