/* SPDX-License-Identifier: Apache-2.0
 *
 * core/train/probe: see probe.h, whose numbers the comments cite.
 */
#include "core/train/probe.h"
#include <math.h>
#include <string.h>

struct looking {
    loci_probe *out;
    loci_context *cx;
};

/* A list that grows by one zeroed element. */
static void *grow(void *list, uint32_t n, size_t size)
{
    return loci_realloc(list, (n + (size_t)1) * size);
}

static loci_probe_gate *gate_of(loci_probe *p, const loci_node *n, uint32_t i)
{
    loci_probe_gate *more, new = {.node = n};

    new.name = loci_node_gate(n, i, &new.lo, &new.hi);
    for (uint32_t k = 0; k < p->n_gates; k++)
        if (p->gates[k].node == n && p->gates[k].name == new.name)
            return &p->gates[k];
    more = grow(p->gates, p->n_gates, sizeof *more);
    if (!more)
        return NULL;
    p->gates = more;
    p->gates[p->n_gates] = new;
    return &p->gates[p->n_gates++];
}

static loci_probe_norm *norm_of(loci_probe *p, const loci_node *n, const char *state, int64_t heads)
{
    loci_probe_norm *more;

    for (uint32_t k = 0; k < p->n_norms; k++)
        if (p->norms[k].node == n && p->norms[k].state == state)
            return &p->norms[k];
    more = grow(p->norms, p->n_norms, sizeof *more);
    if (!more)
        return NULL;
    p->norms = more;
    p->norms[p->n_norms] = (loci_probe_norm){.node = n, .state = state, .heads = heads};
    return &p->norms[p->n_norms++];
}

/* ---- what is seen of a call ------------------------------------------------------------------------------------- */

static double element(const loci_tensor *t, const void *bytes, int64_t i)
{
    return t->dtype.bits == 64 ? ((const double *)bytes)[i] : (double)((const float *)bytes)[i];
}

static loci_status down(const struct looking *l, void **out, const loci_tensor *t, int64_t from, int64_t n,
                        loci_error *err)
{
    uint64_t size = loci_dtype_bytes(t->dtype);
    loci_status status;

    *out = loci_alloc((size_t)n * size);
    if (!*out)
        return loci_fail(err, LOCI_E_NOMEM, "out of memory for a look at a memory");
    status = l->cx->device_class->down(l->cx->device_module, NULL, *out,
                                       (const char *)loci_ptr(t) + (uint64_t)from * size, (uint64_t)n * size);
    return status == LOCI_OK ? status : loci_fail(err, status, "the device failed to hand out a tensor");
}

/* gate [B,T,H] or [B,T,H,width], contiguous: the values of the tokens that the runs name. */
static loci_status see_gate(const struct looking *l, loci_probe_gate *g, const loci_tensor *t, const loci_batch *batch,
                            loci_error *err)
{
    loci_status status = LOCI_OK;
    void *bytes = NULL;
    int64_t per_token = 1;

    for (int32_t i = 2; i < t->ndim; i++)
        per_token *= t->shape[i];
    for (uint32_t i = 0; i < batch->n_runs; i++) {
        const loci_run *r = &batch->runs[i];
        LOCI_TRY(down(l, &bytes, t, (r->row * t->shape[1] + r->begin) * per_token, r->len * per_token, err));
        for (int64_t k = 0; k < r->len * per_token; k++)
            if (!loci_numbers_add(&g->values, element(t, bytes, k))) {
                status = loci_fail(err, LOCI_E_NOMEM, "out of memory for the values of a gate");
                goto out;
            }
        loci_free(bytes);
        bytes = NULL;
    }
out:
    loci_free(bytes);
    return status;
}

