/* SPDX-License-Identifier: Apache-2.0
 *
 * The deep memory: per head a network that is trained while it is read (Titans, section 3.1; second order through the
 * inner gradient). Layers l = 1 .. L, weights W_l [n_l, n_{l-1}], s the activation:
 *
 *     h_0 = k   z_l = W_l h_{l-1}   h_l = s(z_l), l < L   e = z_L [+ k] - v        [+ k], [+ q]: with residual = yes
 *     b_L = e   a_l = W_{l+1}' b_{l+1}   b_l = a_l o s'(z_l)          so that b_l h_{l-1}' is d/dW_l of half |e|^2
 *     S_l = eta S_l - c theta b_l h_{l-1}'      W_l = (1 - alpha) W_l + S_l      y = the network at q [+ q]
 *
 *  (1) Chunks are frozen: z, h, a, b of a whole chunk are taken at C, the weights at its start. Then W_l and S_l at any
 *      time of the chunk are their values at a segment's start times scalars, minus weighted sums of b_j h_j' (coef of
 *      loci/scan.h), and no token's weights are ever written out:
 *          z_l,t = beta_t W_l x_t + f_t S_l x_t - sum_{j <= t} G[t][j] (x_t . h_{l-1,j}) b_l,j       x_t: of the read
 *      A chunk is cut into segments of at most 64 tokens that share C; mode sequential is chunks of one token, and its
 *      C is W itself. Chunks begin where the document's position is a multiple of `chunk`.
 *  (2) What is walked together is a band of R runs and H heads. On the CPU it is one head of one run: its weights and
 *      momentum stay in the cache of the core that walks its chunks, and bands are dealt out to the threads, each with
 *      a room of its own. Elsewhere one product per layer and step serves many: a band is all heads of the runs that
 *      begin at the same token of consecutive rows, have equal lengths and phases, and lie in consecutive state rows.
 *  (3) A backward needs the states at the start of every segment. Some are kept by the forward (keep.c), the others are
 *      computed again.
 *  (4) Everything is a product, a map or an inner product of the device; deep->status keeps the first failure, after
 *      which nothing more is called.
 *  (5) What a later token holds, NaN too, does not reach an earlier one: products with the triangular G o (x . h) read
 *      its lower part alone.
 */
#ifndef LOCI_MEM_TITANS_DEEP_H
#define LOCI_MEM_TITANS_DEEP_H

#include "titans.h"

#define SEG_TOK 64      /* tokens of a segment, at most */
#define STRETCH_TOK 64  /* tokens between kept states, about, */
#define STRETCH_MOST 16 /* and most segments between them */

/* A matrix for every run of the band and head: [R, H, rows, cols], strides in elements; columns are adjacent. */
typedef struct mat {
    char *at;
    int64_t rows, cols, run, head, row;
} mat;

/* What a call and its band are. */
typedef struct deep {
    const loci_module *m;
    const loci_exec *x;
    loci_error *err;
    loci_status status; /* (4) */
    loci_dtype type;
    int64_t size;             /* of an element */
    int64_t chunk, seg, nsub; /* nsub segments make a chunk */
    int64_t R, H, head;       /* runs and heads of the band, its first head */
    int32_t op;
    int back;
    loci_cursor work; /* where the room of a segment begins */
} deep;

/* The network and its momentum; layer l at index l. */
typedef struct memory {
    mat W[TITANS_DEPTH + 1], S[TITANS_DEPTH + 1], C[TITANS_DEPTH + 1];
} memory;

/* A segment of a backward's stretch: the memory before it, the weights that its errors are of, room for the errors. */
typedef struct mark {
    memory at;
    const mat *C;
    loci_cursor errors;
} mark;

/* Scalar tables: `lanes` of `size` elements for every run and head, one lane for all layers or one for each. */
typedef struct table {
    char *at;
    int64_t size;
} table;

/* The gates of a segment, and where their gradients go: [R, n, H] or [R, n, H, L]; t.data NULL: there is none. */
typedef struct gates {
    loci_view alpha, eta, theta, dalpha, deta, dtheta;
} gates;

/* The tokens of a segment; at NULL: the op has none. */
typedef struct tokens {
    mat q, k, v, y, dy, dq, dk, dv;
    gates g;
    int64_t n;
} tokens;

/* Room for one segment: `Z` to `R` are (1) in letters; d of anything is its gradient. */
typedef struct room {
    mat Z[TITANS_DEPTH + 1], h[TITANS_DEPTH + 1], A[TITANS_DEPTH + 1], B[TITANS_DEPTH + 1];
    mat zx[TITANS_DEPTH + 1], x[TITANS_DEPTH + 1]; /* of the read */
    mat xh[TITANS_DEPTH + 1], R[TITANS_DEPTH + 1]; /* x . h, and G o (x . h)  [n,n] */
    mat dZ[TITANS_DEPTH + 1], dh[TITANS_DEPTH + 1], dB[TITANS_DEPTH + 1];
    mat wide, other, D, dx; /* [n, widest] */
    mat nn, mm;             /* [n,n] */
    mat sums, one;          /* [widest,1], [1,1] = 1 */
    table beta, f, mo, G, N, dbeta, df, dmo, dG, dN;
} room;

