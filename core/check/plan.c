/* SPDX-License-Identifier: Apache-2.0
 *
 * core/check: tests of plan: sizes, without a call that uses them.
 *
 *  (1) A limit that a composition hands on to its children may be refused there; a refusal is judged by its words only.
 *  (2) A plan covers every smaller call, so it must not ask for less when a limit is raised. An overflow shows as just
 *      that: the product wrapped around and became small.
 */
#include "core/check/life.h"
#include "core/check/words.h"

#include <inttypes.h>
#include <string.h>

/* The limits of a plan, one at a time. */
enum { ROWS, SEQ, CTX, RUNS, STATES, CAPACITY, N_LIMITS };
static const char *const limit_names[] = {"rows", "seq", "ctx", "runs", "states", "capacity"};
static const uint64_t flags[] = {0, LOCI_X_SAVE, LOCI_X_SAVE | LOCI_X_TRAIN};

struct asking {
    loci_life *life;
    loci_module *m;
    int32_t op;
    uint64_t flags;
    int64_t at[N_LIMITS];
    char words[160]; /* the call, for messages */
};

static void say(struct asking *a)
{
    snprintf(a->words, sizeof a->words,
             "plan of op %s, rows %" PRId64 ", seq %" PRId64 ", ctx %" PRId64 ", runs %" PRId64 ", states %" PRId64
             ", capacity %" PRId64 "%s",
             loci_op_name(a->op), a->at[ROWS], a->at[SEQ], a->at[CTX], a->at[RUNS], a->at[STATES], a->at[CAPACITY],
             a->flags & LOCI_X_TRAIN  ? ", train"
             : a->flags & LOCI_X_SAVE ? ", save"
                                      : "");
}

/* LOCI_OK, or what plan said; *err is filled only when the answer is ill-formed (then *bad). */
static loci_status ask(loci_need *need, struct asking *a, bool *bad, loci_error *err)
{
    struct loci_session session = {a->at[ROWS], a->at[SEQ], a->at[RUNS], a->at[STATES], a->at[CAPACITY], a->flags};
    loci_error said = LOCI_ERROR_INIT;
    loci_shape shape = a->life->shape, lent;
    loci_status status;

    *need = (loci_need){.struct_size = sizeof *need};
    shape.session = &session;
    shape.flags = a->flags;
    shape.rows = a->at[ROWS];
    shape.seq = a->at[SEQ];
    shape.ctx = a->at[CTX];
    shape.runs = a->at[RUNS];
    shape.states = a->at[STATES];
    lent = shape;
    say(a);
    loci_stage("%s", a->words);
    status = a->life->c->cls->plan(a->m, &lent, a->op, need, &said);
    *bad = false;
    if (status != LOCI_OK && loci_words_check(&said, status, a->words, err) != LOCI_OK)
        *bad = true;
    if (memcmp(&lent, &shape, sizeof lent) != 0) {
        loci_fail(err, LOCI_E_PLUGIN, "%s changed the shape it was given", a->words);
        *bad = true;
    }
    return status;
}

static void begin(struct asking *a, loci_life *life, loci_module *m, int32_t op, uint64_t with)
{
    *a = (struct asking){.life = life, .m = m, .op = op, .flags = with, .at = {2, 16, 16, 2, 2, 64}};
}

static bool less(const loci_need *a, const loci_need *b, char *to, size_t n)
{
    const char *what = a->scratch < b->scratch ? "scratch"
                       : a->saved < b->saved   ? "saved"
                       : a->host < b->host     ? "host"
                                               : NULL;
    const uint64_t now = !what ? 0 : *what == 'h' ? a->host : what[1] == 'c' ? a->scratch : a->saved;
    const uint64_t was = !what ? 0 : *what == 'h' ? b->host : what[1] == 'c' ? b->scratch : b->saved;

    if (what)
        snprintf(to, n, "%" PRIu64 " bytes of %s, and with less it asked for %" PRIu64, now, what, was);
    return what != NULL;
}

typedef loci_status (*each_fn)(struct asking *a, loci_error *err);