/* The sums of a position: a norm for each head, then how many were added; made when the position is new. */
static double *sums_at(loci_probe_norm *n, double position)
{
    size_t i = n->positions.n, each = (size_t)n->heads + 1, behind;

    while (i > 0 && n->positions.at[i - 1] > position)
        i--;
    if (i > 0 && n->positions.at[i - 1] == position)
        return &n->norms.at[(i - 1) * each];
    behind = n->positions.n - i;
    if (!loci_numbers_add(&n->positions, position))
        return NULL;
    for (size_t h = 0; h < each; h++)
        if (!loci_numbers_add(&n->norms, 0))
            return NULL;
    memmove(n->positions.at + i + 1, n->positions.at + i, behind * sizeof(double));
    n->positions.at[i] = position;
    memmove(n->norms.at + (i + 1) * each, n->norms.at + i * each, behind * each * sizeof(double));
    memset(n->norms.at + i * each, 0, each * sizeof(double));
    return &n->norms.at[i * each];
}

/* From sums to means, without the counts. */
static void finish_norms(loci_probe_norm *n)
{
    size_t heads = (size_t)n->heads;

    for (size_t i = 0; i < n->positions.n; i++)
        for (size_t h = 0; h < heads; h++)
            n->norms.at[i * heads + h] = n->norms.at[i * (heads + 1) + h] / n->norms.at[i * (heads + 1) + heads];
    n->norms.n = n->positions.n * heads;
}

/* state [states, heads, ...]: one norm per run and head. */
static loci_status see_state(const struct looking *l, const loci_node *node, const char *name, const loci_tensor *t,
                             const loci_batch *batch, loci_error *err)
{
    loci_status status = LOCI_OK;
    int64_t heads = t->ndim > 2 ? t->shape[1] : 1, row = t->strides[0], each = heads ? row / heads : 0;
    loci_probe_norm *n;
    void *bytes = NULL;

    if (t->dtype.code != LOCI_FLOAT || t->dtype.bits < 32 || row == 0)
        return LOCI_OK;
    n = norm_of(l->out, node, name, heads);
    for (uint32_t i = 0; i < batch->n_runs; i++) {
        const loci_run *r = &batch->runs[i];
        double *sums = n ? sums_at(n, (double)(r->pos + r->len)) : NULL;
        if (!sums) {
            status = loci_fail(err, LOCI_E_NOMEM, "out of memory for the norms of a state");
            goto out;
        }
        LOCI_TRY(down(l, &bytes, t, r->state * row, row, err));
        for (int64_t h = 0; h < heads; h++) {
            double squares = 0;
            for (int64_t k = 0; k < each; k++)
                squares += element(t, bytes, h * each + k) * element(t, bytes, h * each + k);
            sums[h] += sqrt(squares);
        }
        sums[heads]++;
        loci_free(bytes);
        bytes = NULL;
    }
out:
    loci_free(bytes);
    return status;
}

static loci_status seen(void *arg, const loci_node *n, const loci_exec *x, const loci_rule_io *io,
                        const loci_slots *slots, loci_error *err)
{
    loci_status status = LOCI_OK;
    const struct looking *l = arg;
    const char *state;
    double lo, hi;

    (void)x;
    if (io->op == LOCI_OP_READ)
        return LOCI_OK;
    for (uint32_t i = 0; loci_node_gate(n, i, &lo, &hi); i++) {
        loci_probe_gate *g = gate_of(l->out, n, i);
        LOCI_TRY(g ? see_gate(l, g, io->gate[i], io->batch, err)
                   : loci_fail(err, LOCI_E_NOMEM, "out of memory for a gate"));
    }
    for (uint32_t i = 0; (state = loci_node_rule_state(n, i)); i++)
        LOCI_TRY(see_state(l, n, state, &slots->state_out[i], io->batch, err));
out:
    return status;
}

/* ---- reading ---------------------------------------------------------------------------------------------------- */

struct batch {
    int32_t *text, *next, *in, *want; /* whole windows, and one piece of them */
    loci_run *runs;
};

