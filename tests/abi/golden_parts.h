/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/abi/golden_parts.h: what all golden plugins do alike: read every member of the structs that every kind is
 * given, tell of their own tables, and refuse once.
 */
#ifndef LOCI_TESTS_ABI_GOLDEN_PARTS_H
#define LOCI_TESTS_ABI_GOLDEN_PARTS_H

#include "golden.h"

#include <loci/author.h>

/* ---- what the host gives ---- */

static inline void golden_read_host(const loci_host *h)
{
    GOT(h, loci_host, h, struct_size);
    GOT(h, loci_host, h, abi_major);
    GOT(h, loci_host, h, abi_draft);
    GOT(h, loci_host, h, name);
    GOT(h, loci_host, h, version);
    GOT(h, loci_host, h, ctx);
    GOT(h, loci_host, h, log);
    GOT(h, loci_host, h, alloc);
    GOT(h, loci_host, h, free);
    GOT(h, loci_host, h, declare);
    GOT(h, loci_host, h, declare_gate);
    GOT(h, loci_host, h, declare_sub);
    GOT(h, loci_host, h, workers);
    GOT(h, loci_host, h, parallel_for);
    GOT(h, loci_host, h, get_ext);
    GOT(h, loci_host, h, child_need);
    GOT(h, loci_host, h, child_state_bytes);
    GOT(h, loci_host, h, child_forward);
    GOT(h, loci_host, h, child_backward);
    GOT(h, loci_host, h, child_copy);
    GOT(h, loci_host, h, child_add);
    GOT(h, loci_host, h, append);
    GOT(h, loci_host, h, append_back);
    GOT(h, loci_host, h, attend);
    GOT(h, loci_host, h, attend_back);
    GOT(h, loci_host, h, child_caps);
}

static inline void golden_read_shape(const loci_host *h, const loci_shape *s)
{
    GOT(h, loci_shape, s, struct_size);
    GOT(h, loci_shape, s, reserved0);
    GOT(h, loci_shape, s, session);
    GOT(h, loci_shape, s, flags);
    GOT(h, loci_shape, s, rows);
    GOT(h, loci_shape, s, seq);
    GOT(h, loci_shape, s, ctx);
    GOT(h, loci_shape, s, runs);
    GOT(h, loci_shape, s, states);
    GOT(h, loci_shape, s, dim);
    GOT(h, loci_shape, s, heads);
    GOT(h, loci_shape, s, k_heads);
    GOT(h, loci_shape, s, v_heads);
    GOT(h, loci_shape, s, dk);
    GOT(h, loci_shape, s, dv);
    GOT(h, loci_shape, s, dtype);
    GOT(h, loci_shape, s, acc);
    GOT(h, loci_shape, s, device);
    GOT(h, loci_shape, s, features);
}

static inline void golden_read_site(const loci_host *h, const loci_site *s)
{
    GOT(h, loci_site, s, struct_size);
    GOT(h, loci_site, s, layer);
    GOT(h, loci_site, s, n_layers);
    GOT(h, loci_site, s, reserved0);
    GOT(h, loci_site, s, path);
}

static inline void golden_read_exec(const loci_host *h, const loci_exec *x)
{
    GOT(h, loci_exec, x, struct_size);
    GOT(h, loci_exec, x, reserved0);
    GOT(h, loci_exec, x, host);
    GOT(h, loci_exec, x, session);
    GOT(h, loci_exec, x, device);
    GOT(h, loci_exec, x, stream);
    GOT(h, loci_exec, x, flags);
    GOT(h, loci_exec, x, seed);
    GOT(h, loci_exec, x, step);
    GOT(h, loci_exec, x, scratch);
    GOT(h, loci_exec, x, scratch_bytes);
    GOT(h, loci_exec, x, saved);
    GOT(h, loci_exec, x, saved_bytes);
    GOT(h, loci_exec, x, host_scratch);
    GOT(h, loci_exec, x, host_bytes);
}

