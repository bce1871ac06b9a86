/* SPDX-License-Identifier: Apache-2.0
 *
 * Key-value caches: how rows enter them, how attention sees them, and the adjoints.
 *
 * Row r ever appended to a stream lies at
 *     index(r) = r                                 for r < rows
 *                pinned + (r - pinned) mod (rows - pinned)   beyond: a ring behind the pinned rows,
 * so a cache that is large enough is a plain list. The number of rows appended so far is in the run (`pos`), never in
 * the state. Attention works by the positions stored beside the rows, so the order of a ring is nobody's concern.
 */
#include "core/model/node_impl.h"
#include "core/model/tools.h"
#include <string.h>

static int64_t place_of(int64_t r, int64_t rows, int64_t pinned)
{
    return r < rows ? r : pinned + (r - pinned) % (rows - pinned);
}

/* Rows [r, r + *n) lie together; *n is cut where they stop doing so. */
static int64_t piece(int64_t r, int64_t rows, int64_t pinned, int64_t *n)
{
    int64_t at = place_of(r, rows, pinned);

    if (*n > rows - at)
        *n = rows - at;
    return at;
}

/* So many runs from run i on are whole rows that go to whole states in the same order: they lie together as one. */
static uint32_t together(const loci_batch *k, uint32_t i, const loci_tensor *rows, int64_t cap)
{
    const loci_run *first = &k->runs[i];
    uint32_t n = 0;

    if (rows->shape[1] != cap || rows->strides[0] != cap * rows->strides[1])
        return 1;
    for (const loci_run *r = first; i + n < k->n_runs; r++, n++)
        if (r->pos != 0 || r->begin != 0 || r->len != cap || r->row != first->row + (int32_t)n ||
            r->state != first->state + (int32_t)n)
            break;
    return n ? n : 1;
}

static loci_status check_append(const loci_cache *c, uint32_t slot, const loci_tensor *t, const loci_run *run,
                                loci_error *err)
{
    const struct state_slot *s = &c->node->states[slot];
    int64_t rows = t->shape[1], end = run->pos + run->len;

    if (end <= rows || (s->window > 0 && rows - c->node->pinned >= s->window - 1 + run->len))
        return LOCI_OK;
    return loci_fail(err, LOCI_E_STATE,
                     "%s.%s: the cache holds %lld rows and %lld are wanted: raise the longest sequence or set a window",
                     c->node->path, s->name, (long long)rows, (long long)end);
}

loci_status loci_host_append(const loci_exec *x, const loci_cache *c, uint32_t slot, const loci_tensor *rows,
                             const loci_batch *k, loci_error *err)
{
    loci_status status = LOCI_OK;
    const loci_context *cx = loci_context_of(x);
    const loci_tensor *in = &c->in[slot], *out = &c->out[slot];
    uint64_t row_bytes = (uint64_t)out->strides[1] * loci_dtype_bytes(out->dtype);
    int64_t cap = out->shape[1], pinned = c->node->pinned;

    if (rows->strides[1] != out->strides[1])
        return loci_fail(err, LOCI_E_ARG, "%s.%s: rows to append must be contiguous", c->node->path,
                         c->node->states[slot].name);
    for (uint32_t i = 0, some; i < k->n_runs; i += some) {
        const loci_run *r = &k->runs[i];
        char *to = (char *)loci_ptr(out) + (uint64_t)(r->state * cap) * row_bytes;
        const char *old = (const char *)loci_ptr(in) + (uint64_t)(r->state * cap) * row_bytes;
        const char *from = (const char *)loci_ptr(rows) +
                           (uint64_t)(r->row * rows->strides[0]) * loci_dtype_bytes(rows->dtype) +
                           (uint64_t)r->begin * row_bytes;
        int64_t had = r->pos < cap ? r->pos : cap;
        some = together(k, i, rows, cap);
        LOCI_TRY(check_append(c, slot, out, r, err));
        if (had > 0 && old != to)
            LOCI_TRY(cx->device_class->copy(cx->device_module, x->stream, to, old, (uint64_t)had * row_bytes));
        for (int64_t done = 0, n; done < r->len * some; done += n) {
            int64_t at;
            n = r->len * some - done;
            at = piece(r->pos + done, cap * some, pinned, &n);
            LOCI_TRY(cx->device_class->copy(cx->device_module, x->stream, to + (uint64_t)at * row_bytes,
                                            from + (uint64_t)done * row_bytes, (uint64_t)n * row_bytes));
        }
    }
out:
    return status;
}

loci_status loci_host_append_back(const loci_exec *x, const loci_cache *c, uint32_t slot, loci_tensor *d_rows,
                                  const loci_batch *k, loci_error *err)
{
    loci_status status = LOCI_OK;
    const loci_tensor *grad = &c->grad[slot];
    uint64_t size = loci_dtype_bytes(grad->dtype), row_bytes = (uint64_t)grad->strides[1] * size;
    int64_t cap = grad->shape[1], pinned = c->node->pinned;

    if (d_rows && d_rows->strides[1] != grad->strides[1])
        return loci_fail(err, LOCI_E_ARG, "%s.%s: gradients of appended rows must be contiguous", c->node->path,
                         c->node->states[slot].name);
    for (uint32_t i = 0, some; i < k->n_runs; i += some) {
        const loci_run *r = &k->runs[i];
        char *g = (char *)loci_ptr(grad) + (uint64_t)(r->state * cap) * row_bytes;
        some = together(k, i, d_rows ? d_rows : grad, cap);
        for (int64_t done = 0, n; done < r->len * some; done += n) {
            int64_t at;
            n = r->len * some - done;
            at = piece(r->pos + done, cap * some, pinned, &n);
            if (d_rows)
                LOCI_TRY(loci_map1(x, grad->dtype, LOCI_MAP_COPY,
                                   (char *)loci_ptr(d_rows) + (uint64_t)(r->row * d_rows->strides[0]) * size +
                                       (uint64_t)(r->begin + done) * row_bytes,
                                   g + (uint64_t)at * row_bytes, n * grad->strides[1], 1, 1, err));
            LOCI_TRY(loci_zero(x, g + (uint64_t)at * row_bytes, (uint64_t)n * row_bytes));
        }
    }
out:
    return status;
}