/* ---- deep_mat.c: the services, on mats ---- */

/* The next [R, H, rows, cols] of a buffer. */
mat mat_cut(const deep *d, loci_cursor *c, int64_t rows, int64_t cols);
/* Its first rows and columns, as a matrix of so many. */
mat mat_as(const deep *d, mat a, int64_t rows, int64_t cols);
/* n tokens from token `from` on of the band's rows and heads of t [B,T,H,w]; t NULL: at is NULL. */
mat mat_tokens(const deep *d, const loci_tensor *t, int64_t row, int64_t from, int64_t n);
/* The band's rows and heads of a state [states,H,rows,cols]. */
mat mat_state(const deep *d, const loci_tensor *t, int64_t state);
/* c = alpha op(a) op(b) + beta c; flags are those of LOCI_GEMM. */
void mat_times(deep *d, uint32_t flags, double alpha, mat a, mat b, double beta, mat c);
/* c = alpha op(a) op(b) + s c, with s [1,1] of a table. */
void mat_times_onto(deep *d, uint32_t flags, double alpha, mat a, mat b, mat s, mat c);
/* out = s a, or out = s a + r out, with s and r [1,1] of tables. */
void mat_scale(deep *d, mat out, mat a, mat s);
void mat_blend(deep *d, mat out, mat a, mat s, mat r);
/* out absent: nothing. */
void mat_map(deep *d, int32_t f, mat out, mat a, double alpha, double beta);
/* A row, a column or a number of a or b stands for all of out's. */
void mat_map2(deep *d, int32_t f, mat out, mat a, mat b, double alpha, double beta);
/* out [rows,1] = alpha (row of a . row of b) + beta out */
void mat_dot(deep *d, mat out, mat a, mat b, double alpha, double beta);
void mat_fill(deep *d, mat out, double value);

/* ---- deep_coef.c: scalar tables of a segment ---- */

void tables_cut(const deep *d, loci_cursor *c, room *w, int64_t n, int back);
void tables_forward(deep *d, const room *w, gates *g, int64_t n);
void tables_back(deep *d, const room *w, gates *g, int64_t n);
/* rows x cols of layer l's lane of t, from element `from` on. */
mat table_at(const deep *d, table t, int l, int64_t from, int64_t rows, int64_t cols);

/* ---- deep_chunk.c, deep_back.c: a segment ---- */

/* Z, h, A, B of n tokens. */
void errors_cut(const deep *d, loci_cursor *c, room *w, int64_t n);
/* Room for n tokens of the call's op, at d->work; returns where it ends. Z, h, A, B lie at errors; NULL: there too. */
uint64_t room_cut(const deep *d, room *w, int64_t n, const loci_cursor *errors);
/* z, h, a, b of the tokens' errors at the memory C. */
void chunk_errors(deep *d, const room *w, const mat *C, tokens *t);
/* What the tokens read of the memory as it changes; y.at NULL: all but the last layer's product. */
void chunk_read(deep *d, const room *w, const memory *at, tokens *t);
/* The memory after the segment; to may be at. */
void chunk_write(deep *d, const room *w, const memory *at, const memory *to, tokens *t);
/* W, S of grad: of the memory after the segment, become those before it; C of grad is added to. The errors are in w. */
void chunk_back(deep *d, const room *w, const memory *at, const mat *C, const memory *grad, tokens *t);
/* READ: the network as it stands, and its adjoint. */
void plain_read(deep *d, const room *w, const memory *at, tokens *t);
void plain_read_back(deep *d, const room *w, const memory *at, const memory *grad, tokens *t);

/* ---- keep.c: segments of a run, and the states a backward finds again ---- */

typedef struct span {
    int64_t from, n; /* tokens of the run            */
    int begins;      /* its first token begins a chunk */
} span;

int64_t span_count(const deep *d, int64_t phase, int64_t len);
span span_at(const deep *d, int64_t phase, int64_t len, int64_t i);
/* Segments from one kept state to the next; the first stretch begins with state_in, which is not kept. */
int64_t stretch(const deep *d);
int64_t kept(const deep *d, int64_t phase, int64_t len);
/* Most states kept by calls of so many tokens and runs. */
int64_t kept_most(const deep *d, int64_t n_tokens, int64_t runs);
/* W, S and, where a segment can begin inside a chunk, C. */
memory memory_cut(const deep *d, loci_cursor *c);
uint64_t memory_bytes(const deep *d); /* of one that is cut */
void memory_copy(deep *d, const memory *to, const memory *from);

/* ---- deep_band.c: a run of the band from end to end; states lie in s ---- */

/* READ, forward and backward. */
void band_read(deep *d, const loci_slots *s, const loci_rule_io *r, const loci_run *run);
/* States are kept at `saved`, unless its base is NULL. */
void band_forward(deep *d, const loci_slots *s, const loci_rule_io *r, const loci_run *run, loci_cursor *saved);
/* trail: the segments of a stretch, cut; kept_at: the band's first kept state, if it has any. */
void band_backward(deep *d, const loci_slots *s, const loci_rule_io *r, const loci_run *run, mark *trail,
                   loci_cursor kept_at);

#endif
