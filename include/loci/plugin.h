/* SPDX-License-Identifier: Apache-2.0
 *
 * loci/plugin.h: everything the author of a plugin needs, in one file on purpose: it is the contract, read as a whole.
 *
 * A plugin is a shared object that exports one constant, `loci_plugin_v1`, and carries an ELF note. It links to nothing
 * of loci: every service arrives through `loci_host`. One plugin holds one or more *classes*; a class is a component of
 * one kind (attention, mixer, memory, compose, device) that a config file names by its id.
 *
 * The rules that hold everywhere:
 *
 *  (1) Life:  fit -> create -> bind -> declare -> plan -> forward, backward ... -> destroy.
 *      Whatever can fail for a reason the user can mend fails by `plan`. A planned call allocates nothing.
 *  (2) The host owns weights, state, scratch and saved memory. A class declares what it needs; pointers to it arrive
 *      with each call and are lent for that call.
 *  (3) Every growable struct starts with `struct_size`, the size its writer was compiled with. Members are appended,
 *      never moved. Read a member that is newer than yours with LOCI_HAS, write one with LOCI_SET.
 *  (4) Tensors are views. The last axis of a tensor with data is contiguous (stride 1, or 0 where it broadcasts), other
 *      strides are free, in elements, never negative. A dimension may be 0; `data` may then be NULL.
 *  (5) Gradients ADD: weights', inputs', gates'. The caller zeroes. The one exception is state_grad, which holds
 *      d(state_out) on entry of a backward and d(state_in) on return.
 *  (6) Inputs are const. An output never aliases an input, except state_out = state_in under LOCI_X_STATE_INPLACE.
 *  (7) A run list says which tokens belong together (loci_batch). Tokens in no run are padding: the caller has zeroed
 *      y and dy there, and a component neither reads them into a run nor writes them.
 *  (8) The order of a sum never depends on the number of threads: cut work with parallel_for, by grain.
 *  (9) A function that fails fills the loci_error it was given: one line, lower case, no full stop, naming the value,
 *      the limit and what to change.
 *
 * The ABI is a draft: the note must say the draft number of the host exactly (LOCI_ABI_NOTE does it).
 * Dimension letters: B rows, T query tokens, S keys, H heads, d width of q and k, e width of v, D model width.
 */
#ifndef LOCI_PLUGIN_H
#define LOCI_PLUGIN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- versions -------------------------------------------------------------------------------------------------- */

#define LOCI_ABI_MAJOR 1
#define LOCI_ABI_DRAFT 2 /* raised by every change of a header until 1.0 is frozen */
#define LOCI_ABI_NOTE "abi=1.draft.2\n"
#define LOCI_MAGIC UINT32_C(0x49434F4C) /* "LOCI" */
#define LOCI_EXPORT __attribute__((visibility("default")))

/* May `member` of the struct at p be read (or written)? True when its writer knew the member. */
#define LOCI_HAS(p, type, member) \
    ((p) && (p)->struct_size >= (uint32_t)(offsetof(type, member) + sizeof(((type *)0)->member)))
#define LOCI_HAS_FN(p, type, fn) (LOCI_HAS(p, type, fn) && (p)->fn)
#define LOCI_SET(p, type, member, v) \
    do { \
        if (LOCI_HAS(p, type, member)) \
            (p)->member = (v); \
    } while (0)

/* ---- status ---------------------------------------------------------------------------------------------------- */

/* 0 or a negative code. An unknown code is read as LOCI_E_INTERNAL. Appended, never renumbered. */
typedef int32_t loci_status;
#define LOCI_OK 0
#define LOCI_E_ARG (-1)         /* the caller broke the contract                              */
#define LOCI_E_UNSUPPORTED (-2) /* a legal request that this component declines               */
#define LOCI_E_NOMEM (-3)       /* memory could not be had                                    */
#define LOCI_E_DEVICE (-4)      /* the device failed                                          */
#define LOCI_E_STATE (-5)       /* state does not fit this component                          */
#define LOCI_E_INTERNAL (-6)    /* a defect                                                   */
#define LOCI_E_CONFIG (-7)      /* a value in a config is wrong                               */
#define LOCI_E_PLUGIN (-8)      /* a plugin cannot be loaded, or none was found               */
#define LOCI_E_IO (-9)          /* a file could not be read or written                        */
#define LOCI_E_DATA (-10)       /* training or evaluation data cannot be used                 */
#define LOCI_E_CHECKPOINT (-11) /* a checkpoint or tensor file is malformed or does not match */
#define LOCI_E_NUMERIC (-12)    /* a number that must be finite is not                        */
#define LOCI_E_STOPPED (-13)    /* interrupted by the user, everything saved                  */

