/* SPDX-License-Identifier: Apache-2.0
 *
 * Streams: making, growing, feeding; see infer.h.
 */
#include "core/infer/infer.h"
#include <string.h>

/* ---- may it stream? --------------------------------------------------------------------------------------------- */

static const char *missing(const loci_node *n)
{
    uint64_t caps = loci_node_caps(n);

    return !(caps & LOCI_CAP_CAUSAL) ? "causality" : !(caps & LOCI_CAP_STREAMING) ? "streaming" : NULL;
}

/* The innermost part that keeps its parents from it. An attention is told the mask of every call and holds no state: it
 * takes nothing away. */
static const loci_node *weakest(const loci_node *n)
{
    const loci_node *found = NULL;

    for (uint32_t i = 0; i < loci_node_n_children(n) && !found; i++) {
        const loci_node *child = loci_node_child(n, i);
        if (child && strcmp(loci_node_class(child)->kind, LOCI_KIND_ATTENTION) != 0)
            found = weakest(child);
    }
    return found ? found : missing(n) ? n : NULL;
}

bool loci_model_streams(const loci_model *m, char *text, size_t n)
{
    for (int32_t i = 0; i < m->n_layers; i++) {
        const loci_node *weak = weakest(m->layers[i].compose);
        if (weak) {
            snprintf(text, n,
                     "%s: %s does not promise %s with this config, so this model cannot go on with a text token by "
                     "token: change its keys, or evaluate whole texts",
                     loci_node_path(weak), loci_node_id(weak), missing(weak));
            return false;
        }
    }
    return true;
}

/* ---- plans ------------------------------------------------------------------------------------------------------ */

struct parts {
    struct part {
        void *data;
        uint64_t bytes;
    } * at;
    uint32_t n, cap;
};

static loci_status note_part(void *arg, const char *name, const loci_tensor *t, loci_error *err)
{
    struct parts *p = arg;
    struct part *grown = p->at;

    if (p->n == p->cap) {
        p->cap = p->cap ? 2 * p->cap : 64;
        grown = loci_realloc(p->at, p->cap * sizeof *p->at);
        if (!grown)
            return loci_fail(err, LOCI_E_NOMEM, "out of memory for the state %s", name);
        p->at = grown;
    }
    p->at[p->n++] = (struct part){loci_ptr(t), (uint64_t)loci_elements(t) * loci_dtype_bytes(t->dtype)};
    return LOCI_OK;
}

static loci_status copy_state(loci_pass *to, loci_pass *from, loci_error *err)
{
    loci_status status = LOCI_OK;
    loci_context *cx = to->model->cx;
    struct parts dst = {0}, src = {0};

    LOCI_TRY(loci_pass_each_state(to, note_part, &dst, err));
    LOCI_TRY(loci_pass_each_state(from, note_part, &src, err));
    for (uint32_t i = 0; i < dst.n; i++) {
        uint64_t bytes = src.at[i].bytes < dst.at[i].bytes ? src.at[i].bytes : dst.at[i].bytes;
        if (bytes &&
            cx->device_class->copy(cx->device_module, NULL, dst.at[i].data, src.at[i].data, bytes) != LOCI_OK) {
            status = loci_fail(err, LOCI_E_DEVICE, "the state of a stream could not be copied");
            goto out;
        }
    }
out:
    loci_free(dst.at);
    loci_free(src.at);
    return status;
}

loci_status loci_stream_replan(loci_stream *s, int64_t capacity, bool keep, loci_error *err)
{
    loci_status status = LOCI_OK;
    loci_pass *fresh = NULL;

    LOCI_TRY(loci_pass_new(&fresh, s->model, 1, s->piece, 1, 1, capacity, 0, err));
    LOCI_TRY(loci_pass_alloc(fresh, err));
    if (keep)
        LOCI_TRY(copy_state(fresh, s->pass, err));
    loci_pass_free(s->pass);
    s->pass = fresh;
    return LOCI_OK;
out:
    loci_pass_free(fresh);
    return status;
}

static uint64_t planned_bytes(loci_model *m, int64_t piece, int64_t capacity)
{
    loci_pass *p = NULL;
    uint64_t bytes =
        loci_pass_new(&p, m, 1, piece, 1, 1, capacity, 0, NULL) == LOCI_OK ? loci_pass_bytes(p) : UINT64_MAX;

    loci_pass_free(p);
    return bytes;
}

/* (2) */
static int64_t good_capacity(loci_model *m, int64_t piece, int64_t capacity)
{
    uint64_t needed = planned_bytes(m, piece, capacity), longest = planned_bytes(m, piece, LOCI_LONGEST);

    return longest / 2 <= needed && longest != UINT64_MAX ? LOCI_LONGEST : capacity;
}

/* Room for n more tokens, or the reason why not. */
static loci_status make_room(loci_stream *s, int64_t n, loci_error *err)
{
    int64_t capacity = s->pass->session.capacity;

    if (n > s->most - s->at)
        return loci_fail(err, LOCI_E_STATE,
                         "a stream of %lld tokens gets %lld more and may hold %lld: reset it, or raise most_tok",
                         (long long)s->at, (long long)n, (long long)s->most);
    if (s->at + n <= capacity)
        return LOCI_OK;
    while (capacity < s->at + n)
        capacity = capacity > s->most / 2 ? s->most : 2 * capacity;
    return loci_stream_replan(s, good_capacity(s->model, s->piece, capacity), true, err);
}

