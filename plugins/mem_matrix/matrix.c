/* SPDX-License-Identifier: Apache-2.0
 *
 * mem_matrix: see matrix.h.
 */
#include "matrix.h"
#include <math.h>

#define fail(err, code, ...) loci_refuse(err, code, matrix_who, __VA_ARGS__)

const loci_key matrix_key_chunk =
    MATRIX_KEY("chunk", LOCI_KEY_INT, "0", NULL, 0, 65536, "Tokens of a chunk; 0: 16. Mode sequential has none.");
const loci_key matrix_key_forget =
    MATRIX_KEY("forget", LOCI_KEY_BOOL, "yes", NULL, 0, 0, "Let the memory decay, with gate alpha.");
const loci_key matrix_key_read_order = MATRIX_KEY("read_order", LOCI_KEY_ENUM, "after_write",
                                                  "after_write|before_write", 0, 0, "Which memory a token reads.");
const loci_key matrix_key_init_state =
    MATRIX_KEY("init_state", LOCI_KEY_ENUM, "zero", "zero|learned", 0, 0, "The memory a document begins with.");
const loci_key matrix_key_q_scale =
    MATRIX_KEY("q_scale", LOCI_KEY_ENUM, "one", "one|rsqrt_dk", 0, 0,
               "Factor of what is read: 1, or 1/sqrt(dk) as published for gated DeltaNet.");

/* ---- life ------------------------------------------------------------------------------------------------------- */

loci_status matrix_fit(const loci_host *host, const loci_config *c, const loci_shape *shape, loci_fit *f)
{
    const loci_dtype t = shape->dtype, a = shape->acc;

    (void)c;
    f->score = 0;
    if (t.code != LOCI_FLOAT || (t.bits != 32 && t.bits != 64) || t.code != a.code || t.bits != a.bits)
        snprintf(f->reason, sizeof f->reason, "computes in float32 or float64, activations and state alike");
    else if (!host->get_ext(host, shape->device, LOCI_EXT_SCAN))
        snprintf(f->reason, sizeof f->reason, "the device offers no " LOCI_EXT_SCAN);
    else if (!host->get_ext(host, shape->device, LOCI_EXT_OPS))
        snprintf(f->reason, sizeof f->reason, "the device offers no " LOCI_EXT_OPS);
    else {
        f->score = 100;
        snprintf(f->reason, sizeof f->reason, "a matrix memory by the device's scan");
    }
    return LOCI_OK;
}

void matrix_destroy(loci_module *m)
{
    m->host->free(m->host, m);
}

loci_status matrix_create(const loci_host *host, const loci_config *c, const loci_shape *shape, loci_module **out,
                          loci_error *err)
{
    loci_module *m = host->alloc(host, sizeof *m);

    if (!m)
        return fail(err, LOCI_E_NOMEM, "out of memory");
    m->host = host;
    m->ops = host->get_ext(host, shape->device, LOCI_EXT_OPS);
    m->H = shape->heads;
    m->dk = shape->dk;
    m->dv = shape->dv;
    m->learned = matrix_is(c, "init_state", "learned");
    m->scan = (matrix_scan){.scan = host->get_ext(host, shape->device, LOCI_EXT_SCAN),
                            .mode = matrix_is(c, "mode", "exact")    ? LOCI_SCAN_EXACT
                                    : matrix_is(c, "mode", "frozen") ? LOCI_SCAN_FROZEN
                                                                     : LOCI_SCAN_SEQUENTIAL,
                            .chunk = (int32_t)c->get_int(c->ctx, "chunk"),
                            .read_order = matrix_is(c, "read_order", "before_write") ? LOCI_SCAN_BEFORE_WRITE
                                                                                     : LOCI_SCAN_AFTER_WRITE,
                            .scale = matrix_is(c, "q_scale", "rsqrt_dk") ? 1 / sqrt((double)m->dk) : 1,
                            .loss_scale = 1};
    if (m->scan.chunk == 0)
        m->scan.chunk = 16;
    if (c->get_int(c->ctx, "forget"))
        m->gate[MATRIX_ALPHA] = (struct matrix_gate){.hi = 1, .init = 0.01};
    if (!m->scan.scan || !m->ops) {
        fail(err, LOCI_E_DEVICE, "the device offers no %s: choose another device or memory",
             m->scan.scan ? LOCI_EXT_OPS : LOCI_EXT_SCAN);
        matrix_destroy(m);
        return LOCI_E_DEVICE;
    }
    *out = m;
    return LOCI_OK;
}

