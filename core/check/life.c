/* SPDX-License-Identifier: Apache-2.0
 *
 * core/check: see life.h; and the tests of making and ending instances.
 */
#include "core/check/life.h"
#include "core/check/open.h"
#include "core/check/watch.h"
#include "core/check/words.h"
#include "core/model/node_impl.h"

#include <string.h>

loci_status loci_life_open(loci_life *life, loci_check *c, loci_error *err)
{
    loci_status status;

    memset(life, 0, sizeof *life);
    life->c = c;
    life->call = "fit";
    loci_check_shape(&life->shape, c);
    LOCI_TRY(loci_node_config(c->cx, 0, c->cls, &life->config, err));
    if (strcmp(c->kind, "device") != 0) {
        loci_stage("create, as a model does it");
        LOCI_TRY(loci_node_new(&life->donor, c->cx, &life->weights, c->kind, 0, 1, c->kind, &life->shape, 0, err));
        if (!life->donor)
            LOCI_TRY(loci_fail(err, LOCI_E_PLUGIN, "the id `none` means that there is no memory: choose another"));
        life->shape = life->donor->shape;
    }
    if (life->donor && !c->cls->n_wants) { /* it has nothing to give but the shape */
        loci_stage("destroy, as a model does it");
        loci_node_free(life->donor);
        life->donor = NULL;
    }
    if (!(life->ledger = loci_ledger_new(c->cx)))
        status = loci_fail(err, LOCI_E_NOMEM, "out of memory");
out:
    return status;
}

void loci_life_close(loci_life *life)
{
    loci_ledger_free(life->ledger);
    loci_node_free(life->donor);
    if (life->c && life->c->cx)
        loci_weights_free(&life->weights, life->c->cx);
}

static loci_status bind(loci_life *life, loci_module *m, loci_error *said)
{
    const loci_class *cls = life->c->cls;
    const loci_child *children[LOCI_MAX_CHILDREN];
    loci_status status = LOCI_OK;
    loci_shape shape;

    for (uint32_t i = 0; i < cls->n_wants && i < LOCI_MAX_CHILDREN; i++) {
        children[i] = (const loci_child *)(const void *)life->donor->children[i];
        shape = life->shape;
        life->call = "child_shape";
        loci_stage("child_shape of %s", cls->wants[i]->role);
        if (cls->child_shape)
            LOCI_TRY(cls->child_shape(m, i, &shape, said));
    }
    life->call = "bind";
    loci_stage("bind");
    if (cls->bind)
        LOCI_TRY(cls->bind(m, cls->n_wants, children, said));
out:
    return status;
}

loci_status loci_life_make(loci_life *life, loci_module **out, loci_error *said)
{
    const loci_class *cls = life->c->cls;
    const loci_site site = {sizeof site, 0, 1, 0, life->c->kind};
    loci_status status;

    *out = NULL;
    loci_ledger_clear(life->ledger);
    life->call = "create";
    loci_stage("create%s", life->ledger->fail_at > 0 ? ", with an allocation that fails" : "");
    LOCI_TRY(cls->create(&life->ledger->host, &life->config, &site, &life->shape, out, said));
    if (!*out)
        LOCI_TRY(loci_fail(said, LOCI_E_PLUGIN, "create succeeded and gave no module"));
    LOCI_TRY(bind(life, *out, said));
    life->call = "declare";
    loci_stage("declare");
    if (cls->declare)
        LOCI_TRY(cls->declare(*out, life->ledger, said));
    return LOCI_OK;
out:
    if (*out)
        loci_life_end(life, *out);
    *out = NULL;
    return status;
}

void loci_life_end(loci_life *life, loci_module *m)
{
    loci_stage("destroy");
    life->c->cls->destroy(m);
}

loci_status loci_life_must_make(loci_life *life, loci_module **out, loci_error *err)
{
    loci_error said = LOCI_ERROR_INIT;
    loci_status status = loci_life_make(life, out, &said);

    if (status != LOCI_OK)
        return loci_fail(err, status, "%s failed: %s", life->call, said.msg[0] ? said.msg : "without a message");
    return LOCI_OK;
}