loci_status loci_stream_new(loci_stream **out, loci_model *m, int64_t piece, int64_t most, loci_error *err)
{
    loci_status status = LOCI_OK;
    loci_stream *s = loci_alloc(sizeof *s);

    *out = NULL;
    if (!s)
        return loci_fail(err, LOCI_E_NOMEM, "out of memory for a stream");
    s->model = m;
    s->piece = piece;
    s->most = most ? most : LOCI_LONGEST;
    LOCI_TRY(loci_stream_replan(s, good_capacity(m, piece, piece), false, err));
    if (m->cx->device.type != LOCI_CPU) {
        s->host = loci_alloc((size_t)(piece * m->vocab) * loci_dtype_bytes(m->dtype));
        if (!s->host) {
            status = loci_fail(err, LOCI_E_NOMEM, "out of memory for the logits of a stream");
            goto out;
        }
    }
    *out = s;
    return LOCI_OK;
out:
    loci_stream_close(s);
    return status;
}

void loci_stream_close(loci_stream *s)
{
    if (!s)
        return;
    loci_pass_free(s->pass);
    loci_free(s->host);
    loci_free(s);
}

loci_status loci_stream_clone(loci_stream **out, const loci_stream *s, loci_error *err)
{
    loci_status status = LOCI_OK;
    loci_stream *twin = NULL;

    *out = NULL;
    LOCI_TRY(loci_stream_new(&twin, s->model, s->piece, s->most, err));
    if (twin->pass->session.capacity != s->pass->session.capacity)
        LOCI_TRY(loci_stream_replan(twin, s->pass->session.capacity, false, err));
    LOCI_TRY(copy_state(twin->pass, s->pass, err));
    twin->at = s->at;
    *out = twin;
    return LOCI_OK;
out:
    loci_stream_close(twin);
    return status;
}

/* The first token finds the state of a beginning, since its run says so. */
void loci_stream_reset(loci_stream *s)
{
    s->at = 0;
}

int64_t loci_stream_tokens(const loci_stream *s)
{
    return s->at;
}

/* ---- calls ------------------------------------------------------------------------------------------------------ */

static loci_status check_tokens(const loci_stream *s, const int32_t *tokens, int64_t n, int64_t most, loci_error *err)
{
    if (!tokens || n < 1 || n > most)
        return loci_fail(err, LOCI_E_ARG,
                         "a feed of %lld tokens: 1 to %lld are taken at once; loci_stream_prefill takes more",
                         (long long)n, (long long)most);
    for (int64_t i = 0; i < n; i++)
        if (tokens[i] < 0 || tokens[i] >= s->model->vocab)
            return loci_fail(err, LOCI_E_ARG,
                             "token %lld is %d, and this model knows 0 to %lld: model.vocab says how many",
                             (long long)i, (int)tokens[i], (long long)s->model->vocab - 1);
    return LOCI_OK;
}

/* View rows [first, n) of the logits of the last call. */
static loci_status show(loci_stream *s, int64_t first, int64_t n, const loci_tensor **logits, loci_error *err)
{
    const loci_model *m = s->model;
    const loci_context *cx = m->cx;
    uint64_t row = (uint64_t)m->vocab * loci_dtype_bytes(m->dtype);
    const char *from = (const char *)loci_pass_logits(s->pass) + (uint64_t)first * row;

    if (!logits)
        return LOCI_OK;
    if (s->host &&
        cx->device_class->down(cx->device_module, NULL, s->host, from, (uint64_t)(n - first) * row) != LOCI_OK)
        return loci_fail(err, LOCI_E_DEVICE, "the logits could not be copied from the device");
    *logits = loci_view_set(&s->view, s->host ? s->host : (void *)(uintptr_t)from, (loci_device){LOCI_CPU, 0}, m->dtype,
                            2, (int64_t[]){n - first, m->vocab});
    return LOCI_OK;
}

static loci_status advance(loci_stream *s, const int32_t *tokens, int64_t n, loci_error *err)
{
    loci_run run = {0, 0, (int32_t)n, 0, s->at, 0};
    loci_status status;
    int64_t count;
    double loss;

    loci_pass_narrow(s->pass, n);
    status = loci_pass_forward(s->pass, tokens, NULL, &run, 1, 0, 0, 1, &loss, &count, NULL, err);
    if (status == LOCI_OK)
        s->at += n;
    return status;
}

loci_status loci_stream_feed(loci_stream *s, const int32_t *tokens, int64_t n, const loci_tensor **logits,
                             loci_error *err)
{
    loci_status status = LOCI_OK;

    LOCI_TRY(check_tokens(s, tokens, n, s->piece, err));
    LOCI_TRY(make_room(s, n, err));
    LOCI_TRY(advance(s, tokens, n, err));
    status = show(s, 0, n, logits, err);
out:
    return status;
}

loci_status loci_stream_prefill(loci_stream *s, const int32_t *tokens, int64_t n, const loci_tensor **logits,
                                loci_error *err)
{
    loci_status status = LOCI_OK;
    int64_t some = 0;

    LOCI_TRY(check_tokens(s, tokens, n, INT64_MAX, err));
    LOCI_TRY(make_room(s, n, err));
    for (int64_t i = 0; i < n; i += some) {
        some = n - i < s->piece ? n - i : s->piece;
        LOCI_TRY(advance(s, tokens + i, some, err));
    }
    status = show(s, some - 1, some, logits, err);
out:
    return status;
}
