/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/bad/base.h: a small memory that is right, to be made wrong in one way.
 *
 *     S = eta S + theta v k',  M = (1 - alpha) M + S,  y = scale M q          per head; M begins as the weight `start`
 *
 * A bad plugin is this text with one thing replaced. It names what it replaces, includes the text, and writes the
 * replacement, which may call the right one:
 *
 *     #define PLAN bad_plan
 *     #include "../base.h"
 *     static loci_status bad_plan(loci_module *m, const loci_shape *s, int32_t op, loci_need *need, loci_error *err)
 *     { loci_status status = plan(m, s, op, need, err);  need->saved /= 2;  return status; }
 *
 * Replaceable: FIT CREATE DESTROY DECLARE PLAN STATE_INIT STATE_INIT_BACK FORWARD BACKWARD PROMISES (functions), ID NOTE
 * HEAD ENTRY CAPS KEYS EXTRA_KEY SUMMARY DOC IFACE_FORWARD (parts of the tables), NO_NOTE; and the terms of the rule below.
 *
 *  (1) Numbers pass through get and put, which know float and double; the rule itself computes in double, token by
 *      token, one task a head. It is here to be read, not to be fast.
 *  (2) A forward with SAVE keeps M and S as they were before each token: token n of the call (runs in their order) and
 *      head h at ((n H + h) 2 + {0: M, 1: S}) e d.
 *  (3) Scratch: four matrices a head: M, S and, in a backward, their gradients.
 */
#include <loci/author.h>

#include <stdbool.h>
#include <string.h>

#ifndef ID
#define ID "momentum"
#endif
#ifndef NOTE
#define NOTE "class=memory/momentum\n"
#endif
#ifndef HEAD
#define HEAD LOCI_PLUGIN_HEAD
#endif
#ifndef ENTRY
#define ENTRY loci_plugin_v1
#endif
#ifndef CAPS
#define CAPS (LOCI_CAP_BACKWARD | LOCI_CAP_STREAMING | LOCI_CAP_CAUSAL)
#endif
#ifndef SUMMARY
#define SUMMARY "a Hebbian memory with momentum, for tests"
#endif
#ifndef DOC
#define DOC \
    "S = eta S + theta v k';  M = (1 - alpha) M + S;  y = scale M q\nCost: 8 d^2 per token and head.\nUse: in tests."
#endif
#ifndef FIT
#define FIT fit
#endif
#ifndef CREATE
#define CREATE create
#endif
#ifndef DESTROY
#define DESTROY destroy
#endif
#ifndef DECLARE
#define DECLARE declare
#endif
#ifndef PLAN
#define PLAN plan
#endif
#ifndef STATE_INIT
#define STATE_INIT state_init
#endif
#ifndef STATE_INIT_BACK
#define STATE_INIT_BACK state_init_back
#endif
#ifndef FORWARD
#define FORWARD forward
#endif
#ifndef BACKWARD
#define BACKWARD backward
#endif
#ifndef IFACE_FORWARD
#define IFACE_FORWARD FORWARD
#endif
/* The terms of the rule: of token t of run r, p its position in the document. */
#ifndef RETAIN
#define RETAIN(alpha) (1 - (alpha)) /* what forgetting leaves of M */
#endif
#ifndef MOMENTUM
#define MOMENTUM(eta, p) (eta) /* what is left of S */
#endif
#ifndef ORDER
#define ORDER 0 /* 1: y is read before the token is written */
#endif

struct loci_module {
    const loci_host *host;
    int64_t H, d, e;
    double alpha_max;
    loci_dtype acc;
};

typedef loci_status fit_fn(const loci_host *, const loci_config *, const loci_shape *, loci_fit *);
typedef loci_status create_fn(const loci_host *, const loci_config *, const loci_site *, const loci_shape *,
                              loci_module **, loci_error *);
typedef void destroy_fn(loci_module *);
typedef loci_status declare_fn(loci_module *, void *, loci_error *);
typedef loci_status plan_fn(loci_module *, const loci_shape *, int32_t, loci_need *, loci_error *);
typedef loci_status init_fn(loci_module *, const loci_exec *, const loci_slots *, const loci_batch *, loci_error *);
typedef loci_status call_fn(loci_module *, const loci_exec *, const loci_slots *, const loci_rule_io *, loci_error *);
#define RIGHT __attribute__((unused)) static /* whoever is replaced may stand unused */
RIGHT fit_fn fit, FIT;
RIGHT create_fn create, CREATE;
RIGHT destroy_fn destroy, DESTROY;
RIGHT declare_fn declare, DECLARE;
RIGHT plan_fn plan, PLAN;
RIGHT init_fn state_init, STATE_INIT, state_init_back, STATE_INIT_BACK;
RIGHT call_fn forward, FORWARD, backward, BACKWARD;

