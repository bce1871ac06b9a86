/* @STEM@.c: the memory @ID@, on the whole contract: loci/plugin.h, and loci/author.h for what everybody writes.
 *
 *     e = v - M k                        what M says of k is off by e
 *     M = M + s e k'                     s = beta / (1 + beta k'k)
 *     y = M q
 *
 * The exact solution of  min over M of  |M - M_before|^2 + beta |v - M k|^2, a delta rule that no beta can make
 * diverge: with a small beta a step of that size, with a large one M k = v.
 *
 *  (1) The file includes itself twice: the mathematics, at its end, is compiled for float and for double.
 *  (2) An item of parallel_for is a run and a head. No two write the same numbers, so threads change no bit.
 *  (3) `saved` holds M before every token, for the backward: rows times tokens times M. A cheaper way keeps fewer of
 *      them and computes the others again.
 *
 * Liu et al. 2024, Longhorn: State Space Models are Amortized Online Learners, without its diagonal approximation.
 */
#ifndef REAL
#include <loci/author.h>
#include <math.h>
#include <string.h>

#define WHERE "memory/@ID@"

struct loci_module {
    const loci_host *host;
    int64_t heads, dk, dv;
    int bits;
    uint32_t M, beta; /* what declare() was told: the place of the state and of the gate in every call */
};

/* What an item of parallel_for needs. */
typedef struct call {
    const loci_module *m;
    const loci_exec *x;
    const loci_slots *s;
    const loci_rule_io *io;
} call;

#define REAL float
#define NAME(f) f##_f32
#include "@STEM@.c"
#undef REAL
#undef NAME
#define REAL double
#define NAME(f) f##_f64
#include "@STEM@.c"

/* ---- life ---- */

static const char *refusal(const loci_shape *s)
{
    if (s->device.type != LOCI_CPU)
        return "plain loops for the cpu device: set run.device = cpu, or choose another memory";
    if (s->dtype.code != LOCI_FLOAT || s->acc.code != LOCI_FLOAT || (s->dtype.bits != 32 && s->dtype.bits != 64) ||
        s->acc.bits != s->dtype.bits)
        return "computes in float32 or float64, activations and state alike: set run.dtype to one of them";
    return NULL;
}

static loci_status fit(const loci_host *host, const loci_config *config, const loci_shape *shape, loci_fit *f)
{
    const char *why = refusal(shape);

    (void)host, (void)config;
    f->score = why ? 0 : 50;
    snprintf(f->reason, sizeof f->reason, "%s", why ? why : "plain loops, token by token");
    return LOCI_OK;
}

static loci_status create(const loci_host *host, const loci_config *config, const loci_site *site,
                          const loci_shape *shape, loci_module **out, loci_error *err)
{
    const char *why = refusal(shape);
    loci_module *m;

    (void)config, (void)site;
    if (why)
        return loci_refuse(err, LOCI_E_UNSUPPORTED, WHERE, "%s", why);
    m = host->alloc(host, sizeof *m);
    if (!m)
        return loci_refuse(err, LOCI_E_NOMEM, WHERE, "out of memory");
    m->host = host;
    m->heads = shape->heads;
    m->dk = shape->dk;
    m->dv = shape->dv;
    m->bits = shape->acc.bits;
    *out = m;
    return LOCI_OK;
}

static void destroy(loci_module *m)
{
    m->host->free(m->host, m);
}

/* The host owns M, and its front end computes beta, from 0 up, at first 1. */
static loci_status declare(loci_module *m, void *decl, loci_error *err)
{
    const int64_t shape[] = {-1, m->heads, m->dv, m->dk};
    const loci_slot M = {.struct_size = sizeof M, .flags = LOCI_SLOT_STATE, .name = "M", .ndim = 4, .shape = shape};
    const loci_gate beta = {.struct_size = sizeof beta, .name = "beta", .lo = 0, .hi = INFINITY, .init = 1, .width = 1};

    (void)err; /* the host says what it refuses */
    LOCI_RETURN_IF(m->host->declare(m->host, decl, &M, &m->M));
    return m->host->declare_gate(m->host, decl, &beta, &m->beta);
}

