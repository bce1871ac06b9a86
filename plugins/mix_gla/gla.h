/* SPDX-License-Identifier: Apache-2.0
 *
 * mix_gla: what its files share: the module, and the buffers of a call.
 */
#ifndef LOCI_MIX_GLA_H
#define LOCI_MIX_GLA_H

#include <loci/author.h>
#include <loci/ops.h>
#include <loci/scan.h>
#include <stdbool.h>

#define LONGEST_CHUNK (1 << 20) /* what a scan takes: one chunk for a whole call */

enum { LANE_Q, LANE_K, LANE_V, LANES };

/* Indices of weights and states as declared; those of parts that are switched off are not used. */
struct loci_module {
    const loci_host *host;
    const loci_ops *ops;
    const loci_scan *scan;
    int64_t dim, heads, dk, dv;
    int64_t rank, taps;  /* of the decay's projection; 0: no convolution */
    int32_t mode, chunk; /* LOCI_SCAN_*                                  */
    double normalizer, eps;
    bool norm, gate;
    loci_dtype dtype;
    uint32_t w[LANES], conv[LANES], tail[LANES]; /* projections, convolutions, states: their tails */
    uint32_t down, up, bias;                     /* the decay: [rank, dim], [H dk, rank], [H dk]   */
    uint32_t wz, gain, wo, S;                    /* output gate, norm, projection; the state       */
};

loci_status gla_forward(loci_module *m, const loci_exec *x, const loci_slots *s, const loci_io *io, loci_error *err);
loci_status gla_backward(loci_module *m, const loci_exec *x, const loci_slots *s, const loci_io *io, loci_error *err);
/* Scratch, saved and host bytes of this module alone for n tokens. */
void gla_need(const loci_module *m, int64_t n, uint64_t flags, loci_need *need);
loci_scan_io gla_scan(const loci_module *m);

/* The way of q, k or v: p = x W', c = conv(p), a = silu(c); without a convolution a is p. */
struct lane {
    int64_t width;
    void *p, *c, *a;
    void *dp, *dc, *da;
};

/* Where everything of a call lies, one letter per tensor of gla.c's opening comment. */
struct layout {
    struct lane lane[LANES];
    void *low, *z, *g;   /* decay: x Wd', its negated logits, log alpha       */
    void *o, *stat, *on; /* the scan's output, 1 / rms, normed                */
    void *gate, *out;    /* x Wz'; silu(gate) o on                            */
    void *dlow, *dz, *dg, *d_o, *don, *dgate, *dout;
    void *x;       /* a copy of x with zeros in place of padding        */
    int32_t *rows; /* host: which row of x                              */
};

struct call {
    const loci_module *m;
    const loci_exec *x;
    const loci_slots *s;
    const loci_io *io;
    loci_error *err;
    int64_t B, T, N; /* N = B T                        */
    bool ragged;     /* some tokens are in no run      */
    struct layout l;
    loci_view xm;   /* x as a matrix, cleaned         */
    loci_exec rest; /* for the scan                   */
};

/* layout.c */
void gla_layout(struct layout *l, const loci_module *m, int64_t n, bool save, bool back, loci_cursor *scratch,
                loci_cursor *saved, loci_cursor *host);
/* Row-major, in the module's type; a size of -1 ends the list. */
loci_tensor *view(loci_view *v, const struct call *c, void *data, int64_t n0, int64_t n1, int64_t n2, int64_t n3);

#endif