static inline void golden_read_slots(const loci_host *h, const loci_slots *s)
{
    GOT(h, loci_slots, s, struct_size);
    GOT(h, loci_slots, s, n_params);
    GOT(h, loci_slots, s, n_state);
    GOT(h, loci_slots, s, n_subs);
    GOT(h, loci_slots, s, params);
    GOT(h, loci_slots, s, grads);
    GOT(h, loci_slots, s, state_in);
    GOT(h, loci_slots, s, state_out);
    GOT(h, loci_slots, s, state_grad);
    GOT(h, loci_slots, s, cache);
    GOT(h, loci_slots, s, sub_in);
    GOT(h, loci_slots, s, sub_out);
    GOT(h, loci_slots, s, sub_grad);
}

/* Tensors stand in arrays as well: where the second one lies. */
static inline void golden_read_second(const loci_host *h, const loci_tensor *tensors)
{
    SAY_CELLS(h, "got", "loci_slots.state_in[1]", &tensors[1]);
}

static inline void golden_read_tensor(const loci_host *h, const loci_tensor *t)
{
    GOT(h, loci_tensor, t, data);
    GOT(h, loci_tensor, t, device);
    GOT(h, loci_device, &t->device, type);
    GOT(h, loci_device, &t->device, id);
    GOT(h, loci_tensor, t, ndim);
    GOT(h, loci_tensor, t, dtype);
    GOT(h, loci_dtype, &t->dtype, code);
    GOT(h, loci_dtype, &t->dtype, bits);
    GOT(h, loci_dtype, &t->dtype, lanes);
    GOT(h, loci_tensor, t, shape);
    GOT(h, loci_tensor, t, strides);
    GOT(h, loci_tensor, t, byte_offset);
}

/* Runs stand in an array: the last one shows its stride. */
static inline void golden_read_batch(const loci_host *h, const loci_batch *b)
{
    const loci_run *last = &b->runs[b->n_runs - 1];

    GOT(h, loci_batch, b, struct_size);
    GOT(h, loci_batch, b, n_runs);
    GOT(h, loci_batch, b, runs);
    GOT(h, loci_batch, b, pos);
    GOT(h, loci_run, last, row);
    GOT(h, loci_run, last, begin);
    GOT(h, loci_run, last, len);
    GOT(h, loci_run, last, state);
    GOT(h, loci_run, last, pos);
    GOT(h, loci_run, last, id);
}

static inline void golden_read_io(const loci_host *h, const loci_io *io)
{
    GOT(h, loci_io, io, struct_size);
    GOT(h, loci_io, io, op);
    GOT(h, loci_io, io, x);
    GOT(h, loci_io, io, ctx);
    GOT(h, loci_io, io, y);
    GOT(h, loci_io, io, q);
    GOT(h, loci_io, io, k);
    GOT(h, loci_io, io, mask);
    GOT(h, loci_io, io, state_in);
    GOT(h, loci_io, io, state_out);
    GOT(h, loci_io, io, state_grad);
    GOT(h, loci_io, io, dy);
    GOT(h, loci_io, io, dx);
    GOT(h, loci_io, io, dctx);
    GOT(h, loci_mask, io->mask, struct_size);
    GOT(h, loci_mask, io->mask, causal);
    GOT(h, loci_mask, io->mask, window_left);
    GOT(h, loci_mask, io->mask, window_right);
    golden_read_batch(h, io->q);
    golden_read_tensor(h, io->x);
}

/* ---- what the plugin gives ---- */