/* fn for every op and kind of call of one instance. */
static loci_status each(loci_check *c, each_fn fn, loci_error *err)
{
    loci_life life;
    loci_module *m = NULL;
    struct asking a;
    loci_status status;
    uint32_t n;
    const int32_t *ops = loci_life_ops(c, &n);

    LOCI_TRY(loci_life_open(&life, c, err));
    LOCI_TRY(loci_life_must_make(&life, &m, err));
    life.ledger->closed = true;
    for (uint32_t i = 0; i < n; i++)
        for (size_t f = 0; f < sizeof flags / sizeof *flags; f++) {
            if ((flags[f] & LOCI_X_SAVE) && !(c->cls->caps & LOCI_CAP_BACKWARD))
                continue;
            begin(&a, &life, m, ops[i], flags[f]);
            LOCI_TRY(fn(&a, err));
        }
    if (life.ledger->wrong[0])
        status = loci_fail(err, LOCI_E_PLUGIN, "in plan it %s", life.ledger->wrong);
out:
    if (m)
        loci_life_end(&life, m);
    loci_life_close(&life);
    return status;
}

/* ---- the tests --------------------------------------------------------------------------------------------------- */

static loci_status twice(struct asking *a, loci_error *err)
{
    loci_need first, again, other;
    loci_status status;
    bool bad;

    status = ask(&first, a, &bad, err);
    if (status != LOCI_OK)
        return bad ? LOCI_E_PLUGIN : loci_fail(err, LOCI_E_PLUGIN, "%s is refused", a->words);
    a->at[SEQ] = 5; /* a plan between two others must not matter */
    (void)ask(&other, a, &bad, err);
    a->at[SEQ] = 16;
    status = ask(&again, a, &bad, err);
    if (bad)
        return LOCI_E_PLUGIN;
    if (status != LOCI_OK || memcmp(&first, &again, sizeof first) != 0)
        return loci_fail(err, LOCI_E_PLUGIN,
                         "%s asked for %" PRIu64 ", %" PRIu64 ", %" PRIu64 " bytes and then for %" PRIu64 ", %" PRIu64
                         ", %" PRIu64 " (scratch, saved, host)",
                         a->words, first.scratch, first.saved, first.host, again.scratch, again.saved, again.host);
    return LOCI_OK;
}

loci_status loci_check_plan_pure(loci_check *c, loci_error *err)
{
    return each(c, twice, err);
}

/* (2) for small sizes, on both sides of what a chunk or a tile may be. */
static loci_status climb(struct asking *a, loci_error *err)
{
    static const int64_t steps[] = {0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129, 257};
    loci_need now, before;
    char than[120];
    bool bad;

    for (int limit = 0; limit < N_LIMITS; limit++) {
        const int64_t usual = a->at[limit];
        bool have = false;
        for (size_t i = limit == SEQ || limit == CTX ? 0 : 1; i < sizeof steps / sizeof *steps; i++) {
            a->at[limit] = steps[i];
            if (ask(&now, a, &bad, err) != LOCI_OK) {
                if (bad)
                    return LOCI_E_PLUGIN;
                continue;
            }
            if (have && less(&now, &before, than, sizeof than))
                return loci_fail(err, LOCI_E_PLUGIN, "%s (more %s): %s", a->words, limit_names[limit], than);
            before = now;
            have = true;
        }
        a->at[limit] = usual;
    }
    return LOCI_OK;
}

loci_status loci_check_plan_grows(loci_check *c, loci_error *err)
{
    return each(c, climb, err);
}

static loci_status explode(struct asking *a, loci_error *err)
{
    static const int shifts[] = {20, 31, 32, 40, 48, 60, 62};
    loci_need least, now;
    char than[120];
    bool bad;

    if (ask(&least, a, &bad, err) != LOCI_OK)
        return bad ? LOCI_E_PLUGIN : LOCI_OK;
    /* The last round raises all of them. Capacity is no limit that a plan is told: it sizes caches, which are the
     * host's. */
    for (int limit = 0; limit <= N_LIMITS; limit++)
        for (size_t i = 0; i < sizeof shifts / sizeof *shifts; i++) {
            struct asking big = *a;
            for (int k = 0; k < CAPACITY; k++)
                if (k == limit || limit == N_LIMITS)
                    big.at[k] = INT64_C(1) << shifts[i];
            if (ask(&now, &big, &bad, err) == LOCI_OK && less(&now, &least, than, sizeof than))
                return loci_fail(err, LOCI_E_PLUGIN, "%s wraps around: %s", big.words, than);
            if (bad)
                return LOCI_E_PLUGIN;
        }
    return LOCI_OK;
}

loci_status loci_check_plan_huge(loci_check *c, loci_error *err)
{
    return each(c, explode, err);
}
