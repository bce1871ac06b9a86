/* @STEM@.c: the attention @ID@, on the whole contract: loci/plugin.h, and loci/author.h for what everybody writes.
 *
 *     s_ij = scale q_i k_j           lse_i = log sum over visible j of exp s_ij           p_ij = exp(s_ij - lse_i)
 *     o_i  = sum over j of p_ij v_j
 *
 * The formula in plain loops, one query after another. It serves causality, an offset, windows, a prefix, positions,
 * segments, lengths and grouped heads, which is what mixers ask for every day, and declines the rest by name in fit().
 *
 *  (1) The file includes itself twice: the mathematics, at its end, is compiled for float and for double.
 *  (2) A query that sees nothing gets o = 0 and lse = -inf, and no gradient flows.
 *  (3) The backward computes p again from lse. o and lse may be those of more keys than these, so it uses them as
 *      given.
 *  (4) An item of a forward is a row and a query head. One of a backward is a row and as many query heads as share keys
 *      or values with each other. No two write the same numbers, so threads change no bit.
 *
 * Vaswani et al. 2017, Attention Is All You Need, section 3.2.1; the backward as in Dao et al. 2022, FlashAttention.
 */
#ifndef REAL
#include <loci/author.h>
#include <math.h>
#include <string.h>

#define WHERE "attention/@ID@"
#define SERVED (LOCI_A_WINDOW | LOCI_A_PREFIX | LOCI_A_POS | LOCI_A_SEGMENTS | LOCI_A_LENGTHS)

struct loci_module {
    const loci_host *host;
};

typedef struct call {
    const loci_attn_io *io;
    const loci_attn_desc *a;
    int64_t B, T, S, H, Hk, Hv, d, e;
    char *scratch; /* S numbers for each worker */
    uint64_t room;
} call;

/* An i32 of [B,T]-like tensors, whose first axis may be 1. */
static int64_t int_at(const loci_tensor *t, int64_t b, int64_t i)
{
    const int64_t row = t->shape[0] == 1 ? 0 : b, step = t->ndim > 1 ? t->strides[1] : 0;

    return ((const int32_t *)loci_ptr(t))[row * t->strides[0] + i * step];
}

/* May query i see key j? The formula of loci_attn_desc, line by line. */
static int visible(const call *c, int64_t b, int64_t i, int64_t j)
{
    const loci_attn_desc *a = c->a;
    int64_t p_q, p_k;

    if ((a->k_len && j >= int_at(a->k_len, b, 0)) || (a->q_len && i >= int_at(a->q_len, b, 0)))
        return 0;
    p_k = j < a->prefix ? -1 : a->k_pos ? int_at(a->k_pos, b, j) : j;
    if (p_k < 0)
        return 1;
    p_q = a->q_pos ? int_at(a->q_pos, b, i) : a->offset + i;
    if (a->q_seg && int_at(a->q_seg, b, i) != int_at(a->k_seg, b, j))
        return 0;
    return (!a->causal || p_k <= p_q) && (a->window_left < 0 || p_q - p_k <= a->window_left) &&
           (a->window_right < 0 || p_k - p_q <= a->window_right);
}

