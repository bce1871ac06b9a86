/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/unit/layer.h: a component of any kind but attention, run through the real host in float64.
 *
 * A *trial* is a set of documents (inputs x, cotangents r of their outputs) and a list of calls, each of which places
 * pieces of documents in a [rows, seq] tensor. Everything else, padding included, is filled with rubbish. Running it
 * gives y and, backwards through all calls, dx, the weights' gradients and the gradient of the first state. Whatever
 * must not matter (packing, cutting, padding, order of rows) is a second list of calls for the same documents.
 *
 *     loss = sum y o r + sum (last state) o s        s random where the state is alive, see alive()
 */
#ifndef LOCI_TESTS_LAYER_H
#define LOCI_TESTS_LAYER_H

#include "core/model/node.h"
#include "tests/ck.h"

#define MOST_DOCS 4
#define MOST_CALLS 24
#define MOST_PIECES 4
#define MOST_TOKENS 64
#define DIM 8

struct piece {
    int doc, from, len, row, begin;
};

struct call {
    int rows, seq, n;
    struct piece p[MOST_PIECES];
};

struct trial {
    int n_docs, n_calls, len[MOST_DOCS], pos0[MOST_DOCS]; /* pos0: tokens each document had before, in state[0] */
    struct call calls[MOST_CALLS];
    double x[MOST_DOCS][MOST_TOKENS * DIM], r[MOST_DOCS][MOST_TOKENS * DIM]; /* [tokens, DIM] */
    double y[MOST_DOCS][MOST_TOKENS * DIM], dx[MOST_DOCS][MOST_TOKENS * DIM];
    double rubbish; /* in padding */
    bool end_state; /* the loss looks at the last state too */
    bool eval;      /* no training                          */
};

enum retrieval { STRICT, SUMMARY, PREVIOUS, LITERAL };
#define SUMMARY_TOK 3

struct rig {
    loci_conf *conf;
    loci_context *cx;
    loci_weights w;
    loci_node *node;
    loci_session session;
    loci_need need;
    uint64_t state_bytes, saved_bytes;
    void *scratch, *host, *saved[MOST_CALLS], *state[MOST_CALLS + 1], *grad;
    int persistent, segment;  /* of mac; 0: another form */
    enum retrieval retrieval; /* of mac                  */
};

static loci_error ck_err = LOCI_ERROR_INIT;

static inline void rig_close(struct rig *r)
{
    loci_free(r->scratch);
    loci_free(r->host);
    loci_free(r->grad);
    for (int i = 0; i < MOST_CALLS; i++)
        loci_free(r->saved[i]);
    for (int i = 0; i <= MOST_CALLS; i++)
        loci_free(r->state[i]);
    loci_node_free(r->node);
    if (r->cx)
        loci_weights_free(&r->w, r->cx);
    loci_context_free(r->cx);
    loci_conf_free(r->conf);
    memset(r, 0, sizeof *r);
    loci_error_clear(&ck_err);
}

/* The plugins that were built, and those that only tests use. */
static inline const char *plugin_path(void)
{
    static char path[2 * 4096 + 16];
    const char *built = getenv("LOCI_TEST_PLUGINS"), *build = getenv("LOCI_TEST_BUILD");

    snprintf(path, sizeof path, "%s", built ? built : "");
    if (built && build)
        snprintf(path, sizeof path, "%s:%s/tests/plugins", built, build);
    return path;
}

