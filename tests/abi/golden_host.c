/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/abi/golden_host PLUGIN.so [--names]: a host that is nothing but the headers, for golden plugins.
 *
 * It leads one class through its life, hands it structs in which every member has a value of its own, and compares what
 * the plugin says it read and heard with what it put and asked (witness.h). It needs no part of loci, so that it can be
 * compiled in a second against headers that were changed: that is how tests/abi/guards.sh lets an old plugin meet a new
 * host. Prints what went wrong, a line each, and how much was touched; --names lists it. The exit status is 1 when
 * anything was wrong.
 */
#include "golden_fill.h"

#include <dlfcn.h>
#include <loci/device.h>

/* ---- what the plugin told of its tables ---- */

static void read_plugin(const loci_plugin *p)
{
    GOT_3(loci_plugin, p, magic, struct_size, abi_major);
    GOT_3(loci_plugin, p, abi_draft, ptr_bits, san);
    GOT_3(loci_plugin, p, reserved0, name, version);
    GOT_3(loci_plugin, p, license, n_classes, reserved1);
    GOT(&host, loci_plugin, p, classes);
}

static void read_class(const loci_class *c)
{
    GOT_3(loci_class, c, struct_size, state_version, id);
    GOT_3(loci_class, c, kind, version, summary);
    GOT_3(loci_class, c, doc, caps, n_keys);
    GOT_3(loci_class, c, n_wants, keys, wants);
    GOT_3(loci_class, c, fit, create, destroy);
    GOT_3(loci_class, c, child_shape, bind, declare);
    GOT_3(loci_class, c, plan, iface, promises);
}

static void read_iface(const loci_class *c)
{
    if (!strcmp(c->kind, LOCI_KIND_ATTENTION)) {
        const loci_attention *a = c->iface;
        GOT_3(loci_attention, a, struct_size, reserved0, forward);
        GOT(&host, loci_attention, a, backward);
    } else if (!strcmp(c->kind, LOCI_KIND_MIXER)) {
        const loci_mixer *m = c->iface;
        GOT_3(loci_mixer, m, struct_size, reserved0, forward);
        GOT(&host, loci_mixer, m, backward);
    } else if (!strcmp(c->kind, LOCI_KIND_MEMORY)) {
        const loci_memory *m = c->iface;
        GOT_3(loci_memory, m, struct_size, needs, state_init);
        GOT_3(loci_memory, m, state_init_back, forward, backward);
    } else if (!strcmp(c->kind, LOCI_KIND_DEVICE)) {
        const loci_device_class *d = c->iface;
        GOT_3(loci_device_class, d, struct_size, type, alloc);
        GOT_3(loci_device_class, d, free, zero, copy);
        GOT_3(loci_device_class, d, up, down, workers);
        GOT(&host, loci_device_class, d, parallel_for);
        GOT(&host, loci_device_class, d, get_ext);
    }
}

/* The key and the want that a plugin told of: the mixer's only want, the memory's key of an enum. */
static void read_lists(const loci_class *c)
{
    for (uint32_t i = 0; i < c->n_keys; i++)
        if (c->keys[i]->type == LOCI_KEY_ENUM) {
            GOT_3(loci_key, c->keys[i], struct_size, type, name);
            GOT_3(loci_key, c->keys[i], def, help, choices);
            GOT(&host, loci_key, c->keys[i], min);
            GOT(&host, loci_key, c->keys[i], max);
        }
    if (c->n_wants == 1) {
        GOT_3(loci_want, c->wants[0], struct_size, optional, role);
        GOT(&host, loci_want, c->wants[0], kind);
        GOT(&host, loci_want, c->wants[0], caps);
    }
}

/* ---- a life ---- */

static loci_error err;

static void expect(loci_status status, const char *what)
{
    if (status != LOCI_OK)
        witness_wrong(what, "failed: ", err.msg, NULL);
}

static void clear_error(void)
{
    memset(&err, 0, sizeof err);
    PUT(&host, loci_error, &err, struct_size, sizeof err);
}

static loci_module *begin(const loci_class *c)
{
    const loci_child *children[2] = {(const loci_child *)&children[0], (const loci_child *)&children[1]};
    void *decl = &children;
    loci_module *m = NULL;
    loci_fit fit;
    const uint32_t want = 0, n = c->n_wants;

    memset(&fit, 0, sizeof fit);
    PUT(&host, loci_fit, &fit, struct_size, sizeof fit);
    fill_shape();
    expect(ASK(&host, loci_class, c, fit, &host, &config, &shape, &fit), "fit");
    GOT(&host, loci_fit, &fit, score);
    GOT(&host, loci_fit, &fit, reason);
    read_class(c);
    read_iface(c);
    read_lists(c);
    fill_config();
    fill_site();
    expect(ASK(&host, loci_class, c, create, &host, &config, &site, &shape, &m, &err), "create");
    CAME(&host, loci_class, create, m);
    if (c->child_shape) {
        expect(ASK(&host, loci_class, c, child_shape, m, want, &shape, &err), "child_shape");
        GOT_3(loci_shape, &shape, heads, k_heads, v_heads);
        GOT(&host, loci_shape, &shape, dk);
        GOT(&host, loci_shape, &shape, dv);
    }
    if (c->bind)
        expect(ASK(&host, loci_class, c, bind, m, n, children, &err), "bind");
    if (c->declare)
        expect(ASK(&host, loci_class, c, declare, m, decl, &err), "declare");
    return m;
}