/* Does the rule have this state? */
static int has(const loci_module *m, int state)
{
    return state == MATRIX_M || (state == MATRIX_S ? m->gate[MATRIX_ETA].hi > 0 : m->scan.mode == LOCI_SCAN_FROZEN);
}

loci_status matrix_declare(loci_module *m, void *decl, loci_error *err)
{
    static const char *const states[] = {"M", "S", "C"}, *const gates[] = {"alpha", "eta", "theta"};
    const int64_t shape[] = {-1, m->H, m->dv, m->dk};
    const loci_slot initial = {.struct_size = sizeof initial,
                               .flags = LOCI_SLOT_NO_DECAY,
                               .name = "M0",
                               .ndim = 3,
                               .init = LOCI_INIT_NORMAL,
                               .shape = shape + 1,
                               .b = 0.02};
    loci_status status = LOCI_OK;

    for (int i = 0; i < MATRIX_STATES && status == LOCI_OK; i++) {
        const loci_slot slot = {.struct_size = sizeof slot,
                                .flags = LOCI_SLOT_STATE,
                                .name = states[i],
                                .ndim = 4,
                                .init = LOCI_INIT_ZERO,
                                .shape = shape};

        m->scan.state[i].has = has(m, i);
        if (m->scan.state[i].has)
            status = m->host->declare(m->host, decl, &slot, &m->scan.state[i].at);
    }
    if (status == LOCI_OK && m->learned)
        status = m->host->declare(m->host, decl, &initial, &m->M0);
    for (int i = 0; i < MATRIX_GATES && status == LOCI_OK; i++) {
        const struct matrix_gate *g = &m->gate[i];
        const loci_gate gate = {.struct_size = sizeof gate, .name = gates[i], .hi = g->hi, .init = g->init, .width = 1};

        m->scan.gate[i].has = g->hi > 0;
        if (m->scan.gate[i].has)
            status = m->host->declare_gate(m->host, decl, &gate, &m->scan.gate[i].at);
    }
    if (status != LOCI_OK)
        return fail(err, status, "the host refused a slot or a gate");
    return LOCI_OK;
}

loci_status matrix_plan(loci_module *m, const loci_shape *shape, int32_t op, loci_need *need, loci_error *err)
{
    return matrix_scan_plan(&m->scan, shape, op, need, err);
}

/* ---- the call --------------------------------------------------------------------------------------------------- */

static loci_status forward(loci_module *m, const loci_exec *x, const loci_slots *s, const loci_rule_io *r,
                           loci_error *err)
{
    return matrix_scan_forward(&m->scan, x, s, r, err);
}

static loci_status backward(loci_module *m, const loci_exec *x, const loci_slots *s, const loci_rule_io *r,
                            loci_error *err)
{
    return matrix_scan_backward(&m->scan, x, s, r, err);
}

static loci_status state_init(loci_module *m, const loci_exec *x, const loci_slots *s, const loci_batch *batch,
                              loci_error *err)
{
    return matrix_start(m->ops, x, s, batch, m->learned, &m->scan.state[MATRIX_M].at, &m->M0, err);
}

static loci_status state_init_back(loci_module *m, const loci_exec *x, const loci_slots *s, const loci_batch *batch,
                                   loci_error *err)
{
    return matrix_start_back(m->ops, x, s, batch, m->learned, &m->scan.state[MATRIX_M].at, &m->M0, err);
}

const loci_memory matrix_iface = {
    .struct_size = sizeof(loci_memory),
    .needs = LOCI_MEM_Q | LOCI_MEM_K | LOCI_MEM_V,
    .state_init = state_init,
    .state_init_back = state_init_back,
    .forward = forward,
    .backward = backward,
};
