/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/abi/golden_compose.c: the golden plugin of compositions: children, their states, and calls between levels.
 *
 *     y = mixer(x), and its last channel = twice the first number of the memory's state after memory(x)
 *
 * A backward visits both children and adds what the mixer says; the last channel has no gradient. Scratch is
 * [memory's y | a copy of its state | the children's, one after the other], saved is [mixer's | memory's].
 */
#include "golden_parts.h"

LOCI_EXPORT extern const loci_plugin loci_plugin_v1;

#define MIXER 0
#define MEMORY 1

struct loci_module {
    const loci_host *host;
    const loci_child *child[2];
    uint32_t sub[2];
    int64_t dim;
};

static loci_status fit(const loci_host *host, const loci_config *config, const loci_shape *shape, loci_fit *out)
{
    HEARD(host, loci_class, fit, host, config, shape, out);
    golden_tell_plugin(host, &loci_plugin_v1);
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
    m->dim = shape->dim;
    *out = m;
    ANSWER(host, loci_class, create, m);
    return LOCI_OK;
}

static void destroy(loci_module *m)
{
    HEARD(m->host, loci_class, destroy, m);
    m->host->free(m->host, m);
}

static loci_status bind(loci_module *m, uint32_t n, const loci_child *const *children, loci_error *err)
{
    uint64_t caps;

    HEARD(m->host, loci_class, bind, m, n, children, err);
    for (uint32_t i = 0; i < 2; i++) {
        m->child[i] = children[i];
        caps = ASK(m->host, loci_host, m->host, child_caps, m->child[i]);
        CAME(m->host, loci_host, child_caps, caps);
    }
    return LOCI_OK;
}

static loci_status declare(loci_module *m, void *decl, loci_error *err)
{
    static const char mix[] = "mix", run[] = "run";
    const loci_host *h = m->host;
    loci_status status;

    HEARD(h, loci_class, declare, m, decl, err);
    status = ASK(h, loci_host, h, declare_sub, h, decl, m->child[MIXER], mix, (int64_t)0, (int64_t)0, &m->sub[MIXER]);
    if (status == LOCI_OK)
        status =
            ASK(h, loci_host, h, declare_sub, h, decl, m->child[MEMORY], run, (int64_t)0, (int64_t)0, &m->sub[MEMORY]);
    return status;
}

/* ---- memory of a call ---- */

struct pieces {
    uint64_t y, state, scratch[2], saved[2], host[2];
};

static uint64_t whole_lines(uint64_t bytes)
{
    return (bytes + 63) & ~UINT64_C(63);
}

static loci_status measure(loci_module *m, const loci_shape *shape, struct pieces *p, loci_error *err)
{
    const loci_host *h = m->host;
    const int32_t op[] = {LOCI_OP_MIX, LOCI_OP_STEP};
    loci_status status = LOCI_OK;

    memset(p, 0, sizeof *p);
    p->y = whole_lines((uint64_t)(shape->rows * shape->seq * m->dim) * 8);
    p->state = ASK(h, loci_host, h, child_state_bytes, m->child[MEMORY], shape);
    CAME(h, loci_host, child_state_bytes, p->state);
    for (int i = 0; status == LOCI_OK && i < 2; i++) {
        loci_need need = {sizeof need, 0, 0, 0, 0};
        status = ASK(h, loci_host, h, child_need, m->child[i], shape, op[i], &need, err);
        GOT(h, loci_need, &need, scratch);
        GOT(h, loci_need, &need, saved);
        GOT(h, loci_need, &need, host);
        p->scratch[i] = whole_lines(need.scratch);
        p->saved[i] = whole_lines(need.saved);
        p->host[i] = whole_lines(need.host);
    }
    return status;
}

