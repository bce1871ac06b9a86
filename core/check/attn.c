/* SPDX-License-Identifier: Apache-2.0
 *
 * core/check: an attention backend against the oracle, feature by feature of loci_attn_desc.
 *
 *  (1) A feature that fit declines is skipped; one it accepts must be the formula, in every dtype it accepts, forwards
 * and backwards, on a few keys and on more than a tile's worth. (2) A test has one feature (and causality where it
 * belongs to it), so that a fault is named. attn.all has all that fit accepts together. (3) lse is looked at only once
 * attn.lse holds, and d_lse is zero but in attn.d_lse and attn.all. (4) Limits, relative RMS: 1e-10 in float64, 1e-5 in
 * float32 (1e-4 of gradients), 2e-2 in bf16 (5e-2).
 */
#include "core/check/attn.h"
#include "core/check/oracle.h"
#include "core/model/node_impl.h"

#include <math.h>
#include <string.h>

/* ---- against the oracle ------------------------------------------------------------------------------------------ */

static const double *value_of(loci_subject *s, const char *name)
{
    const loci_port *x = loci_trial_find(s->t, name);

    return x ? x->value : NULL;
}

static double *room(loci_subject *s, const char *name)
{
    const loci_port *x = loci_trial_find(s->t, name);

    return x ? loci_alloc(x->elements * sizeof(double)) : NULL;
}

static int64_t dim_of(loci_subject *s, const char *name, int axis)
{
    const loci_port *x = loci_trial_find(s->t, name);

    return x ? x->shape[axis] : 0;
}

static void oracle_open(loci_oracle *a, loci_subject *s, const struct problem *p)
{
    const loci_trial_size *z = &s->size;
    const bool one = loci_trial_find(s->t, "segment_ids") != NULL;

    *a = (loci_oracle){.B = z->docs,
                       .T = z->seq,
                       .S = z->keys,
                       .H = z->heads,
                       .Hk = z->k_heads,
                       .Hv = z->v_heads,
                       .d = z->dk,
                       .e = z->dv,
                       .desc = p->desc,
                       .train = p->train,
                       .blocks = p->desc.blocks ? p->sparse : NULL};
    a->q = value_of(s, "q");
    a->k = value_of(s, "k");
    a->v = value_of(s, "v");
    a->mask = value_of(s, "mask");
    a->bias = value_of(s, "bias");
    a->slopes = value_of(s, "slopes");
    a->table = value_of(s, "table");
    a->sink = value_of(s, "sink");
    a->q_len = value_of(s, "q_len");
    a->k_len = value_of(s, "lengths");
    a->q_pos = value_of(s, "q_pos");
    a->k_pos = value_of(s, "k_pos");
    a->q_seg = value_of(s, one ? "segment_ids" : "q_seg");
    a->k_seg = value_of(s, one ? "segment_ids" : "k_seg");
    a->ids = value_of(s, "ids");
    a->block_table = value_of(s, "block_table");
    a->n_blocks = dim_of(s, "block_table", 1);
    a->mask_B = dim_of(s, "mask", 0);
    a->mask_H = dim_of(s, "mask", 1);
    a->bias_B = dim_of(s, "bias", 0);
    a->bias_H = dim_of(s, "bias", 1);
    a->buckets = dim_of(s, "table", 0);
    a->o = room(s, "o");
    a->lse = room(s, "lse");
    a->dq = room(s, "q");
    a->dk = room(s, "k");
    a->dv = room(s, "v");
    a->dbias = room(s, "bias");
    a->dslopes = room(s, "slopes");
    a->dtable = room(s, "table");
    a->dsink = room(s, "sink");
    a->score = loci_alloc((size_t)z->keys * sizeof(double));
    a->d_o = loci_trial_find(s->t, "o")->grad;
    a->d_lse = loci_trial_find(s->t, "lse")->grad;
}

static void oracle_close(loci_oracle *a)
{
    double *all[] = {a->o, a->lse, a->dq, a->dk, a->dv, a->dbias, a->dslopes, a->dtable, a->dsink, a->score};

    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        loci_free(all[i]);
}

