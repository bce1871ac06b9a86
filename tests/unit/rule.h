/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/unit/rule.h: for the tests of a memory rule: open one with given keys on a small host, and call it on tensors
 * of doubles.
 *
 * Scratch and saved are exactly what plan asks for, filled with NaN, with guard bytes behind them. A rule is opened
 * from `loci_plugin_v1` of the program, so a test links the plugin it tests.
 */
#ifndef LOCI_TESTS_RULE_H
#define LOCI_TESTS_RULE_H

#include "tests/ck.h"
#include "tests/unit/host.h"

extern const loci_plugin loci_plugin_v1;

typedef struct rule {
    struct ck_host h; /* first: a loci_host * is a rule * */
    const loci_class *cls;
    const loci_memory *iface;
    loci_module *m;
    const char *keys[16]; /* name, value, name, value, ..., NULL */
    loci_slot weight[4], state[4];
    loci_gate gate[4];
    uint32_t n_weight, n_state, n_gate;
    int64_t H, dk, dv;
    int bits;
} rule;

static loci_error ck_err = LOCI_ERROR_INIT;

/* ---- a host that writes down what is declared, and a config ---- */

static inline loci_status rule_declare(const loci_host *h, void *decl, const loci_slot *slot, uint32_t *index)
{
    rule *r = (rule *)decl;

    (void)h;
    *index = slot->flags & LOCI_SLOT_STATE ? r->n_state++ : r->n_weight++;
    (slot->flags & LOCI_SLOT_STATE ? r->state : r->weight)[*index] = *slot;
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

/* keys: pairs of words that end with NULL; they must outlive the rule. */
static inline loci_status rule_open(rule *r, const char *id, int bits, int64_t H, int64_t dk, int64_t dv, int threads,
                                    const char *const *keys)
{
    const loci_site site = {sizeof site, 0, 1, 0, "layer.0.memory"};
    const loci_config config = rule_config(r);
    loci_shape shape;
    loci_status status;

    memset(r, 0, sizeof *r);
    ck_err = (loci_error)LOCI_ERROR_INIT;
    status = ck_host_open(&r->h, threads, &ck_err);
    if (status != LOCI_OK)
        return status;
    r->h.host.declare = rule_declare;
    r->h.host.declare_gate = rule_declare_gate;
    for (uint32_t i = 0; i < loci_plugin_v1.n_classes; i++)
        if (!strcmp(loci_plugin_v1.classes[i]->id, id))
            r->cls = loci_plugin_v1.classes[i];
    r->iface = (const loci_memory *)r->cls->iface;
    for (int i = 0; keys && keys[i]; i++)
        r->keys[i] = keys[i];
    r->bits = bits;
    r->H = H;
    r->dk = dk;
    r->dv = dv;
    shape = rule_shape(r, 0, 0, 0, 0);
    status = r->cls->create(&r->h.host, &config, &site, &shape, &r->m, &ck_err);
    if (status == LOCI_OK && r->cls->declare)
        status = r->cls->declare(r->m, r, &ck_err);
    return status;
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
    int64_t shape[4], strides[4];
} box;

static inline int64_t box_make(box *b, const double *from, int bits, int rank, int64_t s0, int64_t s1, int64_t s2,
                               int64_t s3)
{
    const int64_t shape[4] = {s0, s1, s2, s3};
    int64_t n = 1;

    memset(b, 0, sizeof *b);
    b->t = (loci_tensor){.device = {LOCI_CPU, 0}, .ndim = rank, .dtype = {LOCI_FLOAT, (uint8_t)bits, 1}};
    b->t.shape = b->shape;
    b->t.strides = b->strides;
    for (int i = rank - 1; i >= 0; i--) {
        b->shape[i] = shape[i];
        b->strides[i] = n;
        n *= shape[i];
    }
    b->t.data = malloc((size_t)n * 8 + 1);
    for (int64_t i = 0; i < n; i++)
        if (bits == 64)
            ((double *)b->t.data)[i] = from ? from[i] : 0;
        else
            ((float *)b->t.data)[i] = from ? (float)from[i] : 0;
    return n;
}

static inline void box_take(box *b, double *to)
{
    int64_t n = 1;

    for (int i = 0; i < b->t.ndim; i++)
        n *= b->shape[i];
    for (int64_t i = 0; to && i < n; i++)
        to[i] = b->t.dtype.bits == 64 ? ((double *)b->t.data)[i] : (double)((float *)b->t.data)[i];
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

/* Tensors of a call; NULL where the rule has none. Gradients are set, not added to. */
typedef struct rule_call {
    int op;
    int64_t B, T, states;
    const loci_run *runs;
    uint32_t n_runs;
    const double *q, *k, *v, *gate[3], *state[3], *dy, *dstate[3];
    double *y, *out[3], *dq, *dk, *dv, *dgate[3], *din[3];
} rule_call;

static inline loci_status rule_run(rule *r, const rule_call *c, bool back)
{
    const loci_batch batch = {sizeof batch, c->n_runs, c->runs, NULL};
    const loci_shape shape = rule_shape(r, back ? LOCI_X_SAVE : 0, c->B, c->T, c->n_runs);
    const uint32_t needs = r->iface->needs;
    box q, k, v, y, dy, dq, dk, dv, gate[4], dgate[4], in[4], out[4], grad[4];
    const loci_tensor *gates[4];
    loci_tensor *dgates[4], s_in[4], s_out[4], s_grad[4];
    loci_need need = {.struct_size = sizeof need};
    loci_exec x = ck_exec(&r->h);
    loci_slots s = {.struct_size = sizeof s, .n_state = r->n_state};
    loci_rule_io io = {.struct_size = sizeof io, .op = c->op, .batch = &batch};
    loci_status status;

    box_make(&q, c->q, r->bits, 4, c->B, c->T, r->H, r->dk);
    box_make(&k, c->k, r->bits, 4, c->B, c->T, r->H, r->dk);
    box_make(&v, c->v, r->bits, 4, c->B, c->T, r->H, r->dv);
    box_make(&y, c->y, r->bits, 4, c->B, c->T, r->H, r->dv);
    box_make(&dy, c->dy, r->bits, 4, c->B, c->T, r->H, r->dv);
    box_make(&dq, NULL, r->bits, 4, c->B, c->T, r->H, r->dk);
    box_make(&dk, NULL, r->bits, 4, c->B, c->T, r->H, r->dk);
    box_make(&dv, NULL, r->bits, 4, c->B, c->T, r->H, r->dv);
    for (uint32_t i = 0; i < r->n_gate; i++) {
        box_make(&gate[i], c->gate[i], r->bits, 3, c->B, c->T, r->H, 0);
        box_make(&dgate[i], NULL, r->bits, 3, c->B, c->T, r->H, 0);
        gates[i] = &gate[i].t;
        dgates[i] = &dgate[i].t;
    }
    for (uint32_t i = 0; i < r->n_state; i++) {
        box_make(&in[i], c->state[i], r->bits, 4, c->states, r->H, r->dv, r->dk);
        box_make(&out[i], c->state[i], r->bits, 4, c->states, r->H, r->dv, r->dk);
        box_make(&grad[i], c->dstate[i], r->bits, 4, c->states, r->H, r->dv, r->dk);
        s_in[i] = in[i].t;
        s_out[i] = out[i].t;
        s_grad[i] = grad[i].t;
    }
    s.state_in = s_in, s.state_out = s_out, s.state_grad = s_grad;
    if (c->op != LOCI_OP_WRITE) {
        io.q = needs & LOCI_MEM_Q ? &q.t : NULL;
        io.dq = needs & LOCI_MEM_Q ? &dq.t : NULL;
        io.y = &y.t;
        io.dy = &dy.t;
    }
    if (c->op != LOCI_OP_READ) {
        io.k = needs & LOCI_MEM_K ? &k.t : NULL;
        io.dk = needs & LOCI_MEM_K ? &dk.t : NULL;
        io.v = needs & LOCI_MEM_V ? &v.t : NULL;
        io.dv = needs & LOCI_MEM_V ? &dv.t : NULL;
        io.gate = gates;
        io.dgate = dgates;
    }
    status = r->cls->plan(r->m, &shape, c->op, &need, &ck_err);
    x.scratch = arena(need.scratch);
    x.scratch_bytes = need.scratch;
    x.saved = arena(need.saved);
    x.saved_bytes = need.saved;
    x.flags = back ? LOCI_X_SAVE : 0;
    if (status == LOCI_OK)
        status = r->iface->forward(r->m, &x, &s, &io, &ck_err);
    if (status == LOCI_OK && back) {
        memset(x.scratch, 0xff, (size_t)need.scratch);
        status = r->iface->backward(r->m, &x, &s, &io, &ck_err);
    }
    CK_TRUE(guarded((const char *)x.scratch, need.scratch) && guarded((const char *)x.saved, need.saved),
            "guard bytes behind scratch or saved");
    free(x.scratch);
    free(x.saved);
    box_take(&q, NULL), box_take(&k, NULL), box_take(&v, NULL), box_take(&dy, NULL);
    box_take(&y, c->y), box_take(&dq, c->dq), box_take(&dk, c->dk), box_take(&dv, c->dv);
    for (uint32_t i = 0; i < r->n_gate; i++)
        box_take(&gate[i], NULL), box_take(&dgate[i], c->dgate[i]);
    for (uint32_t i = 0; i < r->n_state; i++)
        box_take(&in[i], NULL), box_take(&out[i], c->out[i]), box_take(&grad[i], c->din[i]);
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
