/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/abi/golden_services.h: the host's table as a golden plugin is given it; like the tables of golden_tables.h it
 * listens and computes nothing, but for memory, which is real.
 */
#ifndef LOCI_TESTS_ABI_GOLDEN_SERVICES_H
#define LOCI_TESTS_ABI_GOLDEN_SERVICES_H

#include "golden_tables.h"

static uint32_t n_weights, n_states;

static void *host_alloc(const loci_host *h, uint64_t bytes)
{
    void *p = calloc(1, (size_t)bytes);

    HEARD(&host, loci_host, alloc, h, bytes);
    ANSWER(&host, loci_host, alloc, p);
    return p;
}

static void host_free(const loci_host *h, void *p)
{
    HEARD(&host, loci_host, free, h, p);
    free(p);
}

static loci_status host_declare(const loci_host *h, void *decl, const loci_slot *s, uint32_t *index)
{
    HEARD(&host, loci_host, declare, h, decl, s, index);
    *index = s->flags & LOCI_SLOT_STATE ? n_states++ : n_weights++;
    ANSWER(&host, loci_host, declare, *index);
    if (s->window != 11) /* a slot that was not told of member by member */
        return LOCI_OK;
    GOT_3(loci_slot, s, struct_size, flags, name);
    GOT_3(loci_slot, s, ndim, init, shape);
    GOT_3(loci_slot, s, dtype, reserved0, a);
    GOT(&host, loci_slot, s, b);
    GOT(&host, loci_slot, s, window);
    return LOCI_OK;
}

static loci_status host_declare_gate(const loci_host *h, void *decl, const loci_gate *g, uint32_t *index)
{
    HEARD(&host, loci_host, declare_gate, h, decl, g, index);
    GOT_3(loci_gate, g, struct_size, reserved0, name);
    GOT_3(loci_gate, g, lo, hi, init);
    GOT(&host, loci_gate, g, width);
    *index = 0;
    return LOCI_OK;
}

static loci_status host_declare_sub(const loci_host *h, void *decl, const loci_child *c, const char *name,
                                    int64_t capacity, int64_t pinned, uint32_t *index)
{
    static uint32_t n;

    HEARD(&host, loci_host, declare_sub, h, decl, c, name, capacity, pinned, index);
    *index = n++;
    return LOCI_OK;
}

static uint32_t host_workers(const loci_host *h)
{
    const uint32_t n = 5;

    HEARD(&host, loci_host, workers, h);
    ANSWER(&host, loci_host, workers, n);
    return n;
}

static loci_status host_parallel_for(const loci_exec *x, int64_t n, int64_t grain, loci_task_fn fn, void *arg)
{
    const uint32_t worker = 4;

    HEARD(&host, loci_host, parallel_for, x, n, grain, fn, arg);
    SAY_CELLS(&host, "ask", "loci_task_fn", arg, (int64_t)0, n, worker);
    fn(arg, 0, n, worker);
    return LOCI_OK;
}

static const void *host_get_ext(const loci_host *h, loci_device device, const char *id)
{
    const void *table = !strcmp(id, LOCI_EXT_OPS) ? (const void *)&ops : !strcmp(id, LOCI_EXT_SCAN) ? &scan : NULL;

    HEARD(&host, loci_host, get_ext, h, device, id);
    ANSWER(&host, loci_host, get_ext, table);
    return table;
}

static loci_status host_child_need(const loci_child *c, const loci_shape *s, int32_t op, loci_need *need,
                                   loci_error *err)
{
    HEARD(&host, loci_host, child_need, c, s, op, need, err);
    give_need(need);
    return LOCI_OK;
}

static uint64_t host_child_state_bytes(const loci_child *c, const loci_shape *s)
{
    const uint64_t bytes = 192;

    HEARD(&host, loci_host, child_state_bytes, c, s);
    ANSWER(&host, loci_host, child_state_bytes, bytes);
    return bytes;
}

static void read_child_call(const loci_exec *x, const loci_io *io)
{
    GOT_3(loci_exec, x, struct_size, scratch, scratch_bytes);
    GOT_3(loci_exec, x, saved, saved_bytes, host_scratch);
    GOT(&host, loci_exec, x, host_bytes);
    GOT_3(loci_io, io, struct_size, x, q);
    GOT(&host, loci_io, io, mask);
}

