/* SPDX-License-Identifier: Apache-2.0
 *
 * core/trial: what its files share: the trial, where a port's values go in a call, and tensors made for one call.
 */
#ifndef LOCI_CORE_TRIAL_IMPL_H
#define LOCI_CORE_TRIAL_IMPL_H

#include "core/model/node_impl.h"
#include "core/trial/arena.h"
#include "core/trial/trial.h"

/* Which tensor of a call a port is. */
enum place {
    PLACE_Q,
    PLACE_K,
    PLACE_V,
    PLACE_X,
    PLACE_CONTEXT,
    PLACE_POSITIONS,
    PLACE_GATE,
    PLACE_WEIGHT,
    PLACE_STATE,
    PLACE_Y, /* also an attention's o */
    PLACE_LSE,
    PLACE_MASK, /* from here on: tensors of an attention's descriptor */
    PLACE_BIAS,
    PLACE_SLOPES,
    PLACE_TABLE,
    PLACE_SINK,
    PLACE_Q_LEN,
    PLACE_K_LEN,
    PLACE_Q_POS,
    PLACE_K_POS,
    PLACE_Q_SEG,
    PLACE_K_SEG,
    PLACE_SEGMENTS,
    PLACE_IDS,
    PLACE_BLOCK_TABLE
};

struct trial_port {
    loci_port p; /* first: a loci_port * is a struct trial_port * */
    enum place place;
    uint32_t index; /* of a gate                                    */
    uint64_t at;    /* of a state: bytes from the block's beginning */
    uint64_t row;   /* elements of one token, or of one state row   */
    bool top;       /* a cache of the node itself                   */
    double *start;  /* of a weight: as a model has it               */
};

struct loci_trial {
    loci_context *cx;
    loci_node *node;
    loci_weights weights;
    enum loci_kind kind;
    enum loci_trial_form form;
    loci_trial_size size;
    loci_attn_desc desc;
    loci_mask mask;
    loci_session session; /* of all cuts: it decides where cache rows lie */
    uint64_t state_bytes;
    int64_t *len, *pos0; /* [docs] */
    struct trial_port *ports;
    uint32_t n;
};

/* Is a port made of tokens, cut by pieces? The others go into a call whole. */
static inline bool loci__is_stream(const struct loci_trial *t, const struct trial_port *p)
{
    return t->kind != LOCI_IS_ATTENTION && (p->place <= PLACE_V || p->place == PLACE_X || p->place == PLACE_POSITIONS ||
                                            p->place == PLACE_GATE || p->place == PLACE_Y);
}

static inline bool loci__is_context(const struct loci_trial *t)
{
    return t->size.keys > 0 && t->kind == LOCI_IS_MIXER;
}

/* ports.c */
loci_status loci__ports_make(struct loci_trial *t, loci_error *err);
void loci__ports_free(struct loci_trial *t);
/* The features of a descriptor, LOCI_A_*. */
uint64_t loci__features(const loci_attn_desc *d);

/* A packed tensor of the device: all elements in order; from NULL: `all`. */
loci_status loci__tensor_put(loci_context *cx, const loci_tensor *t, const double *from, double all, loci_error *err);
loci_status loci__tensor_get(loci_context *cx, const loci_tensor *t, double *to, double minus, loci_error *err);

/* One number of any type. */
void loci__put(void *at, loci_dtype d, double value);
double loci__get(const void *at, loci_dtype d);
double loci__round(loci_dtype d, double value);

/* ---- a tensor of one call (slab.c) ------------------------------------------------------------------------------- */

/* Laid out as `how` wants it; holds zeros, or NaN where how is harsh. Not to be copied: the views point into it. */
struct slab {
    loci_view v;     /* what the trial reads and writes */
    loci_view given; /* what the component sees: the same, or its copy on the device (arena.h (1)) */
    struct arena mem;
};

/* cx: of the device that it lies on; NULL: host memory, as lists of indices are everywhere (docs/adr/0006). */
loci_status loci__slab_new(struct slab *s, loci_context *cx, loci_dtype dtype, int32_t ndim, const int64_t *shape,
                           const loci_trial_how *how, loci_error *err);
void loci__slab_free(struct slab *s);
/* Where element `i` (counted over the axes from `axis` on, of the item at the others' index) lies. */
char *loci__slab_at(const struct slab *s, int64_t row, int64_t token, uint64_t i);
/* All elements, in the order of the axes. from NULL: `all`. */
void loci__slab_put(const struct slab *s, const double *from, double all);
void loci__slab_get(const struct slab *s, double *to, double minus, bool add);
/* Has something been written between the rows or behind the tensor? */
bool loci__slab_intact(const struct slab *s);

/* All memory of a call across to the device's side, or back: loci__arena_up, loci__arena_down. */
typedef loci_status loci__cross(struct arena *a, loci_error *err);

/* attention.c */
loci_status loci__attention_run(struct loci_trial *t, const loci_trial_how *how, loci_error *err);

static inline void loci__stage(const loci_trial_how *how, const char *stage)
{
    if (how->stage)
        how->stage(how->arg, stage);
}

/* The call of a stage, by whoever is to make it. */
static inline loci_status loci__make(const loci_trial_how *how, const char *stage, const loci_trial_bare *bare,
                                     loci_error *err)
{
    loci__stage(how, stage);
    return how->around ? how->around(how->arg, stage, bare, err) : bare->call(bare->self, err);
}

#endif
