/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/unit/rule.h: for the tests of a memory rule: open one with given keys on a small host, and call it on tensors
 * of doubles. What the rule declares (states of any shape [-1, H, ...], gates of any width, weights) decides the
 * shapes.
 *
 * Scratch, host scratch and saved are exactly what plan asks for, filled with NaN, with guard bytes behind them; no
 * other tensor is aligned to more than its elements. A rule is opened from a class, or by id from `loci_plugin_v1` of
 * the program, so a test links the plugin it tests.
 *
 * A rule can be given a fault, to see that a test would notice: answers of zero, or a gate times a wrong factor.
 */
#ifndef LOCI_TESTS_RULE_H
#define LOCI_TESTS_RULE_H

#include "tests/ck.h"
#include "tests/unit/host.h"
#include <dlfcn.h>
#include <loci/author.h>

extern const loci_plugin loci_plugin_v1;

#define RULE_MOST 16 /* weights, states or gates of a rule */

typedef struct rule_fault {
    bool zero;        /* y, final states and gradients become 0           */
    const char *gate; /* the rule is given this gate times factor; NULL: no */
    double factor;
} rule_fault;

typedef struct rule {
    struct ck_host h; /* first: a loci_host * is a rule * */
    const loci_class *cls;
    const loci_memory *iface;
    loci_module *m;
    const char *keys[32]; /* name, value, name, value, ..., NULL; the first of a name counts */
    loci_slot weight[RULE_MOST], state[RULE_MOST];
    int64_t weight_shape[RULE_MOST][LOCI_MAX_DIM], state_shape[RULE_MOST][LOCI_MAX_DIM]; /* the slots' */
    loci_gate gate[RULE_MOST];
    uint32_t n_weight, n_state, n_gate;
    int64_t H, dk, dv;
    int bits;
    double gradients_from; /* what gradients hold before a backward adds to them; they are returned without it */
    rule_fault fault;
} rule;

static loci_error ck_err = LOCI_ERROR_INIT;

/* ---- a host that writes down what is declared, and a config ---- */

static inline loci_status rule_declare(const loci_host *h, void *decl, const loci_slot *slot, uint32_t *index)
{
    rule *r = (rule *)decl;
    const bool state = slot->flags & LOCI_SLOT_STATE;
    loci_slot *to;
    int64_t *shape;

    (void)h;
    *index = state ? r->n_state++ : r->n_weight++;
    to = &(state ? r->state : r->weight)[*index];
    shape = (state ? r->state_shape : r->weight_shape)[*index];
    *to = *slot;
    memcpy(shape, slot->shape, (size_t)slot->ndim * sizeof *shape);
    to->shape = shape;
    return LOCI_OK;
}

static inline loci_status rule_declare_gate(const loci_host *h, void *decl, const loci_gate *gate, uint32_t *index)
{
    rule *r = (rule *)decl;

    (void)h;
    *index = r->n_gate++;
    r->gate[*index] = *gate;
    return LOCI_OK;
}

static inline const char *rule_str(void *ctx, const char *key)
{
    const rule *r = (const rule *)ctx;

    for (int i = 0; r->keys[i]; i += 2)
        if (!strcmp(r->keys[i], key))
            return r->keys[i + 1];
    for (uint32_t i = 0; i < r->cls->n_keys; i++)
        if (!strcmp(r->cls->keys[i]->name, key))
            return r->cls->keys[i]->def;
    CK_TRUE(false, "the class asked for key %s, which it does not have", key);
    return "";
}

static inline int64_t rule_int(void *ctx, const char *key)
{
    const char *text = rule_str(ctx, key);

    return !strcmp(text, "yes") ? 1 : !strcmp(text, "no") ? 0 : strtoll(text, NULL, 10);
}

static inline double rule_real(void *ctx, const char *key)
{
    return strtod(rule_str(ctx, key), NULL);
}