/* ---- sizes ---- */

/* Of what is saved: M of every head before each of so many tokens; a number that no memory has when it is past 2^60. */
static uint64_t saved_bytes(const loci_module *m, int64_t tokens)
{
    const int64_t of[] = {tokens, m->heads, m->dv, m->dk};
    uint64_t bytes = (uint64_t)m->bits / 8;

    for (int i = 0; i < 4; i++) {
        if (of[i] > 0 && bytes > (UINT64_C(1) << 60) / (uint64_t)of[i])
            return UINT64_C(1) << 61;
        bytes *= (uint64_t)of[i];
    }
    return bytes;
}

static loci_status plan(loci_module *m, const loci_shape *shape, int32_t op, loci_need *need, loci_error *err)
{
    uint64_t bytes;

    LOCI_RETURN_IF(loci_countable(shape, WHERE, err)); /* rows times tokens is a number from here on */
    bytes = op != LOCI_OP_READ && shape->flags & LOCI_X_SAVE ? saved_bytes(m, shape->rows * shape->seq) : 0;
    if (bytes > UINT64_C(1) << 60)
        return loci_refuse(err, LOCI_E_NOMEM, WHERE,
                           "%lld rows of %lld tokens do not fit into memory: make data.seq_tok or train.batch smaller",
                           (long long)shape->rows, (long long)shape->seq);
    need->saved += bytes;
    return LOCI_OK;
}

/* ---- calls ---- */

static loci_status run(loci_module *m, const loci_exec *x, const loci_slots *s, const loci_rule_io *io, int back,
                       loci_error *err)
{
    const loci_tensor *tokens = io->op == LOCI_OP_READ ? io->q : io->v;
    const int keeps = io->op != LOCI_OP_READ && (back || x->flags & LOCI_X_SAVE);
    const uint64_t bytes = keeps ? saved_bytes(m, tokens->shape[0] * tokens->shape[1]) : 0;
    call c = {m, x, s, io};
    loci_task_fn item;

    if (bytes > x->saved_bytes)
        return loci_refuse(err, LOCI_E_ARG, WHERE,
                           "%llu bytes of saved are too few for a call that needs %llu: plan for it",
                           (unsigned long long)x->saved_bytes, (unsigned long long)bytes);
    item = m->bits == 64 ? (back ? backward_f64 : forward_f64) : (back ? backward_f32 : forward_f32);
    return m->host->parallel_for(x, io->batch->n_runs * m->heads, 1, item, &c);
}

static loci_status forward(loci_module *m, const loci_exec *x, const loci_slots *s, const loci_rule_io *io,
                           loci_error *err)
{
    return run(m, x, s, io, 0, err);
}

static loci_status backward(loci_module *m, const loci_exec *x, const loci_slots *s, const loci_rule_io *io,
                            loci_error *err)
{
    return run(m, x, s, io, 1, err);
}

/* ---- the class ---- */

static const loci_memory iface = {
    .struct_size = sizeof iface,
    .needs = LOCI_MEM_Q | LOCI_MEM_K | LOCI_MEM_V,
    .forward = forward,
    .backward = backward,
};

static const loci_class cls = {
    .struct_size = sizeof cls,
    .state_version = 1,
    .id = "@ID@",
    .kind = LOCI_KIND_MEMORY,
    .version = "1.0",
    .summary = "an implicit delta rule: to begin with",
    .doc = "M = M + beta / (1 + beta k'k) (v - M k) k';  y = M q\n"
           "Cost: 6 dk dv operations per token and head forward.\n"
           "Source: Liu et al. 2024, Longhorn: State Space Models are Amortized Online Learners.\n"
           "Use: where a step must never overshoot, whatever the length of the keys.",
    .caps = LOCI_CAP_BACKWARD | LOCI_CAP_STREAMING | LOCI_CAP_CAUSAL,
    .fit = fit,
    .create = create,
    .destroy = destroy,
    .declare = declare,
    .plan = plan,
    .iface = &iface,
};
static const loci_class *const classes[] = {&cls};

