/* SPDX-License-Identifier: Apache-2.0
 *
 * compose: what the five compositions share: the module, memory and views of a call, and the rows, gates and messages
 * to children that more than one of them uses.
 *
 *  (1) Every buffer of a call is cut by a cursor in a fixed order, by one function per composition that plan, forward
 *      and backward all run; with base NULL a cursor only counts. Children get what lies behind the own buffers.
 *  (2) What a child saves follows from its need for the sizes of the call at hand, which both passes know.
 *  (3) Row lists, run lists and positions are host memory (host_scratch); everything else is device memory.
 */
#ifndef LOCI_COMPOSE_PARTS_H
#define LOCI_COMPOSE_PARTS_H

#include <loci/author.h>
#include <loci/ops.h>
#include <stdbool.h>

enum form { PLAIN, MAC, MAG, MAL, LMM };
enum retrieval { STRICT, SUMMARY, PREVIOUS, LITERAL }; /* of mac; see mac.c */

struct loci_module {
    const loci_host *host;
    const loci_ops *ops;
    enum form form;
    const loci_child *mixer, *memory; /* NULL: not there */
    int64_t dim, persistent_tok, segment_tok, summary_tok; /* summary_tok: 0 unless retrieval is summary */
    enum retrieval retrieval;
    const struct gate_form *gate; /* mac, mag, mal                                                       */
    bool to_memory;               /* the memory sees the persistent rows                                 */
    bool fed;                     /* the mixer takes no context: persistent rows are its first tokens    */
    loci_shape shape;             /* as create got it                                                    */
    uint32_t w_persistent, w_summary, w_gate_y, w_gate_m, w_gate;
    uint32_t s_last;               /* own state: the last C tokens                                       */
    uint32_t s_mix, s_run, s_snap; /* states of children; s_run is the memory's where it has only one    */
};

/* The three memories of a call. */
struct room {
    loci_cursor scratch, saved, host;
};

/* What every function of a call needs. x and dx, y and dy are also at hand as matrices [B T, D]. */
struct call {
    const loci_module *m;
    const loci_exec *x;
    const loci_slots *s;
    const loci_io *io;
    loci_error *err;
    int64_t B, T, N; /* rows, tokens of a row, all tokens  */
    bool ragged;     /* some tokens are in no run          */
    bool save, back; /* save: a backward follows or is it  */
    loci_view xm, ym, dym, dxm;
    struct room room;
};

/* class.c: weights: gains [dim], ones; and [a, b], normal(0, 0.02). None of the gains decays. */
loci_status gain(loci_module *m, void *decl, const char *name, uint32_t *index);
loci_status normal(loci_module *m, void *decl, const char *name, uint32_t flags, int64_t a, int64_t b, uint32_t *index);

/* parts.c */
void *cut_rows(loci_cursor *c, const loci_module *m, int64_t rows);                               /* of width D */
loci_tensor *matrix(loci_view *v, const struct call *c, const void *data, int64_t rows);          /* [rows, D] */
loci_tensor *cube(loci_view *v, const struct call *c, const void *data, int64_t b, int64_t t);    /* [b, t, D] */
loci_tensor *column(loci_view *v, const struct call *c, const void *data, int64_t rows);          /* acc [rows] */
loci_tensor *ints(loci_view *v, const struct call *c, const int32_t *data, int64_t a, int64_t b); /* b < 0: [a] */
/* t [B, T, D] as a matrix; v is left alone for t NULL. */
loci_status flat(loci_view *v, const struct call *c, const loci_tensor *t, const char *what);
loci_status zero(const struct call *c, void *data, int64_t rows);
/* out[i] = a[rows[i]] + beta out[i]; out[rows[i]] += a[i]. -1: zeros, skipped. */
loci_status take(const struct call *c, void *out, int64_t n, const loci_tensor *a, const int32_t *rows, double beta);
loci_status put(const struct call *c, const loci_tensor *out, const void *a, int64_t n, const int32_t *rows);
/* Begin a call: checks, matrices, the room. */
loci_status call_begin(struct call *c, loci_module *m, const loci_exec *x, const loci_slots *s, const loci_io *io,
                       bool back, loci_error *err);
/* A shape of the sizes of this call, for child_need. */
void call_shape(const struct call *c, loci_shape *out);
/* The room must hold what was cut from it. */
loci_status call_fits(const struct call *c);
/* The exec of a child: scratch and host memory behind what was cut, this piece of saved, these flags. */
loci_exec child_exec(const struct call *c, void *saved, uint64_t saved_bytes, uint64_t flags);
int32_t position(const struct call *c, const loci_run *r, int64_t i); /* of token i of a run, in its document */
/* need = what plan must ask for: the larger of a forward and a backward, which layout() counts. */
typedef void (*layout_fn)(const loci_module *m, void *buffers, bool save, bool back, struct room *room);
void plan_need(const loci_module *m, layout_fn layout, void *buffers, uint64_t flags, loci_need *need);

/* gate.c: the forms of o = gate(y, m), all [n, dim]. */
#define GATE_FORMS "normgate|mul|sig|lerp|add"
struct gate {
    void *s, *t;           /* scratch rows; t in a backward only */
    void *stat_y, *stat_m; /* backward only                      */
};
const struct gate_form *gate_find(const char *name); /* one of GATE_FORMS */
loci_status gate_declare(loci_module *m, void *decl);
void gate_cut(struct gate *g, const loci_module *m, int64_t n, bool back, loci_cursor *scratch);
loci_status gate_forward(const struct call *c, const struct gate *g, const loci_tensor *o, const loci_tensor *y,
                         const loci_tensor *m);
/* Adds to dy and dm. */
loci_status gate_backward(const struct call *c, const struct gate *g, const loci_tensor *d_o, const loci_tensor *y,
                          const loci_tensor *m, const loci_tensor *dy, const loci_tensor *dm);

/* rows.c: persistent rows before documents. E: the most rows that the tokens of a call can become; 0: none. */
struct extension {
    int64_t E, n, runs; /* sizes: n tokens in so many runs */
    int32_t *x_row, *p_row, *back, *pos;
    loci_run *run;
    int64_t rows;     /* of this call  */
    loci_batch batch; /* their runs    */
    loci_view vpos;
};
void extension_cut(struct extension *e, loci_cursor *host);
void extension_fill(struct extension *e, const struct call *c);
/* out [rows] = [p; src] by the lists, and its adjoint; dsrc NULL: not wanted. */
loci_status extension_build(const struct extension *e, const struct call *c, void *out, const loci_tensor *src);
loci_status extension_back(const struct extension *e, const struct call *c, const void *d, const loci_tensor *dsrc);

/* once.c, mac.c */
loci_status once_plan(loci_module *m, const loci_shape *shape, loci_need *need, loci_error *err);
loci_status once_forward(struct call *c);
loci_status once_backward(struct call *c);
loci_status mac_plan(loci_module *m, const loci_shape *shape, loci_need *need, loci_error *err);
loci_status mac_forward(struct call *c);
loci_status mac_backward(struct call *c);

#endif
