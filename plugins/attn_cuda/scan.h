/* SPDX-License-Identifier: Apache-2.0
 *
 * plugins/attn_cuda/scan: what scan.c, which checks and plans a call of loci.scan/1, hands to the kernels.
 *
 *  (1) M and W are recurrences that one warp after the other cannot share: a state is kept in registers, in strips of
 *      rows, and tokens stream past it (scan_tile.h). FROZEN is that recurrence with a third state, the memory at the
 *      start of the chunk; EXACT equals it up to rounding for every chunk. In float32, without tensor cores, matrix
 *      products of chunks would need more arithmetic than this and not less.
 *  (2) An item is a run and head, or in EXACT of L, a piece of SCAN_PIECE tokens of one: pieces are walked all at once
 *      (scan_pieces.cu). A call whose runs are one piece each is not cut.
 *  (3) A forward with SAVE keeps the states at the start of every segment of `seg` tokens but a run's first, whose
 *      states are state_in; a piece is a segment. The backward takes the segments of an item from the last to the first
 *      and replays each.
 *  (4) A backward has a block for each item and strip, at most SCAN_BLOCKS at a time: a turn of items after the other.
 *      Gradients that rows share (of q, k, g, u, w and the gates) each block leaves in its `share`, of SCAN_WINDOW
 *      tokens; another kernel adds the shares of all strips to the gradients, in the order of the strips, and the
 *      window before begins. So a few heads fill a card, sums have one order whatever the card, and the room does not
 *      grow with the tokens. An item that is one strip has one window, and its block adds to the gradients itself.
 *      Beyond SCAN_STRIPS a block takes several strips.
 *  (5) D keeps every h it passes, which is as much as y.
 *
 * saved:    checkpoint [slot, H, n_ck, e, d], slot counting the kept segments in the order of the runs   (D: h [B,T,N])
 * scratch:  pieces, forward: factor [slot, H, d] | checkpoint, unless it is saved
 *           backward: pieces: factor | incoming [slot, H, e, d]
 *                     | replayed states [block, seg, n_ck, a state's strip] | part [item, H, strip] of a g [H]
 *                     | share [block, window, a token's gradients]
 */
#ifndef LOCI_ATTN_CUDA_SCAN_H
#define LOCI_ATTN_CUDA_SCAN_H

#include "device.h"

#include <loci/author_scan.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SCAN_SEG 32
#define SCAN_PIECE 64
#define SCAN_WIDEST 256 /* of d                               */
#define SCAN_ROWS 2     /* of a state, that a thread has      */
#define SCAN_COLS 8     /* and columns                        */
#define SCAN_STRIPS 32  /* of an item, at most, in blocks of their own */
#ifndef SCAN_BLOCKS
#define SCAN_BLOCKS 256 /* of a backward, at most, at a time */
#define SCAN_WINDOW 128 /* its tokens: whole segments, and no piece is longer */
#endif

typedef loci_scan_view scan_view;
typedef loci_coef_call coef_job;

#ifdef __CUDACC__
#define SCAN_BOTH static __host__ __device__ __forceinline__
#else
#define SCAN_BOTH static inline
#endif

/* Tokens first ... first + n of a run. Segment i of a whole run is kept in slot + i, i from 1 on; a piece in slot. */
typedef struct scan_item {
    loci_run run;
    int64_t slot;
    int32_t first, n;
} scan_item;

typedef struct scan_job {
    int scan, bits;
    int read, write, before, frozen, decayed, blind, save, back;
    int g_channel, g_head; /* g has an axis of channels; g is [H] */
    int n_state, n_ck;
    int64_t B, T, H, d, e, chunk; /* D: H is 1, e is 1, d is N */
    double scale, c;
    int pieces;             /* (2)                                            */
    int seg;                /* tokens of a segment                            */
    const scan_item *items; /* on the card                                    */
    const scan_item *runs;  /* pieces: slot of a run's first one; n: how many */
    int64_t n_runs, n_items;
    scan_view q, k, v, g, u, w, alpha, eta, theta, y;
    scan_view dy, dq, dk, dv, dg, du, dw, dalpha, deta, dtheta;
    scan_view in[3], out[3], grad[3];
    int strips, window; /* (4)                                            */
    int64_t turn;       /* (4): items times heads                         */
    int32_t longest;    /* of the items                                   */
    void *checkpoint, *replay, *part, *factor, *incoming, *share;
} scan_job;

/* Lanes that share a row of d columns. */
SCAN_BOTH int scan_lanes(int64_t d)
{
    return d <= 32 ? 4 : d <= 64 ? 8 : d <= 128 ? 16 : 32;
}

/* Warps of a block of the backward: as many as have rows, and parts of a kilobyte of elements (scan_back.h). */
static inline int scan_back_warps(int64_t d, int64_t e)
{
    const int lanes = scan_lanes(d), rows = 32 / lanes * SCAN_ROWS, most = lanes == 32 ? 4 : 8;
    const int64_t warps = (e + rows - 1) / rows;

    return warps < most ? (int)warps : most;
}

/* What rows share of a token's gradients: vectors, the last only for decays of channels, ... */
SCAN_BOTH int scan_vectors(const scan_job *j)
{
    return (j->scan == LOCI_SCAN_W ? 4 : j->write ? 2 : 1) + (j->g_channel ? 1 : 0);
}

/* ... each with SCAN_COLS elements for every lane, and scalars, of which there are three at most. */
SCAN_BOTH int scan_shared(const scan_job *j)
{
    return scan_vectors(j) * SCAN_COLS * scan_lanes(j->d) + 4;
}

/* Launches. 0, or what rt_error has words for. A walk of L or W; of M also where it is only read. */
int cuda_scan_forward_l(void *stream, const scan_job *j);
int cuda_scan_forward_w(void *stream, const scan_job *j);
int cuda_scan_forward_m(void *stream, const scan_job *j);
int cuda_scan_backward_l(void *stream, const scan_job *j);
int cuda_scan_backward_w(void *stream, const scan_job *j);
int cuda_scan_backward_m(void *stream, const scan_job *j);
int cuda_scan_pieces(void *stream, const scan_job *j, int back);
int cuda_scan_shares(void *stream, const scan_job *j, int64_t begin, int64_t n, int from);
int cuda_scan_heads(void *stream, const scan_job *j);
int cuda_scan_channels(void *stream, const scan_job *j);
int cuda_coef(void *stream, const coef_job *j, int back);

#ifdef __cplusplus
}
#endif
#endif