LOCI_EXPORT extern const loci_plugin loci_plugin_v1;
const loci_plugin loci_plugin_v1 = {LOCI_PLUGIN_HEAD, "@ID@", "1.0", "unspecified", 1, 0, classes};
LOCI_PLUGIN_NOTE("class=memory/@ID@\n");

#else /* ---- the mathematics, in REAL ---- */

/* Token i of a run at head h in a [B,T,H,...] tensor; NULL where there is none. Elements lie NAME(step) apart. */
static REAL *NAME(at)(const loci_tensor *t, const loci_run *r, int64_t i, int64_t h)
{
    REAL *p = t ? (REAL *)loci_ptr(t) : NULL;

    return p ? p + r->row * t->strides[0] + (r->begin + i) * t->strides[1] + h * t->strides[2] : NULL;
}

/* 1, or 0 where one number stands for all. */
static int64_t NAME(step)(const loci_tensor *t)
{
    return t && t->ndim > 3 ? t->strides[3] : 0;
}

/* Row n of a head's M in a state tensor, and of what was M before token i in `saved`. */
static REAL *NAME(row)(const loci_tensor *t, const loci_run *r, int64_t h, int64_t n)
{
    return (REAL *)loci_ptr(t) + r->state * t->strides[0] + h * t->strides[1] + n * t->strides[2];
}

static REAL *NAME(kept)(const call *c, const loci_run *r, int64_t i, int64_t h, int64_t n)
{
    const int64_t token = r->row * c->io->v->shape[1] + r->begin + i;

    return (REAL *)c->x->saved + ((token * c->m->heads + h) * c->m->dv + n) * c->m->dk;
}

/* M += s e k', row by row. */
static void NAME(write)(const call *c, const loci_run *r, int64_t i, int64_t h)
{
    const loci_rule_io *io = c->io;
    const REAL *k = NAME(at)(io->k, r, i, h), *v = NAME(at)(io->v, r, i, h);
    const REAL beta = *NAME(at)(io->gate[c->m->beta], r, i, h);
    const int64_t dk = c->m->dk, sk = NAME(step)(io->k), sv = NAME(step)(io->v);
    REAL n = 0, s;

    for (int64_t x = 0; x < dk; x++)
        n += k[x * sk] * k[x * sk];
    s = beta / (1 + beta * n);
    for (int64_t j = 0; j < c->m->dv; j++) {
        REAL *M = NAME(row)(&c->s->state_out[c->m->M], r, h, j), e = v[j * sv];

        if (c->x->flags & LOCI_X_SAVE)
            memcpy(NAME(kept)(c, r, i, h, j), M, (size_t)dk * sizeof *M);
        for (int64_t x = 0; x < dk; x++)
            e -= M[x] * k[x * sk];
        for (int64_t x = 0; x < dk; x++)
            M[x] += s * e * k[x * sk];
    }
}

static void NAME(read)(const call *c, const loci_run *r, int64_t i, int64_t h)
{
    const REAL *q = NAME(at)(c->io->q, r, i, h);
    const int64_t sq = NAME(step)(c->io->q);
    REAL *y = NAME(at)(c->io->y, r, i, h);

    for (int64_t j = 0; j < c->m->dv; j++) {
        const REAL *M = NAME(row)(&c->s->state_out[c->m->M], r, h, j);
        REAL sum = 0;

        for (int64_t x = 0; x < c->m->dk; x++)
            sum += M[x] * q[x * sq];
        y[j] = sum;
    }
}

static void NAME(forward)(void *arg, int64_t begin, int64_t end, uint32_t worker)
{
    const call *c = arg;

    (void)worker;
    for (int64_t item = begin; item < end; item++) {
        const loci_run *r = &c->io->batch->runs[item / c->m->heads];
        const int64_t h = item % c->m->heads;

        for (int64_t j = 0; j < c->m->dv; j++)
            memmove(NAME(row)(&c->s->state_out[c->m->M], r, h, j), NAME(row)(&c->s->state_in[c->m->M], r, h, j),
                    (size_t)c->m->dk * sizeof(REAL));
        for (int64_t i = 0; i < r->len; i++) {
            if (c->io->op != LOCI_OP_READ)
                NAME(write)(c, r, i, h);
            if (c->io->op != LOCI_OP_WRITE)
                NAME(read)(c, r, i, h);
        }
    }
}

