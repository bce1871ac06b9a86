/* SPDX-License-Identifier: Apache-2.0
 *
 * plugins/attn_cuda/attn.h: one call of attention as the kernels see it, and the launches. C on one side, CUDA on the
 * other; nothing here needs a header of either.
 *
 * The symbols are those of plugin.h. Strides count elements; the last axis of q, k, v, o and their gradients has
 * stride 1. Pointers are device memory. What the host keeps (positions of queries, segments, lengths, block tables,
 * keys of the dropout) arrives here staged: one block of int32, copied once per call.
 */
#ifndef ATTN_CUDA_ATTN_H
#define ATTN_CUDA_ATTN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ATTN_F32 0
#define ATTN_BF16 1
#define ATTN_FP16 2

#define ATTN_WIDEST 256 /* the widest head the kernels serve */
#define ATTN_NO_WINDOW INT32_MAX

/* [b, token, head, :] */
typedef struct attn_rows {
    void *data;
    int64_t b, t, h;
} attn_rows;

/* [b, h, i, j]; a broadcast axis has stride 0. */
typedef struct attn_pairs {
    void *data;
    int64_t b, h, i, j;
} attn_pairs;

/* [b, h, i] in float. */
typedef struct attn_stats {
    float *data;
    int64_t b, h, i;
} attn_stats;

/* [n, head] or [head] in float. */
typedef struct attn_heads {
    float *data;
    int64_t n, h;
} attn_heads;

#define ATTN_UNLISTED (-2)
#define ATTN_ALL_SEEN (-1)

/* Which blocks of pairs are visible: see attn_list.c. map NULL: no list. */
typedef struct attn_list {
    int32_t heads, bq, bk, nq, nk; /* heads: 1, or H */
    const int32_t *map;
    const unsigned char *tiles;
} attn_list;

typedef struct attn_args {
    int32_t type; /* ATTN_F32 ... */
    int32_t B, T, S, H, Hk, Hv, d, e;
    int32_t aligned; /* every row of q, k, v, d_o can be copied 16 bytes at a time */
    attn_rows q, k, v, o, d_o, dq, dk, dv;
    attn_stats lse, d_lse;
    float *shift;      /* backward: d_lse - <d_o, o>, [B,H,T] */
    float *slope_part; /* backward: of each query, [B,H,T]    */
    float *table_part; /* backward: of each tile of queries, [B,H,table_tiles,buckets] */
    int64_t table_tiles;

    float scale, softcap;
    int32_t causal, window_left, window_right; /* ATTN_NO_WINDOW: unbounded */
    int32_t prefix, offset;
    const int32_t *q_pos; /* staged [B,T]            */
    const int32_t *k_pos; /* device, with strides    */
    int64_t k_pos_b, k_pos_j;
    const int32_t *q_seg, *k_seg; /* staged [B,T], [B,S]     */
    const int32_t *q_len, *k_len; /* staged [B]              */
    attn_pairs mask, bias, dbias; /* u8; float               */
    attn_heads slopes, dslopes, table, dtable, sink, dsink;
    const int32_t *bounds;          /* staged: the first distance of each bucket after the exact ones */
    int32_t buckets, bidirectional; /* of table                */
    const uint32_t *keys;           /* staged [B,2]; NULL: no dropout */
    uint32_t keep_above;            /* a draw above is kept    */
    float keep_scale;               /* 1 / (1 - dropout)       */
    const int32_t *block_table;     /* staged [B,blocks]       */
    int32_t block_tok, blocks;
    attn_list list; /* staged */
} attn_args;

/* 0, or what rt_error has words for. `stream` is that of the call. */
int attn_cuda_forward(const attn_args *a, void *stream);
int attn_cuda_backward(const attn_args *a, void *stream);
/* Tiles of queries that a backward makes of T, for table_part. */
int64_t attn_cuda_tiles(int32_t type, int64_t width, int64_t T);
/* Copies host memory, which may change when this returns, to the device in the order of the stream. */
int attn_cuda_stage(void *to, const void *from, size_t bytes, void *stream);

#ifdef __cplusplus
}
#endif
#endif