/* Cut t [rows, T, ...] to tokens [begin, begin + len) of `count` rows from `row` on. axis is that of the tokens. */
static loci_tensor *cut(loci_view *v, const loci_tensor *t, int64_t row, int64_t count, int32_t axis, int64_t begin,
                        int64_t len)
{
    if (!t)
        return NULL;
    v->t = *t;
    memcpy(v->shape, t->shape, (size_t)t->ndim * sizeof *v->shape);
    memcpy(v->strides, t->strides, (size_t)t->ndim * sizeof *v->strides);
    v->t.shape = v->shape;
    v->t.strides = v->strides;
    v->t.byte_offset += (uint64_t)(row * t->strides[0] + begin * t->strides[axis]) * loci_dtype_bytes(t->dtype);
    v->shape[0] = count;
    v->shape[axis] = len;
    return &v->t;
}

/* How many runs from i on are the same call shifted by one row and one state: they become one batched call. */
static uint32_t alike(const loci_attend *a, const loci_batch *k, uint32_t i, uint32_t most)
{
    uint32_t n = 1;

    while (i + n < a->q->n_runs && n < most) {
        const loci_run *q0 = &a->q->runs[i], *q1 = &a->q->runs[i + n], *k0 = &k->runs[i], *k1 = &k->runs[i + n];
        if (q1->row != q0->row + (int32_t)n || q1->begin != q0->begin || q1->len != q0->len ||
            k1->state != k0->state + (int32_t)n || k1->pos != k0->pos || k1->len != k0->len)
            break;
        n++;
    }
    return n;
}

#define MOST_ROWS 256

static loci_status attend(const loci_child *child, const loci_exec *x, const loci_attend *a, bool back, loci_error *err)
{
    loci_status status = LOCI_OK;
    const loci_node *n = LOCI_NODE(child);
    const loci_attention *iface = n->cls->iface;
    const loci_batch *k = a->k ? a->k : a->q;
    const loci_tensor *ks = &a->cache->out[a->k_slot], *vs = &a->cache->out[a->v_slot],
                      *ps = &a->cache->out[a->pos_slot];
    loci_exec sub;
    int64_t ids[MOST_ROWS];
    uint32_t rows;

    LOCI_COPY(&sub, x);
    sub.seed = loci_mix64(x->seed ^ n->path_hash);
    if (!a->q->pos)
        return loci_fail(err, LOCI_E_ARG, "%s: the queries came without positions", n->path);
    for (uint32_t i = 0; i < a->q->n_runs; i += rows) {
        const loci_run *q = &a->q->runs[i], *kr = &k->runs[i];
        int64_t cap = ks->shape[1], held = kr->pos + kr->len < cap ? kr->pos + kr->len : cap;
        loci_view vq, vk, vv, vo, vl, vdo, vdl, vdq, vdk, vdv, vqp, vkp, vid;
        loci_attn_desc desc;
        loci_attn_io io;
        LOCI_COPY(&desc, a->io->desc);
        LOCI_COPY(&io, a->io);
        rows = alike(a, k, i, MOST_ROWS);
        if (q->len == 0)
            continue;
        desc.q_pos = cut(&vqp, a->q->pos, q->row, rows, 1, q->begin, q->len);
        desc.k_pos = cut(&vkp, ps, kr->state, rows, 1, 0, held);
        for (uint32_t j = 0; j < rows; j++)
            ids[j] = (int64_t)a->q->runs[i + j].id;
        desc.ids = loci_view_set(&vid, ids, (loci_device){LOCI_CPU, 0}, loci_i64, 1, (int64_t[]){rows});
        io.desc = &desc;
        io.q = cut(&vq, a->io->q, q->row, rows, 1, q->begin, q->len);
        io.k = cut(&vk, ks, kr->state, rows, 1, 0, held);
        io.v = cut(&vv, vs, kr->state, rows, 1, 0, held);
        io.o = cut(&vo, a->io->o, q->row, rows, 1, q->begin, q->len);
        io.lse = cut(&vl, a->io->lse, q->row, rows, 2, q->begin, q->len);
        if (back) {
            io.d_o = cut(&vdo, a->io->d_o, q->row, rows, 1, q->begin, q->len);
            io.d_lse = cut(&vdl, a->io->d_lse, q->row, rows, 2, q->begin, q->len);
            io.dq = cut(&vdq, a->io->dq, q->row, rows, 1, q->begin, q->len);
            io.dk = cut(&vdk, &a->cache->grad[a->k_slot], kr->state, rows, 1, 0, held);
            io.dv = cut(&vdv, &a->cache->grad[a->v_slot], kr->state, rows, 1, 0, held);
        }
        LOCI_TRY((back ? iface->backward : iface->forward)(n->module, &sub, &io, err));
    }
out:
    return status;
}

loci_status loci_host_attend(const loci_child *child, const loci_exec *x, const loci_attend *a, loci_error *err)
{
    return attend(child, x, a, false, err);
}

loci_status loci_host_attend_back(const loci_child *child, const loci_exec *x, const loci_attend *a, loci_error *err)
{
    return attend(child, x, a, true, err);
}