static loci_status plan(loci_module *m, const loci_shape *shape, int32_t op, loci_need *need, loci_error *err)
{
    struct pieces p;
    loci_status status;

    HEARD(m->host, loci_class, plan, m, shape, op, need, err);
    if (op == GOLDEN_NO_OP)
        return golden_refuse(m->host, err);
    status = measure(m, shape, &p, err);
    if (status == LOCI_OK)
        golden_tell_need(m->host, need, p.y + p.state + p.scratch[0] + p.scratch[1], p.saved[0] + p.saved[1],
                         p.host[0] + p.host[1]);
    return status;
}

/* The child's part of a call: its exec, and an io with its state and outputs. */
struct call {
    loci_exec x;
    loci_io io;
    golden_view y, none;
};

/* What a call may hold is at most its limits; it need not know them: sizes come from the call itself. */
static loci_status limits(loci_module *m, const loci_exec *x, const loci_io *io, struct pieces *p, loci_error *err)
{
    loci_shape s;

    memset(&s, 0, sizeof s);
    s.struct_size = sizeof s;
    s.session = x->session;
    s.flags = x->flags;
    s.rows = io->x->shape[0];
    s.seq = s.ctx = io->x->shape[1];
    s.runs = s.states = io->q->n_runs;
    s.dim = m->dim;
    s.dtype = s.acc = io->x->dtype;
    s.device = x->device;
    return measure(m, &s, p, err);
}

static void tell_io(const loci_host *h, loci_io *own, const loci_io *io, int32_t op, loci_tensor *y,
                    const loci_slots *slots, uint32_t sub)
{
    PUT(h, loci_io, own, struct_size, sizeof *own);
    PUT(h, loci_io, own, op, op);
    PUT(h, loci_io, own, x, io->x);
    PUT(h, loci_io, own, ctx, NULL);
    PUT(h, loci_io, own, y, y);
    PUT(h, loci_io, own, q, io->q);
    PUT(h, loci_io, own, k, NULL);
    PUT(h, loci_io, own, mask, io->mask);
    PUT(h, loci_io, own, state_in, slots->sub_in[sub]);
    PUT(h, loci_io, own, state_out, slots->sub_out[sub]);
    PUT(h, loci_io, own, state_grad, slots->sub_grad ? slots->sub_grad[sub] : NULL);
    PUT(h, loci_io, own, dy, io->dy);
    PUT(h, loci_io, own, dx, io->dx);
    PUT(h, loci_io, own, dctx, NULL);
}

static void prepare(loci_module *m, struct call c[2], const loci_exec *x, const loci_slots *slots, const loci_io *io,
                    const struct pieces *p)
{
    const loci_host *h = m->host;
    const int64_t shape[] = {io->x->shape[0], io->x->shape[1], m->dim, 0};
    double *at = x->scratch;
    char *scratch = (char *)x->scratch + p->y + p->state, *saved = x->saved, *host = x->host_scratch;

    golden_make(&c[MEMORY].y, &at, shape, 0, 0);
    tell_io(h, &c[MIXER].io, io, LOCI_OP_MIX, io->y, slots, m->sub[MIXER]);
    tell_io(h, &c[MEMORY].io, io, LOCI_OP_STEP, &c[MEMORY].y.t, slots, m->sub[MEMORY]);
    for (int i = 0; i < 2; i++) {
        LOCI_COPY(&c[i].x, x);
        PUT(h, loci_exec, &c[i].x, struct_size, sizeof c[i].x);
        PUT(h, loci_exec, &c[i].x, scratch, scratch);
        PUT(h, loci_exec, &c[i].x, scratch_bytes, p->scratch[i]);
        PUT(h, loci_exec, &c[i].x, saved, saved);
        PUT(h, loci_exec, &c[i].x, saved_bytes, saved ? p->saved[i] : 0);
        PUT(h, loci_exec, &c[i].x, host_scratch, host);
        PUT(h, loci_exec, &c[i].x, host_bytes, p->host[i]);
        scratch += p->scratch[i];
        saved = saved ? saved + p->saved[i] : NULL;
        host = host ? host + p->host[i] : NULL;
    }
}

