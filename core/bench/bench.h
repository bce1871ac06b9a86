/* SPDX-License-Identifier: Apache-2.0
 *
 * core/bench: how long things take, beside what the machine can do.
 *
 *  (1) The machine first: what its threads reach in fused multiply-adds and in reading memory is measured in the same
 *      process on the same threads, with the instruction set that LOCI_CPU allows (fma.inc). A fraction is a share of
 *      that, never of a number from a data sheet.
 *  (2) Only the bare call is timed: planning, allocating, filling and what a repetition needs put back lie outside. A
 *      time is the median over samples; p10, p90, least and most say how they spread. Calls too short for a clock are
 *      timed by the dozen.
 *  (3) CPU time is that of all threads together (clock.c). On a machine with neighbours it is the steadier measure; a
 *      thread that waits for work spins for a moment and counts.
 *  (4) Operations are the useful ones: of an attention the visible pairs alone, of a backward alone 5 products of a
 *      pair where a forward has 2; of a memory, mixer or composition what its class counts. Where nothing is said it is
 *      0: unknown.
 *  (5) Nothing here judges: no result depends on the numbers, and no test on a clock.
 */
#ifndef LOCI_CORE_BENCH_BENCH_H
#define LOCI_CORE_BENCH_BENCH_H

#include "core/model/model.h"
#include <signal.h>

/* ---- where time goes (profile.c) --------------------------------------------------------------------------------- */

enum loci_profile_kind {
    LOCI_PROFILE_PRODUCTS,
    LOCI_PROFILE_ATTENTION,
    LOCI_PROFILE_RECURRENCE,
    LOCI_PROFILE_CONVOLUTION,
    LOCI_PROFILE_NORM,
    LOCI_PROFILE_ELEMENTWISE,
    LOCI_PROFILE_ROTARY,
    LOCI_PROFILE_GATHERING,
    LOCI_PROFILE_LOSS,
    LOCI_PROFILE_OPTIMIZER,
    LOCI_PROFILE_ZEROING,
    LOCI_PROFILE_REST, /* what no service of the device does */
    LOCI_PROFILE_KINDS
};
extern const char *const loci_profile_names[LOCI_PROFILE_KINDS];

typedef struct loci_profile loci_profile;

/* Shares of the time of all threads, 1 with `wait` together. calls: of services, by the thread that calls; runs: those
 * of them that were dealt out to threads. */
typedef struct loci_profile_share {
    double share[LOCI_PROFILE_KINDS], wait;
    uint64_t calls[LOCI_PROFILE_KINDS], runs[LOCI_PROFILE_KINDS];
} loci_profile_share;

/* For everything that is made from cx afterwards, on the cpu. Free it after cx. */
loci_status loci_profile_open(loci_profile **out, loci_context *cx, loci_error *err);
void loci_profile_free(loci_profile *p);
void loci_profile_clear(loci_profile *p);
/* Time counts between them; by one thread. */
void loci_profile_begin(loci_profile *p);
void loci_profile_end(loci_profile *p);
void loci_profile_read(loci_profile_share *out, const loci_profile *p);

/* ---- time (measure.c) -------------------------------------------------------------------------------------------- */

typedef struct loci_bench_how {
    double seconds;              /* of one row, about; a few samples are taken however long they last        */
    bool cold;                   /* caches hold something else before every sample                            */
    volatile sig_atomic_t *stop; /* looked at between calls: LOCI_E_STOPPED; may be NULL                      */
    loci_profile *profile;       /* of the timed calls alone; may be NULL                                     */
} loci_bench_how;

/* What is timed, and what is done before each call, untimed (may be NULL). */
typedef struct loci_bench_call {
    loci_status (*call)(void *arg, loci_error *err);
    loci_status (*again)(void *arg, loci_error *err);
    void *arg;
} loci_bench_call;

/* Of one call, in seconds. */
typedef struct loci_bench_times {
    uint32_t samples;
    uint64_t calls; /* timed; more than samples where a sample is a dozen */
    double median, p10, p90, least, most;
    double cpu; /* median */
} loci_bench_times;

loci_status loci_bench_measure(loci_bench_times *out, const loci_bench_call *c, const loci_bench_how *how,
                               loci_error *err);
/* Quantile q in [0, 1] of n >= 1 numbers, which are put into order: linear between the two that are nearest. */
double loci_bench_quantile(double *x, size_t n, double q);

/* ---- the machine (peak.c, dot.c, bandwidth.c)
 * --------------------------------------------------------------------------- */

enum loci_bench_unit { LOCI_BENCH_F32, LOCI_BENCH_F64, LOCI_BENCH_BF16, LOCI_BENCH_UNITS };
#define LOCI_BENCH_DOTS 4

