/* SPDX-License-Identifier: Apache-2.0
 *
 * core/check: what a host may do to a component without breaking the contract: have no memory, have no services, be
 * newer, ask for odd sizes.
 */
#include "core/check/life.h"
#include "core/check/open.h"
#include "core/check/words.h"
#include "core/model/node_impl.h"

#include <string.h>

#define POISON 0xA5

/* ---- memory that runs out ---------------------------------------------------------------------------------------- */

static loci_status refuse_nth(loci_life *life, long n, bool *more, loci_error *err)
{
    loci_error said = LOCI_ERROR_INIT;
    loci_module *m = NULL;
    loci_status status;
    char what[80];

    life->ledger->fail_at = n;
    life->ledger->refused = false;
    status = loci_life_make(life, &m, &said);
    *more = life->ledger->refused;
    life->ledger->fail_at = 0;
    snprintf(what, sizeof what, "%s with allocation %ld refused", life->call, n);
    if (m)
        loci_life_end(life, m);
    if (*more && status == LOCI_OK)
        return loci_fail(err, LOCI_E_PLUGIN, "%s went on as if nothing had happened: LOCI_E_NOMEM is expected", what);
    if (*more && status != LOCI_E_NOMEM)
        return loci_fail(err, LOCI_E_PLUGIN, "%s returned %d (%.200s): LOCI_E_NOMEM (%d) is expected", what,
                         (int)status, said.msg, LOCI_E_NOMEM);
    if (*more && loci_words_check(&said, status, what, err) != LOCI_OK)
        return LOCI_E_PLUGIN;
    return loci_ledger_balanced(life->ledger, what, err);
}

loci_status loci_check_life_alloc(loci_check *c, loci_error *err)
{
    enum { MOST = 2000 };
    loci_life life;
    loci_status status;
    bool more = true;
    long n = 0;

    LOCI_TRY(loci_life_open(&life, c, err));
    while (more && n < MOST)
        LOCI_TRY(refuse_nth(&life, ++n, &more, err));
    loci_check_note(c, "%ld allocations, each refused once", n - 1);
out:
    loci_life_close(&life);
    return status;
}

/* ---- a device without services ----------------------------------------------------------------------------------- */

loci_status loci_check_life_bare(loci_check *c, loci_error *err)
{
    loci_error said = LOCI_ERROR_INIT;
    loci_fit fit = {.struct_size = sizeof fit};
    loci_module *m = NULL;
    loci_life life;
    loci_status status;

    LOCI_TRY(loci_life_open(&life, c, err));
    life.ledger->no_services = true;
    loci_stage("fit, of a device without services");
    LOCI_TRY(c->cls->fit(&life.ledger->host, &life.config, &life.shape, &fit));
    if (fit.score <= 0) {
        LOCI_TRY(loci_words_line(fit.reason, sizeof fit.reason, "the reason of fit", err));
        loci_check_note(c, "declined: %.200s", fit.reason);
    }
    /* A host asks fit first, yet create must hold its own: a device may lose a service that it had. */
    status = loci_life_make(&life, &m, &said);
    if (m)
        loci_life_end(&life, m);
    if (status != LOCI_OK)
        LOCI_TRY(loci_words_check(&said, status, life.call, err));
    LOCI_TRY(loci_ledger_balanced(life.ledger, "on a device without services", err));
out:
    loci_life_close(&life);
    return status;
}

/* ---- a newer host ------------------------------------------------------------------------------------------------ */

#define NEWER(type, name) \
    struct { \
        type s; \
        unsigned char tail[64]; \
    } name = {0}

static bool touched(const void *tail, size_t n)
{
    const unsigned char *p = tail;

    for (size_t i = 0; i < n; i++)
        if (p[i] != POISON)
            return true;
    return false;
}

/* Every struct that a component is lent has 64 bytes more than it knows; none of them may change, and no answer either.
 */