static loci_status one_tensor(loci_subject *s, const char *name, bool grad, const double *want, double limit,
                              loci_error *err)
{
    const loci_port *x = loci_trial_find(s->t, name);
    char words[64];

    if (!x || !want)
        return LOCI_OK;
    snprintf(words, sizeof words, grad ? "the gradient of %s" : "%s", name);
    return loci_numbers_same(grad ? x->grad : x->value, want, x->elements, limit, s->what, words, x, 0,
                             "by the formula", err);
}

static void catch_seed(void *arg, const loci_exec *x, const loci_slots *slots)
{
    loci_oracle *a = arg;

    (void)slots;
    a->seed = x->seed;
    a->step = x->step;
}

static double limit_of(const loci_subject *s, bool grad)
{
    return s->exact ? 1e-10 : s->size.dtype.bits == 32 ? (grad ? 1e-4 : 1e-5) : grad ? 5e-2 : 2e-2;
}

static loci_status compare_forward(loci_subject *s, const loci_oracle *a, bool lse, loci_error *err)
{
    loci_status status;

    LOCI_TRY(one_tensor(s, "o", false, a->o, limit_of(s, false), err));
    LOCI_TRY(one_tensor(s, "lse", false, lse ? a->lse : NULL, limit_of(s, false), err));
out:
    return status;
}

/* From o as the backend rounded it: that is what its backward reads. */
static loci_status compare_back(loci_subject *s, const loci_oracle *a, loci_error *err)
{
    const struct {
        const char *name;
        const double *want;
    } all[] = {{"q", a->dq},           {"k", a->dk},         {"v", a->dv},      {"bias", a->dbias},
               {"slopes", a->dslopes}, {"table", a->dtable}, {"sink", a->dsink}};
    const loci_port *o = loci_trial_find(s->t, "o");
    loci_status status = LOCI_OK;

    memcpy(a->o, o->value, o->elements * sizeof *a->o);
    loci_oracle_backward(a);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        LOCI_TRY(one_tensor(s, all[i].name, true, all[i].want, limit_of(s, true), err));
out:
    return status;
}

static void settle(loci_subject *s, const struct problem *p)
{
    loci_port *slopes = loci_trial_find(s->t, "slopes"), *lse = loci_trial_find(s->t, "lse");

    for (uint64_t i = 0; slopes && i < slopes->elements; i++)
        slopes->value[i] = (float)(0.1 * slopes->value[i]);
    if (!p->d_lse)
        memset(lse->grad, 0, lse->elements * sizeof *lse->grad);
}

/* Does fit take this with a backward to follow? Its reason, when not, is the remark of the test. */
static bool serves_back(loci_check *c, const loci_subject *s)
{
    loci_error unused = LOCI_ERROR_INIT;
    loci_fit fit = {.struct_size = sizeof fit};
    loci_shape shape = loci_trial_node(s->t)->shape;
    loci_config config;

    shape.flags |= LOCI_X_SAVE;
    if (!(s->caps & LOCI_CAP_BACKWARD) || loci_node_config(c->cx, 0, c->cls, &config, &unused) != LOCI_OK ||
        c->cls->fit(&c->cx->host, &config, &shape, &fit) != LOCI_OK)
        return false;
    if (fit.score <= 0)
        loci_check_note(c, "forward only: %.*s", (int)sizeof fit.reason, fit.reason);
    return fit.score > 0;
}

