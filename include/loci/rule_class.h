/* SPDX-License-Identifier: Apache-2.0
 *
 * loci/rule_class.h: the class of a rule: its keys, slots and gates, its life, sizes and calls. loci/rule.h includes it
 * once, behind the two times that rule_run.h made the arithmetic. Authors do not include it; alone it declares nothing.
 */
#include <loci/author.h>
#include <string.h>

#if defined(LOCI_RULE_PASS) && LOCI_RULE_PASS == 3

#ifndef LOCI_RULE_VERSION
#define LOCI_RULE_VERSION "1.0"
#endif
#ifndef LOCI_RULE_LICENSE
#define LOCI_RULE_LICENSE "unspecified"
#endif
#ifndef LOCI_RULE_STATE_VERSION
#define LOCI_RULE_STATE_VERSION 1
#endif
#define LOCI_RULE_WHERE "memory/" LOCI_RULE_ID

static void loci_rule_lacks_its_last_line_include_LOCI_RULE_AGAIN(void)
{
}

/* ---- keys, states and gates ------------------------------------------------------------------------------------- */

#define LOCI_RULE_X(type, name, def, choices, min, max, help) \
    static const loci_key loci_rule_key_##name = { \
        sizeof(loci_key), LOCI_KEY_##type, #name, def, help, choices, min, max};
LOCI_RULE_KEYS(LOCI_RULE_X)
#undef LOCI_RULE_X

#define LOCI_RULE_X(type, name, ...) &loci_rule_key_##name,
static const loci_key *const loci_rule_keys[] = {LOCI_RULE_KEYS(LOCI_RULE_X) NULL};
#undef LOCI_RULE_X

static inline double loci_rule_get_REAL(const loci_config *c, const char *key, const char *choices)
{
    (void)choices;
    return c->get_real(c->ctx, key);
}

static inline int64_t loci_rule_get_INT(const loci_config *c, const char *key, const char *choices)
{
    (void)choices;
    return c->get_int(c->ctx, key);
}

static inline int64_t loci_rule_get_BOOL(const loci_config *c, const char *key, const char *choices)
{
    (void)choices;
    return c->get_int(c->ctx, key) != 0;
}

/* Which of "a|b|c". */
static inline int64_t loci_rule_get_ENUM(const loci_config *c, const char *key, const char *choices)
{
    const char *value = c->get_str(c->ctx, key);
    int64_t which = 0;

    for (const char *p = choices; *p; which++) {
        const size_t n = strcspn(p, "|");

        if (strlen(value) == n && !memcmp(value, p, n))
            break;
        p += n + (p[n] == '|');
    }
    return which;
}

static loci_rule loci_rule_of(const loci_config *c, const loci_shape *shape)
{
    loci_rule to;
    loci_rule *r = &to;

    r->heads = shape->heads;
    r->dk = shape->dk;
    r->dv = shape->dv;
#define LOCI_RULE_X(type, name, def, choices, min, max, help) r->name = loci_rule_get_##type(c, #name, choices);
    LOCI_RULE_KEYS(LOCI_RULE_X)
#undef LOCI_RULE_X
    (void)c;
    return to;
}

/* Why an instance cannot be; NULL: it can. */
static const char *loci_rule_refuse(const loci_host *host, const loci_config *c, const loci_shape *shape)
{
    const loci_dtype t = shape->dtype, a = shape->acc;
    const loci_rule of = loci_rule_of(c, shape), *r = &of;

    (void)host, (void)r;
    if (shape->device.type != LOCI_CPU)
        return "plain loops for the cpu device: set run.device = cpu, or choose another memory";
    if (t.code != LOCI_FLOAT || (t.bits != 32 && t.bits != 64) || t.code != a.code || t.bits != a.bits)
        return "computes in float32 or float64, activations and state alike: set run.dtype to one of them";
#ifdef LOCI_RULE_REFUSE
    return LOCI_RULE_REFUSE;
#else
    return NULL;
#endif
}

/* Its shape, ended by -1, and its place behind the numbers of the others. */
static inline void loci_rule_place(loci_rule_part *p, const int64_t *shape, int64_t *numbers)
{
    for (p->rank = 0; shape[p->rank] >= 0; p->rank++)
        p->shape[p->rank] = shape[p->rank];
    p->n = 1;
    for (int32_t a = p->rank - 1; a >= 0; a--) {
        p->strides[a] = p->n;
        p->n *= p->shape[a];
    }
    p->at = *numbers;
    *numbers += p->n;
}