/* settings: "section.key=value section.key=value". Weights are made large enough to matter. */
static inline loci_status rig_make(struct rig *r, const char *section, const char *settings, uint64_t caps)
{
    loci_status status = LOCI_OK;
    char text[1024], *save = NULL, *word;
    loci_shape shape;
    loci_session none = {0};

    memset(r, 0, sizeof *r);
    LOCI_TRY(loci_conf_new(&r->conf, &ck_err));
    snprintf(text, sizeof text, "plugins.ownership=off attention.backend=ref run.threads=2 %s", settings);
    for (word = strtok_r(text, " ", &save); word; word = strtok_r(NULL, " ", &save))
        LOCI_TRY(loci_conf_set(r->conf, word, "--set", &ck_err));
    LOCI_TRY(loci_context_new(&r->cx, r->conf, plugin_path(), false, &ck_err));
    loci_session_shape(&shape, &none, r->cx, DIM, loci_f64);
    shape.session = NULL;
    LOCI_TRY(loci_node_new(&r->node, r->cx, &r->w, section, 0, 1, "layer.0.compose", &shape, caps, &ck_err));
    LOCI_TRY(loci_weights_alloc(&r->w, r->cx, true, false, &ck_err));
    LOCI_TRY(loci_weights_init(&r->w, r->cx, 7, &ck_err));
    ck_seed = 11;
    for (uint32_t i = 0; i < r->w.n; i++) {
        double *v = loci_ptr(&r->w.at[i]->value.t);
        const double by = r->w.at[i]->value.t.ndim > 1 ? 0.4 : 0.2;
        for (uint64_t j = 0; j < r->w.at[i]->elements; j++)
            v[j] += by * ck_norm();
    }
out:
    return status;
}

/* Memory for calls of at most these sizes. */
static inline loci_status rig_plan_for(struct rig *r, int rows, int seq, int runs, int states, int capacity,
                                       uint64_t flags)
{
    loci_status status = LOCI_OK;
    loci_shape shape;

    r->session = (loci_session){rows, seq, runs, states, capacity, flags};
    r->need = (loci_need){.struct_size = sizeof r->need};
    loci_session_shape(&shape, &r->session, r->cx, DIM, loci_f64);
    LOCI_TRY(loci_node_need(r->node, &shape, LOCI_OP_MIX, &r->need, &ck_err));
    r->state_bytes = loci_node_state_bytes(r->node, &r->session);
    loci_free(r->scratch);
    loci_free(r->host);
    loci_free(r->grad);
    r->scratch = loci_alloc(r->need.scratch);
    r->host = loci_alloc(r->need.host);
    r->grad = loci_alloc(r->state_bytes);
    for (int i = 0; i <= MOST_CALLS; i++) {
        loci_free(r->state[i]);
        r->state[i] = loci_alloc(r->state_bytes);
        if (i < MOST_CALLS) {
            loci_free(r->saved[i]);
            r->saved[i] = loci_alloc(r->need.saved);
        }
    }
out:
    return status;
}

static inline loci_status rig_plan(struct rig *r, int rows, int seq, int runs, int states, int capacity)
{
    return rig_plan_for(r, rows, seq, runs, states, capacity, LOCI_X_SAVE | LOCI_X_TRAIN);
}

/* ---- calls ------------------------------------------------------------------------------------------------------- */

struct tensors {
    double x[MOST_PIECES * MOST_TOKENS][DIM], y[MOST_PIECES * MOST_TOKENS][DIM];
    double dx[MOST_PIECES * MOST_TOKENS][DIM], dy[MOST_PIECES * MOST_TOKENS][DIM];
    int32_t pos[MOST_PIECES * MOST_TOKENS];
    loci_run runs[MOST_PIECES];
    loci_view vx, vy, vdx, vdy, vpos;
    loci_batch batch;
    loci_io io;
    loci_exec exec;
};

static const loci_mask ck_causal = {sizeof ck_causal, 1, -1, -1};