static loci_status read_pieces(loci_probe *p, loci_pass *pass, struct batch *b, loci_error *err)
{
    loci_status status = LOCI_OK;
    double sum = 0, one;
    int64_t count;

    for (int64_t at = 0; at < p->seq; at += p->piece) {
        int64_t len = p->seq - at < p->piece ? p->seq - at : p->piece;
        for (int64_t r = 0; r < p->rows; r++) {
            b->runs[r] = (loci_run){(int32_t)r, 0, (int32_t)len, (int32_t)r, at, (uint64_t)r};
            for (int64_t t = 0; t < p->piece; t++) {
                b->in[r * p->piece + t] = t < len ? b->text[r * p->seq + at + t] : 0;
                b->want[r * p->piece + t] = t < len ? b->next[r * p->seq + at + t] : -1;
            }
        }
        LOCI_TRY(loci_pass_forward(pass, b->in, b->want, b->runs, (uint32_t)p->rows, 0, 0, 0, &one, &count, NULL, err));
        sum += one;
        p->tokens += count;
    }
    p->loss = p->tokens ? sum / (double)p->tokens : NAN;
out:
    return status;
}

loci_status loci_probe_run(loci_probe *out, loci_model *m, const loci_data *d, int64_t rows, int64_t seq,
                           int64_t pieces, loci_error *err)
{
    loci_status status = LOCI_OK;
    struct looking l = {out, m->cx};
    loci_watch watch = {seen, &l};
    loci_pass *pass = NULL;
    struct batch b = {0};
    int64_t windows = loci_data_windows(d, rows, rows * seq, seq);

    rows = windows < rows ? windows : rows;
    *out = (loci_probe){.rows = rows, .seq = seq, .piece = (seq + pieces - 1) / pieces};
    b.text = loci_alloc((size_t)(rows * seq) * sizeof *b.text);
    b.next = loci_alloc((size_t)(rows * seq) * sizeof *b.next);
    b.in = loci_alloc((size_t)(rows * out->piece) * sizeof *b.in);
    b.want = loci_alloc((size_t)(rows * out->piece) * sizeof *b.want);
    b.runs = loci_alloc((size_t)rows * sizeof *b.runs);
    if (!b.text || !b.next || !b.in || !b.want || !b.runs) {
        status = loci_fail(err, LOCI_E_NOMEM, "out of memory for a batch to look at");
        goto out;
    }
    for (int64_t r = 0; r < rows; r++)
        loci_data_window(d, r, rows, seq, b.text + r * seq, b.next + r * seq, NULL);
    LOCI_TRY(loci_pass_new(&pass, m, rows, out->piece, rows, rows, seq, 0, err));
    loci_pass_losses_alone(pass);
    LOCI_TRY(loci_pass_alloc(pass, err));
    m->cx->watch = &watch;
    status = read_pieces(out, pass, &b, err);
    m->cx->watch = NULL;
    for (uint32_t i = 0; i < out->n_norms && status == LOCI_OK; i++)
        finish_norms(&out->norms[i]);
out:
    loci_pass_free(pass);
    loci_free(b.text);
    loci_free(b.next);
    loci_free(b.in);
    loci_free(b.want);
    loci_free(b.runs);
    return status;
}

void loci_probe_free(loci_probe *p)
{
    for (uint32_t i = 0; i < p->n_gates; i++)
        loci_numbers_free(&p->gates[i].values);
    for (uint32_t i = 0; i < p->n_norms; i++) {
        loci_numbers_free(&p->norms[i].positions);
        loci_numbers_free(&p->norms[i].norms);
    }
    loci_free(p->gates);
    loci_free(p->norms);
    *p = (loci_probe){0};
}

/* ---- figures of a gate ------------------------------------------------------------------------------------------ */

double loci_gate_saturated(const loci_probe_gate *g)
{
    size_t n = 0;

    for (size_t i = 0; i < g->values.n; i++) {
        double u = g->values.at[i] - g->lo, range = g->hi - g->lo;
        double slope = isinf(g->hi) ? 1 - exp(-u) : 4 * (u / range) * (1 - u / range); /* softplus, sigmoid */
        n += slope < 0.01;
    }
    return g->values.n ? (double)n / (double)g->values.n : NAN;
}

double loci_gate_half_life(const loci_probe_gate *g)
{
    double rate = 0;

    for (size_t i = 0; i < g->values.n; i++)
        rate -= log1p(-g->values.at[i]);
    rate /= (double)g->values.n;
    return rate > 0 ? log(2) / rate : INFINITY;
}