/* The caller owns it and sets struct_size; the first failing function fills the rest. `where` is a literal or NULL. */
typedef struct loci_error {
    uint32_t struct_size;
    loci_status code;
    const char *where;
    char msg[496];
} loci_error;
#define LOCI_ERROR_INIT {sizeof(loci_error), LOCI_OK, NULL, ""}

/* ---- tensors --------------------------------------------------------------------------------------------------- */

/* DLPack's DLDevice, DLDataType and DLTensor, byte for byte; frozen, so they may stand in arrays. */
typedef struct loci_device {
    int32_t type, id; /* type: LOCI_CPU, LOCI_CUDA (DLPack's numbers) */
} loci_device;
#define LOCI_CPU 1
#define LOCI_CUDA 2

typedef struct loci_dtype {
    uint8_t code, bits;
    uint16_t lanes;
} loci_dtype;
#define LOCI_INT 0
#define LOCI_UINT 1
#define LOCI_FLOAT 2
#define LOCI_BFLOAT 4

typedef struct loci_tensor {
    void *data;
    loci_device device;
    int32_t ndim;
    loci_dtype dtype;
    int64_t *shape, *strides; /* strides in elements, never NULL unless ndim is 0 */
    uint64_t byte_offset;
} loci_tensor;

static inline void *loci_ptr(const loci_tensor *t)
{
    return t->data ? (char *)t->data + t->byte_offset : NULL;
}

/* ---- runs: which tokens of a call belong to which stream ------------------------------------------------------- */

/* One document's tokens [begin, begin+len) of tensor row `row`. Frozen, so it may stand in arrays. */
typedef struct loci_run {
    int32_t row, begin, len;
    int32_t state; /* row of the state tensors; no two runs of a call share one                                    */
    int64_t pos;   /* queries: tokens of the document before this run; 0 means that the state row holds the initial
                      state. Context of a mixer: rows ever appended to the cache of this stream before this run    */
    uint64_t id;   /* of the document; part of every random key                                                    */
} loci_run;

/* Lent for the call. `runs` is host memory. Packing, padding, ragged rows, streaming and continuous batching are all
 * just run lists. */
typedef struct loci_batch {
    uint32_t struct_size, n_runs;
    const loci_run *runs;
    const loci_tensor *pos; /* i32 [rows, T], host memory: position of each token in its document, -1 for a token that is
                               visible to all; what lies outside the runs is unspecified. Never NULL in a call of a
                               mixer or composition; a memory may get NULL: run.pos + index in the run              */
} loci_batch;

/* ---- what a call runs in --------------------------------------------------------------------------------------- */

typedef struct loci_host loci_host;
typedef struct loci_child loci_child;     /* the host's handle of a child component                   */
typedef struct loci_cache loci_cache;     /* the host's handle of a mixer's key-value cache in a call */
typedef struct loci_session loci_session; /* the host's book of one plan: copy the pointer along      */
typedef struct loci_module loci_module;   /* an instance: the plugin's own struct                     */

#define LOCI_X_SAVE UINT64_C(1)          /* a backward may follow: fill `saved`           */
#define LOCI_X_TRAIN UINT64_C(2)         /* dropout and other training-only behaviour     */
#define LOCI_X_STATE_INPLACE UINT64_C(4) /* state_out is the storage of state_in; no SAVE */

/* Lent for the call. A composition hands its children copies of it with sub-ranges of scratch and saved. */
typedef struct loci_exec {
    uint32_t struct_size, reserved0;
    const loci_host *host;
    const loci_session *session;
    loci_device device;
    void *stream;   /* the device's queue; NULL on the CPU: done when the call returns                             */
    uint64_t flags; /* LOCI_X_*                                                                                    */
    uint64_t seed;  /* mixed with the component's path already                                                     */
    uint64_t step;  /* optimiser step * micro-batches + micro-batch                                                */
    void *scratch;  /* device memory, 64-byte aligned, dead after the call, contents undefined on entry            */
    uint64_t scratch_bytes;
    void *saved; /* device memory, 64-byte aligned: written by a forward with SAVE, read by its backward           */
    uint64_t saved_bytes;
    void *host_scratch; /* host memory for views and run lists, 64-byte aligned, dead after the call               */
    uint64_t host_bytes;
} loci_exec;

