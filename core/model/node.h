/* SPDX-License-Identifier: Apache-2.0
 *
 * core/model/node: the host's side of a component: what stands behind a loci_child.
 *
 * A node is one instance of a class at one place ("layer.3.mixer"), with its children, weights and the layout of its
 * state. A memory node also carries the front end, so a caller sees "x in, y out" whatever the rule.
 *
 *  (1) Life: loci_node_new selects the class (fit), creates it, creates its children, binds, declares. Weights are
 *      collected in a loci_weights that the caller owns and allocates once the whole model stands.
 *  (2) A session fixes the sizes of calls. All calls of one stream use one session, since the layout of cache rows
 *      depends on it.
 *  (3) A state block is one contiguous piece of device memory:  [own state slots | front end tails | sub blocks],
 *      each part 64-byte aligned. Its layout follows from node and session alone.
 *  (4) A run with pos 0 finds its state row initialised: loci_node_reset does it, recursively, before the outermost
 *      call, and loci_node_reset_back is its adjoint.
 */
#ifndef LOCI_CORE_MODEL_NODE_H
#define LOCI_CORE_MODEL_NODE_H

#include <loci/device.h>
#include <loci/ops.h>
#include "core/base/base.h"
#include "core/config/config.h"
#include "core/plugin/registry.h"
#include "core/tensor/file.h"

/* ---- context: what a process shares: registry, device, services ------------------------------------------------ */

typedef struct loci_node loci_node; /* a loci_child * given to plugins is a loci_node * */

/* Sees every forward call of a memory's rule just after it: what the front end handed over, and the state it left. */
typedef struct loci_watch {
    loci_status (*seen)(void *arg, const loci_node *n, const loci_exec *x, const loci_rule_io *io,
                        const loci_slots *slots, loci_error *err);
    void *arg;
} loci_watch;

typedef struct loci_context {
    loci_host host; /* first member: a loci_host * is a loci_context * */
    loci_registry *registry;
    loci_conf *conf; /* not owned; the config the next node is made from */
    const loci_device_class *device_class;
    const loci_class *device_meta;
    loci_module *device_module;
    loci_device device;
    const loci_ops *ops;
    const struct loci_fused *fused; /* NULL: the device has none */
    loci_text choices; /* lines "attention: cpu (score 110: ...) over ref (10: ...)" */
    struct loci_score {
        const loci_class *cls;
        int32_t score;
    } scores[64]; /* what the chosen classes said of themselves */
    uint32_t n_scores;
    loci_error declare_error; /* what the host refused while a component declared */
    struct loci_fault *fault; /* not NULL: look for the first non-finite output (model/fault.c) */
    const loci_watch *watch;  /* not NULL: told of every call of a memory's rule */
    struct loci_profile *profile; /* not NULL: services are timed (core/bench/profile.c) */
} loci_context;

/* Registry: built-in cpu device; search path from path_option (--plugin-path, may be NULL), the environment, the config
 * and the defaults. Loads the classes that conf's sections name and checks conf. threads 0: config's, else all. */
loci_status loci_context_new(loci_context **out, loci_conf *conf, const char *path_option, bool allow_unknown,
                             loci_error *err);
void loci_context_free(loci_context *cx);
/* Its registry alone: what the folders hold, and nothing of it run. *out may be set on failure; free it. */
loci_status loci_context_registry(loci_registry **out, const loci_conf *conf, const char *path_option, loci_error *err);

/* Device memory. */
void *loci_device_alloc(loci_context *cx, uint64_t bytes); /* zeroed, counted in loci_memory_held on the cpu */
void loci_device_free(loci_context *cx, void *p);

/* ---- weights ---------------------------------------------------------------------------------------------------- */

typedef struct loci_weight {
    char *name;
    uint32_t flags; /* LOCI_SLOT_* */
    int32_t init;
    double a, b;
    loci_view value, grad, m, v; /* data NULL until loci_weights_alloc; m, v only when asked for */
    uint64_t elements;
} loci_weight;

typedef struct loci_weights {
    loci_weight **at;
    uint32_t n, cap;
    int32_t n_layers; /* for the scaling of RESIDUAL weights */
    bool residual_scale;
    void *memory[4]; /* value, grad, m, v */
    uint64_t elements, bytes; /* of a role, the gaps between weights included, once there is memory */
} loci_weights;

loci_status loci_weights_add(loci_weights *w, const char *prefix, const loci_slot *slot, loci_dtype dtype,
                             const loci_weight **out, loci_error *err);
/* Memory for values, and gradients and moments when asked; then values by Philox keyed (seed, name, element). */
loci_status loci_weights_alloc(loci_weights *w, loci_context *cx, bool grads, bool moments, loci_error *err);
loci_status loci_weights_init(loci_weights *w, loci_context *cx, uint64_t seed, loci_error *err);
loci_status loci_weights_zero_grads(loci_weights *w, loci_context *cx);
const loci_weight *loci_weights_find(const loci_weights *w, const char *name);
void loci_weights_free(loci_weights *w, loci_context *cx);

/* ---- nodes ------------------------------------------------------------------------------------------------------ */