/* A loop that does nothing but multiply and add. flops 0: not measured. */
typedef struct loci_bench_peak {
    char name[64];    /* "f32 fma, avx512", "tdpbf16ps"                       */
    double flops;     /* operations a second of all threads                   */
    double cpu_flops; /* operations a second of CPU time: of one thread       */
} loci_bench_peak;

/* Begins as zeros. */
typedef struct loci_bench_machine {
    uint32_t threads, n_dots;
    const char *isa;                        /* "ref", "avx2", "avx512"; NULL: nothing measured yet              */
    loci_bench_peak peak[LOCI_BENCH_UNITS]; /* of bf16 the fastest loop that multiplies it, float32's included  */
    loci_bench_peak dot[LOCI_BENCH_DOTS];   /* every loop of bf16 that runs here, whether it won or not         */
    double read;  /* bytes a second of all threads from memory                                                  */
    double triad; /* of a = b + s c, 12 bytes an element; a line that is read before it is written is not counted */
} loci_bench_machine;

enum loci_bench_unit loci_bench_unit_of(loci_dtype t);
/* What is not known yet of the peak of `unit`; that of float32 always. */
loci_status loci_bench_find_peak(loci_bench_machine *m, loci_context *cx, enum loci_bench_unit unit,
                                 const loci_bench_how *how, loci_error *err);
loci_status loci_bench_bandwidth(loci_bench_machine *m, loci_context *cx, const loci_bench_how *how, loci_error *err);

/* ---- work (work.c, cost.c) --------------------------------------------------------------------------------------- */

enum loci_bench_pass { LOCI_BENCH_FORWARD, LOCI_BENCH_BACKWARD, LOCI_BENCH_DECODE };

/* What a row is about; what it does not use is ignored. */
typedef struct loci_bench_size {
    int64_t B, H, Hk, T, D, M, N, K;
    int64_t window_tok; /* 0: none; the query itself counts */
    bool full;          /* not causal                       */
    loci_dtype dtype;
    enum loci_bench_pass pass; /* decode: one query, T keys */
} loci_bench_size;

/* Pairs of a query and a key it sees, of T queries at positions offset .. offset + T - 1 before S keys. */
double loci_bench_pairs(int64_t T, int64_t S, int64_t offset, bool causal, int64_t window_tok);
double loci_bench_attention_flops(const loci_bench_size *z);
/* Of any other component, from what its class says behind "Cost: " (cost.c); a backward is twice the forward. 0: it
 * does not say. */
double loci_bench_node_flops(const loci_node *n, const loci_bench_size *z);
/* q, k, v and o of a decode, each once: what must come from memory. Keys beyond the window need not. */
double loci_bench_decode_bytes(const loci_bench_size *z);

/* ---- rows -------------------------------------------------------------------------------------------------------- */

typedef struct loci_bench_row {
    loci_bench_times t;
    double flops, bytes, tokens; /* of one call; 0: unknown or none            */
    double state_bytes;          /* of a stream; 0: there is none              */
    char backend[128];
} loci_bench_row;

/* kind: "attention", "mixer", "memory", "compose"; the backend is the config's. layer: a memory with its front end. */
loci_status loci_bench_component(loci_bench_row *out, loci_context *cx, const char *kind, bool layer,
                                 const loci_bench_size *z, const loci_bench_how *how, loci_error *err);
/* C [M,N] = A [M,K] B [K,N] by the device's loci.ops/1. */
loci_status loci_bench_gemm(loci_bench_row *out, loci_context *cx, const loci_bench_size *z, const loci_bench_how *how,
                            loci_error *err);
/* A step of the config's model on B rows of T tokens: gradients zeroed, forward, backward, optimiser. Operations: 6 a
 * weight of a product and token, as is usual; attention and recurrences are not among them. */
loci_status loci_bench_train(loci_bench_row *out, loci_context *cx, int64_t rows, int64_t seq,
                             const loci_bench_how *how, loci_error *err);
/* One more token of a stream of the config's model that has seen T, drawn from nothing. Bytes: every weight once, and
 * the state. */
loci_status loci_bench_decode(loci_bench_row *out, loci_context *cx, int64_t T, const loci_bench_how *how,
                              loci_error *err);
/* From nothing to a registry that has loaded every plugin: each sample in a process of its own. */
loci_status loci_bench_startup(loci_bench_row *out, const loci_conf *conf, const char *plugin_path,
                               const loci_bench_how *how, loci_error *err);
/* What the host adds to a call: a mixer that does nothing, called as any other. It becomes a class of cx: its own
 * context, please. */
loci_status loci_bench_empty(loci_bench_row *out, loci_context *cx, const loci_bench_how *how, loci_error *err);

#endif