static inline loci_config rule_config(rule *r)
{
    return (loci_config){sizeof(loci_config), 0, r, rule_int, rule_real, rule_str};
}

static inline loci_shape rule_shape(const rule *r, uint64_t flags, int64_t rows, int64_t seq, int64_t runs)
{
    const loci_dtype t = {LOCI_FLOAT, (uint8_t)r->bits, 1};

    return (loci_shape){.struct_size = sizeof(loci_shape),
                        .flags = flags,
                        .rows = rows,
                        .seq = seq,
                        .runs = runs,
                        .states = rows,
                        .heads = r->H,
                        .dk = r->dk,
                        .dv = r->dv,
                        .dtype = t,
                        .acc = t,
                        .device = {LOCI_CPU, 0}};
}

/* keys, more: pairs of words that end with NULL, or NULL; they must outlive the rule. */
static inline loci_status rule_open_class(rule *r, const loci_class *cls, int bits, int64_t H, int64_t dk, int64_t dv,
                                          int threads, const char *const *keys, const char *const *more)
{
    const loci_site site = {sizeof site, 0, 1, 0, "layer.0.memory"};
    const loci_config config = rule_config(r);
    loci_shape shape;
    loci_status status;
    int n = 0;

    memset(r, 0, sizeof *r);
    ck_err = (loci_error)LOCI_ERROR_INIT;
    status = ck_host_open(&r->h, threads, &ck_err);
    if (status != LOCI_OK)
        return status;
    r->h.host.declare = rule_declare;
    r->h.host.declare_gate = rule_declare_gate;
    r->cls = cls;
    r->iface = (const loci_memory *)cls->iface;
    for (int i = 0; keys && keys[i]; i++)
        r->keys[n++] = keys[i];
    for (int i = 0; more && more[i]; i++)
        r->keys[n++] = more[i];
    r->bits = bits;
    r->H = H;
    r->dk = dk;
    r->dv = dv;
    shape = rule_shape(r, 0, 0, 0, 0);
    status = cls->create(&r->h.host, &config, &site, &shape, &r->m, &ck_err);
    if (status == LOCI_OK && cls->declare)
        status = cls->declare(r->m, r, &ck_err);
    return status;
}

/* The class of that id in the program's plugin. */
static inline const loci_class *rule_class(const char *id)
{
    for (uint32_t i = 0; i < loci_plugin_v1.n_classes; i++)
        if (!strcmp(loci_plugin_v1.classes[i]->id, id))
            return loci_plugin_v1.classes[i];
    printf("the plugin has no class %s\n", id);
    exit(1);
}

/* The same of a plugin of the build, as it is loaded in use: to hold two plugins against each other. It stays loaded.
 */
static inline const loci_class *rule_class_of(const char *plugin, const char *id)
{
    const char *folder = getenv("LOCI_TEST_PLUGINS");
    const loci_plugin *p;
    char path[4096];
    void *so;

    snprintf(path, sizeof path, "%s/%s.so", folder ? folder : "plugins/.all", plugin);
    so = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    p = so ? (const loci_plugin *)dlsym(so, "loci_plugin_v1") : NULL;
    for (uint32_t i = 0; p && i < p->n_classes; i++)
        if (!strcmp(p->classes[i]->id, id))
            return p->classes[i];
    printf("%s: %s\n", path, so ? "no such class" : dlerror());
    exit(1);
}

static inline loci_status rule_open(rule *r, const char *id, int bits, int64_t H, int64_t dk, int64_t dv, int threads,
                                    const char *const *keys)
{
    return rule_open_class(r, rule_class(id), bits, H, dk, dv, threads, keys, NULL);
}

static inline void rule_close(rule *r)
{
    if (r->m)
        r->cls->destroy(r->m);
    ck_host_close(&r->h);
}

/* ---- one tensor and one call ---- */