#define fail(err, code, ...) loci_refuse(err, code, "memory/" ID, __VA_ARGS__)

/* ---- numbers ----------------------------------------------------------------------------------------------------- */

RIGHT double get(const loci_tensor *t, int64_t i)
{
    return t->dtype.bits == 64 ? ((const double *)loci_ptr(t))[i] : (double)((const float *)loci_ptr(t))[i];
}

RIGHT void put(const loci_tensor *t, int64_t i, double x)
{
    if (t->dtype.bits == 64)
        ((double *)loci_ptr(t))[i] = x;
    else
        ((float *)loci_ptr(t))[i] = (float)x;
}

RIGHT void add(const loci_tensor *t, int64_t i, double x)
{
    put(t, i, get(t, i) + x);
}

/* Where token t of run r and head h begin in [B,T,H,...]; element i is i times the last stride behind it. */
RIGHT int64_t at(const loci_tensor *x, const loci_run *r, int64_t t, int64_t h)
{
    return r->row * x->strides[0] + (r->begin + t) * x->strides[1] + h * x->strides[2];
}

/* Element (i, j) of a state's matrix. */
RIGHT int64_t at_state(const loci_tensor *x, const loci_run *r, int64_t h, int64_t i, int64_t j)
{
    return r->state * x->strides[0] + h * x->strides[1] + i * x->strides[2] + j * x->strides[3];
}

/* ---- life -------------------------------------------------------------------------------------------------------- */

static loci_status fit(const loci_host *host, const loci_config *config, const loci_shape *s, loci_fit *out)
{
    const int real = s->dtype.code == LOCI_FLOAT && (s->dtype.bits == 32 || s->dtype.bits == 64) && s->dtype.lanes == 1;
    const int some = s->heads > 0 && s->dk > 0 && s->dv > 0;
    const int small = some && s->heads < 65536 && s->dk < 65536 && s->dv < 65536;
    const char *why = !real                        ? "float32 and float64 only"
                      : s->device.type != LOCI_CPU ? "memory of the cpu only"
                      : !small                     ? "heads and their widths must be 1 to 65535"
                                                   : "loops over tokens";
    (void)host;
    (void)config;
    out->score = real && small && s->device.type == LOCI_CPU ? 50 : 0;
    snprintf(out->reason, sizeof out->reason, "%s", why);
    return LOCI_OK;
}

static loci_status create(const loci_host *host, const loci_config *config, const loci_site *site,
                          const loci_shape *shape, loci_module **out, loci_error *err)
{
    (void)site;
    *out = host->alloc(host, sizeof **out);
    if (!*out)
        return fail(err, LOCI_E_NOMEM, "out of memory");
    **out = (loci_module){host, shape->heads, shape->dk, shape->dv, config->get_real(config->ctx, "alpha_max"), shape->acc};
    return LOCI_OK;
}

static void destroy(loci_module *m)
{
    m->host->free(m->host, m);
}

static loci_status declare(loci_module *m, void *decl, loci_error *err)
{
    const loci_host *h = m->host;
    const int64_t start[] = {m->H, m->e, m->d}, state[] = {-1, m->H, m->e, m->d}, scale[] = {m->H};
    const loci_slot slots[] = {
        {.struct_size = sizeof *slots, .name = "start", .ndim = 3, .shape = start, .init = LOCI_INIT_NORMAL, .b = 0.02},
        {.struct_size = sizeof *slots, .name = "scale", .ndim = 1, .shape = scale, .init = LOCI_INIT_CONST, .a = 1},
        {.struct_size = sizeof *slots, .name = "M", .ndim = 4, .shape = state, .flags = LOCI_SLOT_STATE},
        {.struct_size = sizeof *slots, .name = "S", .ndim = 4, .shape = state, .flags = LOCI_SLOT_STATE}};
    const loci_gate gates[] = {
        {.struct_size = sizeof *gates, .name = "alpha", .lo = 0, .hi = m->alpha_max, .init = m->alpha_max / 8},
        {.struct_size = sizeof *gates, .name = "eta", .lo = 0, .hi = 1, .init = 0.5},
        {.struct_size = sizeof *gates, .name = "theta", .lo = 0, .hi = 1, .init = 0.25}};
    uint32_t index;

    (void)err;
    for (size_t i = 0; i < sizeof slots / sizeof *slots; i++)
        LOCI_RETURN_IF(h->declare(h, decl, &slots[i], &index));
    for (size_t i = 0; i < sizeof gates / sizeof *gates; i++)
        LOCI_RETURN_IF(h->declare_gate(h, decl, &gates[i], &index));
    return LOCI_OK;
}

