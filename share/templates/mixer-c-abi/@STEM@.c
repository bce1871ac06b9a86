/* @STEM@.c: the mixer @ID@, on the whole contract: loci/plugin.h, and loci/author.h for what everybody writes.
 *
 *     u_t = W_in x_t
 *     h_t = a o h_(t-1) + (1 - a) o u_t        a = sigmoid(decay), a number per channel, learned
 *     y_t = W_out h_t
 *
 * An exponential moving average of a projection of the past: the simplest mixer with a state, causal by construction.
 *
 *  (1) The file includes itself twice: the mathematics, at its end, is compiled for float and for double.
 *  (2) The state h, [states, D], is all that a stream carries, so text may arrive in pieces of any length.
 *  (3) An item of parallel_for is a run (of the recurrence) or a row (of a weight's gradient). No two write the same
 *      numbers, and each sums in the order of the tokens: threads change no bit.
 *  (4) u and h of every token are saved for the backward; without one they lie in scratch.
 *  (5) Tokens in no run are neither read nor written: they may hold anything.
 *
 * Hunter 1986, The exponentially weighted moving average; learned, as a layer: Ma et al. 2023, Mega, section 3.1.
 */
#ifndef REAL
#include <loci/author.h>
#include <math.h>
#include <string.h>

#define WHERE "mixer/@ID@"

struct loci_module {
    const loci_host *host;
    int64_t dim;
    int bits;
    double start; /* of the decay, as a config says it */
    uint32_t in, out, decay, h;
};

/* Tensors of a call: where rows of tokens lie, in numbers. */
typedef struct call {
    const loci_module *m;
    const loci_exec *x;
    const loci_slots *s;
    const loci_io *io;
    int64_t tokens; /* of a row of the call */
    void *u, *hid;  /* of every token, [rows, tokens, D]: saved, or scratch */
    void *dh;       /* scratch of a backward: what arrives at h             */
} call;

#define REAL float
#define NAME(f) f##_f32
#define EXP expf
#include "@STEM@.c"
#undef REAL
#undef NAME
#undef EXP
#define REAL double
#define NAME(f) f##_f64
#define EXP exp
#include "@STEM@.c"

/* ---- life ---- */

static const loci_key key_decay = {sizeof key_decay,
                                   LOCI_KEY_REAL,
                                   "decay",
                                   "0.9",
                                   "Share of the past that stays from token to token, before training.",
                                   NULL,
                                   0.001,
                                   0.999};
static const loci_key *const keys[] = {&key_decay};

static const char *refusal(const loci_shape *s)
{
    if (s->device.type != LOCI_CPU)
        return "plain loops for the cpu device: set run.device = cpu, or choose another mixer";
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

    (void)site;
    if (why)
        return loci_refuse(err, LOCI_E_UNSUPPORTED, WHERE, "%s", why);
    m = host->alloc(host, sizeof *m);
    if (!m)
        return loci_refuse(err, LOCI_E_NOMEM, WHERE, "out of memory");
    m->host = host;
    m->dim = shape->dim;
    m->bits = shape->dtype.bits;
    m->start = config->get_real(config->ctx, "decay");
    *out = m;
    return LOCI_OK;
}

static void destroy(loci_module *m)
{
    m->host->free(m->host, m);
}

/* The host owns, initialises and saves what is declared here. W_out writes into the residual stream. */
static loci_status declare(loci_module *m, void *decl, loci_error *err)
{
    const int64_t square[] = {m->dim, m->dim}, state[] = {-1, m->dim};
    loci_slot w = {.struct_size = sizeof w, .name = "in.weight", .ndim = 2, .shape = square};

    (void)err; /* the host says what it refuses */
    w.init = LOCI_INIT_NORMAL;
    w.b = 1 / sqrt((double)m->dim);
    LOCI_RETURN_IF(m->host->declare(m->host, decl, &w, &m->in));
    w.name = "out.weight";
    w.flags = LOCI_SLOT_RESIDUAL;
    LOCI_RETURN_IF(m->host->declare(m->host, decl, &w, &m->out));
    w = (loci_slot){.struct_size = sizeof w, .name = "decay", .ndim = 1, .shape = &m->dim};
    w.flags = LOCI_SLOT_NO_DECAY;
    w.init = LOCI_INIT_CONST;
    w.a = log(m->start / (1 - m->start));
    LOCI_RETURN_IF(m->host->declare(m->host, decl, &w, &m->decay));
    w = (loci_slot){.struct_size = sizeof w, .flags = LOCI_SLOT_STATE, .name = "h", .ndim = 2, .shape = state};
    return m->host->declare(m->host, decl, &w, &m->h);
}

