/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/bad/attention.h: a small attention that is right, to be made wrong in one way: the formula of loci_attn_desc
 * with causality, offsets, windows, prefixes, lengths, bias, softcap, sinks and grouped heads, a query at a time.
 *
 * A bad plugin defines one of the terms below and includes this text.
 *
 *  (1) A backward recomputes the scores and reads o and lse: P = exp(s - lse).
 *  (2) Numbers pass through get and put, which know float and double.
 */
#include <loci/author.h>

#include <math.h>
#include <string.h>

#ifndef LEFT
#define LEFT(window) (window) /* how far back a query sees */
#endif
#ifndef LENGTH
#define LENGTH(len) (len) /* of the keys */
#endif
#ifndef BEFORE
#define BEFORE(prefix) (prefix) /* keys that all see */
#endif
#ifndef KEY_HEAD
#define KEY_HEAD(h) ((h) / (p->H / p->Hk))
#endif
#ifndef LSE_OUT
#define LSE_OUT(lse) (lse) /* as it is stored */
#endif
#ifndef LSE_IN
#define LSE_IN(lse) (lse) /* as a backward reads it */
#endif
#ifndef D_LSE
#define D_LSE(d) (d)
#endif
#ifndef EMPTY
#define EMPTY(top) isinf(top) /* does a query see nothing? */
#endif
#ifndef CAP_SLOPE
#define CAP_SLOPE(t) (1 - (t) * (t)) /* derivative of tanh */
#endif
#ifndef WEIGHTED
#define WEIGHTED(P, v) ((P) == 0 ? 0 : (P) * (v)) /* what a key adds to o */
#endif
#ifndef D_BIAS
#define D_BIAS(ds) (ds)
#endif
#ifndef D_SINK
#define D_SINK(d) (d)
#endif

#define FEATURES (LOCI_A_WINDOW | LOCI_A_PREFIX | LOCI_A_LENGTHS | LOCI_A_BIAS | LOCI_A_SOFTCAP | LOCI_A_SINK)
#define fail(err, code, ...) loci_refuse(err, code, "attention/loops", __VA_ARGS__)

struct loci_module {
    const loci_host *host;
};

static double get(const loci_tensor *t, int64_t i)
{
    return t->dtype.bits == 64 ? ((const double *)loci_ptr(t))[i] : (double)((const float *)loci_ptr(t))[i];
}

static void put(const loci_tensor *t, int64_t i, double x)
{
    if (t->dtype.bits == 64)
        ((double *)loci_ptr(t))[i] = x;
    else
        ((float *)loci_ptr(t))[i] = (float)x;
}

static void add(const loci_tensor *t, int64_t i, double x)
{
    put(t, i, get(t, i) + x);
}

/* Where (a, b, c) begins. */
static int64_t at(const loci_tensor *t, int64_t a, int64_t b, int64_t c)
{
    return a * t->strides[0] + b * t->strides[1] + c * t->strides[2];
}

/* ---- life -------------------------------------------------------------------------------------------------------- */

static loci_status fit(const loci_host *host, const loci_config *config, const loci_shape *s, loci_fit *out)
{
    const int real = s->dtype.code == LOCI_FLOAT && (s->dtype.bits == 32 || s->dtype.bits == 64) && s->dtype.lanes == 1;
    const int even = (!s->k_heads || s->heads % s->k_heads == 0) && (!s->v_heads || s->heads % s->v_heads == 0);
    const char *why = !real                        ? "float32 and float64 only"
                      : s->device.type != LOCI_CPU ? "memory of the cpu only"
                      : !even                      ? "heads of q must be a multiple of those of k and v"
                      : s->features & ~FEATURES    ? "a feature that it lacks"
                                                   : "a query at a time";

    (void)host;
    (void)config;
    out->score = real && even && s->device.type == LOCI_CPU && !(s->features & ~FEATURES) ? 5 : 0;
    snprintf(out->reason, sizeof out->reason, "%s", why);
    return LOCI_OK;
}

