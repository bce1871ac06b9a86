/* SPDX-License-Identifier: Apache-2.0
 *
 * The state of a stream as bytes:
 *
 *     magic[8] "locistrm" | version u32 | order u32 | layout u64 | tokens i64 | capacity i64 | piece i64 | bytes u64 |
 * 0 u64 | the state block of every layer
 *
 *  (1) `layout` fingerprints what the bytes mean: classes, their state versions, names, types and shapes. So bytes for
 *      another model, or for one planned otherwise, are refused before anything is changed.
 *  (2) Sizes are compared with the plan before memory is asked for: a header cannot make it large.
 */
#include "core/infer/infer.h"
#include "core/tensor/file.h"
#include <string.h>

struct head {
    char magic[8];
    uint32_t version, order;
    uint64_t layout;
    int64_t tokens, capacity, piece;
    uint64_t bytes, zero;
};

static const struct head plain = {.magic = {'l', 'o', 'c', 'i', 's', 't', 'r', 'm'}, .version = 1, .order = 0x01020304};

static void add_classes(uint64_t *hash, const loci_node *n)
{
    const loci_class *c = loci_node_class(n);

    *hash = loci_hash(c->id, strlen(c->id), *hash);
    *hash = loci_hash(&c->state_version, sizeof c->state_version, *hash);
    for (uint32_t i = 0; i < loci_node_n_children(n); i++) {
        const loci_node *child = loci_node_child(n, i);
        if (child && strcmp(loci_node_class(child)->kind, LOCI_KIND_ATTENTION) != 0)
            add_classes(hash, child);
    }
}

static loci_status add_tensor(void *arg, const char *name, const loci_tensor *t, loci_error *err)
{
    uint64_t *hash = arg;

    (void)err;
    *hash = loci_hash(name, strlen(name), *hash);
    *hash = loci_hash(&t->dtype, sizeof t->dtype, *hash);
    *hash = loci_hash(t->shape, (size_t)t->ndim * sizeof *t->shape, *hash);
    return LOCI_OK;
}

static loci_status head_of(struct head *h, const loci_stream *s, loci_pass *p, loci_error *err)
{
    *h = plain;
    h->tokens = s->at;
    h->capacity = p->session.capacity;
    h->piece = s->piece;
    h->bytes = p->state_bytes;
    for (int32_t i = 0; i < s->model->n_layers; i++)
        add_classes(&h->layout, s->model->layers[i].compose);
    return loci_pass_each_state(p, add_tensor, &h->layout, err);
}

uint64_t loci_stream_size(const loci_stream *s)
{
    return sizeof(struct head) + s->pass->state_bytes;
}

loci_status loci_stream_save(const loci_stream *s, void *to, uint64_t bytes, loci_error *err)
{
    loci_status status = LOCI_OK;
    const loci_context *cx = s->model->cx;
    struct head h;

    if (!to || bytes != loci_stream_size(s))
        return loci_fail(err, LOCI_E_ARG, "%llu bytes for the state of a stream: loci_stream_size says %llu",
                         (unsigned long long)bytes, (unsigned long long)loci_stream_size(s));
    LOCI_TRY(head_of(&h, s, s->pass, err));
    memcpy(to, &h, sizeof h);
    /* Before the first token the state is yet to be made, and what lies there is of no text. */
    if (s->at == 0)
        memset((char *)to + sizeof h, 0, h.bytes);
    else if (h.bytes &&
             cx->device_class->down(cx->device_module, NULL, (char *)to + sizeof h, s->pass->state_in, h.bytes))
        status = loci_fail(err, LOCI_E_DEVICE, "the state of a stream could not be copied from the device");
out:
    return status;
}

static loci_status check_head(const struct head *h, const loci_stream *s, uint64_t bytes, loci_error *err)
{
    if (memcmp(h->magic, plain.magic, sizeof h->magic) || h->version != plain.version || h->order != plain.order)
        return loci_fail(err, LOCI_E_STATE, "these bytes are no state of a stream of this version and byte order");
    if (h->piece != s->piece)
        return loci_fail(err, LOCI_E_STATE,
                         "the state is of a stream with pieces of %lld tokens, and this one has %lld: open "
                         "it with that piece_tok",
                         (long long)h->piece, (long long)s->piece);
    if (h->tokens < 0 || h->tokens > s->most || h->tokens > h->capacity || h->capacity < s->piece ||
        h->capacity > LOCI_LONGEST)
        return loci_fail(err, LOCI_E_STATE,
                         "the state is of %lld tokens with room for %lld, and this stream may hold %lld",
                         (long long)h->tokens, (long long)h->capacity, (long long)s->most);
    if (bytes - sizeof *h != h->bytes)
        return loci_fail(err, LOCI_E_STATE, "the state should have %llu bytes and has %llu: it was cut or is damaged",
                         (unsigned long long)h->bytes, (unsigned long long)(bytes - sizeof *h));
    return LOCI_OK;
}

loci_status loci_stream_restore(loci_stream *s, const void *from, uint64_t bytes, loci_error *err)
{
    loci_status status = LOCI_OK;
    const loci_context *cx = s->model->cx;
    loci_pass *plan = NULL;
    struct head h, own;

    if (!from || bytes < sizeof h)
        return loci_fail(err, LOCI_E_STATE, "%llu bytes are too few for the state of a stream",
                         (unsigned long long)bytes);
    memcpy(&h, from, sizeof h);
    LOCI_TRY(check_head(&h, s, bytes, err));
    LOCI_TRY(loci_pass_new(&plan, s->model, 1, s->piece, 1, 1, h.capacity, 0, err));
    LOCI_TRY(head_of(&own, s, plan, err));
    if (own.layout != h.layout || own.bytes != h.bytes) {
        status = loci_fail(err, LOCI_E_STATE, "the state is of another model: other components, widths or versions");
        goto out;
    }
    if (h.capacity != s->pass->session.capacity)
        LOCI_TRY(loci_stream_replan(s, h.capacity, false, err));
    if (h.bytes &&
        cx->device_class->up(cx->device_module, NULL, s->pass->state_in, (const char *)from + sizeof h, h.bytes)) {
        status = loci_fail(err, LOCI_E_DEVICE, "the state of a stream could not be copied to the device");
        goto out;
    }
    s->at = h.tokens;
out:
    loci_pass_free(plan);
    return status;
}