const int32_t *loci_life_ops(const loci_check *c, uint32_t *n)
{
    static const int32_t mix[] = {LOCI_OP_MIX}, memory[] = {LOCI_OP_READ, LOCI_OP_WRITE, LOCI_OP_STEP};

    *n = !strcmp(c->kind, "memory") ? 3 : 1;
    return *n == 3 ? memory : mix;
}

const char *loci_op_name(int32_t op)
{
    static const char *const names[] = {"mix", "read", "write", "step"};

    return names[op & 3];
}

void loci_life_sizes(loci_shape *out, struct loci_session *session, const loci_life *life, int64_t rows, int64_t seq,
                     uint64_t flags)
{
    *session = (struct loci_session){rows, seq, rows, rows, seq, flags};
    *out = life->shape;
    out->session = session;
    out->flags = flags;
    out->rows = rows;
    out->seq = out->ctx = seq;
    out->runs = out->states = rows;
}

/* ---- the tests --------------------------------------------------------------------------------------------------- */

loci_status loci_check_life_create(loci_check *c, loci_error *err)
{
    loci_life life;
    loci_module *m = NULL;
    loci_status status;

    LOCI_TRY(loci_life_open(&life, c, err));
    LOCI_TRY(loci_life_must_make(&life, &m, err));
    loci_life_end(&life, m);
    if (life.ledger->wrong[0])
        status = loci_fail(err, LOCI_E_PLUGIN, "it %s", life.ledger->wrong);
out:
    loci_life_close(&life);
    return status;
}

/* Through the ledger by count; past it, by what the heap holds after many rounds. What grows once and stays (a cache of
 * the allocator, a buffer of stdio) grows in one third of the rounds and not in the next. */
loci_status loci_check_life_balance(loci_check *c, loci_error *err)
{
    enum { ROUNDS = 60, THIRD = ROUNDS / 3 };
    uint64_t held[4] = {0}, each = UINT64_MAX;
    loci_life life;
    loci_status status;

    LOCI_TRY(loci_life_open(&life, c, err));
    for (int i = 0; i < ROUNDS; i++) {
        loci_module *m;
        LOCI_TRY(loci_life_must_make(&life, &m, err));
        loci_life_end(&life, m);
        loci_ledger_clear(life.ledger);
        LOCI_TRY(loci_ledger_balanced(life.ledger, "after create and destroy", err));
        if ((i + 1) % THIRD == 0)
            held[(i + 1) / THIRD] = loci_heap_bytes();
    }
    for (int i = 2; i <= 3; i++) {
        const uint64_t grown = held[i] > held[i - 1] ? (held[i] - held[i - 1]) / THIRD : 0;
        each = grown < each ? grown : each;
    }
    if (each >= 8)
        status = loci_fail(err, LOCI_E_PLUGIN,
                           "each create and destroy leaves about %llu bytes of the heap behind: free what the instance "
                           "took, or take it from host->alloc",
                           (unsigned long long)each);
out:
    loci_life_close(&life);
    return status;
}