static loci_status create(const loci_host *host, const loci_config *config, const loci_site *site,
                          const loci_shape *shape, loci_module **out, loci_error *err)
{
    (void)config;
    (void)site;
    (void)shape;
    *out = host->alloc(host, sizeof **out);
    if (!*out)
        return fail(err, LOCI_E_NOMEM, "out of memory");
    (*out)->host = host;
    return LOCI_OK;
}

static void destroy(loci_module *m)
{
    m->host->free(m->host, m);
}

/* Scores of one query. */
static loci_status plan(loci_module *m, const loci_shape *shape, int32_t op, loci_need *need, loci_error *err)
{
    (void)m;
    (void)op;
    LOCI_RETURN_IF(loci_countable(shape, "attention/loops", err));
    if (shape->ctx >= INT64_C(1) << 58)
        return fail(err, LOCI_E_UNSUPPORTED, "%lld keys exceed 2^61 bytes: plan for less at once",
                    (long long)shape->ctx);
    need->scratch += 8 * (uint64_t)shape->ctx;
    return LOCI_OK;
}

/* ---- one query --------------------------------------------------------------------------------------------------- */

struct pass {
    const loci_attn_io *io;
    const loci_attn_desc *d;
    int64_t T, S, H, Hk, Hv, width, out;
    double *score;
};

static int visible(const struct pass *p, int64_t b, int64_t i, int64_t j)
{
    const loci_attn_desc *d = p->d;
    const int64_t pq = d->offset + i;

    if (d->k_len && j >= LENGTH(((const int32_t *)loci_ptr(d->k_len))[b]))
        return 0;
    if (d->q_len && i >= ((const int32_t *)loci_ptr(d->q_len))[b])
        return 0;
    return j < BEFORE(d->prefix) ||
           ((!d->causal || j <= pq) && (d->window_left < 0 || pq - j <= LEFT(d->window_left)) &&
            (d->window_right < 0 || j - pq <= d->window_right));
}

static int64_t at_bias(const loci_tensor *t, int64_t b, int64_t h, int64_t i, int64_t j)
{
    return at(t, t->shape[0] > 1 ? b : 0, t->shape[1] > 1 ? h : 0, i) + j;
}

/* *slope: of the score by q.k */
static double score(const struct pass *p, int64_t b, int64_t h, int64_t i, int64_t j, double *slope)
{
    const int64_t q = at(p->io->q, b, i, h), k = at(p->io->k, b, j, KEY_HEAD(h));
    double sum = 0, t;

    for (int64_t x = 0; x < p->width; x++)
        sum += get(p->io->q, q + x) * get(p->io->k, k + x);
    sum *= p->d->scale;
    *slope = p->d->scale;
    if (p->d->softcap > 0) {
        t = tanh(sum / p->d->softcap);
        sum = p->d->softcap * t;
        *slope *= CAP_SLOPE(t);
    }
    return sum + (p->d->bias ? get(p->d->bias, at_bias(p->d->bias, b, h, i, j)) : 0);
}

static void query(const struct pass *p, int64_t b, int64_t h, int64_t i)
{
    const loci_attn_io *io = p->io;
    double top = p->d->sink ? get(p->d->sink, h) : -INFINITY, sum, slope;

    for (int64_t j = 0; j < p->S; j++) {
        p->score[j] = visible(p, b, i, j) ? score(p, b, h, i, j, &slope) : -INFINITY;
        top = p->score[j] > top ? p->score[j] : top;
    }
    sum = p->d->sink ? exp(get(p->d->sink, h) - top) : 0;
    for (int64_t j = 0; j < p->S && !EMPTY(top); j++)
        sum += exp(p->score[j] - top);
    for (int64_t x = 0; x < p->out; x++) {
        double o = 0;
        for (int64_t j = 0; j < p->S && !EMPTY(top); j++)
            o += WEIGHTED(exp(p->score[j] - top) / sum, get(io->v, at(io->v, b, j, h / (p->H / p->Hv)) + x));
        put(io->o, at(io->o, b, i, h) + x, o);
    }
    put(io->lse, at(io->lse, b, h, i), isinf(top) ? -INFINITY : LSE_OUT(top + log(sum)));
}

