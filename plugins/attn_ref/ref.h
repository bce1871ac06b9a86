/* SPDX-License-Identifier: Apache-2.0
 *
 * The inside of attn_ref: one call, checked and unpacked, and the questions that every pair (query i, key j) asks.
 *
 *   call.c   reads a loci_attn_io into a ref_call, or refuses it
 *   pair.c   where a token stands, who sees whom, which bucket, which weight is dropped
 *   ref.tmpl the arithmetic, one text for float and double
 *   class.c  fit, create, plan and the two entry points
 */
#ifndef ATTN_REF_H
#define ATTN_REF_H

#include <loci/author.h>

#define ref_fail(err, code, ...) loci_refuse(err, code, "attention/ref", __VA_ARGS__)

extern const loci_class loci_attn_ref_class;

typedef struct ref_call {
    const loci_exec *exec;
    const loci_attn_io *io;
    const loci_attn_desc *desc;
    int64_t B, T, S, H, Hk, Hv, d, e; /* S: with a block table the longest k_len */
    int f64;                          /* the arithmetic is double                */
    double dropout;                   /* 0 outside training                      */
    char *rooms;                      /* private memory of the workers           */
    uint64_t room_bytes;
    void *shift; /* backward: d_lse - <d_o, o> of every row, [B,H,T] */
} ref_call;

/* Checks everything that could make a kernel read or write where it must not. */
loci_status ref_call_read(ref_call *c, const loci_exec *exec, const loci_attn_io *io, int backward, loci_error *err);
/* Bytes of scratch: a room of scores and rows for each worker, then the shifts of a backward. */
uint64_t ref_room_bytes(int f64, int64_t S, int64_t d, int64_t e);
uint64_t ref_shift_bytes(int f64, int64_t B, int64_t H, int64_t T);
uint64_t ref_scratch_bytes(uint32_t workers, uint64_t room, uint64_t shift);

/* Offset in elements of [a,b,c,d]; an axis of length 1 broadcasts. */
int64_t ref_at(const loci_tensor *t, int64_t a, int64_t b, int64_t c, int64_t d);
int32_t ref_i32(const loci_tensor *t, int64_t a, int64_t b);

int64_t ref_query_pos(const ref_call *c, int64_t b, int64_t i);
int64_t ref_key_pos(const ref_call *c, int64_t b, int64_t j);
int64_t ref_key_len(const ref_call *c, int64_t b);
/* Offset of key row j of row b in k, v or their gradients, head h. */
int64_t ref_key_at(const ref_call *c, const loci_tensor *t, int64_t b, int64_t j, int64_t h);
int ref_visible(const ref_call *c, int64_t b, int64_t h, int64_t i, int64_t j);
int64_t ref_bucket(int64_t rel, int64_t buckets, int64_t max_distance, int bidirectional);
int ref_keep(const ref_call *c, int64_t b, int64_t h, int64_t p_q, int64_t p_k);

loci_status ref_forward_f32(const ref_call *c);
loci_status ref_forward_f64(const ref_call *c);
loci_status ref_backward_f32(const ref_call *c);
loci_status ref_backward_f64(const ref_call *c);

#endif