/* Sizes and places from the tables. */
static void loci_rule_describe(loci_module *m)
{
    const loci_rule *r = &m->rule;
#define LOCI_RULE_X(name, start, ...) {#name, start, {__VA_ARGS__, -1}},
    const struct {
        const char *name;
        double start;
        int64_t shape[LOCI_MAX_DIM - 1];
    } states[] = {LOCI_RULE_STATES(LOCI_RULE_X)};
#undef LOCI_RULE_X
#define LOCI_RULE_X(name, lo, hi, init, width) {#name, lo, hi, init, width},
    const struct {
        const char *name;
        double lo, hi, init;
        int64_t width;
    } gates[] = {LOCI_RULE_GATES(LOCI_RULE_X){NULL, 0, 0, 0, 0}};
#undef LOCI_RULE_X
#define LOCI_RULE_X(name, mean, deviation, ...) {#name, mean, deviation, {__VA_ARGS__, -1}},
    const struct {
        const char *name;
        double mean, deviation;
        int64_t shape[LOCI_MAX_DIM - 1];
    } weights[] = {LOCI_RULE_WEIGHTS(LOCI_RULE_X){NULL, 0, 0, {-1}}};
#undef LOCI_RULE_X

    (void)r;
    for (int i = 0; i < LOCI_RULE_N_STATES; i++) {
        loci_rule_part *s = &m->state[i];

        s->name = states[i].name;
        s->start = states[i].start;
        loci_rule_place(s, states[i].shape, &m->n_state);
    }
    for (int i = 0; i < LOCI_RULE_N_WEIGHTS; i++) {
        loci_rule_part *w = &m->weight[i];

        w->name = weights[i].name;
        w->init = weights[i].mean;
        w->start = weights[i].deviation;
        loci_rule_place(w, weights[i].shape, &m->n_weight);
    }
    for (int i = 0; i < LOCI_RULE_N_GATES; i++) {
        loci_rule_part *g = &m->gate[i];

        g->name = gates[i].name;
        g->lo = gates[i].lo;
        g->hi = gates[i].hi;
        g->init = gates[i].init;
        g->n = gates[i].width;
        g->at = m->n_gate;
        m->n_gate += g->n;
    }
}

/* ---- life ------------------------------------------------------------------------------------------------------- */

static loci_status loci_rule_fit(const loci_host *host, const loci_config *c, const loci_shape *shape, loci_fit *f)
{
    const char *why = loci_rule_refuse(host, c, shape);

    f->score = why ? 0 : 50;
    snprintf(f->reason, sizeof f->reason, "%s", why ? why : "plain loops, token by token");
    return LOCI_OK;
}

static void loci_rule_destroy(loci_module *m)
{
    m->host->free(m->host, m);
}

static loci_status loci_rule_create(const loci_host *host, const loci_config *c, const loci_site *site,
                                    const loci_shape *shape, loci_module **out, loci_error *err)
{
    const char *why = loci_rule_refuse(host, c, shape);
    loci_module *m;

    (void)site;
    if (why)
        return loci_refuse(err, LOCI_E_UNSUPPORTED, LOCI_RULE_WHERE, "%s", why);
    m = (loci_module *)host->alloc(host, sizeof *m);
    if (!m)
        return loci_refuse(err, LOCI_E_NOMEM, LOCI_RULE_WHERE, "out of memory");
    m->host = host;
    m->rule = loci_rule_of(c, shape);
    m->bits = shape->acc.bits;
    loci_rule_describe(m);
    *out = m;
    return LOCI_OK;
}

static loci_status loci_rule_declare_state(loci_module *m, void *decl, loci_rule_part *s)
{
    int64_t shape[LOCI_MAX_DIM + 1] = {-1, m->rule.heads};
    loci_slot slot;
    char name[64];

    memcpy(shape + 2, s->shape, (size_t)s->rank * sizeof *shape);
    memset(&slot, 0, sizeof slot);
    slot.struct_size = sizeof slot;
    slot.flags = LOCI_SLOT_STATE;
    slot.name = s->name;
    slot.ndim = s->rank + 2;
    slot.init = LOCI_INIT_ZERO;
    slot.shape = shape;
    LOCI_RETURN_IF(m->host->declare(m->host, decl, &slot, &s->index));
    if (!(s->start > 0))
        return LOCI_OK;
    snprintf(name, sizeof name, "%s0", s->name);
    slot.flags = LOCI_SLOT_NO_DECAY;
    slot.name = name;
    slot.ndim = s->rank + 1;
    slot.init = LOCI_INIT_NORMAL;
    slot.shape = shape + 1;
    slot.b = s->start;
    return m->host->declare(m->host, decl, &slot, &s->weight);
}