static void query_back(const struct pass *p, int64_t b, int64_t h, int64_t i)
{
    const loci_attn_io *io = p->io;
    const double kept = get(io->lse, at(io->lse, b, h, i)), lse = isinf(kept) ? kept : LSE_IN(kept);
    double D = io->d_lse ? -D_LSE(get(io->d_lse, at(io->d_lse, b, h, i))) : 0;

    if (isinf(lse))
        return;
    for (int64_t x = 0; x < p->out; x++)
        D += get(io->d_o, at(io->d_o, b, i, h) + x) * get(io->o, at(io->o, b, i, h) + x);
    for (int64_t j = 0; j < p->S; j++) {
        const int64_t q = at(io->q, b, i, h), k = at(io->k, b, j, KEY_HEAD(h)), v = at(io->v, b, j, h / (p->H / p->Hv));
        double slope, P, dP = 0, ds;
        if (!visible(p, b, i, j))
            continue;
        P = exp(score(p, b, h, i, j, &slope) - lse);
        for (int64_t x = 0; x < p->out; x++) {
            dP += get(io->d_o, at(io->d_o, b, i, h) + x) * get(io->v, v + x);
            if (io->dv)
                add(io->dv, at(io->dv, b, j, h / (p->H / p->Hv)) + x, P * get(io->d_o, at(io->d_o, b, i, h) + x));
        }
        ds = P * (dP - D);
        for (int64_t x = 0; x < p->width; x++) {
            if (io->dq)
                add(io->dq, at(io->dq, b, i, h) + x, slope * ds * get(io->k, k + x));
            if (io->dk)
                add(io->dk, at(io->dk, b, j, KEY_HEAD(h)) + x, slope * ds * get(io->q, q + x));
        }
        if (io->dbias)
            add(io->dbias, at_bias(io->dbias, b, h, i, j), D_BIAS(ds));
    }
    if (io->dsink)
        add(io->dsink, h, D_SINK(-D * exp(get(p->d->sink, h) - lse)));
}

/* ---- calls ------------------------------------------------------------------------------------------------------- */

static loci_status each(const loci_exec *x, const loci_attn_io *io,
                        void (*one)(const struct pass *, int64_t, int64_t, int64_t))
{
    const struct pass p = {.io = io,
                           .d = io->desc,
                           .T = io->q->shape[1],
                           .S = io->k->shape[1],
                           .H = io->q->shape[2],
                           .Hk = io->k->shape[2],
                           .Hv = io->v->shape[2],
                           .width = io->q->shape[3],
                           .out = io->v->shape[3],
                           .score = x->scratch};

    for (int64_t b = 0; b < io->q->shape[0]; b++)
        for (int64_t h = 0; h < p.H; h++)
            for (int64_t i = 0; i < p.T; i++)
                one(&p, b, h, i);
    return LOCI_OK;
}

static loci_status forward(loci_module *m, const loci_exec *x, const loci_attn_io *io, loci_error *err)
{
    (void)m;
    (void)err;
    return each(x, io, query);
}

static loci_status backward(loci_module *m, const loci_exec *x, const loci_attn_io *io, loci_error *err)
{
    (void)m;
    (void)err;
    return each(x, io, query_back);
}

static const loci_attention attention = {.struct_size = sizeof attention, .forward = forward, .backward = backward};
static const loci_class loops = {.struct_size = sizeof loops,
                                 .id = "loops",
                                 .kind = LOCI_KIND_ATTENTION,
                                 .version = "1.0",
                                 .summary = "attention in loops, for tests",
                                 .doc = "o = softmax(scale q k') v\nCost: 4 T S d per head.\nUse: in tests.",
                                 .caps = LOCI_CAP_BACKWARD | LOCI_CAP_CAUSAL,
                                 .fit = fit,
                                 .create = create,
                                 .destroy = destroy,
                                 .plan = plan,
                                 .iface = &attention};
static const loci_class *const classes[] = {&loops};

LOCI_EXPORT extern const loci_plugin loci_plugin_v1;
const loci_plugin loci_plugin_v1 = {LOCI_PLUGIN_HEAD, "loops", "1.0", "Apache-2.0", 1, 0, classes};
LOCI_PLUGIN_NOTE("class=attention/loops\n");
