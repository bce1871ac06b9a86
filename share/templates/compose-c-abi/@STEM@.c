/* @STEM@.c: the composition @ID@, on the whole contract: loci/plugin.h, and loci/author.h for what everybody writes.
 *
 *     y = mixer(x)          m = memory(x)
 *     o = (1 - g) o y + g o m          g = sigmoid(gate), a number per channel, learned
 *
 * A mixer and a memory side by side, each channel a share of both. At first every g is 1/2.
 *
 *  (1) Both children are the host's: they are called through it, and their states are named with declare_sub.
 *  (2) The file includes itself twice: the mathematics, at its end, is compiled for float and for double.
 *  (3) One function cuts the buffers, for plan, forward and backward. What lies behind them is the children's.
 *  (4) What a child saves follows from its need for the sizes of the call at hand, which both passes know.
 *  (5) Tokens in no run: buffers handed to children are zeroed, o is not written there.
 *
 * A gated sum as in Behrouz et al. 2025, Titans, section 4.2, with a gate that does not depend on the token.
 */
#ifndef REAL
#include <loci/author.h>
#include <math.h>
#include <string.h>

#define WHERE "compose/@ID@"

struct loci_module {
    const loci_host *host;
    const loci_child *mixer, *memory;
    loci_shape shape; /* as create got it */
    uint32_t gate, mix, mem;
};