static loci_status run_one(loci_check *c, struct problem *p, bool lse, const char *words, bool *served, loci_error *err)
{
    loci_oracle a = {0};
    loci_subject s = {0};
    bool back;
    loci_status status;

    p->scene.desc = &p->desc;
    LOCI_TRY(loci_subject_open(&s, c, &p->scene, err));
    if (!s.t)
        goto out;
    *served = true;
    back = serves_back(c, &s);
    settle(&s, p);
    oracle_open(&a, &s, p);
    if (!a.o || !a.lse || !a.dq || !a.dk || !a.dv || !a.score)
        LOCI_TRY(loci_fail(err, LOCI_E_NOMEM, "out of memory for the oracle"));
    LOCI_TRY(loci_subject_run(&s, &(loci_trial_how){.back = back, .train = p->train, .seen = catch_seed, .arg = &a},
                              err, "%s, %s, T %lld, S %lld", words, loci_dtype_name(s.size.dtype),
                              (long long)s.size.seq, (long long)s.size.keys));
    loci_oracle_forward(&a);
    LOCI_TRY(compare_forward(&s, &a, lse, err));
    if (back)
        status = compare_back(&s, &a, err);
out:
    oracle_close(&a);
    loci_subject_close(&s);
    return status;
}

static void begin(struct problem *p, int size, uint64_t accepts)
{
    static const struct {
        int64_t docs, seq, keys;
    } sizes[] = {{2, 7, 9}, {1, 40, 146}};

    memset(p, 0, sizeof *p);
    p->accepts = accepts;
    p->scene.docs = sizes[size].docs;
    p->scene.seq = sizes[size].seq;
    p->scene.keys = sizes[size].keys;
    p->scene.heads = 4;
    p->scene.dk = 4;
    p->scene.dv = 3;
    p->desc = (loci_attn_desc){.struct_size = sizeof p->desc, .scale = 0.4, .window_left = -1, .window_right = -1};
}

/* The features that fit takes one by one. */
static uint64_t accepted(const loci_check *c)
{
    loci_error unused = LOCI_ERROR_INIT;
    loci_config config;
    uint64_t all = 0;

    if (loci_node_config(c->cx, 0, c->cls, &config, &unused) != LOCI_OK)
        return 0;
    for (uint64_t bit = 1; bit <= LOCI_A_BLOCKS; bit <<= 1) {
        const loci_dtype f32 = {LOCI_FLOAT, 32, 1};
        loci_shape shape = {.struct_size = sizeof shape,
                            .heads = 4,
                            .k_heads = 4,
                            .v_heads = 4,
                            .dk = 4,
                            .dv = 3,
                            .dtype = f32,
                            .acc = f32,
                            .device = c->cx->device,
                            .features = bit};
        loci_fit fit = {.struct_size = sizeof fit};
        if (c->cls->fit(&c->cx->host, &config, &shape, &fit) == LOCI_OK && fit.score > 0)
            all |= bit;
    }
    return all;
}

static loci_status check_feature(loci_check *c, feature_fn *on, bool lse, const char *name, loci_error *err)
{
    static const loci_dtype dtypes[] = {{LOCI_FLOAT, 64, 1}, {LOCI_FLOAT, 32, 1}, {LOCI_BFLOAT, 16, 1}};
    struct problem *p = loci_alloc(sizeof *p);
    loci_status status = LOCI_OK;
    const uint64_t accepts = accepted(c);
    bool served = false;
    const char *words;

    if (!p)
        return loci_fail(err, LOCI_E_NOMEM, "out of memory for a problem");
    for (size_t dtype = 0; dtype < sizeof dtypes / sizeof *dtypes; dtype++)
        for (int size = 0; size < 2; size++)
            for (int n = 0; begin(p, size, accepts), (words = on(p, n)) != NULL; n++) {
                p->scene.dtype = dtypes[dtype];
                LOCI_TRY(run_one(c, p, lse, words, &served, err));
            }
    if (!served)
        status = loci_check_skip(c, "fit declines %s", name);
out:
    loci_free(p);
    return status;
}

