/* SPDX-License-Identifier: Apache-2.0
 *
 * The contract between attn_cpu's framework (call.c, run.c) and its kernels (tile.tmpl, compiled once per entry of
 * tile.inc). The framework checks, cuts the work and sums up; a kernel computes one tile of queries against keys.
 *
 * A worker has a *room*, private memory whose layout only the kernel knows. Rows of accumulators (dk and dv of the keys
 * of a task) are padded to `pad` elements so that a kernel can write whole vectors.
 */
#ifndef ATTN_CPU_TILE_H
#define ATTN_CPU_TILE_H

#include <loci/author.h>

#define cpu_fail(err, code, ...) loci_refuse(err, code, "attention/cpu", __VA_ARGS__)

/* Set by the build: the files of that instruction set are compiled. */
#ifndef CPU_HAVE_AVX2
#define CPU_HAVE_AVX2 0
#endif
#ifndef CPU_HAVE_AVX512
#define CPU_HAVE_AVX512 0
#endif

extern const loci_class loci_attn_cpu_class;

#define TILE_KEYS 128     /* keys a kernel works on at once; the split backward gives a task so many */
#define TILE_GROUP 8      /* keys that are skipped, taken whole or masked together  */
#define TILE_QUERIES 1056 /* of a forward's tile, at most: they share each copy of a block of keys */
#define TILE_BACK 384     /* of a backward's                                        */
#define TILE_PART 1024    /* keys that a task of single queries goes over, at most     */
#define KNOWN 512         /* distances whose bucket a worker remembers              */

struct tile_ops;

/* One call, checked and unpacked. Strides in elements. */
typedef struct cpu_call {
    const loci_exec *exec;
    const loci_attn_io *io;
    const loci_attn_desc *desc;
    const struct tile_ops *ops;
    int64_t B, T, S, H, Hk, Hv, d, e;
    int64_t k_share, v_share; /* query heads of a key head, of a value head                    */
    int64_t groups;           /* sets of heads that share no key and no value head: gcd(Hk, Hv)  */
    int64_t wide;             /* queries in a tile                                               */
    int64_t tiles;            /* of a head                                                       */
    int64_t bunch;            /* heads of a task of a forward: several where T is 1              */
    int64_t parts;            /* of the keys: 1 unless T is 1                                     */
    int half;                 /* q, k, v, o and their gradients are stored as bf16               */
    int paged;                /* k and v are pools of blocks                                     */
    int fetch;                /* rows of k and v are copied into a block before they are used    */
    int look;                 /* segments, mask or blocks                                        */
    int adjust;               /* softcap, bias or table                                          */
    double dropout;           /* 0 outside training                                              */
    uint32_t workers;
    char *rooms, *accs;
    uint64_t room_bytes, acc_bytes; /* of one worker */
    void *part;                     /* [B,H,tiles] of dslopes; NULL when not wanted */
    void *seen; /* [B,H,parts] what a single query sees of a part: (top, total, out), lanes + pad(e) elements */
} cpu_call;

/* What a backward of a tile adds to. */
typedef struct tile_back {
    int64_t first, last; /* keys of the task */
    void *dk, *dv;       /* [last - first up to a multiple of 8, pad]: d(k), d(v); NULL: not wanted */
    int dq, dslope;      /* add to io->dq; store to call.part                                       */
    int dbias, dtable;   /* add to io->dbias, io->dtable                                            */
} tile_back;

typedef struct tile_ops {
    const char *name;
    int level;                                /* CPU_* it needs          */
    int64_t lanes;                            /* queries in a vector     */
    uint64_t real;                            /* bytes of an element     */
    uint64_t (*room_bytes)(const cpu_call *); /* from d, e and half */
    int64_t (*pad)(int64_t width);
    /* heads h .. h + bunch - 1, those that exist; where T is 1, `tile` is a part of the keys */
    void (*forward)(const cpu_call *, char *room, int64_t b, int64_t h, int64_t tile);
    void (*merge)(const cpu_call *, char *room, int64_t b, int64_t h); /* o and lse from all parts of the keys */
    void (*backward)(const cpu_call *, char *room, int64_t b, int64_t h, int64_t tile, const tile_back *);
    /* to[b, first .. last-1, h] += factor rows of acc */
    void (*add)(const cpu_call *, loci_tensor *to, int64_t b, int64_t first, int64_t last, int64_t h, const void *acc,
                double factor);
    /* io->dsink of head h += its sum over all queries of all rows */
    void (*sink)(const cpu_call *, int64_t h);
} tile_ops;

#define CPU_REF 0
#define CPU_AVX2 1
#define CPU_AVX512 2
#define CPU_AMX 3

#define TILE(name, level) extern const tile_ops attn_cpu_tile_##name;
#include "tile.inc"
#undef TILE
extern const tile_ops attn_cpu_tile_f64;
/* Tests set the float kernel here. */
extern const tile_ops *attn_cpu_tile_only;

/* ---- questions about a call ---- */

/* Offset of [a, b, 0, ...]; an axis of length 1 broadcasts. */
static inline int64_t cpu_at(const loci_tensor *t, int64_t a, int64_t b)
{
    return (t->shape[0] == 1 ? 0 : a * t->strides[0]) + (t->ndim < 2 || t->shape[1] == 1 ? 0 : b * t->strides[1]);
}

static inline int32_t cpu_i32(const loci_tensor *t, int64_t a, int64_t b)
{
    return ((const int32_t *)loci_ptr(t))[cpu_at(t, a, b)];
}

/* The document of row b. */
static inline uint64_t cpu_id(const cpu_call *c, int64_t b)
{
    const loci_tensor *ids = c->desc->ids;

    return ids ? (uint64_t)((const int64_t *)loci_ptr(ids))[cpu_at(ids, b, 0)] : 0;
}

/* What this machine has, at most CPU_AVX512, and what LOCI_CPU allows: CPU_*. */
int tile_machine(void);
int tile_cap(void);
/* The fastest float kernel of this machine, capped by the environment's LOCI_CPU. */
const tile_ops *tile_pick(void);

loci_status cpu_call_read(cpu_call *c, const tile_ops *ops, const loci_exec *exec, const loci_attn_io *io, int backward,
                          loci_error *err);
/* Sizes that follow from B .. e, workers and ops. Returns the bytes of scratch. */
uint64_t cpu_call_cut(cpu_call *c, int backward);
/* One task per (b, group) instead of two passes. */
int cpu_call_fused(const cpu_call *c);
loci_status cpu_forward(cpu_call *c);
loci_status cpu_backward(cpu_call *c);
/* All that a backward adds up for group n of B groups, in one sweep; cpu_call_fused must hold. */
void cpu_backward_group(const cpu_call *c, int64_t n, uint32_t worker);

#endif