static loci_status plan(loci_module *m, const loci_shape *shape, int32_t op, loci_need *need, loci_error *err)
{
    const uint64_t matrix = (uint64_t)(m->e * m->d) * sizeof(double), heads = (uint64_t)m->H;
    uint64_t saved = 0;

    LOCI_RETURN_IF(loci_countable(shape, "memory/" ID, err));
    if ((shape->flags & LOCI_X_SAVE) && op != LOCI_OP_READ &&
        __builtin_mul_overflow((uint64_t)(shape->rows * shape->seq), 2 * heads * matrix, &saved))
        return fail(err, LOCI_E_UNSUPPORTED, "%lld rows of %lld tokens exceed 2^64 bytes: plan for less at once",
                    (long long)shape->rows, (long long)shape->seq);
    need->scratch += 4 * heads * matrix;
    need->saved += saved;
    return LOCI_OK;
}

/* ---- the rule ---------------------------------------------------------------------------------------------------- */

enum { ALPHA, ETA, THETA };

struct work {
    const loci_module *m;
    const loci_exec *x;
    const loci_slots *s;
    const loci_rule_io *io;
};

RIGHT double gate(const struct work *w, int which, const loci_run *r, int64_t t, int64_t h)
{
    return get(w->io->gate[which], at(w->io->gate[which], r, t, h));
}

/* (3) */
RIGHT double *matrix(const struct work *w, int64_t h, int which)
{
    return (double *)w->x->scratch + (4 * h + which) * w->m->e * w->m->d;
}

/* (2) */
RIGHT double *kept(const struct work *w, int64_t n, int64_t h, int which)
{
    return (double *)w->x->saved + ((n * w->m->H + h) * 2 + which) * w->m->e * w->m->d;
}

/* M and S of a run's state row: from the tensors, or to them. */
RIGHT void load(const struct work *w, const loci_tensor *state, const loci_run *r, int64_t h, double *M, double *S)
{
    for (int64_t i = 0; i < w->m->e; i++)
        for (int64_t j = 0; j < w->m->d; j++) {
            M[i * w->m->d + j] = get(&state[0], at_state(&state[0], r, h, i, j));
            S[i * w->m->d + j] = get(&state[1], at_state(&state[1], r, h, i, j));
        }
}

RIGHT void store(const struct work *w, const loci_tensor *state, const loci_run *r, int64_t h, const double *M,
                 const double *S)
{
    for (int64_t i = 0; i < w->m->e; i++)
        for (int64_t j = 0; j < w->m->d; j++) {
            put(&state[0], at_state(&state[0], r, h, i, j), M[i * w->m->d + j]);
            put(&state[1], at_state(&state[1], r, h, i, j), S[i * w->m->d + j]);
        }
}

RIGHT void write_token(const struct work *w, const loci_run *r, int64_t t, int64_t h, double *M, double *S)
{
    const loci_tensor *k = w->io->k, *v = w->io->v;
    const double retain = RETAIN(gate(w, ALPHA, r, t, h)), theta = gate(w, THETA, r, t, h);
    const double momentum = MOMENTUM(gate(w, ETA, r, t, h), r->pos + t);
    const int64_t d = w->m->d, k0 = at(k, r, t, h), v0 = at(v, r, t, h);

    for (int64_t i = 0; i < w->m->e; i++)
        for (int64_t j = 0; j < d; j++) {
            S[i * d + j] = momentum * S[i * d + j] + theta * get(v, v0 + i) * get(k, k0 + j);
            M[i * d + j] = retain * M[i * d + j] + S[i * d + j];
        }
}

RIGHT void read_token(const struct work *w, const loci_run *r, int64_t t, int64_t h, const double *M)
{
    const loci_tensor *q = w->io->q, *y = w->io->y;
    const double scale = get(&w->s->params[1], h);

    for (int64_t i = 0; i < w->m->e; i++) {
        double sum = 0;
        for (int64_t j = 0; j < w->m->d; j++)
            sum += M[i * w->m->d + j] * get(q, at(q, r, t, h) + j);
        put(y, at(y, r, t, h) + i, scale * sum);
    }
}