#define ATTN(feature, lse, name) \
    loci_status loci_check_attn_##feature(loci_check *c, loci_error *err) \
    { \
        return check_feature(c, feature_##feature, lse, name, err); \
    }
ATTN(plain, false, "attention")
ATTN(causal, true, "causality")
ATTN(window, true, "windows")
ATTN(prefix, true, "prefixes")
ATTN(offset, true, "offsets")
ATTN(positions, true, "positions")
ATTN(segments, true, "segments")
ATTN(lengths, true, "lengths")
ATTN(mask, true, "masks")
ATTN(bias, true, "bias")
ATTN(slopes, true, "slopes")
ATTN(table, true, "tables")
ATTN(softcap, true, "softcap")
ATTN(sink, true, "sinks")
ATTN(dropout, true, "dropout")
ATTN(paged, true, "block tables")
ATTN(blocks, true, "blocks")
ATTN(heads, true, "grouped heads")
ATTN(empty, true, "queries without keys")
ATTN(d_lse, true, "d_lse")
ATTN(all, true, "them")

loci_status loci_check_attn_lse(loci_check *c, loci_error *err)
{
    return check_feature(c, feature_plain, true, "attention", err);
}

/* ---- a part of the keys ------------------------------------------------------------------------------------------ */

/* Keys [first, first + b's) of a, with a's queries and cotangents. */
static void part_of(loci_subject *b, loci_subject *a, int64_t first)
{
    static const char *const names[] = {"q", "k", "v"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        loci_port *to = loci_trial_find(b->t, names[i]);
        const loci_port *from = loci_trial_find(a->t, names[i]);
        const uint64_t row = to->elements / (uint64_t)to->shape[0] / (uint64_t)to->shape[1];
        for (int64_t d = 0; d < to->shape[0]; d++)
            memcpy(to->value + (uint64_t)(d * to->shape[1]) * row,
                   from->value + (uint64_t)(d * from->shape[1] + (i ? first : 0)) * row,
                   (uint64_t)to->shape[1] * row * sizeof(double));
    }
    memcpy(loci_trial_find(b->t, "o")->grad, loci_trial_find(a->t, "o")->grad,
           loci_trial_find(a->t, "o")->elements * sizeof(double));
    memset(loci_trial_find(b->t, "lse")->grad, 0, loci_trial_find(b->t, "lse")->elements * sizeof(double));
}

/* The backward of some keys with o and lse of all: what a ring of devices, or a backward in tiles, sums up. */
loci_status loci_check_attn_larger(loci_check *c, loci_error *err)
{
    const loci_scene all = {.seq = 7, .keys = 9, .heads = 4, .dk = 4, .dv = 3};
    loci_subject a = {0}, b = {0};
    struct problem *p = loci_alloc(sizeof *p);
    loci_oracle whole = {0}, part = {0};
    loci_status status;

    if (!p)
        return loci_fail(err, LOCI_E_NOMEM, "out of memory for a problem");
    begin(p, 0, 0);
    p->desc.scale = 0.5; /* what a trial without a descriptor has: 1 / sqrt(4) */
    LOCI_TRY(loci_subject_open(&a, c, &all, err));
    oracle_open(&whole, &a, p);
    whole.d_lse = NULL;
    loci_oracle_forward(&whole);
    for (int64_t first = 0; first < 9; first += 5) {
        loci_scene some = all;
        some.keys = first ? 4 : 5;
        LOCI_TRY(loci_subject_open(&b, c, &some, err));
        part_of(&b, &a, first);
        oracle_open(&part, &b, p);
        memcpy(part.o, whole.o, loci_trial_find(b.t, "o")->elements * sizeof(double));
        memcpy(part.lse, whole.lse, loci_trial_find(b.t, "lse")->elements * sizeof(double));
        loci_oracle_backward(&part);
        LOCI_TRY(loci_subject_run(&b, &(loci_trial_how){.back = true, .o = whole.o, .lse = whole.lse}, err,
                                  "with %d of 9 keys, and o and lse of all", (int)some.keys));
        LOCI_TRY(one_tensor(&b, "q", true, part.dq, limit_of(&b, true), err));
        LOCI_TRY(one_tensor(&b, "k", true, part.dk, limit_of(&b, true), err));
        LOCI_TRY(one_tensor(&b, "v", true, part.dv, limit_of(&b, true), err));
        oracle_close(&part);
        loci_subject_close(&b);
        memset(&part, 0, sizeof part);
    }
out:
    oracle_close(&whole);
    oracle_close(&part);
    loci_subject_close(&a);
    loci_subject_close(&b);
    loci_free(p);
    return status;
}