static loci_status loci_rule_declare_weight(loci_module *m, void *decl, loci_rule_part *w)
{
    int64_t shape[LOCI_MAX_DIM] = {m->rule.heads};
    loci_slot slot;

    memcpy(shape + 1, w->shape, (size_t)w->rank * sizeof *shape);
    memset(&slot, 0, sizeof slot);
    slot.struct_size = sizeof slot;
    slot.flags = LOCI_SLOT_NO_DECAY;
    slot.name = w->name;
    slot.ndim = w->rank + 1;
    slot.init = LOCI_INIT_NORMAL;
    slot.shape = shape;
    slot.a = w->init;
    slot.b = w->start;
    return m->host->declare(m->host, decl, &slot, &w->index);
}

static loci_status loci_rule_declare(loci_module *m, void *decl, loci_error *err)
{
    loci_status status = LOCI_OK;

    for (int i = 0; i < LOCI_RULE_N_STATES && status == LOCI_OK; i++)
        if (m->state[i].n)
            status = loci_rule_declare_state(m, decl, &m->state[i]);
    for (int i = 0; i < LOCI_RULE_N_WEIGHTS && status == LOCI_OK; i++)
        if (m->weight[i].n)
            status = loci_rule_declare_weight(m, decl, &m->weight[i]);
    for (int i = 0; i < LOCI_RULE_N_GATES && status == LOCI_OK; i++) {
        loci_rule_part *p = &m->gate[i];
        loci_gate g;

        memset(&g, 0, sizeof g);
        g.struct_size = sizeof g;
        g.name = p->name;
        g.lo = p->lo;
        g.hi = p->hi;
        g.init = p->init;
        g.width = p->n;
        if (p->n)
            status = m->host->declare_gate(m->host, decl, &g, &p->index);
    }
    (void)err; /* the host has said what it refuses, and why */
    return status;
}

/* ---- sizes and calls -------------------------------------------------------------------------------------------- */

static uint64_t loci_rule_lane(const loci_module *m, int64_t seg, int back)
{
    loci_rule_lane_f32 f;
    loci_rule_lane_f64 d;

    return m->bits == 64 ? loci_rule_cut_f64(&d, m, seg, back, NULL) : loci_rule_cut_f32(&f, m, seg, back, NULL);
}

static uint64_t loci_rule_saved(const loci_module *m, uint64_t slots)
{
    const uint64_t head = loci_rule_times((uint64_t)m->n_state, (uint64_t)m->bits / 8);

    return loci_rule_times(slots, loci_rule_times(head, (uint64_t)m->rule.heads));
}

/* Of the place where items sum the gradients of weights. */
static uint64_t loci_rule_sums(const loci_module *m, int64_t runs)
{
    const uint64_t one = loci_rule_times((uint64_t)m->n_weight, (uint64_t)m->bits / 8);

    return loci_rule_times((uint64_t)runs, loci_rule_times((uint64_t)m->rule.heads, one));
}

static loci_status loci_rule_plan(loci_module *m, const loci_shape *shape, int32_t op, loci_need *need, loci_error *err)
{
    const int save = (shape->flags & LOCI_X_SAVE) != 0;
    uint64_t lanes, scratch, saved;
    int64_t seg;

    LOCI_RETURN_IF(loci_countable(shape, LOCI_RULE_WHERE, err));
    seg = op == LOCI_OP_READ ? 0 : loci_rule_seg(shape->seq);
    lanes = loci_rule_times(loci_rule_lane(m, seg, save), m->host->workers(m->host));
    scratch = lanes + (save ? loci_rule_sums(m, shape->runs) : 0);
    saved = save ? loci_rule_saved(m, loci_rule_times((uint64_t)shape->rows, (uint64_t)seg)) : 0;
    if (scratch >= UINT64_MAX >> 8 || saved >= UINT64_MAX >> 8)
        return loci_refuse(err, LOCI_E_NOMEM, LOCI_RULE_WHERE,
                           "%lld rows of %lld tokens do not fit into memory: make data.seq_tok or train.batch smaller",
                           (long long)shape->rows, (long long)shape->seq);
    need->scratch += scratch;
    need->saved += saved;
    return LOCI_OK;
}