loci_status loci_check_life_declare(loci_check *c, loci_error *err)
{
    char *first = NULL;
    loci_life life;
    loci_module *m = NULL;
    loci_status status;

    LOCI_TRY(loci_life_open(&life, c, err));
    for (int i = 0; i < 3; i++) {
        const char *now;
        LOCI_TRY(loci_life_must_make(&life, &m, err));
        now = life.ledger->declared.at ? life.ledger->declared.at : "";
        if (life.ledger->wrong[0])
            LOCI_TRY(loci_fail(err, LOCI_E_PLUGIN, "it %s", life.ledger->wrong));
        if (!first && !(first = loci_strdup(now)))
            LOCI_TRY(loci_fail(err, LOCI_E_NOMEM, "out of memory"));
        if (strcmp(first, now) != 0)
            LOCI_TRY(loci_fail(err, LOCI_E_PLUGIN,
                               "instance %d declares other slots than the first with the same config: `%.150s` and "
                               "`%.150s`",
                               i + 1, first + 1, now + 1));
        if (i == 0) {
            loci_ledger_clear(life.ledger);
            loci_stage("declare, a second time");
            if (c->cls->declare)
                LOCI_TRY(c->cls->declare(m, life.ledger, err));
            now = life.ledger->declared.at ? life.ledger->declared.at : "";
            if (strcmp(first, now) != 0)
                LOCI_TRY(loci_fail(err, LOCI_E_PLUGIN,
                                   "declare called again declares something else: `%.150s` and `%.150s`", first + 1,
                                   now + 1));
        }
        loci_life_end(&life, m);
        m = NULL;
    }
    loci_check_note(c, "%u weights, %u states, %u gates", life.ledger->n_params, life.ledger->n_states,
                    life.ledger->n_gates);
out:
    if (m)
        loci_life_end(&life, m);
    loci_free(first);
    loci_life_close(&life);
    return status;
}

static loci_status plan_of(loci_need *need, loci_life *life, loci_module *m, loci_error *err)
{
    struct loci_session session;
    loci_shape shape;
    loci_status status;
    uint32_t n;
    const int32_t op = loci_life_ops(life->c, &n)[n - 1];

    *need = (loci_need){.struct_size = sizeof *need};
    if (!life->c->cls->plan)
        return LOCI_OK;
    loci_life_sizes(&shape, &session, life, 2, 16, LOCI_X_SAVE);
    loci_stage("plan, op %s", loci_op_name(op));
    status = life->c->cls->plan(m, &shape, op, need, err);
    return status;
}

/* One ends, and the other must still stand: its plan says what it said. */
loci_status loci_check_life_two(loci_check *c, loci_error *err)
{
    loci_life life;
    loci_module *m[2] = {NULL, NULL};
    loci_need before[2], after;
    loci_status status;

    LOCI_TRY(loci_life_open(&life, c, err));
    for (int keep = 0; keep < 2; keep++) {
        for (int i = 0; i < 2; i++) {
            LOCI_TRY(loci_life_must_make(&life, &m[i], err));
            LOCI_TRY(plan_of(&before[i], &life, m[i], err));
        }
        if (m[0] == m[1])
            LOCI_TRY(loci_fail(err, LOCI_E_PLUGIN, "two instances are one: create gave the same module twice"));
        loci_life_end(&life, m[!keep]);
        m[!keep] = NULL;
        LOCI_TRY(plan_of(&after, &life, m[keep], err));
        if (memcmp(&after, &before[keep], sizeof after) != 0)
            LOCI_TRY(loci_fail(err, LOCI_E_PLUGIN, "plan of one instance changed when another was destroyed"));
        loci_life_end(&life, m[keep]);
        m[keep] = NULL;
    }
    LOCI_TRY(loci_ledger_balanced(life.ledger, "two instances at once", err));
out:
    for (int i = 0; i < 2; i++)
        if (m[i])
            loci_life_end(&life, m[i]);
    loci_life_close(&life);
    return status;
}

/* From the very first instance on: what changes is changed by then. */
loci_status loci_check_life_manners(loci_check *c, loci_error *err)
{
    loci_life life;
    loci_module *m = NULL;
    loci_watched w;
    loci_need need;
    loci_status status;

    if (loci_watch_begin(&w, err) != LOCI_OK)
        return LOCI_E_NOMEM;
    LOCI_TRY(loci_life_open(&life, c, err));
    LOCI_TRY(loci_life_must_make(&life, &m, err));
    LOCI_TRY(plan_of(&need, &life, m, err));
out:
    if (m)
        loci_life_end(&life, m);
    loci_life_close(&life);
    if (loci_watch_end(&w, "create, plan and destroy", status == LOCI_OK ? err : NULL) != LOCI_OK && status == LOCI_OK)
        status = LOCI_E_PLUGIN;
    return status;
}
