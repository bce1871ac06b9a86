/* SPDX-License-Identifier: Apache-2.0
 *
 * plugins/attn_cuda/scan: what scan.c, which checks and plans a call of loci.scan/1, hands to the kernels.
 *
 *  (1) All modes of L and M are computed token by token: EXACT is the recurrence up to rounding for every chunk, and
 *      FROZEN is the recurrence with a third state, the memory at the start of the chunk. A call is a run list: one
 * item is a run and head. Rows of the state are independent, so a warp has a row, its columns spread over the lanes.
 *  (2) A forward with SAVE keeps the states at the start of every segment of SCAN_SEG tokens but a run's first, whose
 *      states are state_in. The backward takes the segments from the last to the first and replays each.
 *  (3) Gradients that rows share (of q, k, g, u, w and the gates) are added up by one block per item, which takes
 *      SCAN_WARPS rows at a time; so their order is fixed.
 *  (4) D keeps every h it passes, which is as much as y.
 *
 * saved:    checkpoint [slot, H, n_ck, e, d], slot counting the kept segments in the order of the runs   (D: h [B,T,N])
 * scratch:  backward: replayed states [item, SCAN_SEG + 1, n_ck, SCAN_WARPS, d] | part [item], of a g of shape [H]
 */
#ifndef LOCI_ATTN_CUDA_SCAN_H
#define LOCI_ATTN_CUDA_SCAN_H

#include "device.h"

#ifdef __cplusplus
extern "C" {
#endif

#define SCAN_SEG 32
#define SCAN_WARPS 8
#define SCAN_WIDEST 256 /* of d: a lane has at most 8 columns */

/* Element (b, t, h, c) of a tensor lies at[b s0 + t s1 + h s2 + c s3]; of a state: (state row, row, head, column). */
typedef struct scan_view {
    void *at; /* NULL: absent */
    int64_t s[4];
} scan_view;

typedef struct scan_item {
    loci_run run;
    int64_t slot; /* of its first checkpoint */
} scan_item;

typedef struct scan_job {
    int scan, bits;
    int read, write, before, frozen, decayed, blind, save, back;
    int g_channel, g_head; /* g has an axis of channels; g is [H] */
    int n_state, n_ck;
    int64_t B, T, H, d, e, chunk; /* D: H is 1, e is 1, d is N */
    double scale, c;
    const scan_item *items; /* on the card */
    int64_t n_runs;
    scan_view q, k, v, g, u, w, alpha, eta, theta, y;
    scan_view dy, dq, dk, dv, dg, du, dw, dalpha, deta, dtheta;
    scan_view in[3], out[3], grad[3];
    void *checkpoint, *replay, *part;
} scan_job;

/* Scalar tables: gates are seen as (row, token, head, w), tables as (row, head, w, their own). */
typedef struct coef_job {
    int64_t B, n, H, w;
    double c;
    int bits;
    scan_view gate[3], dgate[3];   /* alpha, eta, theta */
    scan_view table[5], dtable[5]; /* beta, f, m, G, N  */
} coef_job;

/* Launches. 0, or what gpu_error has words for. */
int cuda_scan_forward(void *stream, const scan_job *j);
int cuda_scan_backward(void *stream, const scan_job *j);
int cuda_scan_channels(void *stream, const scan_job *j);
int cuda_coef(void *stream, const coef_job *j, int back);
const char *cuda_scan_error(int e);

/* A call of coef or coef_back, checked. */
loci_status cuda_coef_job(coef_job *j, const loci_coef *c, int back, loci_error *err);

#ifdef __cplusplus
}
#endif
#endif
