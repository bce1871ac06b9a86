/* SPDX-License-Identifier: Apache-2.0
 *
 * The inside of a node, shared by the files of core/model that make, lay out and call it.
 */
#ifndef LOCI_CORE_MODEL_NODE_IMPL_H
#define LOCI_CORE_MODEL_NODE_IMPL_H

#include "core/model/node.h"
#include <loci/random.h>

enum loci_kind { LOCI_IS_ATTENTION, LOCI_IS_MIXER, LOCI_IS_MEMORY, LOCI_IS_COMPOSE };

/* A state slot as declared; `front` marks the convolution tails of a memory's front end. */
struct state_slot {
    char *name;
    int32_t ndim;
    int64_t shape[LOCI_MAX_DIM];
    loci_dtype dtype;
    uint32_t flags;
    int64_t window;
    bool front;
};

struct sub {
    char *name;
    const loci_node *child;
};

struct gate {
    char *name;
    double lo, hi, init;
    int64_t width; /* numbers per token and head */
};

struct loci_node {
    loci_context *cx;
    const loci_class *cls;
    loci_module *module;
    enum loci_kind kind;
    char *section, *path;
    int layer, n_layers;
    uint64_t path_hash;
    loci_shape shape;
    loci_config config;
    uint64_t caps; /* LOCI_CAP_*, kept with this config */
    const loci_node *parent;
    loci_node *children[LOCI_MAX_CHILDREN];
    uint32_t n_children;
    loci_weights *weights; /* where declare puts them */
    const loci_weight *params[LOCI_MAX_SLOTS];
    uint32_t n_params;
    struct state_slot states[LOCI_MAX_STATES];
    uint32_t n_states, n_rule_states; /* the rule's come first, then the front end's tails */
    struct gate gates[LOCI_MAX_GATES];
    uint32_t n_gates;
    struct sub subs[LOCI_MAX_SUBS];
    uint32_t n_subs;
    int64_t capacity, pinned; /* of cache rows, said by declare_sub of the parent; capacity 0: the session's */
    struct loci_front *front; /* memories only */
};

/* The views of one state block, and what a call hands a component. */
struct block {
    loci_tensor t[LOCI_MAX_STATES];
    int64_t shape[LOCI_MAX_STATES][LOCI_MAX_DIM], strides[LOCI_MAX_STATES][LOCI_MAX_DIM];
};

struct loci_cache {
    const loci_node *node;
    const loci_tensor *in, *out, *grad;
};

struct frame {
    struct block in, out, grad;
    loci_tensor params[LOCI_MAX_SLOTS], grads[LOCI_MAX_SLOTS];
    const void *sub_in[LOCI_MAX_SUBS];
    void *sub_out[LOCI_MAX_SUBS], *sub_grad[LOCI_MAX_SUBS];
    struct loci_cache cache;
    loci_slots slots;
};

/* node.c: the values of a class's keys in a layer */
loci_status loci_node_config(loci_context *cx, int layer, const loci_class *cls, loci_config *out, loci_error *err);

/* state.c */
int64_t loci_cache_rows(const loci_node *n, const loci_session *s, int64_t window);
uint64_t loci_sub_offset(const loci_node *n, const loci_session *s, uint32_t sub);
void loci_block_views(struct block *b, const loci_node *n, const loci_session *s, const void *state);
/* Slots of a call: weights from params[0 .. n_params), the first n_states states. */
void loci_frame_fill(struct frame *f, const loci_node *n, const loci_session *s, uint32_t n_params, uint32_t n_states,
                     const void *in, void *out, void *grad, bool backward);
/* dst[rows named] = src or += or 0, for one state tensor. */
loci_status loci_rows_copy(const loci_exec *x, const loci_tensor *dst, const loci_tensor *src,
                           const loci_batch *batch, bool add, loci_error *err);

/* front.c */
loci_status loci_front_new(loci_node *n, const loci_shape *outer, loci_error *err); /* sets n->front, n->shape heads dk dv */
loci_status loci_front_declare(loci_node *n, loci_error *err);
void loci_front_free(struct loci_front *f);
loci_status loci_front_need(const loci_node *n, const loci_shape *shape, int32_t op, loci_need *need, loci_error *err);
loci_status loci_front_forward(const loci_node *n, const loci_exec *x, const loci_io *io, loci_error *err);
loci_status loci_front_backward(const loci_node *n, const loci_exec *x, const loci_io *io, loci_error *err);

/* how many of n->params are the front end's, the last ones */
uint32_t loci_front_params(const loci_node *n);

/* promise.c: set n->caps; then, with the children there, take away what they do not keep; refuse what lacks one of caps */
loci_status loci_node_promise(loci_node *n, loci_error *err);
void loci_node_promise_with_children(loci_node *n);
loci_status loci_node_demand(const loci_node *n, uint64_t caps, loci_error *err);

/* declare.c: the host's side of declare, with `decl` being the node */
loci_status loci_host_declare(const loci_host *h, void *decl, const loci_slot *slot, uint32_t *index);
loci_status loci_host_declare_gate(const loci_host *h, void *decl, const loci_gate *gate, uint32_t *index);
loci_status loci_host_declare_sub(const loci_host *h, void *decl, const loci_child *child, const char *name,
                                  int64_t capacity, int64_t pinned, uint32_t *index);
void loci_declared_error(loci_node *n, loci_error *err);

/* cache.c */
loci_status loci_host_append(const loci_exec *x, const loci_cache *c, uint32_t slot, const loci_tensor *rows,
                             const loci_batch *k, loci_error *err);
loci_status loci_host_append_back(const loci_exec *x, const loci_cache *c, uint32_t slot, loci_tensor *d_rows,
                                  const loci_batch *k, loci_error *err);
loci_status loci_host_attend(const loci_child *child, const loci_exec *x, const loci_attend *a, loci_error *err);
loci_status loci_host_attend_back(const loci_child *child, const loci_exec *x, const loci_attend *a, loci_error *err);

/* fault.c: the first tensor that is not finite */
struct loci_fault {
    bool found;
    char text[400];
};
void loci_fault_look(const loci_node *n, const loci_exec *x, const char *what, const loci_tensor *t);

static inline loci_context *loci_context_of(const loci_exec *x)
{
    return (loci_context *)(uintptr_t)x->host;
}
#define LOCI_NODE(child) ((const loci_node *)(const void *)(child))

#endif
