/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/abi/golden_mixer.c: the golden plugin of mixers: caches, attention as a child, parallel_for, and loci.ops/1.
 *
 *     y[.., j] = r[j] for j < R, what the services said (golden_ops.h); then o, what the attention said; then 0
 */
#include "golden_ops.h"

LOCI_EXPORT extern const loci_plugin loci_plugin_v1;

struct loci_module {
    const loci_host *host;
    const loci_child *attention;
    uint32_t k, v, pos;
};

#define OPS_BYTES 16384 /* of scratch; then rows to append, queries and outputs, and the child's own */
#define CALL_BYTES 16384

static void tell_mixer(const loci_host *h, const loci_mixer *a)
{
    TELL(h, loci_mixer, a, struct_size);
    TELL(h, loci_mixer, a, reserved0);
    TELL(h, loci_mixer, a, forward);
    TELL(h, loci_mixer, a, backward);
}

static void tell_want(const loci_host *h, const loci_want *w)
{
    TELL(h, loci_want, w, struct_size);
    TELL(h, loci_want, w, optional);
    TELL(h, loci_want, w, role);
    TELL(h, loci_want, w, kind);
    TELL(h, loci_want, w, caps);
}

static loci_status fit(const loci_host *host, const loci_config *config, const loci_shape *shape, loci_fit *out)
{
    HEARD(host, loci_class, fit, host, config, shape, out);
    golden_tell_plugin(host, &loci_plugin_v1);
    tell_mixer(host, loci_plugin_v1.classes[0]->iface);
    tell_want(host, loci_plugin_v1.classes[0]->wants[0]);
    golden_read_shape(host, shape);
    golden_tell_fit(host, out);
    return LOCI_OK;
}

static loci_status create(const loci_host *host, const loci_config *config, const loci_site *site,
                          const loci_shape *shape, loci_module **out, loci_error *err)
{
    loci_module *m = host->alloc(host, sizeof *m);

    HEARD(host, loci_class, create, host, config, site, shape, out, err);
    golden_read_host(host);
    golden_read_site(host, site);
    if (!m)
        return LOCI_E_NOMEM;
    m->host = host;
    *out = m;
    ANSWER(host, loci_class, create, m);
    return LOCI_OK;
}

static void destroy(loci_module *m)
{
    HEARD(m->host, loci_class, destroy, m);
    m->host->free(m->host, m);
}

static loci_status child_shape(loci_module *m, uint32_t want, loci_shape *shape, loci_error *err)
{
    HEARD(m->host, loci_class, child_shape, m, want, shape, err);
    golden_read_shape(m->host, shape);
    PUT(m->host, loci_shape, shape, heads, 1);
    PUT(m->host, loci_shape, shape, k_heads, 1);
    PUT(m->host, loci_shape, shape, v_heads, 1);
    PUT(m->host, loci_shape, shape, dk, 1);
    PUT(m->host, loci_shape, shape, dv, 1);
    return LOCI_OK;
}

static loci_status bind(loci_module *m, uint32_t n, const loci_child *const *children, loci_error *err)
{
    uint64_t caps;

    HEARD(m->host, loci_class, bind, m, n, children, err);
    m->attention = children[0];
    caps = ASK(m->host, loci_host, m->host, child_caps, m->attention);
    CAME(m->host, loci_host, child_caps, caps);
    return LOCI_OK;
}

static loci_status declare_cache(loci_module *m, void *decl, const char *name, int32_t ndim, loci_dtype dtype,
                                 uint32_t *index)
{
    const int64_t shape[] = {-1, -2, 1, 1};
    loci_slot s;

    memset(&s, 0, sizeof s);
    s.struct_size = sizeof s;
    s.flags = LOCI_SLOT_STATE | LOCI_SLOT_CACHE;
    s.name = name;
    s.ndim = ndim;
    s.shape = shape;
    s.dtype = dtype;
    return ASK(m->host, loci_host, m->host, declare, m->host, decl, &s, index);
}

static loci_status declare(loci_module *m, void *decl, loci_error *err)
{
    const loci_dtype i32 = {LOCI_INT, 32, 1}, acc = {0, 0, 0};
    loci_status status = declare_cache(m, decl, "k", 4, acc, &m->k);

    HEARD(m->host, loci_class, declare, m, decl, err);
    if (status == LOCI_OK)
        status = declare_cache(m, decl, "v", 4, acc, &m->v);
    if (status == LOCI_OK)
        status = declare_cache(m, decl, "pos", 2, i32, &m->pos);
    return status;
}