/* A refusal first. */
static void plan(const loci_class *c, loci_module *m)
{
    const int32_t no_op = GOLDEN_NO_OP, op = LOCI_OP_STEP;
    loci_need need;

    memset(&need, 0, sizeof need);
    PUT(&host, loci_need, &need, struct_size, sizeof need);
    FILL(loci_need, &need, reserved0);
    FILL(loci_need, &need, scratch);
    FILL(loci_need, &need, saved);
    FILL(loci_need, &need, host);
    clear_error();
    if (ASK(&host, loci_class, c, plan, m, &shape, no_op, &need, &err) != LOCI_E_ARG)
        witness_wrong("plan", "did not refuse op 99", "", NULL);
    GOT_3(loci_error, &err, code, where, msg);
    clear_error();
    need.reserved0 = 0;
    PUT(&host, loci_need, &need, reserved0, 3);
    expect(ASK(&host, loci_class, c, plan, m, &shape, op, &need, &err), "plan");
    GOT_3(loci_need, &need, scratch, saved, host);
}

static void fill_call(void)
{
    fill_batch();
    fill_exec();
    fill_slots();
    fill_io();
    fill_rule_io();
    fill_attn_io();
}

static void call(const loci_class *c, loci_module *m)
{
    fill_call();
    if (!strcmp(c->kind, LOCI_KIND_ATTENTION)) {
        fill_tensor(&k.t);
        expect(ASK(&host, loci_attention, c->iface, forward, m, &exec, &attn_io, &err), "forward");
        fill_call();
        expect(ASK(&host, loci_attention, c->iface, backward, m, &exec, &attn_io, &err), "backward");
    } else if (!strcmp(c->kind, LOCI_KIND_MEMORY)) {
        expect(ASK(&host, loci_memory, c->iface, state_init, m, &exec, &slots, &batch, &err), "state_init");
        expect(ASK(&host, loci_memory, c->iface, forward, m, &exec, &slots, &rule_io, &err), "forward");
        fill_call();
        expect(ASK(&host, loci_memory, c->iface, backward, m, &exec, &slots, &rule_io, &err), "backward");
        expect(ASK(&host, loci_memory, c->iface, state_init_back, m, &exec, &slots, &batch, &err), "state_init_back");
    } else {
        fill_tensor(&x.t);
        expect(ASK(&host, loci_mixer, c->iface, forward, m, &exec, &slots, &io, &err), "forward");
        fill_call();
        expect(ASK(&host, loci_mixer, c->iface, backward, m, &exec, &slots, &io, &err), "backward");
    }
}

/* ---- a device, and its tables ---- */

static void task(void *arg, int64_t first, int64_t end, uint32_t worker)
{
    SAY_CELLS(&host, "heard", "loci_task_fn", arg, first, end, worker);
}

static void call_ops(const loci_ops *table)
{
    const int32_t f = 3;
    const int64_t rot = 8;
    const loci_gemm g = {sizeof g, 0, 1, 0, NULL, NULL, NULL};
    const loci_adamw step = {sizeof step, 0, 1, 2, 3, 4, 5, 6, 7, 8};
    loci_tensor *a = &x.t, *b = &y.t, *c = &dx.t, *d = &dy.t, *e = &k.t, *q = &o.t, *p = &pos.t;
    double sum = 0;

    expect(ASK(&host, loci_ops, table, gemm, &exec, &g, &err), "gemm");
    expect(ASK(&host, loci_ops, table, fill, &exec, a, 0.1, &err), "fill");
    expect(ASK(&host, loci_ops, table, map1, &exec, f, a, b, 0.2, 0.3, &err), "map1");
    expect(ASK(&host, loci_ops, table, map2, &exec, f, a, b, c, 0.4, 0.6, &err), "map2");
    expect(ASK(&host, loci_ops, table, sum_rows, &exec, a, b, 0.7, &err), "sum_rows");
    expect(ASK(&host, loci_ops, table, norm, &exec, f, a, b, c, d, 0.8, &err), "norm");
    expect(ASK(&host, loci_ops, table, norm_back, &exec, f, a, b, c, d, e, q, &err), "norm_back");
    expect(ASK(&host, loci_ops, table, conv, &exec, &batch, a, b, c, d, e, &err), "conv");
    expect(ASK(&host, loci_ops, table, conv_back, &exec, &batch, a, b, c, d, e, q, p, &err), "conv_back");
    expect(ASK(&host, loci_ops, table, take, &exec, a, b, p, 0.9, &err), "take");
    expect(ASK(&host, loci_ops, table, put, &exec, a, b, p, &err), "put");
    expect(ASK(&host, loci_ops, table, rope, &exec, a, b, p, rot, 1.1, 1.2, &err), "rope");
    expect(ASK(&host, loci_ops, table, xent, &exec, a, b, c, p, 1.3, &err), "xent");
    expect(ASK(&host, loci_ops, table, sumsq, &exec, a, &sum, &err), "sumsq");
    if (sum != 42)
        witness_wrong("loci_ops.sumsq", "did not say 42", "", NULL);
    expect(ASK(&host, loci_ops, table, adamw, &exec, a, b, c, d, &step, &err), "adamw");
    expect(ASK(&host, loci_ops, table, dot, &exec, a, b, c, 1.4, 1.6, &err), "dot");
}