/* ---- slots: the tensors a component has the host own ----------------------------------------------------------- */

#define LOCI_INIT_ZERO 0
#define LOCI_INIT_CONST 1   /* a                 */
#define LOCI_INIT_NORMAL 2  /* mean a, std b     */
#define LOCI_INIT_UNIFORM 3 /* [a, b)            */

#define LOCI_SLOT_STATE UINT32_C(1)    /* per stream; shape starts with -1. Otherwise the slot is a weight           */
#define LOCI_SLOT_NO_DECAY UINT32_C(2) /* a weight exempt from weight decay                                          */
#define LOCI_SLOT_RESIDUAL UINT32_C(4) /* a weight that writes into the residual stream: init scaled by depth        */
#define LOCI_SLOT_CACHE UINT32_C(8)    /* a state of rows appended through host->append; shape [-1, -2, ...]         */

/* Copied by declare(). The host fills weight i from Philox keyed by (run seed, full name, element), so equal names get
 * equal values whatever else a model holds. Names say the role, [a-zA-Z0-9_.]+: `q.weight`, `M`. */
typedef struct loci_slot {
    uint32_t struct_size, flags;
    const char *name;
    int32_t ndim, init;   /* LOCI_INIT_*                                                                              */
    const int64_t *shape; /* -1: state rows, -2: cache rows                                                           */
    loci_dtype dtype;     /* {0,0,0}: shape.acc for state, shape.dtype for weights                                    */
    uint32_t reserved0;
    double a, b;   /* of init                                                                                         */
    int64_t window; /* CACHE: how many rows back the newest row still looks, itself included; 0: all                  */
} loci_slot;

/* What a call gets, indexed as declared: weights and states count separately. Lent for the call. */
typedef struct loci_slots {
    uint32_t struct_size, n_params, n_state, n_subs;
    const loci_tensor *params;     /* weights                                                                         */
    const loci_tensor *grads;      /* add to these in a backward; NULL in a forward                                   */
    const loci_tensor *state_in;   /* [states, ...]                                                                   */
    const loci_tensor *state_out;  /* forward: write the rows the runs name, no others. backward: as forward left it  */
    const loci_tensor *state_grad; /* backward: d(state_out) in, d(state_in) out, rows of the runs only               */
    const loci_cache *cache;       /* handed on to append and attend; NULL without CACHE slots                        */
    const void *const *sub_in;     /* [n_subs] states of children declared by declare_sub                             */
    void *const *sub_out;
    void *const *sub_grad;
} loci_slots;

/* A per-token, per-head number in [lo, hi) that the front end computes for a memory rule. */
typedef struct loci_gate {
    uint32_t struct_size, reserved0;
    const char *name;
    double lo, hi; /* hi = INFINITY allowed: softplus. Otherwise a scaled sigmoid                                     */
    double init;   /* the activated value at initialisation, inside the range                                         */
    int64_t width; /* numbers per token and head: 0 or 1: the tensor is [B,T,H]; more: [B,T,H,width]                  */
} loci_gate;

/* ---- configuration --------------------------------------------------------------------------------------------- */

#define LOCI_KEY_INT 0
#define LOCI_KEY_REAL 1
#define LOCI_KEY_BOOL 2 /* yes or no; get_int gives 1 or 0 */
#define LOCI_KEY_ENUM 3 /* get_str                         */
#define LOCI_KEY_STR 4

/* One key of section [kind.id]. Static memory of the plugin. */
typedef struct loci_key {
    uint32_t struct_size;
    int32_t type;
    const char *name, *def, *help; /* def is the default as it would be written                */
    const char *choices;           /* ENUM: "a|b|c"; otherwise NULL                            */
    double min, max;               /* INT and REAL, both ends included; min = max = 0: no range */
} loci_key;

/* Values already parsed and range-checked. Names are those of the class's keys; any other name is a defect. */
typedef struct loci_config {
    uint32_t struct_size, reserved0;
    void *ctx;
    int64_t (*get_int)(void *ctx, const char *key);
    double (*get_real)(void *ctx, const char *key);
    const char *(*get_str)(void *ctx, const char *key); /* lives as long as the module */
} loci_config;