/* ---- sizes ---- */

/* Bytes of one buffer of [rows, tokens, D]; 2^60 and more: no memory has it. */
static uint64_t buffer_bytes(const loci_module *m, int64_t rows, int64_t tokens)
{
    const int64_t of[] = {rows, tokens, m->dim};
    uint64_t bytes = (uint64_t)m->bits / 8;

    for (int i = 0; i < 3; i++) {
        if (of[i] > 0 && bytes > (UINT64_C(1) << 60) / (uint64_t)of[i])
            return UINT64_C(1) << 60;
        bytes *= (uint64_t)of[i];
    }
    return bytes;
}

/* One function cuts for plan, forward and backward, so they cannot disagree. c NULL: it only counts. */
static void cut(const loci_module *m, call *c, int64_t rows, int64_t tokens, int save, int back, loci_cursor *scratch,
                loci_cursor *saved)
{
    loci_cursor *keep = save ? saved : scratch;
    const uint64_t bytes = buffer_bytes(m, rows, tokens);
    void *u = loci_cut(keep, bytes), *hid = loci_cut(keep, bytes), *dh = back ? loci_cut(scratch, bytes) : NULL;

    if (c) {
        c->u = u;
        c->hid = hid;
        c->dh = dh;
    }
}

static loci_status plan(loci_module *m, const loci_shape *shape, int32_t op, loci_need *need, loci_error *err)
{
    const int save = (shape->flags & LOCI_X_SAVE) != 0;
    loci_cursor scratch = {NULL, 0}, saved = {NULL, 0}, unsaved = {NULL, 0};

    if (op != LOCI_OP_MIX)
        return loci_refuse(err, LOCI_E_UNSUPPORTED, WHERE, "a mixer knows one operation, not number %d", (int)op);
    LOCI_RETURN_IF(loci_countable(shape, WHERE, err));
    if (buffer_bytes(m, shape->rows, shape->seq) >= UINT64_C(1) << 59)
        return loci_refuse(err, LOCI_E_NOMEM, WHERE,
                           "%lld rows of %lld tokens do not fit into memory: make data.seq_tok or train.batch smaller",
                           (long long)shape->rows, (long long)shape->seq);
    cut(m, NULL, shape->rows, shape->seq, save, save, &scratch, &saved);
    cut(m, NULL, shape->rows, shape->seq, 0, 0, &unsaved, NULL); /* a plan with SAVE serves calls without it too */
    need->scratch += scratch.at > unsaved.at ? scratch.at : unsaved.at;
    need->saved += saved.at;
    return LOCI_OK;
}

/* ---- calls ---- */

static loci_status begin(call *c, loci_module *m, const loci_exec *x, const loci_slots *s, const loci_io *io, int back,
                         loci_error *err)
{
    const int save = back || x->flags & LOCI_X_SAVE;
    loci_cursor scratch = {x->scratch, 0}, saved = {x->saved, 0};

    if (io->ctx && io->ctx != io->x)
        return loci_refuse(
            err, LOCI_E_ARG, WHERE,
            "it takes no context but its own tokens: set the composition's persistent_tok = 0, or choose "
            "another mixer");
    if (!io->mask || !io->mask->causal || io->mask->window_left >= 0)
        return loci_refuse(err, LOCI_E_ARG, WHERE,
                           "each token sees all before it and none after: give a causal mask without a window");
    if (io->x->ndim != 3 || io->x->shape[2] != m->dim || io->x->dtype.code != LOCI_FLOAT ||
        io->x->dtype.bits != m->bits)
        return loci_refuse(err, LOCI_E_ARG, WHERE, "x must be a [rows, tokens, %lld] tensor of the layer's type",
                           (long long)m->dim);
    memset(c, 0, sizeof *c);
    c->m = m;
    c->x = x;
    c->s = s;
    c->io = io;
    c->tokens = io->x->shape[1];
    cut(m, c, io->x->shape[0], c->tokens, save, back, &scratch, &saved);
    if (scratch.at > x->scratch_bytes || (save && saved.at > x->saved_bytes))
        return loci_refuse(err, LOCI_E_ARG, WHERE, "%lld rows of %lld tokens are more than was planned for",
                           (long long)io->x->shape[0], (long long)c->tokens);
    return LOCI_OK;
}