#define LOCI_MAX_SLOTS 48
#define LOCI_MAX_STATES 64
#define LOCI_MAX_GATES 8
#define LOCI_MAX_GATE_WIDTH 65536
#define LOCI_MAX_CHILDREN 4
#define LOCI_MAX_SUBS 8

/* section: "attention", "mixer", "memory" or "compose". path: prefix of names, "layer.3.mixer". shape: dim, heads, dtype,
 * acc, device, features of the caller; for a memory the front end sets heads, dk, dv. caps: what it must promise. A
 * memory of `backend = none` gives *out = NULL. */
loci_status loci_node_new(loci_node **out, loci_context *cx, loci_weights *weights, const char *section, int layer,
                          int n_layers, const char *path, const loci_shape *shape, uint64_t caps, loci_error *err);
/* A memory without the front end: the rule alone, with shape's heads, dk and dv. It is called with loci_rule_forward and
 * loci_rule_backward, and everything else of a node serves it too. */
loci_status loci_rule_new(loci_node **out, loci_context *cx, loci_weights *weights, int layer, int n_layers,
                          const char *path, const loci_shape *shape, loci_error *err);
void loci_node_free(loci_node *n);
const char *loci_node_id(const loci_node *n);   /* "titans"        */
const char *loci_node_path(const loci_node *n); /* "layer.3.memory" */
const loci_class *loci_node_class(const loci_node *n);
/* LOCI_CAP_* that it keeps with its config and its children. */
uint64_t loci_node_caps(const loci_node *n);
/* Promise i in words, and its bit; NULL: there is none. */
const char *loci_cap_name(uint32_t i, uint64_t *cap);
uint32_t loci_node_n_children(const loci_node *n);
loci_node *loci_node_child(const loci_node *n, uint32_t i); /* NULL: none */
const char *loci_node_section(const loci_node *n); /* "memory" */
int loci_node_layer(const loci_node *n);
/* Gate i of a memory's rule, and the range of its values; NULL: there is none. */
const char *loci_node_gate(const loci_node *n, uint32_t i, double *lo, double *hi);
/* State i of the rule, without the front end's; NULL: there is none. */
const char *loci_node_rule_state(const loci_node *n, uint32_t i);
/* Weights of this node alone, its front end's included, in elements. */
uint64_t loci_node_parameters(const loci_node *n);
/* Every class of the node's kind, asked whether it would fit in its place; see loci_registry_candidates. */
loci_status loci_node_candidates(const loci_node *n, loci_candidate **out, uint32_t *count, loci_error *err);

/* ---- sessions ---------------------------------------------------------------------------------------------------- */

struct loci_session {
    int64_t rows, seq, runs, states, capacity; /* capacity: most tokens a stream ever sees (cache rows unless a window
                                                  says fewer) */
    uint64_t flags;                            /* LOCI_X_SAVE | LOCI_X_TRAIN */
};

/* A loci_shape of the session's sizes for a caller of width dim. */
void loci_session_shape(loci_shape *out, const loci_session *s, const loci_context *cx, int64_t dim, loci_dtype dtype);

/* The calls a host makes of a top node; the same functions serve the children through loci_host. */
loci_status loci_node_need(const loci_node *n, const loci_shape *shape, int32_t op, loci_need *need, loci_error *err);
uint64_t loci_node_state_bytes(const loci_node *n, const loci_session *s);
loci_status loci_node_forward(const loci_node *n, const loci_exec *x, const loci_io *io, loci_error *err);
loci_status loci_node_backward(const loci_node *n, const loci_exec *x, const loci_io *io, loci_error *err);
/* Of a node made by loci_rule_new; the states are blocks, as in loci_io. */
loci_status loci_rule_forward(const loci_node *n, const loci_exec *x, const loci_rule_io *io, const void *state_in,
                              void *state_out, loci_error *err);
loci_status loci_rule_backward(const loci_node *n, const loci_exec *x, const loci_rule_io *io, const void *state_in,
                               void *state_out, void *state_grad, loci_error *err);
loci_status loci_node_reset(const loci_node *n, const loci_exec *x, void *state, const loci_batch *batch,
                            loci_error *err);
loci_status loci_node_reset_back(const loci_node *n, const loci_exec *x, void *state_grad, const loci_batch *batch,
                                 loci_error *err);
/* Copy or add rows (batch NULL: all) of parts; src NULL in add: zero. */
loci_status loci_node_copy(const loci_node *n, const loci_exec *x, const loci_batch *batch, uint32_t parts, void *dst,
                           const void *src, loci_error *err);
loci_status loci_node_add(const loci_node *n, const loci_exec *x, const loci_batch *batch, uint32_t parts, void *dst,
                          const void *src, loci_error *err);
/* Every tensor of a state block with its full name ("layer.0.compose.run.memory.M"). */
typedef loci_status (*loci_state_fn)(void *arg, const char *name, const loci_tensor *t, loci_error *err);
loci_status loci_node_each_state(const loci_node *n, const loci_session *s, void *state, const char *prefix,
                                 loci_state_fn fn, void *arg, loci_error *err);
/* An exec for calls of top nodes; scratch and saved are the caller's to set. */
void loci_exec_init(loci_exec *x, loci_context *cx, const loci_session *s, uint64_t flags, uint64_t seed,
                    uint64_t step);

#endif