/* ---- sizes ----------------------------------------------------------------------------------------------------- */

/* Limits: every call of the plan has at most these. In fit and create, sizes that vary by call (rows to capacity) are
 * 0. A composition or mixer that plans a child copies its own and changes what differs. */
typedef struct loci_shape {
    uint32_t struct_size, reserved0;
    const loci_session *session;
    uint64_t flags; /* LOCI_X_* */
    int64_t rows, seq;      /* B, T                                                                              */
    int64_t ctx;            /* mixers: new context rows per row of the call; attention: S                        */
    int64_t runs, states;   /* runs per call, state rows                                                         */
    int64_t dim;            /* D                                                                                 */
    int64_t heads, k_heads, v_heads, dk, dv;
    loci_dtype dtype;       /* of activations and weights                                                        */
    loci_dtype acc;         /* of state, gates and statistics: f32, or f64 when dtype is f64                     */
    loci_device device;
    uint64_t features;      /* attention: the LOCI_A_* that calls will use                                       */
} loci_shape;

/* Where a component stands. `path` is the prefix of its slot names; lives as long as the module. */
typedef struct loci_site {
    uint32_t struct_size;
    int32_t layer, n_layers;
    uint32_t reserved0;
    const char *path;
} loci_site;

/* What one call needs, in bytes. plan() starts from zeros and may raise them. */
typedef struct loci_need {
    uint32_t struct_size, reserved0;
    uint64_t scratch, saved, host;
} loci_need;

/* fit(): 0 cannot; 1-99 reference; 100-199 vectorised CPU; 200-299 accelerator. Always with a reason. */
typedef struct loci_fit {
    uint32_t struct_size;
    int32_t score;
    char reason[240];
} loci_fit;

/* ---- one call at layer level: what a composition sends to a mixer or to a memory with its front end ------------- */

#define LOCI_OP_MIX 0   /* mixers and compositions                                       */
#define LOCI_OP_READ 1  /* memory: y from q, the rule's state unchanged                  */
#define LOCI_OP_WRITE 2 /* memory: state from k, v, gates; no y                          */
#define LOCI_OP_STEP 3  /* memory: both, in the rule's own order                         */

/* Which context a query sees, by document position p: a key at p_k is visible to a query at p_q when
 *   p_k < 0,  or  (not causal or p_k <= p_q)  and  p_q - p_k <= window_left  and  p_k - p_q <= window_right.  */
typedef struct loci_mask {
    uint32_t struct_size;
    int32_t causal;
    int64_t window_left, window_right; /* -1: unbounded; the query itself is not counted */
} loci_mask;

typedef struct loci_io {
    uint32_t struct_size;
    int32_t op;
    const loci_tensor *x;   /* [B,T,D]                                                                               */
    const loci_tensor *ctx; /* mixers: [B',S,D] NEW context rows; NULL: x itself                                     */
    loci_tensor *y;         /* [B,T,D]; NULL with WRITE. Overwritten in the runs                                     */
    const loci_batch *q;    /* runs of x                                                                             */
    const loci_batch *k;    /* runs of the context, as many as q has, run i for stream i; NULL: as q. Query run i sees
                               the rows its stream holds, those of k's run i included                                */
    const loci_mask *mask;
    const void *state_in; /* the child's state blocks (layout is the host's); NULL: the child keeps no state across
                             calls and every run begins at pos 0                                                     */
    void *state_out;
    void *state_grad;      /* backward                                                                               */
    const loci_tensor *dy; /* backward                                                                               */
    loci_tensor *dx, *dctx; /* backward, added to; with ctx NULL everything goes to dx. NULL: not wanted             */
} loci_io;

#define LOCI_PART_RULE 1u  /* a memory's state of its rule                                */
#define LOCI_PART_FRONT 2u /* a memory's convolution tails; everything of any other child */
#define LOCI_PART_ALL 3u

/* ---- attention: the softmax operation on q, k, v ---------------------------------------------------------------- */

#define LOCI_KIND_ATTENTION "loci.attention/1"