static loci_status loci_rule_call(loci_module *m, const loci_exec *x, const loci_slots *s, const loci_rule_io *io,
                                  int back, loci_error *err)
{
    const loci_tensor *tokens = io->op == LOCI_OP_READ ? io->q : io->v;
    loci_rule_job j;
    uint64_t slots = 0, lanes;

    j.m = m;
    j.x = x;
    j.s = s;
    j.io = io;
    j.back = back;
    j.seg = io->op == LOCI_OP_READ ? 0 : loci_rule_seg(tokens->shape[1]);
    j.lane = loci_rule_lane(m, j.seg, back);
    for (uint32_t r = 0; r < io->batch->n_runs && (back || x->flags & LOCI_X_SAVE); r++)
        slots += (uint64_t)loci_rule_kept(io->batch->runs[r].len, j.seg);
    lanes = j.lane * x->host->workers(x->host);
    j.sums = (char *)x->scratch + lanes;
    if (lanes + (back ? loci_rule_sums(m, io->batch->n_runs) : 0) > x->scratch_bytes ||
        loci_rule_saved(m, slots) > x->saved_bytes)
        return loci_refuse(err, LOCI_E_ARG, LOCI_RULE_WHERE,
                           "%llu bytes of scratch and %llu of saved are too few for the call: plan for it",
                           (unsigned long long)x->scratch_bytes, (unsigned long long)x->saved_bytes);
    LOCI_RETURN_IF(x->host->parallel_for(x, io->batch->n_runs * m->rule.heads, 1,
                                         m->bits == 64 ? loci_rule_items_f64 : loci_rule_items_f32, &j));
    return back && m->n_weight
               ? x->host->parallel_for(x, m->rule.heads, 1, m->bits == 64 ? loci_rule_sum_f64 : loci_rule_sum_f32, &j)
               : LOCI_OK;
}

static loci_status loci_rule_forward(loci_module *m, const loci_exec *x, const loci_slots *s, const loci_rule_io *io,
                                     loci_error *err)
{
    return loci_rule_call(m, x, s, io, 0, err);
}

static loci_status loci_rule_backward(loci_module *m, const loci_exec *x, const loci_slots *s, const loci_rule_io *io,
                                      loci_error *err)
{
    return loci_rule_call(m, x, s, io, 1, err);
}

static loci_status loci_rule_init(loci_module *m, const loci_exec *x, const loci_slots *s, const loci_batch *batch,
                                  loci_error *err)
{
    (void)x, (void)err;
    (m->bits == 64 ? loci_rule_start_f64 : loci_rule_start_f32)(m, s, batch, 0);
    return LOCI_OK;
}

static loci_status loci_rule_init_back(loci_module *m, const loci_exec *x, const loci_slots *s, const loci_batch *batch,
                                       loci_error *err)
{
    (void)x, (void)err;
    (m->bits == 64 ? loci_rule_start_f64 : loci_rule_start_f32)(m, s, batch, 1);
    return LOCI_OK;
}

/* ---- the class -------------------------------------------------------------------------------------------------- */

static const loci_memory loci_rule_iface = {sizeof(loci_memory), LOCI_MEM_Q | LOCI_MEM_K | LOCI_MEM_V,
                                            loci_rule_init,      loci_rule_init_back,
                                            loci_rule_forward,   loci_rule_backward};

#ifdef LOCI_RULE_CLASS
extern const loci_class LOCI_RULE_CLASS;
const loci_class LOCI_RULE_CLASS = {
#else
static const loci_class loci_rule_class = {
#endif
    sizeof(loci_class),
    LOCI_RULE_STATE_VERSION,
    LOCI_RULE_ID,
    LOCI_KIND_MEMORY,
    LOCI_RULE_VERSION,
    LOCI_RULE_SUMMARY,
    LOCI_RULE_DOC,
    LOCI_CAP_BACKWARD | LOCI_CAP_STREAMING | LOCI_CAP_CAUSAL,
    sizeof loci_rule_keys / sizeof *loci_rule_keys - 1,
    0,
    loci_rule_keys,
    NULL,
    loci_rule_fit,
    loci_rule_create,
    loci_rule_destroy,
    NULL,
    NULL,
    loci_rule_declare,
    loci_rule_plan,
    &loci_rule_iface,
    NULL,
};

#ifndef LOCI_RULE_CLASS
static const loci_class *const loci_rule_classes[] = {&loci_rule_class};

#ifdef __cplusplus
extern "C" {
#endif
LOCI_EXPORT extern const loci_plugin loci_plugin_v1;
const loci_plugin loci_plugin_v1 = {LOCI_PLUGIN_HEAD, LOCI_RULE_ID, LOCI_RULE_VERSION, LOCI_RULE_LICENSE, 1, 0,
                                    loci_rule_classes};
#ifdef __cplusplus
}
#endif
LOCI_PLUGIN_NOTE("class=memory/" LOCI_RULE_ID "\n");
#endif

#endif
