/* SPDX-License-Identifier: Apache-2.0
 *
 * core/device/scan_kernel.h: what scan.c, which checks and plans a call, hands to the recurrences proper.
 *
 *  (1) A run is cut into segments. The states at the start of every segment but the first, whose states are state_in,
 *      are saved by a forward with SAVE; the backward walks the segments from the last to the first and replays each.
 *      A recurrence is never inverted.
 *  (2) The exact forms of L and M equal the recurrence for every chunk and cut where they like. In the frozen form a
 *      chunk, which may be long, is cut into nsub segments of seg tokens that share the memory C of the chunk's start,
 *      and chunks begin where run.pos + i is a multiple of `chunk`. In every other case nsub is 1, chunk is seg and segments count from the start of the run.
 *  (3) Items are dealt out to lanes, item i to lane i mod lanes; a lane owns a piece of scratch and works through its
 *      items in order. The number of lanes depends on the number of items alone.
 *
 * saved:    err [B,T,H,e] (chunk forms of M that predict), rounded up to 64 bytes | checkpoint [slot, H, n_ck, a state]  (D: [slot, N])
 *           where slot counts the segments with a checkpoint, in the order of the runs
 * scratch:  lanes x lane elements | one element per item, for the gradient of a g of shape [H]
 */
#ifndef LOCI_CORE_DEVICE_SCAN_KERNEL_H
#define LOCI_CORE_DEVICE_SCAN_KERNEL_H

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif
#include <loci/author_scan.h>
#include <stdbool.h>

#define SCAN_LANES 64      /* items in flight, at most                                     */
#define SCAN_TOGETHER 4    /* lanes that one thread works on side by side, at most           */
#define SCAN_TOK 32        /* tokens of a segment of a token-by-token form                 */
#define SCAN_READ_TOK 64   /* tokens of a segment of READ                                 */
#define SCAN_EXACT_TOK 64  /* tokens of a segment of the exact forms of L and M      */
#define SCAN_FROZEN_TOK 64 /* tokens of a segment of the frozen form, at most           */
#define SCAN_PART 16       /* tokens of a chunk of a way back that goes in chunks          */
#define SCAN_BLOCK 512     /* channels of an item of D                                     */
#define SCAN_STRIP 8       /* rows of the state that are replayed together                 */

typedef loci_scan_view scan_view;

typedef struct scan_job {
    int32_t scan, mode;
    bool read, write, before, frozen, exact, back, save;
    bool decayed, blind;    /* M: the error sees (1 - alpha) M; it sees nothing */
    bool keeps_z;           /* M: there is an eta, or a caller who asks for Z   */
    bool g_channel, g_head; /* g has an axis of channels; g is [H] */
    int64_t B, T, H, d, e;  /* D: H is 1, e is 1, d is N           */
    double scale, c;
    const loci_run *runs;
    int64_t n_runs;
    int64_t seg, chunk, nsub, cap;      /* (2); cap: tokens that a segment of this call can have */
    int64_t n_state, n_ck;              /* states of the recurrence, and how many a checkpoint holds */
    int64_t blocks, items, lanes, lane; /* items = n_runs x blocks; lane: elements of scratch per lane */
    scan_view q, k, v, g, u, w, alpha, eta, theta, y;
    scan_view dy, dq, dk, dv, dg, du, dw, dalpha, deta, dtheta;
    scan_view in[3], out[3], grad[3];
    scan_view err;
    void *scratch, *checkpoint, *part;
} scan_job;

typedef loci_coef_call coef_job; /* items are [B, H, w] */

/* One build of the recurrences. */
typedef struct scan_kernel {
    int64_t (*lane)(const scan_job *); /* elements of scratch a lane takes; reads scan, mode, op, back and sizes */
    void (*run)(void *job, int64_t begin, int64_t end, uint32_t worker);
    void (*finish)(const scan_job *); /* after all items of a backward: add up what items share */
    void (*coef)(void *job, int64_t begin, int64_t end, uint32_t worker); /* items of a coef_job */
} scan_kernel;

#ifndef SCAN_INC /* a test may have a list of its own */
#define SCAN_INC "core/device/scan.inc"
#endif
extern const scan_kernel loci_scan_f64__ref;
#define SCAN_KERNEL(isa, can) extern const scan_kernel loci_scan_f32__##isa;
#include SCAN_INC
#undef SCAN_KERNEL

/* Does the forward keep its states in strips (scan_strip.tmpl)? Then checkpoints are strips, rows rounded up to 16. */
static inline bool scan_strips(const scan_job *j)
{
    return j->scan == LOCI_SCAN_W || (j->scan != LOCI_SCAN_D && j->exact);
}

/* Does the way back take a segment in chunks? Then q, dy and gradients of rows are packed chunk by chunk. */
static inline bool scan_parts(const scan_job *j)
{
    return j->back && (j->scan == LOCI_SCAN_M ? j->exact || j->frozen : j->scan == LOCI_SCAN_L && j->exact);
}

/* Elements of a state of one head in a lane or a checkpoint. */
static inline int64_t scan_state(const scan_job *j)
{
    return (scan_strips(j) ? (j->e + 15) & ~INT64_C(15) : j->e) * j->d;
}

/* ---- segments (2) ---- */

static inline int64_t scan_phase(const scan_job *j, const loci_run *r)
{
    return j->frozen ? r->pos % j->chunk : 0;
}
/* x counts tokens from the start of the chunk in which the run begins. */
static inline int64_t scan_segment_of(const scan_job *j, int64_t x)
{
    return x / j->chunk * j->nsub + x % j->chunk / j->seg;
}
static inline int64_t scan_segment_start(const scan_job *j, int64_t s)
{
    return s / j->nsub * j->chunk + s % j->nsub * j->seg;
}
static inline int64_t scan_segments(const scan_job *j, const loci_run *r)
{
    const int64_t phase = scan_phase(j, r);

    return r->len ? scan_segment_of(j, phase + r->len - 1) - scan_segment_of(j, phase) + 1 : 0;
}
/* Checkpoints a run takes. READ changes no state and needs none. */
static inline int64_t scan_slots(const scan_job *j, const loci_run *r)
{
    const int64_t n = j->write ? scan_segments(j, r) : 0;

    return n > 1 ? n - 1 : 0;
}

#endif