/* Features a call may use. CAUSAL, OFFSET, SCALE and grouped heads are every backend's duty. */
#define LOCI_A_WINDOW UINT64_C(1)
#define LOCI_A_PREFIX UINT64_C(2)
#define LOCI_A_POS UINT64_C(4)
#define LOCI_A_SEGMENTS UINT64_C(8)
#define LOCI_A_LENGTHS UINT64_C(16)
#define LOCI_A_MASK UINT64_C(32)
#define LOCI_A_BIAS UINT64_C(64)
#define LOCI_A_SLOPES UINT64_C(128)
#define LOCI_A_TABLE UINT64_C(256)
#define LOCI_A_SOFTCAP UINT64_C(512)
#define LOCI_A_SINK UINT64_C(1024)
#define LOCI_A_DROPOUT UINT64_C(2048)
#define LOCI_A_PAGED UINT64_C(4096)
#define LOCI_A_BLOCKS UINT64_C(8192)

/* Block-sparse visibility in CSR, with its transpose for dk and dv. A pair (i, j) is visible when its block is listed
 * and, where `kind` is not -1, its bit in that tile is set; all other rules apply as well.
 *   ptr [Hb, nq+1], col [Hb, nnz], kind [Hb, nnz]: for query block r of head hb, key blocks col[ptr[r] .. ptr[r+1]).
 *   t_ptr [Hb, nk+1], t_col, t_kind [Hb, nnz]: the transpose.   tiles u8 [n, bq, bk]: 1 visible.   all else i32. */
typedef struct loci_blocks {
    uint32_t struct_size;
    int32_t bq, bk;
    int32_t heads; /* Hb: 1 or H */
    const loci_tensor *ptr, *col, *kind, *t_ptr, *t_col, *t_kind;
    const loci_tensor *tiles; /* NULL when every kind is -1 */
} loci_blocks;

/* Zero the struct, set struct_size, then: causal 0, window -1, scale as wanted. A NULL tensor is an absent feature.
 *
 *   p_q(i) = q_pos[b,i] or offset + i        p_k(j) = k_pos[b,j] or j, and -1 for j < prefix
 *   visible(i,j) = j < k_len  and  i < q_len  and  mask[..i,j]  and  blocks(i,j)  and
 *                  ( p_k < 0  or  q_seg = k_seg  and  (not causal or p_k <= p_q)
 *                                 and  p_q - p_k <= window_left  and  p_k - p_q <= window_right )
 *   s = cap(scale q.k) + bias + slope_h (p_k - p_q) + table[bucket(p_k - p_q), h];  the last two are 0 for p_k < 0
 *   cap(x) = softcap tanh(x / softcap) when softcap > 0, else x
 *   lse = log( sum over visible exp s  +  exp sink_h )        o = sum over visible exp(s - lse) z v
 *   z = keep / (1 - dropout), keep when philox4x32-10(counter {p_q, p_k, h, 0}, key)[0] >= dropout 2^32, where key is
 *   loci_random_key() of loci/random.h over (exec.seed, exec.step, ids[b], rng_stream); only under LOCI_X_TRAIN; without
 *   ids every row counts as document 0
 * A row with no visible key gives o = 0, lse = the sink (-inf without one) and no gradient but the sink's. With a block
 * table S, where mask and bias have it, is the longest k_len.
 * Query head h uses key head h / (H/Hk) and value head h / (H/Hv). Bucket: T5's (Raffel et al. 2020).  */
typedef struct loci_attn_desc {
    uint32_t struct_size;
    int32_t causal;
    double scale, softcap;
    int64_t window_left, window_right; /* -1: unbounded                                             */
    int64_t prefix;                    /* the first keys of a row, always visible                    */
    int64_t offset;                    /* position of query 0; bottom-right alignment is S - T       */
    const loci_tensor *q_pos, *k_pos;  /* i32 [B,T], [B,S]                                           */
    const loci_tensor *q_seg, *k_seg;  /* i32 [B,T], [B,S]                                           */
    const loci_tensor *q_len, *k_len;  /* i32 [B]                                                    */
    const loci_tensor *mask;           /* u8 [B or 1, H or 1, T, S] (zero strides allowed), 1 visible */
    const loci_tensor *bias;           /* acc [B or 1, H or 1, T, S]                                 */
    const loci_tensor *slopes;         /* acc [H] ALiBi: Press et al. 2022                           */
    const loci_tensor *table;          /* acc [buckets, H]                                           */
    int32_t max_distance, bidirectional; /* of the table's buckets                                   */
    const loci_tensor *sink;           /* acc [H]                                                    */
    double dropout;
    uint32_t rng_stream, block_tok;    /* block_tok: tokens of a cache block, with block_table       */
    const loci_tensor *ids;            /* i64 [B] on the host's side of the call: document ids       */
    const loci_tensor *block_table;    /* i32 [B, n]: k and v are [blocks, block_tok, Hk, d] and key j of row b lies in
                                          block block_table[b, j / block_tok]; needs k_len                            */
    const loci_blocks *blocks;
} loci_attn_desc;