RIGHT void forward_heads(void *arg, int64_t begin, int64_t end, uint32_t worker)
{
    const struct work *w = arg;
    const bool writes = w->io->op != LOCI_OP_READ, reads = w->io->op != LOCI_OP_WRITE;
    const size_t bytes = (size_t)(w->m->e * w->m->d) * sizeof(double);

    (void)worker;
    for (int64_t h = begin; h < end; h++) {
        double *M = matrix(w, h, 0), *S = matrix(w, h, 1);
        int64_t n = 0;
        for (uint32_t i = 0; i < w->io->batch->n_runs; i++) {
            const loci_run *r = &w->io->batch->runs[i];
            load(w, w->s->state_in, r, h, M, S);
            for (int64_t t = 0; t < r->len; t++, n++) {
                if (writes && (w->x->flags & LOCI_X_SAVE)) {
                    memcpy(kept(w, n, h, 0), M, bytes);
                    memcpy(kept(w, n, h, 1), S, bytes);
                }
                if (reads && ORDER)
                    read_token(w, r, t, h, M);
                if (writes)
                    write_token(w, r, t, h, M, S);
                if (reads && !ORDER)
                    read_token(w, r, t, h, M);
            }
            store(w, w->s->state_out, r, h, M, S);
        }
    }
}

/* G += scale dy q', and the gradients of q and scale. */
RIGHT void read_back(const struct work *w, const loci_run *r, int64_t t, int64_t h, const double *M, double *G)
{
    const loci_tensor *q = w->io->q, *dy = w->io->dy, *dq = w->io->dq;
    const double scale = get(&w->s->params[1], h);
    const int64_t d = w->m->d, q0 = at(q, r, t, h), dy0 = at(dy, r, t, h);

    for (int64_t i = 0; i < w->m->e; i++)
        for (int64_t j = 0; j < d; j++) {
            const double g = get(dy, dy0 + i);
            add(&w->s->grads[1], h, g * M[i * d + j] * get(q, q0 + j));
            if (dq)
                add(dq, at(dq, r, t, h) + j, scale * g * M[i * d + j]);
            G[i * d + j] += scale * g * get(q, q0 + j);
        }
}

/* G, P: d(M), d(S) after the token in, before it out. M, S: before it. */
RIGHT void write_back(const struct work *w, const loci_run *r, int64_t t, int64_t h, const double *M, const double *S,
                      double *G, double *P)
{
    const loci_tensor *k = w->io->k, *v = w->io->v;
    const double retain = RETAIN(gate(w, ALPHA, r, t, h)), theta = gate(w, THETA, r, t, h);
    const double momentum = MOMENTUM(gate(w, ETA, r, t, h), r->pos + t);
    const int64_t d = w->m->d, k0 = at(k, r, t, h), v0 = at(v, r, t, h);
    double d_gate[3] = {0, 0, 0};

    for (int64_t i = 0; i < w->m->e; i++)
        for (int64_t j = 0; j < d; j++) {
            double *g = &G[i * d + j], *p = &P[i * d + j];
            d_gate[ALPHA] -= *g * M[i * d + j];
            *p += *g;
            d_gate[ETA] += *p * S[i * d + j];
            d_gate[THETA] += *p * get(v, v0 + i) * get(k, k0 + j);
            if (w->io->dv)
                add(w->io->dv, at(w->io->dv, r, t, h) + i, theta * *p * get(k, k0 + j));
            if (w->io->dk)
                add(w->io->dk, at(w->io->dk, r, t, h) + j, theta * *p * get(v, v0 + i));
            *g *= retain;
            *p *= momentum;
        }
    for (int i = 0; i < 3; i++)
        if (w->io->dgate && w->io->dgate[i])
            add(w->io->dgate[i], at(w->io->dgate[i], r, t, h), d_gate[i]);
}

RIGHT void backward_heads(void *arg, int64_t begin, int64_t end, uint32_t worker)
{
    const struct work *w = arg;
    const bool writes = w->io->op != LOCI_OP_READ, reads = w->io->op != LOCI_OP_WRITE;
    const size_t bytes = (size_t)(w->m->e * w->m->d) * sizeof(double);

    (void)worker;
    for (int64_t h = begin; h < end; h++) {
        double *M = matrix(w, h, 0), *S = matrix(w, h, 1), *G = matrix(w, h, 2), *P = matrix(w, h, 3);
        int64_t n = 0;
        for (uint32_t i = 0; i < w->io->batch->n_runs; i++) {
            const loci_run *r = &w->io->batch->runs[i];
            load(w, w->s->state_grad, r, h, G, P);
            if (!writes)
                load(w, w->s->state_in, r, h, M, S);
            for (int64_t t = r->len; t-- > 0;) {
                if (writes) {
                    memcpy(M, kept(w, n + t, h, 0), bytes);
                    memcpy(S, kept(w, n + t, h, 1), bytes);
                    if (!ORDER)
                        write_token(w, r, t, h, M, S);
                }
                if (reads && !ORDER)
                    read_back(w, r, t, h, M, G);
                if (writes)
                    write_back(w, r, t, h, kept(w, n + t, h, 0), kept(w, n + t, h, 1), G, P);
                if (reads && ORDER)
                    read_back(w, r, t, h, M, G);
            }
            store(w, w->s->state_grad, r, h, G, P);
            n += r->len;
        }
    }
}