static loci_status forward(loci_module *m, const loci_exec *x, const loci_slots *s, const loci_io *io, loci_error *err)
{
    call c;

    if (io->q->n_runs == 0)
        return LOCI_OK;
    LOCI_RETURN_IF(begin(&c, m, x, s, io, 0, err));
    return m->host->parallel_for(x, io->q->n_runs, 1, m->bits == 64 ? forward_f64 : forward_f32, &c);
}

static loci_status backward(loci_module *m, const loci_exec *x, const loci_slots *s, const loci_io *io, loci_error *err)
{
    call c;

    if (io->q->n_runs == 0)
        return LOCI_OK;
    LOCI_RETURN_IF(begin(&c, m, x, s, io, 1, err));
    LOCI_RETURN_IF(m->host->parallel_for(x, io->q->n_runs, 1, m->bits == 64 ? backward_f64 : backward_f32, &c));
    return m->host->parallel_for(x, m->dim, 1, m->bits == 64 ? weights_f64 : weights_f32, &c);
}

/* ---- the class ---- */

static const loci_mixer iface = {sizeof iface, 0, forward, backward};

static const loci_class cls = {
    .struct_size = sizeof cls,
    .state_version = 1,
    .id = "@ID@",
    .kind = LOCI_KIND_MIXER,
    .version = "1.0",
    .summary = "a moving average of a projection: to begin with",
    .doc = "h = a h + (1 - a) W_in x;  y = W_out h;  a = sigmoid(decay), by channel\n"
           "Cost: 4 D^2 operations per token forward; a state of D numbers per stream.\n"
           "Source: Ma et al. 2023, Mega: Moving Average Equipped Gated Attention, section 3.1.\n"
           "Use: as a baseline: what a mixer must beat.",
    .caps = LOCI_CAP_BACKWARD | LOCI_CAP_STREAMING | LOCI_CAP_CAUSAL,
    .n_keys = sizeof keys / sizeof *keys,
    .keys = keys,
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
LOCI_PLUGIN_NOTE("class=mixer/@ID@\n");

#else /* ---- the mathematics, in REAL ---- */

/* Token i of a run in a [B,T,D] tensor: D numbers, `step` apart (0 where one stands for all); NULL: not there. */
static REAL *NAME(at)(const loci_tensor *t, const loci_run *r, int64_t i)
{
    REAL *p = t ? (REAL *)loci_ptr(t) : NULL;

    return p ? p + r->row * t->strides[0] + (r->begin + i) * t->strides[1] : NULL;
}

/* Token i of a run in a buffer of the call. */
static REAL *NAME(buffer)(const call *c, void *buffer, const loci_run *r, int64_t i)
{
    return (REAL *)buffer + (r->row * c->tokens + r->begin + i) * c->m->dim;
}

/* A run's row of the state; NULL: none is kept, and the run begins with zeros. */
static REAL *NAME(state)(const call *c, const loci_tensor *of, const loci_run *r)
{
    REAL *p = of ? (REAL *)loci_ptr(&of[c->m->h]) : NULL;

    return p ? p + r->state * of[c->m->h].strides[0] : NULL;
}

static const REAL *NAME(weight)(const loci_tensor *of, uint32_t which, int64_t row)
{
    return (const REAL *)loci_ptr(&of[which]) + row * of[which].strides[0];
}

static REAL NAME(share)(const call *c, int64_t d)
{
    return 1 / (1 + EXP(-*NAME(weight)(c->s->params, c->m->decay, d)));
}

static void NAME(forward)(void *arg, int64_t begin, int64_t end, uint32_t worker)
{
    const call *c = arg;
    const int64_t D = c->m->dim, sx = c->io->x->strides[2];

    (void)worker;
    for (int64_t n = begin; n < end; n++) {
        const loci_run *r = &c->io->q->runs[n];
        const REAL *before = NAME(state)(c, c->s->state_in, r);
        REAL *after = NAME(state)(c, c->s->state_out, r);

        for (int64_t i = 0; i < r->len; i++) {
            const REAL *x = NAME(at)(c->io->x, r, i);
            REAL *u = NAME(buffer)(c, c->u, r, i), *h = NAME(buffer)(c, c->hid, r, i), *y = NAME(at)(c->io->y, r, i);

            for (int64_t d = 0; d < D; d++) {
                const REAL a = NAME(share)(c, d), *w = NAME(weight)(c->s->params, c->m->in, d);

                u[d] = 0;
                for (int64_t e = 0; e < D; e++)
                    u[d] += w[e] * x[e * sx];
                h[d] = a * (before ? before[d] : 0) + (1 - a) * u[d];
            }
            for (int64_t d = 0; d < D; d++) {
                const REAL *w = NAME(weight)(c->s->params, c->m->out, d);

                y[d] = 0;
                for (int64_t e = 0; e < D; e++)
                    y[d] += w[e] * h[e];
            }
            before = h;
        }
        for (int64_t d = 0; d < D && after; d++)
            after[d] = before ? before[d] : 0;
    }
}

/* dh_t = W_out' dy_t + a o dh_(t+1), where the last token gets what arrives at the state instead;
 * dx_t += W_in' ((1 - a) o dh_t); the state before the run gets a o dh of its first token. */
static void NAME(backward)(void *arg, int64_t begin, int64_t end, uint32_t worker)
{
    const call *c = arg;
    const int64_t D = c->m->dim, sy = c->io->dy->strides[2];

    (void)worker;
    for (int64_t n = begin; n < end; n++) {
        const loci_run *r = &c->io->q->runs[n];
        REAL *g = NAME(state)(c, c->s->state_grad, r);
        const REAL *later = NULL;

        for (int64_t i = r->len - 1; i >= 0; i--) {
            const REAL *dy = NAME(at)(c->io->dy, r, i);
            REAL *dx = NAME(at)(c->io->dx, r, i), *dh = NAME(buffer)(c, c->dh, r, i);

            for (int64_t d = 0; d < D; d++)
                dh[d] = later ? NAME(share)(c, d) * later[d] : g ? g[d] : 0;
            for (int64_t e = 0; e < D; e++) {
                const REAL *w = NAME(weight)(c->s->params, c->m->out, e);

                for (int64_t d = 0; d < D; d++)
                    dh[d] += w[d] * dy[e * sy];
            }
            for (int64_t d = 0; d < D && dx; d++) {
                const REAL *w = NAME(weight)(c->s->params, c->m->in, d);

                for (int64_t e = 0; e < D; e++)
                    dx[e] += (1 - NAME(share)(c, d)) * dh[d] * w[e];
            }
            later = dh;
        }
        for (int64_t d = 0; d < D && g && later; d++)
            g[d] = NAME(share)(c, d) * later[d];
    }
}

/* Row d of the weights: dW_out = dy h', dW_in = ((1 - a) o dh) x', d(decay) = a (1 - a) sum of dh (h_(t-1) - u). */
static void NAME(weights)(void *arg, int64_t begin, int64_t end, uint32_t worker)
{
    const call *c = arg;
    const int64_t D = c->m->dim, sx = c->io->x->strides[2], sy = c->io->dy->strides[2];

    (void)worker;
    for (int64_t d = begin; d < end; d++) {
        REAL *out = (REAL *)(uintptr_t)NAME(weight)(c->s->grads, c->m->out, d);
        REAL *in = (REAL *)(uintptr_t)NAME(weight)(c->s->grads, c->m->in, d);
        REAL *decay = (REAL *)(uintptr_t)NAME(weight)(c->s->grads, c->m->decay, d);
        const REAL a = NAME(share)(c, d);

        for (uint32_t n = 0; n < c->io->q->n_runs; n++) {
            const loci_run *r = &c->io->q->runs[n];
            const REAL *before = NAME(state)(c, c->s->state_in, r);

            for (int64_t i = 0; i < r->len; i++) {
                const REAL *x = NAME(at)(c->io->x, r, i), *h = NAME(buffer)(c, c->hid, r, i);
                const REAL dy = NAME(at)(c->io->dy, r, i)[d * sy], dh = NAME(buffer)(c, c->dh, r, i)[d];

                for (int64_t e = 0; e < D; e++) {
                    out[e] += dy * h[e];
                    in[e] += (1 - a) * dh * x[e * sx];
                }
                *decay += a * (1 - a) * dh * ((before ? before[d] : 0) - NAME(buffer)(c, c->u, r, i)[d]);
                before = h;
            }
        }
    }
}

#endif