/* q [B,T,H,d], k [B,S,Hk,d], v [B,S,Hv,e], o [B,T,H,e] in dtype; lse [B,H,T] in acc.
 * A backward reads o and lse, which may belong to a larger key set than this call's, and adds to what is not NULL. */
typedef struct loci_attn_io {
    uint32_t struct_size, reserved0;
    const loci_attn_desc *desc;
    const loci_tensor *q, *k, *v;
    loci_tensor *o, *lse;
    const loci_tensor *d_o, *d_lse; /* d_lse may be NULL: zero */
    loci_tensor *dq, *dk, *dv, *dbias, *dslopes, *dtable, *dsink;
} loci_attn_io;

typedef struct loci_attention {
    uint32_t struct_size, reserved0;
    loci_status (*forward)(loci_module *, const loci_exec *, const loci_attn_io *, loci_error *);
    loci_status (*backward)(loci_module *, const loci_exec *, const loci_attn_io *, loci_error *);
} loci_attention;

/* What a mixer asks of host->attend: q, o, lse, d_o, dq of io are its own tensors; k, v and their gradients are the
 * state slots named here, and the host cuts both by run. desc's positions, lengths and ids are the host's to fill. */
typedef struct loci_attend {
    uint32_t struct_size;
    uint32_t k_slot, v_slot, pos_slot; /* indices of CACHE states; pos is i32 [-1,-2] */
    const loci_cache *cache;
    const loci_batch *q, *k;
    const loci_attn_io *io;
} loci_attend;

/* ---- mixer and compose ------------------------------------------------------------------------------------------ */

#define LOCI_KIND_MIXER "loci.mixer/1"
#define LOCI_KIND_COMPOSE "loci.compose/1"

/* A composition is a mixer that wants children. */
typedef struct loci_mixer {
    uint32_t struct_size, reserved0;
    loci_status (*forward)(loci_module *, const loci_exec *, const loci_slots *, const loci_io *, loci_error *);
    loci_status (*backward)(loci_module *, const loci_exec *, const loci_slots *, const loci_io *, loci_error *);
} loci_mixer;

/* ---- memory: a rule ---------------------------------------------------------------------------------------------- */

#define LOCI_KIND_MEMORY "loci.memory/1"
#define LOCI_MEM_Q 1u
#define LOCI_MEM_K 2u
#define LOCI_MEM_V 4u

/* q, k [B,T,H,d], v, y [B,T,H,e] in dtype; gate[i] [B,T,H], or [B,T,H,width] where the rule declared a width, in acc,
 * activated. What the op or `needs` leaves out is NULL: READ has q and y; WRITE k, v, gates; STEP all. State is
 * value-major: [*, H, e, d]. */
typedef struct loci_rule_io {
    uint32_t struct_size;
    int32_t op;
    const loci_batch *batch;
    const loci_tensor *q, *k, *v;
    const loci_tensor *const *gate;
    loci_tensor *y;
    const loci_tensor *dy;
    loci_tensor *dq, *dk, *dv;
    loci_tensor *const *dgate;
} loci_rule_io;

typedef struct loci_memory {
    uint32_t struct_size;
    uint32_t needs; /* LOCI_MEM_* */
    /* Write the initial state into state_out for the runs of the batch (their pos is 0). NULL: zero. */
    loci_status (*state_init)(loci_module *, const loci_exec *, const loci_slots *, const loci_batch *, loci_error *);
    /* Its adjoint: add d(initial state), found in state_grad, to the weights' gradients. */
    loci_status (*state_init_back)(loci_module *, const loci_exec *, const loci_slots *, const loci_batch *,
                                   loci_error *);
    loci_status (*forward)(loci_module *, const loci_exec *, const loci_slots *, const loci_rule_io *, loci_error *);
    loci_status (*backward)(loci_module *, const loci_exec *, const loci_slots *, const loci_rule_io *, loci_error *);
} loci_memory;