loci_status loci_check_life_tail(loci_check *c, loci_error *err)
{
    struct loci_session session;
    loci_site plain = {sizeof plain, 0, 1, 0, c->kind};
    loci_need usual;
    loci_fit known = {.struct_size = sizeof known};
    loci_module *m = NULL;
    loci_life life;
    loci_status status;
    uint32_t n_ops;
    const int32_t op = loci_life_ops(c, &n_ops)[n_ops - 1];
    NEWER(loci_config, config);
    NEWER(loci_site, site);
    NEWER(loci_shape, shape);
    NEWER(loci_shape, sizes);
    NEWER(loci_fit, fit);
    NEWER(loci_need, need);
    NEWER(loci_error, said);

    LOCI_TRY(loci_life_open(&life, c, err));
    loci_life_sizes(&sizes.s, &session, &life, 2, 16, LOCI_X_SAVE);
    LOCI_TRY(c->cls->fit(&life.ledger->host, &life.config, &life.shape, &known));
    LOCI_TRY(loci_life_must_make(&life, &m, err));
    usual = (loci_need){.struct_size = sizeof usual};
    LOCI_TRY(c->cls->plan(m, &sizes.s, op, &usual, err));
    loci_life_end(&life, m);
    m = NULL;

    config.s = life.config;
    site.s = plain;
    shape.s = life.shape;
#define GROW(x) \
    (x).s.struct_size = sizeof(x); \
    memset((x).tail, POISON, sizeof(x).tail)
    GROW(config);
    GROW(site);
    GROW(shape);
    GROW(sizes);
    GROW(fit);
    GROW(need);
    GROW(said);
    life.ledger->host.struct_size = sizeof life.ledger->host + LOCI_LEDGER_TAIL;
    memset(life.ledger->tail, POISON, sizeof life.ledger->tail);
    loci_stage("fit, with structs longer than it knows");
    LOCI_TRY(c->cls->fit(&life.ledger->host, &config.s, &shape.s, &fit.s));
    if (fit.s.score != known.score)
        LOCI_TRY(loci_fail(err, LOCI_E_PLUGIN,
                           "fit says %d (%.150s) when structs are longer than it knows, and %d otherwise: members are "
                           "appended, struct_size may be larger",
                           (int)fit.s.score, fit.s.reason, (int)known.score));
    loci_stage("create, with structs longer than it knows");
    status = c->cls->create(&life.ledger->host, &config.s, &site.s, &shape.s, &m, &said.s);
    if (status != LOCI_OK)
        LOCI_TRY(
            loci_fail(err, LOCI_E_PLUGIN, "create fails when structs are longer than it knows: %.300s", said.s.msg));
    if (!c->cls->n_wants) { /* children would have to be bound first */
        loci_ledger_clear(life.ledger);
        loci_stage("declare, with structs longer than it knows");
        if (c->cls->declare)
            LOCI_TRY(c->cls->declare(m, life.ledger, err));
        loci_stage("plan, with structs longer than it knows");
        status = c->cls->plan(m, &sizes.s, op, &need.s, &said.s);
        if (status != LOCI_OK || need.s.scratch != usual.scratch || need.s.saved != usual.saved ||
            need.s.host != usual.host)
            LOCI_TRY(loci_fail(err, LOCI_E_PLUGIN,
                               "plan answers otherwise when structs are longer than it knows: %.300s",
                               said.s.msg[0] ? said.s.msg : "other sizes"));
    }
    loci_life_end(&life, m);
    m = NULL;
#define INTACT(x, name) \
    if (touched((x).tail, sizeof(x).tail)) \
    LOCI_TRY(loci_fail(err, LOCI_E_PLUGIN, "it wrote behind the members of %s that it knows", name))
    INTACT(config, "loci_config");
    INTACT(site, "loci_site");
    INTACT(shape, "loci_shape");
    INTACT(sizes, "loci_shape");
    INTACT(fit, "loci_fit");
    INTACT(need, "loci_need");
    INTACT(said, "loci_error");
    INTACT(*life.ledger, "loci_host");
out:
    if (m)
        loci_life_end(&life, m);
    loci_life_close(&life);
    return status;
}

/* ---- odd sizes --------------------------------------------------------------------------------------------------- */

struct odd {
    const char *name;
    int64_t dim, heads, k_heads, v_heads, dk, dv; /* 0: as usual; -1: zero */
    loci_dtype dtype;
};

static int64_t size(int64_t wanted, int64_t usual)
{
    return wanted == 0 ? usual : wanted < 0 ? 0 : wanted;
}