static loci_status plan(loci_module *m, const loci_shape *shape, int32_t op, loci_need *need, loci_error *err)
{
    const loci_host *h = m->host;
    loci_need sub = {sizeof sub, 0, 0, 0, 0};
    loci_status status;

    HEARD(h, loci_class, plan, m, shape, op, need, err);
    if (op == GOLDEN_NO_OP)
        return golden_refuse(h, err);
    status = ASK(h, loci_host, h, child_need, m->attention, shape, op, &sub, err);
    if (status != LOCI_OK)
        return status;
    GOT(h, loci_need, &sub, scratch);
    GOT(h, loci_need, &sub, saved);
    GOT(h, loci_need, &sub, host);
    golden_tell_need(h, need, OPS_BYTES + CALL_BYTES + sub.scratch, sub.saved, sub.host);
    return LOCI_OK;
}

/* ---- calls ---- */

struct task {
    const loci_host *host;
    double sum; /* of 0 .. 9, in one piece */
};

static void task(void *arg, int64_t begin, int64_t end, uint32_t worker)
{
    struct task *t = arg;

    SAY_CELLS(t->host, "heard", "loci_task_fn", arg, begin, end, worker);
    for (int64_t i = begin; i < end; i++)
        t->sum += (double)i;
}

/* Rows, queries and outputs of width 1, [B,T,1,1], and what the attention is asked with them. */
struct call {
    golden_view rows, q, o, lse, d_o, dq, d_rows;
    loci_attn_desc desc;
    loci_attn_io io;
    loci_attend attend;
    loci_exec own;
};

static void prepare(loci_module *m, struct call *c, const loci_exec *x, const loci_slots *slots, const loci_io *io)
{
    const loci_host *h = m->host;
    const int64_t rows[] = {io->x->shape[0], io->x->shape[1], 1, 1}, lse[] = {rows[0], 1, rows[1], 0};
    double *at = (double *)x->scratch + OPS_BYTES / 8;

    memset(c, 0, sizeof *c);
    golden_make(&c->rows, &at, rows, 2, 0);
    golden_make(&c->q, &at, rows, 1, 0);
    golden_make(&c->o, &at, rows, 0, 0);
    golden_make(&c->lse, &at, lse, 0, 0);
    golden_make(&c->d_o, &at, rows, 1, 0);
    golden_make(&c->dq, &at, rows, 0, 0);
    golden_make(&c->d_rows, &at, rows, 0, 0);
    c->desc.struct_size = sizeof c->desc;
    c->desc.causal = 1;
    c->desc.scale = 0.5;
    c->desc.window_left = c->desc.window_right = -1;
    c->io.struct_size = sizeof c->io;
    c->io.desc = &c->desc;
    c->io.q = &c->q.t;
    c->io.o = &c->o.t;
    c->io.lse = &c->lse.t;
    c->io.d_o = &c->d_o.t;
    c->io.dq = &c->dq.t;
    PUT(h, loci_attend, &c->attend, struct_size, sizeof c->attend);
    PUT(h, loci_attend, &c->attend, k_slot, m->k);
    PUT(h, loci_attend, &c->attend, v_slot, m->v);
    PUT(h, loci_attend, &c->attend, pos_slot, m->pos);
    PUT(h, loci_attend, &c->attend, cache, slots->cache);
    PUT(h, loci_attend, &c->attend, q, io->q);
    PUT(h, loci_attend, &c->attend, k, io->k);
    PUT(h, loci_attend, &c->attend, io, &c->io);
    LOCI_COPY(&c->own, x);
    PUT(h, loci_exec, &c->own, struct_size, sizeof c->own);
    c->own.scratch = (char *)x->scratch + OPS_BYTES + CALL_BYTES;
    c->own.scratch_bytes = x->scratch_bytes - OPS_BYTES - CALL_BYTES;
}

