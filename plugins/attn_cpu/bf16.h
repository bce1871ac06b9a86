/* SPDX-License-Identifier: Apache-2.0
 *
 * The contract between the framework of bf16 products (bf16.c, bf16_pick.c) and its kernels (bf16_dot.c, amx.tmpl).
 *
 * A kernel computes a *unit* of queries of one head: products of bf16 numbers summed in f32, softmax in f32. It serves
 * plain calls: causality, windows, an offset, lengths, grouped heads, any strides. The rest of the descriptor, and
 * units in which a number would leave the kernel's range, go to the tiles of f32 (tile.h), which widen what they read.
 */
#ifndef ATTN_CPU_BF16_H
#define ATTN_CPU_BF16_H

#include "tile.h"

#ifndef CPU_HAVE_BF16
#define CPU_HAVE_BF16 0
#endif
#ifndef CPU_HAVE_AMX
#define CPU_HAVE_AMX 0
#endif

#define BF16_GROUP 32   /* keys that are packed together and skipped, taken whole or masked together */
#define BF16_WIDEST 256 /* d and e that a kernel serves                                             */

typedef struct bf16_ops {
    const char *name;
    int level;                                       /* CPU_* it needs                       */
    int64_t queries;                                 /* of a unit: a multiple of 16          */
    uint64_t (*room_bytes)(const cpu_call *);        /* of one worker; grows with S, d and e */
    void (*room_open)(const cpu_call *, char *room); /* before a call: nothing is packed     */
    void (*begin)(void), (*end)(void);               /* around each task, in its thread      */
    int (*forward)(const cpu_call *, char *room, int64_t b, int64_t h, int64_t unit); /* 0: left to the tiles of f32 */
    /* All of a key head, in a room of its own; NULL: none. The same 0. */
    uint64_t (*back_bytes)(const cpu_call *);
    int (*backward)(const cpu_call *, char *room, int64_t b, int64_t kh);
} bf16_ops;

#if CPU_HAVE_BF16
extern const bf16_ops attn_cpu_bf16_dot;
/* Operations a second of one core in registers, measured now; the processor must have both. */
typedef struct bf16_rates {
    double fma, dot;
} bf16_rates;
bf16_rates attn_cpu_bf16_rates(void);
#endif
#if CPU_HAVE_AMX
extern const bf16_ops attn_cpu_bf16_amx;
#endif

/* ---- which kernel ---- */

/* What the choice follows from: a kernel needs its compiled file, its bits, the system's permission, and to win. */
typedef struct bf16_facts {
    int cap;      /* CPU_*, by LOCI_CPU                                                   */
    int vectors;  /* AVX-512 F, DQ, BW, VL                                                */
    int dot_bit;  /* AVX512-BF16                                                          */
    int amx_bits; /* AMX-TILE, AMX-BF16, and AVX512-BF16, AVX512-VBMI, BMI2, which the kernel uses besides */
    int amx_os;   /* the system saves the tiles and this process may use them             */
    double ratio; /* of attn_cpu_bf16_rates: dot to fma */
} bf16_facts;

/* The kernel that facts allow and that wins; NULL: the tiles of f32. */
const bf16_ops *bf16_choose(const bf16_facts *);
/* This machine's, looked at once; LOCI_CPU is read each time. */
const bf16_ops *bf16_pick(void);
/* A test sets it: this kernel wherever it serves, whatever the choice would be; none: the tiles of f32. NULL otherwise.
 */
extern const bf16_ops *attn_cpu_bf16_only;
extern const bf16_ops attn_cpu_bf16_none;

/* ---- a call ---- */

/* Bytes of scratch that a call with these sizes takes beyond cpu_call_cut. */
uint64_t bf16_call_bytes(const cpu_call *, const bf16_ops *, int backward);
/* Does the kernel serve this call? */
int bf16_serves(const cpu_call *, const bf16_ops *, int backward);
loci_status bf16_forward(cpu_call *, const bf16_ops *, loci_error *err);
loci_status bf16_backward(cpu_call *, const bf16_ops *, loci_error *err);

#endif