static inline void lay_out(struct tensors *n, struct rig *r, const struct trial *t, int call, uint64_t flags)
{
    const struct call *c = &t->calls[call];
    const loci_device cpu = {LOCI_CPU, 0};
    const int64_t shape[] = {c->rows, c->seq, DIM};

    memset(n->y, 0, sizeof n->y);
    memset(n->dx, 0, sizeof n->dx);
    memset(n->dy, 0, sizeof n->dy);
    for (int i = 0; i < c->rows * c->seq; i++) {
        n->pos[i] = -1;
        for (int d = 0; d < DIM; d++)
            n->x[i][d] = t->rubbish;
    }
    for (int i = 0; i < c->n; i++) {
        const struct piece *p = &c->p[i];
        n->runs[i] = (loci_run){p->row, p->begin, p->len, p->doc, t->pos0[p->doc] + p->from, 40 + (uint64_t)p->doc};
        for (int j = 0; j < p->len; j++) {
            const int at = p->row * c->seq + p->begin + j;
            n->pos[at] = t->pos0[p->doc] + p->from + j;
            memcpy(n->x[at], &t->x[p->doc][(p->from + j) * DIM], sizeof n->x[at]);
            memcpy(n->dy[at], &t->r[p->doc][(p->from + j) * DIM], sizeof n->dy[at]);
        }
    }
    n->batch = (loci_batch){sizeof n->batch, (uint32_t)c->n, n->runs,
                            loci_view_set(&n->vpos, n->pos, cpu, loci_i32, 2, shape)};
    n->io = (loci_io){.struct_size = sizeof n->io, .op = LOCI_OP_MIX, .q = &n->batch, .mask = &ck_causal};
    n->io.x = loci_view_set(&n->vx, n->x, cpu, loci_f64, 3, shape);
    n->io.y = loci_view_set(&n->vy, n->y, cpu, loci_f64, 3, shape);
    n->io.dy = loci_view_set(&n->vdy, n->dy, cpu, loci_f64, 3, shape);
    n->io.dx = loci_view_set(&n->vdx, n->dx, cpu, loci_f64, 3, shape);
    loci_exec_init(&n->exec, r->cx, &r->session, flags, 5, 3);
    n->exec.scratch = r->scratch;
    n->exec.scratch_bytes = r->need.scratch;
    n->exec.host_scratch = r->host;
    n->exec.host_bytes = r->need.host;
    memset(r->scratch, 0xff, r->need.scratch); /* NaN */
    memset(r->host, 0xff, r->need.host);
}

/* y of every call; state i is left in r->state[i], or all of it in state[0] without save. */
static inline loci_status run_forward(struct rig *r, struct trial *t, bool save)
{
    static struct tensors n;
    const uint64_t flags = (t->eval ? 0 : LOCI_X_TRAIN) | (save ? LOCI_X_SAVE : LOCI_X_STATE_INPLACE);
    loci_status status = LOCI_OK;

    for (int i = 0; i < t->n_calls; i++) {
        lay_out(&n, r, t, i, flags);
        if (save) {
            memset(r->saved[i], 0xff, r->need.saved);
            memcpy(r->state[i + 1], r->state[i], r->state_bytes);
            n.exec.saved = r->saved[i];
            n.exec.saved_bytes = r->need.saved;
        }
        n.io.state_in = save ? r->state[i] : r->state[0];
        n.io.state_out = save ? r->state[i + 1] : r->state[0];
        LOCI_TRY(loci_node_reset(r->node, &n.exec, save ? r->state[i] : r->state[0], &n.batch, &ck_err));
        LOCI_TRY(loci_node_forward(r->node, &n.exec, &n.io, &ck_err));
        for (int k = 0; k < t->calls[i].n; k++) {
            const struct piece *p = &t->calls[i].p[k];
            memcpy(&t->y[p->doc][p->from * DIM], n.y[p->row * t->calls[i].seq + p->begin],
                   (size_t)p->len * sizeof n.y[0]);
        }
    }
out:
    return status;
}