static loci_status forward(loci_module *m, const loci_exec *x, const loci_slots *s, const loci_rule_io *io,
                           loci_error *err)
{
    struct work w = {m, x, s, io};

    (void)err;
    return x->host->parallel_for(x, m->H, 1, forward_heads, &w);
}

static loci_status backward(loci_module *m, const loci_exec *x, const loci_slots *s, const loci_rule_io *io,
                            loci_error *err)
{
    struct work w = {m, x, s, io};

    (void)err;
    return x->host->parallel_for(x, m->H, 1, backward_heads, &w);
}

/* M of a new document is the weight, S is 0. */
static loci_status state_init(loci_module *m, const loci_exec *x, const loci_slots *s, const loci_batch *batch,
                              loci_error *err)
{
    const loci_tensor *M = &s->state_out[0], *S = &s->state_out[1];

    (void)x;
    (void)err;
    for (uint32_t n = 0; n < batch->n_runs; n++)
        for (int64_t h = 0; h < m->H; h++)
            for (int64_t i = 0; i < m->e; i++)
                for (int64_t j = 0; j < m->d; j++) {
                    put(M, at_state(M, &batch->runs[n], h, i, j), get(&s->params[0], (h * m->e + i) * m->d + j));
                    put(S, at_state(S, &batch->runs[n], h, i, j), 0);
                }
    return LOCI_OK;
}

static loci_status state_init_back(loci_module *m, const loci_exec *x, const loci_slots *s, const loci_batch *batch,
                                   loci_error *err)
{
    const loci_tensor *G = &s->state_grad[0];

    (void)x;
    (void)err;
    for (uint32_t n = 0; n < batch->n_runs; n++)
        for (int64_t h = 0; h < m->H; h++)
            for (int64_t i = 0; i < m->e; i++)
                for (int64_t j = 0; j < m->d; j++)
                    add(&s->grads[0], (h * m->e + i) * m->d + j, get(G, at_state(G, &batch->runs[n], h, i, j)));
    return LOCI_OK;
}

/* ---- tables ------------------------------------------------------------------------------------------------------ */

#ifndef KEYS
static const loci_key alpha_max = {.struct_size = sizeof alpha_max, .type = LOCI_KEY_REAL, .name = "alpha_max", .def = "1",
                                   .help = "Largest share of the memory that a token may forget.", .min = 0.001, .max = 1};
static const loci_key *const keys[] = {
    &alpha_max,
#ifdef EXTRA_KEY
    EXTRA_KEY,
#endif
};
#define KEYS .n_keys = sizeof keys / sizeof *keys, .keys = keys
#endif

static const loci_memory rule = {.struct_size = sizeof rule,
                                 .needs = LOCI_MEM_Q | LOCI_MEM_K | LOCI_MEM_V,
                                 .state_init = STATE_INIT,
                                 .state_init_back = STATE_INIT_BACK,
                                 .forward = IFACE_FORWARD,
                                 .backward = BACKWARD};
#ifdef PROMISES
static uint64_t PROMISES(const loci_config *);
#endif
static const loci_class momentum_class = {.struct_size = sizeof momentum_class,
                                          .id = ID,
                                          .kind = LOCI_KIND_MEMORY,
                                          .version = "1.0",
                                          .summary = SUMMARY,
                                          .doc = DOC,
                                          .caps = CAPS,
                                          KEYS,
                                          .fit = FIT,
                                          .create = CREATE,
                                          .destroy = DESTROY,
                                          .declare = DECLARE,
                                          .plan = PLAN,
#ifdef PROMISES
                                          .promises = PROMISES,
#endif
                                          .iface = &rule};
static const loci_class *const classes[] = {&momentum_class};

LOCI_EXPORT extern const loci_plugin ENTRY;
const loci_plugin ENTRY = {HEAD, "momentum", "1.0", "Apache-2.0", 1, 0, classes};
#ifndef NO_NOTE
LOCI_PLUGIN_NOTE(NOTE);
#endif