/* How many groups of query heads share nothing: the greatest common divisor of key and value heads. */
static int64_t groups(const call *c)
{
    int64_t a = c->Hk, b = c->Hv;

    while (b) {
        const int64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

#define REAL float
#define NAME(f) f##_f32
#define EXP expf
#define LOG logf
#include "@STEM@.c"
#undef REAL
#undef NAME
#undef EXP
#undef LOG
#define REAL double
#define NAME(f) f##_f64
#define EXP exp
#define LOG log
#include "@STEM@.c"

/* ---- life ---- */

static const struct {
    uint64_t bit;
    const char *name;
} declined[] = {
    {LOCI_A_MASK, "a dense mask"},  {LOCI_A_BIAS, "a bias"},        {LOCI_A_SLOPES, "slopes (alibi)"},
    {LOCI_A_TABLE, "a bias table"}, {LOCI_A_SOFTCAP, "a soft cap"}, {LOCI_A_SINK, "a sink"},
    {LOCI_A_DROPOUT, "dropout"},    {LOCI_A_PAGED, "paged caches"}, {LOCI_A_BLOCKS, "block lists"},
};

static const char *lacking(uint64_t features)
{
    for (size_t i = 0; i < sizeof declined / sizeof *declined; i++)
        if (features & declined[i].bit)
            return declined[i].name;
    return features & ~SERVED ? "a feature newer than it" : NULL;
}

static loci_status fit(const loci_host *host, const loci_config *config, const loci_shape *s, loci_fit *f)
{
    const char *what = lacking(s->features);

    (void)host, (void)config;
    f->score = 0;
    if (s->device.type != LOCI_CPU)
        snprintf(f->reason, sizeof f->reason, "plain loops for the cpu device");
    else if (s->dtype.code != LOCI_FLOAT || (s->dtype.bits != 32 && s->dtype.bits != 64))
        snprintf(f->reason, sizeof f->reason, "computes in float32 or float64: set run.dtype to one of them");
    else if (what)
        snprintf(f->reason, sizeof f->reason, "it does not serve %s", what);
    else if ((s->k_heads && s->heads % s->k_heads) || (s->v_heads && s->heads % s->v_heads))
        snprintf(f->reason, sizeof f->reason, "%lld query heads are no multiple of %lld key and %lld value heads",
                 (long long)s->heads, (long long)s->k_heads, (long long)s->v_heads);
    else {
        f->score = 5; /* below what loci ships: `auto` takes it only when nothing else fits */
        snprintf(f->reason, sizeof f->reason, "plain loops");
    }
    return LOCI_OK;
}

static loci_status create(const loci_host *host, const loci_config *config, const loci_site *site,
                          const loci_shape *shape, loci_module **out, loci_error *err)
{
    loci_module *m = host->alloc(host, sizeof *m);

    (void)config, (void)site, (void)shape;
    if (!m)
        return loci_refuse(err, LOCI_E_NOMEM, WHERE, "out of memory");
    m->host = host;
    *out = m;
    return LOCI_OK;
}

static void destroy(loci_module *m)
{
    m->host->free(m->host, m);
}

/* ---- sizes ---- */

/* Of a worker: a number for each key, on a cache line of its own. */
static uint64_t room_bytes(int64_t keys, int bits)
{
    return ((uint64_t)keys * (uint64_t)bits / 8 + 63) & ~UINT64_C(63);
}

static loci_status plan(loci_module *m, const loci_shape *shape, int32_t op, loci_need *need, loci_error *err)
{
    (void)op;
    LOCI_RETURN_IF(loci_countable(shape, WHERE, err));
    need->scratch += m->host->workers(m->host) * room_bytes(shape->ctx, shape->dtype.bits);
    return LOCI_OK;
}

/* ---- calls ---- */

static int is(const loci_tensor *t, int64_t a, int64_t b, int64_t h, int64_t n, int bits)
{
    return t && t->ndim == 4 && t->shape[0] == a && t->shape[1] == b && t->shape[2] == h && t->shape[3] == n &&
           t->dtype.code == LOCI_FLOAT && t->dtype.bits == bits;
}

static loci_status begin(call *c, loci_module *m, const loci_exec *x, const loci_attn_io *io, int back, loci_error *err)
{
    const loci_attn_desc *a = io->desc;
    const loci_tensor *q = io->q, *k = io->k, *v = io->v;
    const int bits = q ? q->dtype.bits : 0;
    uint64_t features = 0;

    features |= (a->mask ? LOCI_A_MASK : 0) | (a->bias ? LOCI_A_BIAS : 0) | (a->slopes ? LOCI_A_SLOPES : 0);
    features |= (a->table ? LOCI_A_TABLE : 0) | (a->softcap > 0 ? LOCI_A_SOFTCAP : 0) | (a->sink ? LOCI_A_SINK : 0);
    features |= (a->dropout > 0 ? LOCI_A_DROPOUT : 0) | (a->block_table ? LOCI_A_PAGED : 0);
    features |= a->blocks ? LOCI_A_BLOCKS : 0;
    if (features)
        return loci_refuse(err, LOCI_E_UNSUPPORTED, WHERE, "it does not serve %s: choose another attention.backend",
                           lacking(features));
    if (!q || !k || !v || q->ndim != 4 || k->ndim != 4 || v->ndim != 4 || (bits != 32 && bits != 64))
        return loci_refuse(err, LOCI_E_ARG, WHERE, "q, k and v are needed, with four axes each, in float32 or float64");
    *c = (call){io,          a,           q->shape[0], q->shape[1], k->shape[1], q->shape[2],
                k->shape[2], v->shape[2], q->shape[3], v->shape[3], x->scratch,  0};
    if (!is(q, c->B, c->T, c->H, c->d, bits) || !is(k, c->B, c->S, c->Hk, c->d, bits) ||
        !is(v, c->B, c->S, c->Hv, c->e, bits) || !is(io->o, c->B, c->T, c->H, c->e, bits) ||
        (back && !is(io->d_o, c->B, c->T, c->H, c->e, bits)) || !io->lse)
        return loci_refuse(err, LOCI_E_ARG, WHERE, "shapes or types of q, k, v, o, lse and d_o do not belong together");
    if (c->Hk < 1 || c->Hv < 1 || c->H % c->Hk || c->H % c->Hv)
        return loci_refuse(err, LOCI_E_ARG, WHERE, "%lld query heads are no multiple of %lld key and %lld value heads",
                           (long long)c->H, (long long)c->Hk, (long long)c->Hv);
    if (!a->q_seg != !a->k_seg)
        return loci_refuse(err, LOCI_E_ARG, WHERE, "q_seg and k_seg go together");
    c->room = room_bytes(c->S, bits);
    if (!back && c->room * m->host->workers(m->host) > x->scratch_bytes)
        return loci_refuse(err, LOCI_E_ARG, WHERE, "%lld keys are more than was planned for", (long long)c->S);
    return LOCI_OK;
}

static loci_status forward(loci_module *m, const loci_exec *x, const loci_attn_io *io, loci_error *err)
{
    call c;

    LOCI_RETURN_IF(begin(&c, m, x, io, 0, err));
    return m->host->parallel_for(x, c.B * c.H, 1, io->q->dtype.bits == 64 ? forward_f64 : forward_f32, &c);
}

static loci_status backward(loci_module *m, const loci_exec *x, const loci_attn_io *io, loci_error *err)
{
    call c;

    LOCI_RETURN_IF(begin(&c, m, x, io, 1, err));
    return m->host->parallel_for(x, c.B * groups(&c), 1, io->q->dtype.bits == 64 ? backward_f64 : backward_f32, &c);
}

/* ---- the class ---- */

static const loci_attention iface = {sizeof iface, 0, forward, backward};

static const loci_class cls = {
    .struct_size = sizeof cls,
    .state_version = 1,
    .id = "@ID@",
    .kind = LOCI_KIND_ATTENTION,
    .version = "1.0",
    .summary = "softmax attention in plain loops: to begin with",
    .doc = "o = softmax(scale q k') v, and its gradients from o and the log-sum-exp.\n"
           "Cost: 4 T S d operations a head forward; memory of S numbers a thread.\n"
           "Source: Vaswani et al. 2017, Attention Is All You Need, section 3.2.1.\n"
           "Use: as the oracle of a faster one.",
    .caps = LOCI_CAP_BACKWARD | LOCI_CAP_CAUSAL,
    .fit = fit,
    .create = create,
    .destroy = destroy,
    .plan = plan,
    .iface = &iface,
};
static const loci_class *const classes[] = {&cls};

LOCI_EXPORT extern const loci_plugin loci_plugin_v1;
const loci_plugin loci_plugin_v1 = {LOCI_PLUGIN_HEAD, "@ID@", "1.0", "unspecified", 1, 0, classes};
LOCI_PLUGIN_NOTE("class=attention/@ID@\n");

#else /* ---- the mathematics, in REAL ---- */

/* A row of a [B,T,H,n] tensor: numbers that lie `step` apart (0 where one stands for all); NULL: not there. */
typedef struct NAME(row) {
    REAL *at;
    int64_t step;
} NAME(row);

static NAME(row) NAME(row_at)(const loci_tensor *t, int64_t b, int64_t i, int64_t h)
{
    NAME(row) r = {t ? (REAL *)loci_ptr(t) : NULL, t ? t->strides[3] : 0};

    if (r.at)
        r.at += b * t->strides[0] + i * t->strides[1] + h * t->strides[2];
    return r;
}

static REAL NAME(dot)(NAME(row) a, NAME(row) b, int64_t n)
{
    REAL sum = 0;

    for (int64_t x = 0; x < n; x++)
        sum += a.at[x * a.step] * b.at[x * b.step];
    return sum;
}

/* y += f x, where there is a y. */
static void NAME(add)(NAME(row) y, REAL f, NAME(row) x, int64_t n)
{
    for (int64_t i = 0; i < n && y.at; i++)
        y.at[i * y.step] += f * x.at[i * x.step];
}

static REAL *NAME(lse_at)(const loci_tensor *t, int64_t b, int64_t h, int64_t i)
{
    return (REAL *)loci_ptr(t) + b * t->strides[0] + h * t->strides[1] + i * t->strides[2];
}

/* One query of one head. s: room for its scores. */
static void NAME(query)(const call *c, int64_t b, int64_t h, int64_t i, REAL *s)
{
    const int64_t kh = h / (c->H / c->Hk), vh = h / (c->H / c->Hv);
    const NAME(row) q = NAME(row_at)(c->io->q, b, i, h), o = NAME(row_at)(c->io->o, b, i, h);
    REAL top = -INFINITY, sum = 0;

    for (int64_t j = 0; j < c->S; j++) {
        s[j] = -INFINITY;
        if (visible(c, b, i, j))
            s[j] = (REAL)c->a->scale * NAME(dot)(q, NAME(row_at)(c->io->k, b, j, kh), c->d);
        top = s[j] > top ? s[j] : top;
    }
    for (int64_t x = 0; x < c->e; x++)
        o.at[x * o.step] = 0;
    for (int64_t j = 0; j < c->S; j++) {
        if (!visible(c, b, i, j))
            continue;
        s[j] = EXP(s[j] - top);
        sum += s[j];
        NAME(add)(o, s[j], NAME(row_at)(c->io->v, b, j, vh), c->e);
    }
    for (int64_t x = 0; x < c->e && sum > 0; x++)
        o.at[x * o.step] /= sum;
    *NAME(lse_at)(c->io->lse, b, h, i) = sum > 0 ? top + LOG(sum) : -INFINITY;
}

static void NAME(forward)(void *arg, int64_t begin, int64_t end, uint32_t worker)
{
    const call *c = arg;

    for (int64_t item = begin; item < end; item++)
        for (int64_t i = 0; i < c->T; i++)
            NAME(query)(c, item / c->H, item % c->H, i, (REAL *)(void *)(c->scratch + worker * c->room));
}

/* With shift_i = d_lse_i - d_o_i o_i:  ds = p (d_o v + shift);  dq += scale ds k;  dk += scale ds q;  dv += p d_o. */
static void NAME(query_back)(const call *c, int64_t b, int64_t h, int64_t i)
{
    const loci_attn_io *io = c->io;
    const int64_t kh = h / (c->H / c->Hk), vh = h / (c->H / c->Hv);
    const NAME(row) q = NAME(row_at)(io->q, b, i, h), d_o = NAME(row_at)(io->d_o, b, i, h);
    const REAL lse = *NAME(lse_at)(io->lse, b, h, i), scale = (REAL)c->a->scale;
    REAL shift = io->d_lse ? *NAME(lse_at)(io->d_lse, b, h, i) : 0;

    if (lse == -INFINITY)
        return;
    shift -= NAME(dot)(d_o, NAME(row_at)(io->o, b, i, h), c->e);
    for (int64_t j = 0; j < c->S; j++) {
        if (!visible(c, b, i, j))
            continue;
        const NAME(row) k = NAME(row_at)(io->k, b, j, kh);
        const REAL p = EXP(scale * NAME(dot)(q, k, c->d) - lse);
        const REAL ds = p * (NAME(dot)(d_o, NAME(row_at)(io->v, b, j, vh), c->e) + shift);

        NAME(add)(NAME(row_at)(io->dq, b, i, h), scale * ds, k, c->d);
        NAME(add)(NAME(row_at)(io->dk, b, j, kh), scale * ds, q, c->d);
        NAME(add)(NAME(row_at)(io->dv, b, j, vh), p, d_o, c->e);
    }
}

static void NAME(backward)(void *arg, int64_t begin, int64_t end, uint32_t worker)
{
    const call *c = arg;
    const int64_t n = groups(c), each = c->H / n;

    (void)worker;
    for (int64_t item = begin; item < end; item++)
        for (int64_t h = item % n * each; h < (item % n + 1) * each; h++)
            for (int64_t i = 0; i < c->T; i++)
                NAME(query_back)(c, item / n, h, i);
}

#endif