typedef struct call {
    const loci_module *m;
    const loci_exec *x;
    const loci_slots *s;
    const loci_io *io;
    loci_error *err;
    int64_t rows, tokens;
    int save, back;
    void *y, *mem, *dy, *dmem; /* [rows, tokens, D]; the last two in a backward */
    void *mix_saved, *mem_saved;
    loci_need mix_need, mem_need;
    loci_cursor scratch, saved;
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

#define WANTED (LOCI_CAP_BACKWARD | LOCI_CAP_STREAMING | LOCI_CAP_CAUSAL)
static const loci_want want_mixer = {sizeof want_mixer, 0, "mixer", LOCI_KIND_MIXER, WANTED};
static const loci_want want_memory = {sizeof want_memory, 0, "memory", LOCI_KIND_MEMORY, WANTED};
static const loci_want *const wants[] = {&want_mixer, &want_memory};

static const char *refusal(const loci_shape *s)
{
    if (s->device.type != LOCI_CPU)
        return "plain loops for the cpu device: set run.device = cpu, or choose another composition";
    if (s->dtype.code != LOCI_FLOAT || (s->dtype.bits != 32 && s->dtype.bits != 64))
        return "computes in float32 or float64: set run.dtype to one of them";
    return NULL;
}

static loci_status fit(const loci_host *host, const loci_config *config, const loci_shape *shape, loci_fit *f)
{
    const char *why = refusal(shape);

    (void)host, (void)config;
    f->score = why ? 0 : 50;
    snprintf(f->reason, sizeof f->reason, "%s", why ? why : "its children, and a sum");
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
    m->shape = *shape;
    *out = m;
    return LOCI_OK;
}

static void destroy(loci_module *m)
{
    m->host->free(m->host, m);
}

/* The children come in the order of `wants`. */
static loci_status bind_children(loci_module *m, uint32_t n, const loci_child *const *children, loci_error *err)
{
    if (n != 2 || !children[0] || !children[1])
        return loci_refuse(err, LOCI_E_ARG, WHERE,
                           "it joins a mixer and a memory: set mixer.backend and memory.backend");
    m->mixer = children[0];
    m->memory = children[1];
    return LOCI_OK;
}

static loci_status declare(loci_module *m, void *decl, loci_error *err)
{
    const loci_slot gate = {.struct_size = sizeof gate,
                            .flags = LOCI_SLOT_NO_DECAY,
                            .name = "gate",
                            .ndim = 1,
                            .init = LOCI_INIT_CONST,
                            .shape = &m->shape.dim};

    (void)err; /* the host says what it refuses */
    LOCI_RETURN_IF(m->host->declare(m->host, decl, &gate, &m->gate));
    LOCI_RETURN_IF(m->host->declare_sub(m->host, decl, m->mixer, "mix", 0, 0, &m->mix));
    return m->host->declare_sub(m->host, decl, m->memory, "mem", 0, 0, &m->mem);
}

/* ---- sizes ---- */

/* Bytes of one buffer of [rows, tokens, D]; 2^60 and more: no memory has it. */
static uint64_t buffer_bytes(const loci_module *m, int64_t rows, int64_t tokens)
{
    const int64_t of[] = {rows, tokens, m->shape.dim};
    uint64_t bytes = m->shape.dtype.bits / 8;

    for (int i = 0; i < 3; i++) {
        if (of[i] > 0 && bytes > (UINT64_C(1) << 60) / (uint64_t)of[i])
            return UINT64_C(1) << 60;
        bytes *= (uint64_t)of[i];
    }
    return bytes;
}

/* (3) (4) */
static loci_status cut(call *c, const loci_shape *shape)
{
    const loci_host *host = c->m->host;
    const uint64_t bytes = buffer_bytes(c->m, c->rows, c->tokens);
    loci_cursor *keep = c->save ? &c->saved : &c->scratch;
    loci_shape child = *shape;

    if (bytes >= UINT64_C(1) << 58)
        return loci_refuse(c->err, LOCI_E_NOMEM, WHERE,
                           "%lld rows of %lld tokens do not fit into memory: make data.seq_tok or train.batch smaller",
                           (long long)c->rows, (long long)c->tokens);
    child.ctx = child.seq; /* the mixer's context are the tokens themselves */
    memset(&c->mix_need, 0, sizeof c->mix_need);
    memset(&c->mem_need, 0, sizeof c->mem_need);
    c->mix_need.struct_size = c->mem_need.struct_size = sizeof c->mix_need;
    LOCI_RETURN_IF(host->child_need(c->m->mixer, &child, LOCI_OP_MIX, &c->mix_need, c->err));
    LOCI_RETURN_IF(host->child_need(c->m->memory, &child, LOCI_OP_STEP, &c->mem_need, c->err));
    c->y = loci_cut(keep, bytes);
    c->mem = loci_cut(keep, bytes);
    c->dy = c->back ? loci_cut(&c->scratch, bytes) : NULL;
    c->dmem = c->back ? loci_cut(&c->scratch, bytes) : NULL;
    c->mix_saved = c->save ? loci_cut(&c->saved, c->mix_need.saved) : NULL;
    c->mem_saved = c->save ? loci_cut(&c->saved, c->mem_need.saved) : NULL;
    return LOCI_OK;
}

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static loci_status plan(loci_module *m, const loci_shape *shape, int32_t op, loci_need *need, loci_error *err)
{
    const int save = (shape->flags & LOCI_X_SAVE) != 0;
    uint64_t scratch = 0, saved = 0;

    if (op != LOCI_OP_MIX)
        return loci_refuse(err, LOCI_E_UNSUPPORTED, WHERE, "a composition knows one operation, not number %d", (int)op);
    LOCI_RETURN_IF(loci_countable(shape, WHERE, err));
    for (int pass = 0; pass < (save ? 2 : 1); pass++) { /* a plan with SAVE serves calls without it too */
        call c;

        memset(&c, 0, sizeof c);
        c.m = m;
        c.err = err;
        c.rows = shape->rows;
        c.tokens = shape->seq;
        c.save = c.back = pass;
        LOCI_RETURN_IF(cut(&c, shape));
        scratch = larger(scratch, c.scratch.at + larger(c.mix_need.scratch, c.mem_need.scratch));
        saved = larger(saved, c.saved.at);
        need->host = larger(need->host, larger(c.mix_need.host, c.mem_need.host));
    }
    need->scratch += scratch;
    need->saved += saved;
    return LOCI_OK;
}

/* ---- calls ---- */

static loci_status begin(call *c, loci_module *m, const loci_exec *x, const loci_slots *s, const loci_io *io, int back,
                         loci_error *err)
{
    loci_shape shape = m->shape;

    if (io->ctx && io->ctx != io->x)
        return loci_refuse(err, LOCI_E_UNSUPPORTED, WHERE, "a composition has no context but its own input");
    if (io->x->ndim != 3 || io->x->shape[2] != m->shape.dim || io->x->dtype.bits != m->shape.dtype.bits)
        return loci_refuse(err, LOCI_E_ARG, WHERE, "x must be a [rows, tokens, %lld] tensor of the layer's type",
                           (long long)m->shape.dim);
    memset(c, 0, sizeof *c);
    c->m = m;
    c->x = x;
    c->s = s;
    c->io = io;
    c->err = err;
    c->rows = io->x->shape[0];
    c->tokens = io->x->shape[1];
    c->back = back;
    c->save = back || x->flags & LOCI_X_SAVE;
    c->scratch.base = x->scratch;
    c->saved.base = x->saved;
    shape.session = x->session;
    shape.flags = x->flags | (c->save ? LOCI_X_SAVE : 0);
    shape.rows = c->rows;
    shape.seq = c->tokens;
    shape.runs = io->q->n_runs;
    shape.states = 0;
    for (uint32_t i = 0; i < io->q->n_runs; i++)
        if (io->q->runs[i].state >= shape.states)
            shape.states = io->q->runs[i].state + 1;
    LOCI_RETURN_IF(cut(c, &shape));
    if (c->scratch.at + larger(c->mix_need.scratch, c->mem_need.scratch) > x->scratch_bytes ||
        larger(c->mix_need.host, c->mem_need.host) > x->host_bytes || (c->save && c->saved.at > x->saved_bytes))
        return loci_refuse(err, LOCI_E_ARG, WHERE, "%lld rows of %lld tokens are more than was planned for",
                           (long long)c->rows, (long long)c->tokens);
    return LOCI_OK;
}

static loci_tensor *buffer(const call *c, loci_view *v, void *data)
{
    return loci_view_set(v, data, c->x->device, c->m->shape.dtype, 3, (int64_t[]){c->rows, c->tokens, c->m->shape.dim});
}

/* One child, forward into out or backward from d_out; its scratch lies behind ours. */
static loci_status child(const call *c, int memory, void *out, void *d_out)
{
    const loci_child *which = memory ? c->m->memory : c->m->mixer;
    const uint32_t sub = memory ? c->m->mem : c->m->mix;
    loci_exec x = *c->x;
    loci_view vy, vd;
    loci_io io;

    x.scratch = (char *)x.scratch + c->scratch.at;
    x.scratch_bytes -= c->scratch.at;
    x.saved = memory ? c->mem_saved : c->mix_saved;
    x.saved_bytes = memory ? c->mem_need.saved : c->mix_need.saved;
    memset(&io, 0, sizeof io);
    io.struct_size = sizeof io;
    io.op = memory ? LOCI_OP_STEP : LOCI_OP_MIX;
    io.x = c->io->x;
    io.q = c->io->q;
    io.k = memory ? NULL : c->io->k;
    io.mask = memory ? NULL : c->io->mask;
    io.state_in = c->s->sub_in[sub];
    io.state_out = c->s->sub_out[sub];
    if (!d_out) {
        io.y = buffer(c, &vy, out);
        return c->m->host->child_forward(which, &x, &io, c->err);
    }
    io.state_grad = c->s->sub_grad[sub];
    io.dy = buffer(c, &vd, d_out);
    io.dx = c->io->dx;
    return c->m->host->child_backward(which, &x, &io, c->err);
}

static loci_status forward(loci_module *m, const loci_exec *x, const loci_slots *s, const loci_io *io, loci_error *err)
{
    const uint64_t bytes = buffer_bytes(m, io->x->shape[0], io->x->shape[1]);
    call c;

    if (io->q->n_runs == 0)
        return LOCI_OK;
    LOCI_RETURN_IF(begin(&c, m, x, s, io, 0, err));
    memset(c.y, 0, bytes);
    memset(c.mem, 0, bytes);
    LOCI_RETURN_IF(child(&c, 0, c.y, NULL));
    LOCI_RETURN_IF(child(&c, 1, c.mem, NULL));
    return m->host->parallel_for(x, io->q->n_runs, 1, m->shape.dtype.bits == 64 ? forward_f64 : forward_f32, &c);
}

static loci_status backward(loci_module *m, const loci_exec *x, const loci_slots *s, const loci_io *io, loci_error *err)
{
    const uint64_t bytes = buffer_bytes(m, io->x->shape[0], io->x->shape[1]);
    const int wide = m->shape.dtype.bits == 64;
    call c;

    if (io->q->n_runs == 0)
        return LOCI_OK;
    LOCI_RETURN_IF(begin(&c, m, x, s, io, 1, err));
    memset(c.dy, 0, bytes);
    memset(c.dmem, 0, bytes);
    LOCI_RETURN_IF(m->host->parallel_for(x, io->q->n_runs, 1, wide ? backward_f64 : backward_f32, &c));
    LOCI_RETURN_IF(m->host->parallel_for(x, m->shape.dim, 1, wide ? gate_f64 : gate_f32, &c));
    LOCI_RETURN_IF(child(&c, 0, NULL, c.dy));
    return child(&c, 1, NULL, c.dmem);
}

/* ---- the class ---- */

static const loci_mixer iface = {sizeof iface, 0, forward, backward};

static const loci_class cls = {
    .struct_size = sizeof cls,
    .state_version = 1,
    .id = "@ID@",
    .kind = LOCI_KIND_COMPOSE,
    .version = "1.0",
    .summary = "a mixer and a memory, a share of each: to begin with",
    .doc = "o = (1 - g) mixer(x) + g memory(x);  g = sigmoid(gate), by channel\n"
           "Cost: the mixer's and the memory's.\n"
           "Source: after Behrouz et al. 2025, Titans: Learning to Memorize at Test Time, section 4.2.\n"
           "Use: to see which channels would rather have the memory.",
    .caps = WANTED,
    .n_wants = sizeof wants / sizeof *wants,
    .wants = wants,
    .fit = fit,
    .create = create,
    .destroy = destroy,
    .bind = bind_children,
    .declare = declare,
    .plan = plan,
    .iface = &iface,
};
static const loci_class *const classes[] = {&cls};

LOCI_EXPORT extern const loci_plugin loci_plugin_v1;
const loci_plugin loci_plugin_v1 = {LOCI_PLUGIN_HEAD, "@ID@", "1.0", "unspecified", 1, 0, classes};
LOCI_PLUGIN_NOTE("class=compose/@ID@\n");

#else /* ---- the mathematics, in REAL ---- */

/* Token i of a run in a [B,T,D] tensor, and in a buffer of the call. */
static REAL *NAME(at)(const loci_tensor *t, const loci_run *r, int64_t i)
{
    return (REAL *)loci_ptr(t) + r->row * t->strides[0] + (r->begin + i) * t->strides[1];
}

static REAL *NAME(in)(const call *c, void *buffer, const loci_run *r, int64_t i)
{
    return (REAL *)buffer + (r->row * c->tokens + r->begin + i) * c->m->shape.dim;
}

/* g of channel d */
static REAL NAME(share)(const call *c, int64_t d)
{
    return 1 / (1 + EXP(-((const REAL *)loci_ptr(&c->s->params[c->m->gate]))[d]));
}

static void NAME(forward)(void *arg, int64_t begin, int64_t end, uint32_t worker)
{
    const call *c = arg;

    (void)worker;
    for (int64_t n = begin; n < end; n++) {
        const loci_run *r = &c->io->q->runs[n];

        for (int64_t i = 0; i < r->len; i++) {
            const REAL *y = NAME(in)(c, c->y, r, i), *m = NAME(in)(c, c->mem, r, i);
            REAL *o = NAME(at)(c->io->y, r, i);

            for (int64_t d = 0; d < c->m->shape.dim; d++) {
                const REAL g = NAME(share)(c, d);
                o[d] = (1 - g) * y[d] + g * m[d];
            }
        }
    }
}

/* dy = (1 - g) o do, dm = g o do: what the children get. */
static void NAME(backward)(void *arg, int64_t begin, int64_t end, uint32_t worker)
{
    const call *c = arg;
    const int64_t step = c->io->dy->strides[2];

    (void)worker;
    for (int64_t n = begin; n < end; n++) {
        const loci_run *r = &c->io->q->runs[n];

        for (int64_t i = 0; i < r->len; i++) {
            const REAL *d_o = NAME(at)(c->io->dy, r, i);
            REAL *dy = NAME(in)(c, c->dy, r, i), *dm = NAME(in)(c, c->dmem, r, i);

            for (int64_t d = 0; d < c->m->shape.dim; d++) {
                const REAL g = NAME(share)(c, d);
                dy[d] = (1 - g) * d_o[d * step];
                dm[d] = g * d_o[d * step];
            }
        }
    }
}

/* d(gate) = g (1 - g) sum over tokens of do (m - y), channel by channel. */
static void NAME(gate)(void *arg, int64_t begin, int64_t end, uint32_t worker)
{
    const call *c = arg;
    const int64_t step = c->io->dy->strides[2];

    (void)worker;
    for (int64_t d = begin; d < end; d++) {
        const REAL g = NAME(share)(c, d);
        REAL sum = 0;

        for (uint32_t n = 0; n < c->io->q->n_runs; n++) {
            const loci_run *r = &c->io->q->runs[n];

            for (int64_t i = 0; i < r->len; i++)
                sum +=
                    NAME(at)(c->io->dy, r, i)[d * step] * (NAME(in)(c, c->mem, r, i)[d] - NAME(in)(c, c->y, r, i)[d]);
        }
        ((REAL *)loci_ptr(&c->s->grads[c->m->gate]))[d] += g * (1 - g) * sum;
    }
}

#endif