static loci_status host_child_forward(const loci_child *c, const loci_exec *x, const loci_io *io, loci_error *err)
{
    HEARD(&host, loci_host, child_forward, c, x, io, err);
    if (io->op == LOCI_OP_STEP) /* the last that was told of */
        read_child_call(x, io);
    return LOCI_OK;
}

static loci_status host_child_backward(const loci_child *c, const loci_exec *x, const loci_io *io, loci_error *err)
{
    HEARD(&host, loci_host, child_backward, c, x, io, err);
    return LOCI_OK;
}

static loci_status host_child_copy(const loci_child *c, const loci_exec *x, const loci_batch *b, uint32_t parts,
                                   void *dst, const void *src, loci_error *err)
{
    HEARD(&host, loci_host, child_copy, c, x, b, parts, dst, src, err);
    return LOCI_OK;
}

static loci_status host_child_add(const loci_child *c, const loci_exec *x, const loci_batch *b, uint32_t parts,
                                  void *dst, const void *src, loci_error *err)
{
    HEARD(&host, loci_host, child_add, c, x, b, parts, dst, src, err);
    return LOCI_OK;
}

static loci_status host_append(const loci_exec *x, const loci_cache *c, uint32_t slot, const loci_tensor *rows,
                               const loci_batch *k, loci_error *err)
{
    HEARD(&host, loci_host, append, x, c, slot, rows, k, err);
    return LOCI_OK;
}

static loci_status host_append_back(const loci_exec *x, const loci_cache *c, uint32_t slot, loci_tensor *d_rows,
                                    const loci_batch *k, loci_error *err)
{
    HEARD(&host, loci_host, append_back, x, c, slot, d_rows, k, err);
    return LOCI_OK;
}

static loci_status host_attend(const loci_child *c, const loci_exec *x, const loci_attend *a, loci_error *err)
{
    HEARD(&host, loci_host, attend, c, x, a, err);
    GOT_3(loci_attend, a, struct_size, k_slot, v_slot);
    GOT_3(loci_attend, a, pos_slot, cache, q);
    GOT(&host, loci_attend, a, k);
    GOT(&host, loci_attend, a, io);
    return LOCI_OK;
}

static loci_status host_attend_back(const loci_child *c, const loci_exec *x, const loci_attend *a, loci_error *err)
{
    HEARD(&host, loci_host, attend_back, c, x, a, err);
    return LOCI_OK;
}

static uint64_t host_child_caps(const loci_child *c)
{
    const uint64_t caps = LOCI_CAP_CAUSAL | LOCI_CAP_STREAMING;

    HEARD(&host, loci_host, child_caps, c);
    ANSWER(&host, loci_host, child_caps, caps);
    return caps;
}

static void fill_host(void)
{
    host.log = witness_log;
    PUT(&host, loci_host, &host, struct_size, sizeof host);
    PUT(&host, loci_host, &host, abi_major, LOCI_ABI_MAJOR);
    PUT(&host, loci_host, &host, abi_draft, LOCI_ABI_DRAFT);
    PUT(&host, loci_host, &host, name, "golden");
    PUT(&host, loci_host, &host, version, "1");
    FILL(loci_host, &host, ctx);
    PUT(&host, loci_host, &host, log, witness_log);
    PUT(&host, loci_host, &host, alloc, host_alloc);
    PUT(&host, loci_host, &host, free, host_free);
    PUT(&host, loci_host, &host, declare, host_declare);
    PUT(&host, loci_host, &host, declare_gate, host_declare_gate);
    PUT(&host, loci_host, &host, declare_sub, host_declare_sub);
    PUT(&host, loci_host, &host, workers, host_workers);
    PUT(&host, loci_host, &host, parallel_for, host_parallel_for);
    PUT(&host, loci_host, &host, get_ext, host_get_ext);
    PUT(&host, loci_host, &host, child_need, host_child_need);
    PUT(&host, loci_host, &host, child_state_bytes, host_child_state_bytes);
    PUT(&host, loci_host, &host, child_forward, host_child_forward);
    PUT(&host, loci_host, &host, child_backward, host_child_backward);
    PUT(&host, loci_host, &host, child_copy, host_child_copy);
    PUT(&host, loci_host, &host, child_add, host_child_add);
    PUT(&host, loci_host, &host, append, host_append);
    PUT(&host, loci_host, &host, append_back, host_append_back);
    PUT(&host, loci_host, &host, attend, host_attend);
    PUT(&host, loci_host, &host, attend_back, host_attend_back);
    PUT(&host, loci_host, &host, child_caps, host_child_caps);
}

#endif