static inline loci_status run_backward(struct rig *r, struct trial *t)
{
    static struct tensors n;
    loci_status status = LOCI_OK;

    memset(t->dx, 0, sizeof t->dx);
    LOCI_TRY(loci_weights_zero_grads(&r->w, r->cx));
    for (int i = t->n_calls; i-- > 0;) {
        lay_out(&n, r, t, i, LOCI_X_TRAIN | LOCI_X_SAVE);
        n.exec.saved = r->saved[i];
        n.exec.saved_bytes = r->need.saved;
        n.io.state_in = r->state[i];
        n.io.state_out = r->state[i + 1];
        n.io.state_grad = r->grad;
        LOCI_TRY(loci_node_backward(r->node, &n.exec, &n.io, &ck_err));
        LOCI_TRY(loci_node_reset_back(r->node, &n.exec, r->grad, &n.batch, &ck_err));
        for (int k = 0; k < t->calls[i].n; k++) {
            const struct piece *p = &t->calls[i].p[k];
            memcpy(&t->dx[p->doc][p->from * DIM], n.dx[p->row * t->calls[i].seq + p->begin],
                   (size_t)p->len * sizeof n.dx[0]);
        }
    }
out:
    return status;
}

/* ---- states ------------------------------------------------------------------------------------------------------ */

/* Rows in the cache of a stream's mixer after `end` tokens. */
static inline int cache_rows(const struct rig *r, int end)
{
    const int phase = r->segment ? end % r->segment : 0;

    if (!r->segment)
        return r->persistent + end;
    if (r->retrieval == SUMMARY)
        return r->persistent + SUMMARY_TOK + phase;
    if (r->retrieval == PREVIOUS)
        return r->persistent + (end > r->segment ? r->segment : 0) + phase;
    return r->persistent + 2 * phase;
}

/* Does element `at` of row `row` of this state tensor still matter after the trial? Rows of a cache beyond what was
 * appended do not, nor does the cache of a segment that has just ended. */
static inline bool alive(const struct rig *r, const struct trial *t, const char *name, const loci_tensor *s, int row,
                         int64_t at)
{
    const bool mix = strstr(name, "mix.") != NULL, cache = mix && s->ndim > 2 && !strstr(name, "tail");
    const int end = row < t->n_docs ? t->pos0[row] + t->len[row] : 0;
    const int phase = r->segment ? end % r->segment : 0;

    if (s->dtype.code != LOCI_FLOAT || row >= t->n_docs)
        return false;
    if (mix && r->segment && phase == 0)
        return false;
    return !cache || at / s->strides[1] < cache_rows(r, end);
}

struct walk {
    struct rig *r;
    const struct trial *t;
    double loss;
    void *cotangent; /* written there when not NULL */
    const char *base;
};

static inline loci_status walk_state(void *arg, const char *name, const loci_tensor *s, loci_error *err)
{
    struct walk *w = arg;
    const int64_t row = s->strides[0];
    const double *v = loci_ptr(s);

    (void)err;
    if (s->dtype.code != LOCI_FLOAT)
        return LOCI_OK;
    for (int64_t i = 0; i < s->shape[0] * row; i++) {
        const double c = ck_norm();
        if (!alive(w->r, w->t, name, s, (int)(i / row), i % row))
            continue;
        w->loss += c * v[i];
        if (w->cotangent)
            ((double *)w->cotangent)[((const char *)v - w->base) / 8 + i] = c;
    }
    return LOCI_OK;
}

/* Forward (and backward): the loss. */
static inline loci_status run(struct rig *r, struct trial *t, bool back, double *loss)
{
    loci_status status = LOCI_OK;
    struct walk w = {.r = r, .t = t};
    void *last;

    LOCI_TRY(run_forward(r, t, true));
    *loss = 0;
    for (int d = 0; d < t->n_docs; d++)
        for (int i = 0; i < t->len[d] * DIM; i++)
            *loss += t->y[d][i] * t->r[d][i];
    memset(r->grad, 0, r->state_bytes);
    if (t->end_state) {
        last = r->state[t->n_calls];
        w.base = last;
        w.cotangent = back ? r->grad : NULL;
        ck_seed = 99;
        LOCI_TRY(loci_node_each_state(r->node, &r->session, last, "s", walk_state, &w, &ck_err));
        *loss += w.loss;
    }
    if (back)
        LOCI_TRY(run_backward(r, t));
out:
    return status;
}