typedef struct box {
    loci_tensor t;
    int64_t shape[LOCI_MAX_DIM], strides[LOCI_MAX_DIM], n;
} box;

static inline void box_put(const box *b, int64_t i, double value)
{
    if (b->t.dtype.bits == 64)
        ((double *)loci_ptr(&b->t))[i] = value;
    else
        ((float *)loci_ptr(&b->t))[i] = (float)value;
}

static inline double box_at(const box *b, int64_t i)
{
    return b->t.dtype.bits == 64 ? ((const double *)loci_ptr(&b->t))[i] : (double)((const float *)loci_ptr(&b->t))[i];
}

/* from NULL: zeros. One element of room before the data keeps it off every alignment but its own. */
static inline void box_shape(box *b, const double *from, int bits, int rank, const int64_t *shape)
{
    memset(b, 0, sizeof *b);
    b->t = (loci_tensor){.device = {LOCI_CPU, 0}, .ndim = rank, .dtype = {LOCI_FLOAT, (uint8_t)bits, 1}};
    b->t.shape = b->shape;
    b->t.strides = b->strides;
    b->n = 1;
    for (int i = rank - 1; i >= 0; i--) {
        b->shape[i] = shape[i];
        b->strides[i] = b->n > 0 ? b->n : 1;
        b->n *= shape[i];
    }
    b->t.data = malloc((size_t)(b->n + 1) * (size_t)bits / 8);
    b->t.byte_offset = (uint64_t)bits / 8;
    for (int64_t i = 0; i < b->n; i++)
        box_put(b, i, from ? from[i] : 0);
}

static inline void box_make(box *b, const double *from, int bits, int rank, int64_t s0, int64_t s1, int64_t s2,
                            int64_t s3)
{
    box_shape(b, from, bits, rank, (const int64_t[]){s0, s1, s2, s3});
}

/* Frees the box; to may be NULL. */
static inline void box_take(box *b, double *to)
{
    for (int64_t i = 0; to && i < b->n; i++)
        to[i] = box_at(b, i);
    free(b->t.data);
}

static inline char *arena(uint64_t bytes)
{
    char *p = (char *)aligned_alloc(64, (size_t)((bytes + 127) & ~UINT64_C(63)));

    memset(p, 0xff, (size_t)bytes);
    memset(p + bytes, 0x5a, 64 - bytes % 64);
    return p;
}

static inline bool guarded(const char *p, uint64_t bytes)
{
    for (uint64_t i = bytes; i % 64 || i == bytes; i++)
        if (p[i] != 0x5a)
            return false;
    return true;
}

/* Tensors of a call; NULL where the rule has none: an input is then 0, a result is dropped. y holds what y shall hold
 * before the call, and so does out where it is not also `state`: a run's results replace it. Gradients are set to what
 * the rule adds. din: the gradient of state, dstate that of out. */
typedef struct rule_call {
    int op;
    int64_t B, T, states;
    const loci_run *runs;
    uint32_t n_runs;
    const double *q, *k, *v, *gate[RULE_MOST], *state[RULE_MOST], *weight[RULE_MOST], *dy, *dstate[RULE_MOST];
    double *y, *out[RULE_MOST], *dq, *dk, *dv, *dgate[RULE_MOST], *din[RULE_MOST], *dweight[RULE_MOST];
} rule_call;

static inline int64_t rule_gate_width(const rule *r, uint32_t i)
{
    return r->gate[i].width > 1 ? r->gate[i].width : 1;
}

/* Elements of state i in one state row and head, and of weight i. */
static inline int64_t rule_state_size(const rule *r, uint32_t i)
{
    int64_t n = 1;

    for (int x = 2; x < r->state[i].ndim; x++)
        n *= r->state_shape[i][x];
    return n;
}

static inline int64_t rule_weight_size(const rule *r, uint32_t i)
{
    int64_t n = 1;

    for (int x = 0; x < r->weight[i].ndim; x++)
        n *= r->weight_shape[i][x];
    return n;
}