static void call_scan(const loci_scan *table)
{
    const loci_scan_io scan_io = {.struct_size = sizeof scan_io};
    const loci_coef coefficients = {.struct_size = sizeof coefficients};
    loci_need need = {sizeof need, 0, 1, 2, 3};

    TELL(&host, loci_need, &need, struct_size);
    TELL(&host, loci_need, &need, reserved0);
    expect(ASK(&host, loci_scan, table, plan, &scan_io, &shape, &need, &err), "scan plan");
    GOT_3(loci_need, &need, scratch, saved, host);
    expect(ASK(&host, loci_scan, table, forward, &exec, &scan_io, &err), "scan forward");
    expect(ASK(&host, loci_scan, table, backward, &exec, &scan_io, &err), "scan backward");
    expect(ASK(&host, loci_scan, table, coef, &exec, &coefficients, &err), "coef");
    expect(ASK(&host, loci_scan, table, coef_back, &exec, &coefficients, &err), "coef_back");
}

static void call_device(const loci_class *c, loci_module *m)
{
    const loci_device_class *d = c->iface;
    const uint64_t bytes = 100;
    const int64_t n = 10, grain = 4;
    char up[100] = "up", down[100] = "";
    void *stream = &up, *p, *r, *arg = &down;
    const void *table;
    uint32_t workers;

    p = ASK(&host, loci_device_class, d, alloc, m, bytes);
    CAME(&host, loci_device_class, alloc, p);
    r = d->alloc(m, bytes);
    if (!p || !r) {
        witness_wrong("loci_device_class.alloc", "gave no memory", "", NULL);
        return;
    }
    expect(ASK(&host, loci_device_class, d, zero, m, stream, r, bytes), "zero");
    expect(ASK(&host, loci_device_class, d, up, m, stream, p, up, bytes), "up");
    expect(ASK(&host, loci_device_class, d, copy, m, stream, r, p, bytes), "copy");
    expect(ASK(&host, loci_device_class, d, down, m, stream, down, r, bytes), "down");
    if (strcmp(down, "up") != 0)
        witness_wrong("loci_device_class", "what went up did not come down", "", NULL);
    ASK(&host, loci_device_class, d, free, m, p);
    d->free(m, r);
    workers = ASK(&host, loci_device_class, d, workers, m);
    CAME(&host, loci_device_class, workers, workers);
    expect(ASK(&host, loci_device_class, d, parallel_for, m, n, grain, task, arg), "parallel_for");
    fill_call();
    table = ASK(&host, loci_device_class, d, get_ext, m, LOCI_EXT_OPS);
    CAME(&host, loci_device_class, get_ext, table);
    call_ops(table);
    table = ASK(&host, loci_device_class, d, get_ext, m, LOCI_EXT_SCAN);
    CAME(&host, loci_device_class, get_ext, table);
    call_scan(table);
}

int main(int argc, char **argv)
{
    void *so = argc > 1 ? dlopen(argv[1], RTLD_NOW | RTLD_LOCAL) : NULL;
    const loci_plugin *p = so ? dlsym(so, "loci_plugin_v1") : NULL;
    const loci_class *c;
    loci_module *m;
    int wrong, touched = 0;

    setvbuf(stdout, NULL, _IOLBF, 0);
    if (!p) {
        fprintf(stderr, "golden_host: %s\n", argc > 1 ? dlerror() : "name a golden plugin");
        return 2;
    }
    fill_host();
    fill_services();
    make_tensors();
    clear_error();
    c = p->classes[0];
    m = begin(c);
    read_plugin(p);
    if (!strcmp(c->kind, LOCI_KIND_DEVICE)) {
        call_device(c, m);
    } else {
        plan(c, m);
        call(c, m);
    }
    if (c->promises && c->promises(&config) != (LOCI_CAP_BACKWARD | LOCI_CAP_CAUSAL))
        witness_wrong("loci_class.promises", "is not backward and causal", "", NULL);
    ASK(&host, loci_class, c, destroy, m);
    wrong = witness_end(argc > 2 && !strcmp(argv[2], "--names"));
    for (int i = 0; i < witness.n; i++)
        touched += witness.at[i].touched;
    printf("%s: %d touched, %d wrong\n", c->kind, touched, wrong);
    return wrong ? 1 : 0;
}