/* ---- trials ------------------------------------------------------------------------------------------------------ */

static inline void trial_new(struct trial *t, int n_docs, const int *len)
{
    memset(t, 0, sizeof *t);
    t->n_docs = n_docs;
    t->rubbish = 1e3;
    ck_seed = 21;
    for (int d = 0; d < n_docs; d++) {
        t->len[d] = len[d];
        for (int i = 0; i < len[d] * DIM; i++) {
            t->x[d][i] = ck_norm();
            t->r[d][i] = ck_norm();
        }
    }
}

/* One call per document, alone and whole. */
static inline void trial_alone(struct trial *t)
{
    t->n_calls = t->n_docs;
    for (int d = 0; d < t->n_docs; d++)
        t->calls[d] = (struct call){1, t->len[d], 1, {{d, 0, t->len[d], 0, 0}}};
}

/* Three documents: one of several segments and an unfinished one, one packed behind it, one between padding. */
static inline void packed(struct trial *t)
{
    trial_new(t, 3, (const int[]){11, 6, 5});
    t->n_calls = 1;
    t->calls[0] = (struct call){2, 18, 3, {{0, 0, 11, 0, 0}, {1, 0, 6, 0, 11}, {2, 0, 5, 1, 3}}};
    t->end_state = true;
}

/* What a run left, to compare with another. */
struct result {
    struct trial t;
    double *grads;
    uint64_t n;
};

static inline void result_keep(struct result *out, const struct rig *r, const struct trial *t)
{
    out->t = *t;
    out->n = 0;
    for (uint32_t i = 0; i < r->w.n; i++)
        out->n += r->w.at[i]->elements;
    free(out->grads);
    out->grads = malloc(out->n * sizeof(double));
    for (uint32_t i = 0, at = 0; i < r->w.n; at += (uint32_t)r->w.at[i]->elements, i++)
        memcpy(out->grads + at, loci_ptr(&r->w.at[i]->grad.t), r->w.at[i]->elements * sizeof(double));
}

/* ---- what a test program uses -------------------------------------------------------------------------------------
 */

#define NEED_PLUGINS \
    if (!getenv("LOCI_TEST_PLUGINS")) \
    CK_SKIP("LOCI_TEST_PLUGINS does not say where the plugins are")
#define TOKEN (DIM * sizeof(double))
static struct rig rig;
static struct trial trial __attribute__((unused));
static struct result one __attribute__((unused)), two __attribute__((unused));

/* Values of weight `name` of the open rig. */
static inline double *weight(const char *name)
{
    const loci_weight *w = loci_weights_find(&rig.w, name);

    CK_TRUE(w != NULL, "no weight %s", name);
    return w ? loci_ptr(&w->value.t) : NULL;
}

static inline void check_close(const char *form, const char *what, const double *got, const double *want, size_t n,
                               double most)
{
    const double e = n ? ck_rms(got, want, n) : 0;

    CK_TRUE(e <= most, "%s: %s differs by %g, more than %g", form, what, e, most);
}

/* Everything a trial yields, against another result. */
static inline void check_same(const char *form, const struct rig *r, const struct result *got,
                              const struct result *want, double most)
{
    char what[160];

    for (int d = 0; d < want->t.n_docs; d++) {
        snprintf(what, sizeof what, "y of document %d", d);
        check_close(form, what, got->t.y[d], want->t.y[d], (size_t)want->t.len[d] * DIM, most);
        snprintf(what, sizeof what, "dx of document %d", d);
        check_close(form, what, got->t.dx[d], want->t.dx[d], (size_t)want->t.len[d] * DIM, most);
    }
    for (uint32_t i = 0, at = 0; i < r->w.n; at += (uint32_t)r->w.at[i]->elements, i++)
        check_close(form, r->w.at[i]->name, got->grads + at, want->grads + at, r->w.at[i]->elements, most);
}

#endif