static inline void box_gate(box *b, const rule *r, uint32_t i, const double *from, const rule_call *c)
{
    const int64_t width = rule_gate_width(r, i);

    box_make(b, from, r->bits, width > 1 ? 4 : 3, c->B, c->T, r->H, width);
}

static inline void box_state(box *b, const rule *r, uint32_t i, const double *from, int64_t states)
{
    int64_t shape[LOCI_MAX_DIM];

    memcpy(shape, r->state_shape[i], sizeof shape);
    shape[0] = states;
    box_shape(b, from, r->bits, r->state[i].ndim, shape);
}

static inline void box_fill(const box *b, double value)
{
    for (int64_t i = 0; i < b->n; i++)
        box_put(b, i, value);
}

/* A result that was added to, without what it was added to. */
static inline void box_take_sum(box *b, double from, double *to)
{
    for (int64_t i = 0; i < b->n; i++)
        box_put(b, i, box_at(b, i) - from);
    box_take(b, to);
}

static inline loci_status rule_run(rule *r, const rule_call *c, bool back)
{
    const loci_batch batch = {sizeof batch, c->n_runs, c->runs, NULL};
    loci_shape shape = rule_shape(r, back ? LOCI_X_SAVE : 0, c->B, c->T, c->n_runs);
    const uint32_t needs = r->iface->needs;
    box in[3], out[2], grad[3], gate[RULE_MOST], dgate[RULE_MOST], state[3][RULE_MOST], weight[2][RULE_MOST];
    const loci_tensor *gates[RULE_MOST];
    loci_tensor *dgates[RULE_MOST], states[3][RULE_MOST], weights[2][RULE_MOST];
    const double *const given[3] = {c->q, c->k, c->v};
    double *const wanted[3] = {c->dq, c->dk, c->dv};
    loci_need need = {.struct_size = sizeof need};
    loci_exec x = ck_exec(&r->h);
    loci_slots s = {.struct_size = sizeof s, .n_state = r->n_state, .n_params = r->n_weight};
    loci_rule_io io = {.struct_size = sizeof io, .op = c->op, .batch = &batch};
    loci_status status;

    shape.states = c->states;
    for (int i = 0; i < 3; i++) {
        box_make(&in[i], given[i], r->bits, 4, c->B, c->T, r->H, i < 2 ? r->dk : r->dv);
        box_make(&grad[i], NULL, r->bits, 4, c->B, c->T, r->H, i < 2 ? r->dk : r->dv);
        box_fill(&grad[i], r->gradients_from);
    }
    box_make(&out[0], c->y, r->bits, 4, c->B, c->T, r->H, r->dv);
    box_make(&out[1], c->dy, r->bits, 4, c->B, c->T, r->H, r->dv);
    for (uint32_t i = 0; i < r->n_gate; i++) {
        const bool wrong = r->fault.gate && !strcmp(r->fault.gate, r->gate[i].name);

        box_gate(&gate[i], r, i, c->gate[i], c);
        box_gate(&dgate[i], r, i, NULL, c);
        box_fill(&dgate[i], r->gradients_from);
        for (int64_t j = 0; wrong && j < gate[i].n; j++)
            box_put(&gate[i], j, r->fault.factor * box_at(&gate[i], j));
        gates[i] = &gate[i].t;
        dgates[i] = &dgate[i].t;
    }
    for (uint32_t i = 0; i < r->n_state; i++) {
        box_state(&state[0][i], r, i, c->state[i], c->states);
        box_state(&state[1][i], r, i, c->out[i] ? c->out[i] : c->state[i], c->states);
        box_state(&state[2][i], r, i, c->dstate[i], c->states);
        for (int j = 0; j < 3; j++)
            states[j][i] = state[j][i].t;
    }
    for (uint32_t i = 0; i < r->n_weight; i++) {
        box_shape(&weight[0][i], c->weight[i], r->bits, r->weight[i].ndim, r->weight_shape[i]);
        box_shape(&weight[1][i], NULL, r->bits, r->weight[i].ndim, r->weight_shape[i]);
        box_fill(&weight[1][i], r->gradients_from);
        for (int j = 0; j < 2; j++)
            weights[j][i] = weight[j][i].t;
    }
    s.params = weights[0], s.grads = back ? weights[1] : NULL;
    s.state_in = states[0], s.state_out = states[1], s.state_grad = states[2];
    if (c->op != LOCI_OP_WRITE) {
        io.q = needs & LOCI_MEM_Q ? &in[0].t : NULL;
        io.dq = needs & LOCI_MEM_Q ? &grad[0].t : NULL;
        io.y = &out[0].t;
        io.dy = &out[1].t;
    }
    if (c->op != LOCI_OP_READ) {
        io.k = needs & LOCI_MEM_K ? &in[1].t : NULL;
        io.dk = needs & LOCI_MEM_K ? &grad[1].t : NULL;
        io.v = needs & LOCI_MEM_V ? &in[2].t : NULL;
        io.dv = needs & LOCI_MEM_V ? &grad[2].t : NULL;
        io.gate = gates;
        io.dgate = dgates;
    }
    status = r->cls->plan(r->m, &shape, c->op, &need, &ck_err);
    x.scratch = arena(need.scratch), x.scratch_bytes = need.scratch;
    x.saved = arena(need.saved), x.saved_bytes = need.saved;
    x.host_scratch = arena(need.host), x.host_bytes = need.host;
    x.flags = back ? LOCI_X_SAVE : 0;
    if (status == LOCI_OK)
        status = r->iface->forward(r->m, &x, &s, &io, &ck_err);
    if (status == LOCI_OK && back) {
        memset(x.scratch, 0xff, (size_t)need.scratch);
        memset(x.host_scratch, 0xff, (size_t)need.host);
        status = r->iface->backward(r->m, &x, &s, &io, &ck_err);
    }
    CK_TRUE(guarded((const char *)x.scratch, need.scratch) && guarded((const char *)x.saved, need.saved) &&
                guarded((const char *)x.host_scratch, need.host),
            "guard bytes behind scratch, host scratch or saved");
    free(x.scratch), free(x.saved), free(x.host_scratch);
    if (r->fault.zero) {
        box_fill(&out[0], 0);
        for (int i = 0; i < 3; i++)
            box_fill(&grad[i], r->gradients_from);
        for (uint32_t i = 0; i < r->n_gate; i++)
            box_fill(&dgate[i], r->gradients_from);
        for (uint32_t i = 0; i < r->n_state; i++)
            box_fill(&state[1][i], 0), box_fill(&state[2][i], 0);
    }
    for (int i = 0; i < 3; i++)
        box_take(&in[i], NULL), box_take_sum(&grad[i], r->gradients_from, wanted[i]);
    box_take(&out[0], c->y), box_take(&out[1], NULL);
    for (uint32_t i = 0; i < r->n_gate; i++)
        box_take(&gate[i], NULL), box_take_sum(&dgate[i], r->gradients_from, c->dgate[i]);
    for (uint32_t i = 0; i < r->n_state; i++)
        box_take(&state[0][i], NULL), box_take(&state[1][i], c->out[i]), box_take(&state[2][i], c->din[i]);
    for (uint32_t i = 0; i < r->n_weight; i++)
        box_take(&weight[0][i], NULL), box_take_sum(&weight[1][i], r->gradients_from, c->dweight[i]);
    return status;
}

static inline double *numbers(int64_t n, double size)
{
    double *a = (double *)calloc((size_t)n + 1, sizeof *a);

    for (int64_t i = 0; i < n && size > 0; i++)
        a[i] = size * ck_norm();
    return a;
}

#endif