/* ---- services of the host --------------------------------------------------------------------------------------- */

#define LOCI_LOG_ERROR 0
#define LOCI_LOG_WARN 1
#define LOCI_LOG_INFO 2
#define LOCI_LOG_DEBUG 3

/* One item range [begin, end); `worker` indexes private memory. */
typedef void (*loci_task_fn)(void *arg, int64_t begin, int64_t end, uint32_t worker);

struct loci_host {
    uint32_t struct_size;
    uint16_t abi_major, abi_draft;
    const char *name, *version;
    void *ctx;
    /* [any thread] */
    void (*log)(const loci_host *, int32_t level, const char *module, const char *msg);
    /* Host memory for a module's own struct; zeroed; counted. Only in create and bind. */
    void *(*alloc)(const loci_host *, uint64_t bytes);
    void (*free)(const loci_host *, void *);

    /* Only in declare(); `decl` is what declare() was given. *index counts weights and states separately. */
    loci_status (*declare)(const loci_host *, void *decl, const loci_slot *, uint32_t *index);
    loci_status (*declare_gate)(const loci_host *, void *decl, const loci_gate *, uint32_t *index);
    /* A named persistent state of a child, which may have several; capacity: cache rows per stream, 0: as the session
     * says; pinned: first rows that are never evicted. *index into sub_in, sub_out, sub_grad. */
    loci_status (*declare_sub)(const loci_host *, void *decl, const loci_child *, const char *name, int64_t capacity,
                               int64_t pinned, uint32_t *index);

    /* Services of the device of the call. parallel_for cuts [0, n) into pieces of `grain` items, whatever the number
     * of threads; a nested call runs inline. */
    uint32_t (*workers)(const loci_host *);
    loci_status (*parallel_for)(const loci_exec *, int64_t n, int64_t grain, loci_task_fn, void *arg);
    const void *(*get_ext)(const loci_host *, loci_device, const char *id); /* NULL: the device has none */

    /* Children. need and state_bytes in plan() and in a run, with the same answers; the rest in a run. A NULL child is
     * never passed. */
    loci_status (*child_need)(const loci_child *, const loci_shape *, int32_t op, loci_need *, loci_error *);
    /* Bytes of one state block of the child; a multiple of 64. */
    uint64_t (*child_state_bytes)(const loci_child *, const loci_shape *);
    loci_status (*child_forward)(const loci_child *, const loci_exec *, const loci_io *, loci_error *);
    loci_status (*child_backward)(const loci_child *, const loci_exec *, const loci_io *, loci_error *);
    /* dst := src, and dst += src (src NULL: dst := 0), for parts of the state rows the runs name; batch NULL: all. */
    loci_status (*child_copy)(const loci_child *, const loci_exec *, const loci_batch *, uint32_t parts, void *dst,
                              const void *src, loci_error *);
    loci_status (*child_add)(const loci_child *, const loci_exec *, const loci_batch *, uint32_t parts, void *dst,
                             const void *src, loci_error *);

    /* Caches: state `slot` of state_out := what state_in holds, then rows [B',S,...] of the runs of k. */
    loci_status (*append)(const loci_exec *, const loci_cache *, uint32_t slot, const loci_tensor *rows,
                          const loci_batch *k, loci_error *);
    /* Its adjoint: d_rows += d(state_out) of those rows, which then become 0 in state_grad. */
    loci_status (*append_back)(const loci_exec *, const loci_cache *, uint32_t slot, loci_tensor *d_rows,
                               const loci_batch *k, loci_error *);
    loci_status (*attend)(const loci_child *, const loci_exec *, const loci_attend *, loci_error *);
    loci_status (*attend_back)(const loci_child *, const loci_exec *, const loci_attend *, loci_error *);

    /* LOCI_CAP_* that a child keeps with its config. From bind() on. */
    uint64_t (*child_caps)(const loci_child *);
};

/* ---- classes and the plugin -------------------------------------------------------------------------------------- */