static loci_status forward(loci_module *m, const loci_exec *x, const loci_slots *slots, const loci_io *io,
                           loci_error *err)
{
    const loci_host *h = m->host;
    struct call c[2];
    struct pieces p;
    void *copy;
    loci_status status = limits(m, x, io, &p, err);

    HEARD(h, loci_mixer, forward, m, x, slots, io, err);
    golden_read_exec(h, x);
    golden_read_slots(h, slots);
    golden_read_io(h, io);
    if (status != LOCI_OK)
        return status;
    copy = (char *)x->scratch + p.y;
    prepare(m, c, x, slots, io, &p);
    for (int i = 0; status == LOCI_OK && i < 2; i++)
        status = ASK(h, loci_host, h, child_forward, m->child[i], &c[i].x, &c[i].io, err);
    if (status == LOCI_OK)
        status = ASK(h, loci_host, h, child_copy, m->child[MEMORY], x, (const loci_batch *)NULL, LOCI_PART_ALL, copy,
                     c[MEMORY].io.state_out, err);
    if (status == LOCI_OK)
        status = ASK(h, loci_host, h, child_add, m->child[MEMORY], x, io->q, LOCI_PART_RULE, copy,
                     c[MEMORY].io.state_out, err);
    for (uint32_t i = 0; status == LOCI_OK && i < io->q->n_runs; i++) {
        const loci_run *run = &io->q->runs[i];
        for (int64_t t = run->begin; t < (int64_t)run->begin + run->len; t++)
            ((double *)loci_ptr(io->y))[run->row * io->y->strides[0] + t * io->y->strides[1] + m->dim - 1] =
                *(double *)copy;
    }
    return status;
}

static loci_status backward(loci_module *m, const loci_exec *x, const loci_slots *slots, const loci_io *io,
                            loci_error *err)
{
    const loci_host *h = m->host;
    struct call c[2];
    struct pieces p;
    loci_status status = limits(m, x, io, &p, err);

    HEARD(h, loci_mixer, backward, m, x, slots, io, err);
    golden_read_exec(h, x);
    golden_read_slots(h, slots);
    golden_read_io(h, io);
    if (status != LOCI_OK)
        return status;
    prepare(m, c, x, slots, io, &p);
    c[MEMORY].io.dy = &c[MEMORY].y.t; /* zeros */
    for (int i = 2; status == LOCI_OK && i-- > 0;)
        status = ASK(h, loci_host, h, child_backward, m->child[i], &c[i].x, &c[i].io, err);
    return status;
}

static const loci_mixer mixer = {sizeof mixer, 0, forward, backward};
static const loci_want mixer_want = {sizeof mixer_want, 0, "mixer", LOCI_KIND_MIXER, LOCI_CAP_CAUSAL};
static const loci_want memory_want = {sizeof memory_want, 0, "memory", LOCI_KIND_MEMORY, LOCI_CAP_CAUSAL};
static const loci_want *const wants[] = {&mixer_want, &memory_want};

static const loci_class golden = {.struct_size = sizeof golden,
                                  .state_version = 5,
                                  .id = "golden",
                                  .kind = LOCI_KIND_COMPOSE,
                                  .version = "1.0",
                                  .summary = "touches everything",
                                  .doc = "y = mixer(x), and a number of the memory's state",
                                  .caps = LOCI_CAP_BACKWARD | LOCI_CAP_CAUSAL,
                                  .n_wants = 2,
                                  .wants = wants,
                                  .fit = fit,
                                  .create = create,
                                  .destroy = destroy,
                                  .bind = bind,
                                  .declare = declare,
                                  .plan = plan,
                                  .iface = &mixer};
static const loci_class *const classes[] = {&golden};

const loci_plugin loci_plugin_v1 = {LOCI_PLUGIN_HEAD, "golden", "1.0", "Apache-2.0", 1, 0, classes};
LOCI_PLUGIN_NOTE("class=compose/golden\n");