static loci_status ask_for(loci_life *life, const struct odd *o, uint32_t *served, loci_error *err)
{
    loci_check *c = life->c;
    const loci_site site = {sizeof site, 0, 1, 0, c->kind};
    loci_error said = LOCI_ERROR_INIT;
    loci_fit fit = {.struct_size = sizeof fit};
    loci_module *m = NULL;
    loci_shape s = life->shape;
    loci_status status;
    char what[120];

    s.dim = size(o->dim, s.dim);
    s.heads = size(o->heads, s.heads);
    s.k_heads = size(o->k_heads ? o->k_heads : o->heads, s.k_heads);
    s.v_heads = size(o->v_heads ? o->v_heads : o->heads, s.v_heads);
    s.dk = size(o->dk, s.dk);
    s.dv = size(o->dv, s.dv);
    if (o->dtype.bits) {
        s.dtype = o->dtype;
        s.acc = o->dtype.bits == 64 ? loci_f64 : loci_f32;
    }
    snprintf(what, sizeof what, "fit of %s", o->name);
    loci_stage("%s", what);
    status = c->cls->fit(&life->ledger->host, &life->config, &s, &fit);
    if (status != LOCI_OK)
        return loci_fail(err, LOCI_E_PLUGIN, "%s returned %d: it answers LOCI_OK and a score", what, (int)status);
    if (loci_words_line(fit.reason, sizeof fit.reason, what, err) != LOCI_OK)
        return LOCI_E_PLUGIN;
    if (fit.score <= 0)
        return LOCI_OK;
    snprintf(what, sizeof what, "create for %s", o->name);
    loci_stage("%s", what);
    status = c->cls->create(&life->ledger->host, &life->config, &site, &s, &m, &said);
    if (m)
        loci_life_end(life, m);
    if (status == LOCI_OK)
        ++*served;
    else if (loci_words_check(&said, status, what, err) != LOCI_OK)
        return LOCI_E_PLUGIN;
    return loci_ledger_balanced(life->ledger, what, err);
}

loci_status loci_check_life_odd(loci_check *c, loci_error *err)
{
    static const struct odd odd[] = {
        {"width 1", 1, 1, 0, 0, 1, 1, {0, 0, 0}},
        {"width 33", 33, 3, 0, 0, 11, 11, {0, 0, 0}},
        {"one head", 0, 1, 0, 0, 0, 0, {0, 0, 0}},
        {"three heads", 0, 3, 0, 0, 0, 0, {0, 0, 0}},
        {"heads of width 1", 0, 0, 0, 0, 1, 1, {0, 0, 0}},
        {"values wider than keys", 0, 0, 0, 0, 3, 65, {0, 0, 0}},
        {"keys wider than values", 0, 0, 0, 0, 65, 3, {0, 0, 0}},
        {"3 heads of keys for 4 of queries", 0, 4, 3, 3, 0, 0, {0, 0, 0}},
        {"no heads", 0, -1, 0, 0, 0, 0, {0, 0, 0}},
        {"heads of width 0", 0, 0, 0, 0, -1, -1, {0, 0, 0}},
        {"width 0", -1, 0, 0, 0, 0, 0, {0, 0, 0}},
        {"float64", 0, 0, 0, 0, 0, 0, {LOCI_FLOAT, 64, 1}},
        {"float16", 0, 0, 0, 0, 0, 0, {LOCI_FLOAT, 16, 1}},
        {"bfloat16", 0, 0, 0, 0, 0, 0, {LOCI_BFLOAT, 16, 1}},
        {"a million heads", 0, 1 << 20, 0, 0, 0, 0, {0, 0, 0}},
        {"heads of width 2^40", 0, 0, 0, 0, INT64_C(1) << 40, INT64_C(1) << 40, {0, 0, 0}},
        {"width 2^60", INT64_C(1) << 60, 0, 0, 0, 0, 0, {0, 0, 0}},
    };
    loci_life life;
    loci_status status;
    uint32_t served = 0;

    LOCI_TRY(loci_life_open(&life, c, err));
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++)
        LOCI_TRY(ask_for(&life, &odd[i], &served, err));
    loci_check_note(c, "%u of %zu odd shapes served, the others refused in words", served, sizeof odd / sizeof *odd);
out:
    loci_life_close(&life);
    return status;
}