/* The read's: dq += M'dy, G += dy q', where M is what the token read: with a write, M before it and its step.
 *
 * The write's, with g = G k (row by row), n = k'k and e as it was:
 *     ds    = e'g                 dbeta += ds / (1 + beta n)^2          dn = -ds (beta / (1 + beta n))^2
 *     de    = s g                 dv    += de
 *     dk   += s G'e - M'de + 2 dn k
 *     G    -= de k'                                                     the gradient of M before the token */
static void NAME(backward_token)(const call *c, const loci_run *r, int64_t i, int64_t h)
{
    const loci_rule_io *io = c->io;
    const int writes = io->op != LOCI_OP_READ, reads = io->op != LOCI_OP_WRITE;
    const REAL *q = NAME(at)(io->q, r, i, h), *k = NAME(at)(io->k, r, i, h), *v = NAME(at)(io->v, r, i, h);
    const REAL *dy = reads ? NAME(at)(io->dy, r, i, h) : NULL;
    REAL *dq = NAME(at)(io->dq, r, i, h), *dk = NAME(at)(io->dk, r, i, h), *dv = NAME(at)(io->dv, r, i, h);
    REAL *dbeta = writes && io->dgate ? NAME(at)(io->dgate[c->m->beta], r, i, h) : NULL;
    const int64_t K = c->m->dk, sq = NAME(step)(io->q), sk = NAME(step)(io->k), sv = NAME(step)(io->v);
    const int64_t sy = NAME(step)(io->dy);
    REAL beta = 0, n = 0, damp = 1, s, ds = 0;

    if (writes)
        beta = *NAME(at)(io->gate[c->m->beta], r, i, h);
    for (int64_t x = 0; x < K && writes; x++)
        n += k[x * sk] * k[x * sk];
    damp = 1 / (1 + beta * n);
    s = beta * damp;
    for (int64_t j = 0; j < c->m->dv; j++) {
        const REAL *M = writes ? NAME(kept)(c, r, i, h, j) : NAME(row)(&c->s->state_in[c->m->M], r, h, j);
        REAL *G = NAME(row)(&c->s->state_grad[c->m->M], r, h, j);
        REAL e = writes ? v[j * sv] : 0, g = 0;

        for (int64_t x = 0; x < K && writes; x++)
            e -= M[x] * k[x * sk];
        for (int64_t x = 0; x < K && reads; x++) {
            if (dq)
                dq[x] += dy[j * sy] * (M[x] + (writes ? s * e * k[x * sk] : 0));
            G[x] += dy[j * sy] * q[x * sq];
        }
        if (!writes)
            continue;
        for (int64_t x = 0; x < K; x++)
            g += G[x] * k[x * sk];
        ds += e * g;
        if (dv)
            dv[j] += s * g;
        for (int64_t x = 0; x < K; x++) {
            if (dk)
                dk[x] += s * (e * G[x] - g * M[x]);
            G[x] -= s * g * k[x * sk];
        }
    }
    if (dbeta)
        *dbeta += ds * damp * damp;
    for (int64_t x = 0; x < K && dk; x++)
        dk[x] -= 2 * ds * s * s * k[x * sk];
}

/* state_grad holds the gradient of M after the run, and then of M before it. */
static void NAME(backward)(void *arg, int64_t begin, int64_t end, uint32_t worker)
{
    const call *c = arg;

    (void)worker;
    for (int64_t item = begin; item < end; item++) {
        const loci_run *r = &c->io->batch->runs[item / c->m->heads];

        for (int64_t i = r->len - 1; i >= 0; i--)
            NAME(backward_token)(c, r, i, item % c->m->heads);
    }
}

#endif