static loci_status forward(loci_module *m, const loci_exec *x, const loci_slots *slots, const loci_io *io,
                           loci_error *err)
{
    const loci_host *h = m->host;
    const loci_batch *k = io->k ? io->k : io->q;
    struct task sum = {h, 0};
    struct call c;
    double r[GOLDEN_OPS + 1] = {0};
    loci_status status;

    HEARD(h, loci_mixer, forward, m, x, slots, io, err);
    golden_read_exec(h, x);
    golden_read_slots(h, slots);
    golden_read_second(h, slots->state_in);
    golden_read_io(h, io);
    status = golden_ask_ops(h, x, r, err);
    if (status == LOCI_OK)
        status = ASK(h, loci_host, h, parallel_for, x, (int64_t)10, (int64_t)16, task, (void *)&sum);
    r[GOLDEN_OPS] = sum.sum;
    prepare(m, &c, x, slots, io);
    if (status == LOCI_OK)
        status = ASK(h, loci_host, h, append, x, slots->cache, m->k, &c.rows.t, k, err);
    if (status == LOCI_OK)
        status = h->append(x, slots->cache, m->v, &c.rows.t, k, err);
    if (status == LOCI_OK)
        status = h->append(x, slots->cache, m->pos, k->pos, k, err);
    if (status == LOCI_OK)
        status = ASK(h, loci_host, h, attend, m->attention, &c.own, &c.attend, err);
    for (uint32_t i = 0; status == LOCI_OK && i < io->q->n_runs; i++) {
        const loci_run *run = &io->q->runs[i];
        for (int64_t t = run->begin; t < (int64_t)run->begin + run->len; t++) {
            double *y = (double *)loci_ptr(io->y) + run->row * io->y->strides[0] + t * io->y->strides[1];
            for (int64_t j = 0; j < io->y->shape[2]; j++)
                y[j] = j <= GOLDEN_OPS ? r[j] : 0;
            if (io->y->shape[2] > GOLDEN_OPS + 1)
                y[GOLDEN_OPS + 1] = ((double *)c.o.t.data)[run->row * io->y->shape[1] + t];
        }
    }
    return status;
}

static loci_status backward(loci_module *m, const loci_exec *x, const loci_slots *slots, const loci_io *io,
                            loci_error *err)
{
    const loci_host *h = m->host;
    const loci_batch *k = io->k ? io->k : io->q;
    struct call c;
    loci_status status;

    HEARD(h, loci_mixer, backward, m, x, slots, io, err);
    golden_read_exec(h, x);
    golden_read_slots(h, slots);
    golden_read_io(h, io);
    prepare(m, &c, x, slots, io);
    status = ASK(h, loci_host, h, attend_back, m->attention, &c.own, &c.attend, err);
    if (status == LOCI_OK)
        status = ASK(h, loci_host, h, append_back, x, slots->cache, m->k, &c.d_rows.t, k, err);
    if (status == LOCI_OK)
        status = h->append_back(x, slots->cache, m->v, &c.d_rows.t, k, err);
    /* d(row) and dq, so that the test sees both: dx = dk + dv + dq of the token. */
    for (uint32_t i = 0; status == LOCI_OK && io->dx && i < io->q->n_runs; i++) {
        const loci_run *run = &io->q->runs[i];
        for (int64_t t = run->begin; t < (int64_t)run->begin + run->len; t++)
            ((double *)loci_ptr(io->dx))[run->row * io->dx->strides[0] + t * io->dx->strides[1]] +=
                ((double *)c.d_rows.t.data)[run->row * io->x->shape[1] + t] +
                ((double *)c.dq.t.data)[run->row * io->x->shape[1] + t];
    }
    return status;
}

static const loci_mixer mixer = {sizeof mixer, 0, forward, backward};
static const loci_want want = {sizeof want, 0, "attention", LOCI_KIND_ATTENTION, LOCI_CAP_CAUSAL};
static const loci_want *const wants[] = {&want};

static const loci_class golden = {.struct_size = sizeof golden,
                                  .state_version = 3,
                                  .id = "golden",
                                  .kind = LOCI_KIND_MIXER,
                                  .version = "1.0",
                                  .summary = "touches everything",
                                  .doc = "y = what the services said",
                                  .caps = LOCI_CAP_BACKWARD | LOCI_CAP_CAUSAL,
                                  .n_wants = 1,
                                  .wants = wants,
                                  .fit = fit,
                                  .create = create,
                                  .destroy = destroy,
                                  .child_shape = child_shape,
                                  .bind = bind,
                                  .declare = declare,
                                  .plan = plan,
                                  .iface = &mixer};
static const loci_class *const classes[] = {&golden};

const loci_plugin loci_plugin_v1 = {LOCI_PLUGIN_HEAD, "golden", "1.0", "Apache-2.0", 1, 0, classes};
LOCI_PLUGIN_NOTE("class=mixer/golden\n");