/* Promises, tested by the conformance tool. */
#define LOCI_CAP_BACKWARD UINT64_C(1)
#define LOCI_CAP_STREAMING UINT64_C(2) /* any cutting into pieces gives the outputs and gradients of one call    */
#define LOCI_CAP_CAUSAL UINT64_C(4)    /* output t depends on inputs <= t only, whenever the mask is causal       */
#define LOCI_CAP_CONTEXT UINT64_C(8)   /* a mixer that accepts ctx other than x, and rows at position -1          */

/* A child this class wants. The config's section of `role` chooses it. Static memory. */
typedef struct loci_want {
    uint32_t struct_size;
    int32_t optional; /* 1: `backend = none` is allowed, and bind() then gets NULL */
    const char *role; /* "attention", "mixer", "memory"                            */
    const char *kind; /* LOCI_KIND_*                                               */
    uint64_t caps;    /* LOCI_CAP_* the child must have                            */
} loci_want;

typedef struct loci_class {
    uint32_t struct_size, state_version; /* state_version: raised when saved state changes its meaning */
    const char *id;      /* [a-z0-9_-]+ for ours, reverse DNS for others */
    const char *kind;    /* LOCI_KIND_*                                  */
    const char *version, *summary, *doc; /* doc: the formula, then lines that begin with "Cost: ", "Source: " (the
                                            paper) and "Use: " (when to take it, and when not); each may go on */
    uint64_t caps;       /* LOCI_CAP_*                                   */
    uint32_t n_keys, n_wants;
    const loci_key *const *keys;
    const loci_want *const *wants;

    /* Can this class serve such a shape? No side effects, no allocation. */
    loci_status (*fit)(const loci_host *, const loci_config *, const loci_shape *, loci_fit *);
    loci_status (*create)(const loci_host *, const loci_config *, const loci_site *, const loci_shape *, loci_module **,
                          loci_error *);
    void (*destroy)(loci_module *);
    /* Optional, after create and before the children exist: *shape is this module's own; change what child `want`
     * will be asked for (heads, dk, dv, features). */
    loci_status (*child_shape)(loci_module *, uint32_t want, loci_shape *shape, loci_error *);
    /* children[i] is the child of wants[i]. NULL function when there are no wants. */
    loci_status (*bind)(loci_module *, uint32_t n, const loci_child *const *children, loci_error *);
    /* NULL: no slots. */
    loci_status (*declare)(loci_module *, void *decl, loci_error *);
    /* op: LOCI_OP_*; pure; grows with each limit. */
    loci_status (*plan)(loci_module *, const loci_shape *, int32_t op, loci_need *, loci_error *);
    const void *iface; /* loci_attention, loci_mixer, loci_memory or loci_device_class */
    /* Optional: the promises that hold with this config, a part of `caps`. NULL: all of caps. */
    uint64_t (*promises)(const loci_config *);
} loci_class;

typedef struct loci_plugin {
    uint32_t magic, struct_size;
    uint16_t abi_major, abi_draft;
    uint8_t ptr_bits, san; /* san: bit 1 ASan, 2 TSan, as compiled */
    uint16_t reserved0;
    const char *name, *version, *license;
    uint32_t n_classes, reserved1;
    const loci_class *const *classes;
} loci_plugin;

/* The head of a loci_plugin initialiser. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define LOCI_SAN 1
#elif __has_feature(thread_sanitizer)
#define LOCI_SAN 2
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define LOCI_SAN 1
#elif defined(__SANITIZE_THREAD__)
#define LOCI_SAN 2
#endif
#ifndef LOCI_SAN
#define LOCI_SAN 0
#endif
#define LOCI_PLUGIN_HEAD \
    LOCI_MAGIC, sizeof(loci_plugin), LOCI_ABI_MAJOR, LOCI_ABI_DRAFT, (uint8_t)(8 * sizeof(void *)), LOCI_SAN, 0

/* The note a host reads before it runs anything: LOCI_PLUGIN_NOTE("class=memory/titans\n"), a line per class. */
#define LOCI_PLUGIN_NOTE(text) \
    static const struct { \
        uint32_t namesz, descsz, type; \
        char owner[8], desc[sizeof(LOCI_ABI_NOTE text)]; \
    } loci_note_ __attribute__((used, aligned(4), section(".note.loci.plugin"))) = { \
        5, sizeof(LOCI_ABI_NOTE text), 1, "loci", LOCI_ABI_NOTE text}

#ifdef __cplusplus
}
#endif
#endif