static inline void golden_tell_plugin(const loci_host *h, const loci_plugin *p)
{
    const loci_class *c = p->classes[0];

    TELL(h, loci_plugin, p, magic);
    TELL(h, loci_plugin, p, struct_size);
    TELL(h, loci_plugin, p, abi_major);
    TELL(h, loci_plugin, p, abi_draft);
    TELL(h, loci_plugin, p, ptr_bits);
    TELL(h, loci_plugin, p, san);
    TELL(h, loci_plugin, p, reserved0);
    TELL(h, loci_plugin, p, name);
    TELL(h, loci_plugin, p, version);
    TELL(h, loci_plugin, p, license);
    TELL(h, loci_plugin, p, n_classes);
    TELL(h, loci_plugin, p, reserved1);
    TELL(h, loci_plugin, p, classes);
    TELL(h, loci_class, c, struct_size);
    TELL(h, loci_class, c, state_version);
    TELL(h, loci_class, c, id);
    TELL(h, loci_class, c, kind);
    TELL(h, loci_class, c, version);
    TELL(h, loci_class, c, summary);
    TELL(h, loci_class, c, doc);
    TELL(h, loci_class, c, caps);
    TELL(h, loci_class, c, n_keys);
    TELL(h, loci_class, c, n_wants);
    TELL(h, loci_class, c, keys);
    TELL(h, loci_class, c, wants);
    TELL(h, loci_class, c, fit);
    TELL(h, loci_class, c, create);
    TELL(h, loci_class, c, destroy);
    TELL(h, loci_class, c, child_shape);
    TELL(h, loci_class, c, bind);
    TELL(h, loci_class, c, declare);
    TELL(h, loci_class, c, plan);
    TELL(h, loci_class, c, iface);
    TELL(h, loci_class, c, promises);
}

static inline void golden_tell_fit(const loci_host *h, loci_fit *f)
{
    GOT(h, loci_fit, f, struct_size);
    PUT(h, loci_fit, f, score, 50);
    snprintf(f->reason, sizeof f->reason, "touches everything");
    TELL(h, loci_fit, f, reason);
}

/* Bytes are added to what the host put there. */
static inline void golden_tell_need(const loci_host *h, loci_need *n, uint64_t scratch, uint64_t saved, uint64_t host)
{
    GOT(h, loci_need, n, struct_size);
    GOT(h, loci_need, n, reserved0);
    PUT(h, loci_need, n, scratch, n->scratch + scratch);
    PUT(h, loci_need, n, saved, n->saved + saved);
    PUT(h, loci_need, n, host, n->host + host);
}

/* An op that does not exist is refused, so that a loci_error crosses as well. */
#define GOLDEN_NO_OP 99
static inline loci_status golden_refuse(const loci_host *h, loci_error *err)
{
    GOT(h, loci_error, err, struct_size);
    PUT(h, loci_error, err, code, LOCI_E_ARG);
    PUT(h, loci_error, err, where, "golden");
    snprintf(err->msg, sizeof err->msg, "op 99: there are 0 to 3");
    TELL(h, loci_error, err, msg);
    return LOCI_E_ARG;
}

/* ---- small tensors in float64, out of the scratch of a call ---- */

typedef struct golden_view {
    loci_tensor t;
    int64_t shape[4], strides[4];
} golden_view;

/* dims: sizes, 0 ends them. `at` moves on. */
static inline loci_tensor *golden_make(golden_view *v, double **at, const int64_t dims[4], double first, double by)
{
    int64_t n = 1;

    memset(v, 0, sizeof *v);
    for (v->t.ndim = 0; v->t.ndim < 4 && dims[v->t.ndim]; v->t.ndim++)
        v->shape[v->t.ndim] = dims[v->t.ndim];
    for (int i = v->t.ndim; i-- > 0;) {
        v->strides[i] = n;
        n *= v->shape[i];
    }
    v->t.data = *at;
    v->t.device.type = LOCI_CPU;
    v->t.dtype.code = LOCI_FLOAT;
    v->t.dtype.bits = 64;
    v->t.dtype.lanes = 1;
    v->t.shape = v->shape;
    v->t.strides = v->strides;
    for (int64_t i = 0; i < n; i++)
        *(*at)++ = first + (double)i * by;
    return &v->t;
}

static inline loci_tensor *golden_make_i32(golden_view *v, int32_t *data, const int64_t dims[4])
{
    double none[64], *at = none;

    golden_make(v, &at, dims, 0, 0);
    v->t.data = data;
    v->t.dtype.code = LOCI_INT;
    v->t.dtype.bits = 32;
    return &v->t;
}

static inline double golden_first(const loci_tensor *t)
{
    return *(const double *)loci_ptr(t);
}

#endif
