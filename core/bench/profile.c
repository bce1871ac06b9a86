/* SPDX-License-Identifier: Apache-2.0
 *
 * Where the time of a call goes: the services that a context gives to its model and its plugins, each timed.
 *
 *  (1) The tables loci.ops/1, loci.scan/1 and loci.fused/1 of the device, attend and parallel_for are replaced by ones
 *      that call them; nothing of the model, of the plugins or of the device knows.
 *  (2) Every thread has a lane: the kind it works on and since when. To change the kind closes the time of the one
 *      before, so times do not overlap, and a product that an attention calls counts as a product.
 *  (3) A piece of parallel work counts for the kind that dealt it out, on the thread that computes it. What is left of
 *      the time of all threads is `wait`: for a piece, for the last one to end, or for code that one thread runs alone.
 *  (4) A change of kind costs one look at the clock, some 30 ns: a step of a small model has a few hundred.
 */
#include "core/bench/profile.h"
#include "core/bench/bench.h"
#include <string.h>

const char *const loci_profile_names[LOCI_PROFILE_KINDS] = {
    "products", "attention", "recurrence", "convolution", "norm",    "elementwise", "rotary",
    "gathering", "loss",      "optimizer",  "zeroing",     "the rest"};

#define IDLE LOCI_PROFILE_KINDS

static _Thread_local loci_profile_lane *mine; /* NULL: this thread computes nothing that is looked at */

loci_profile *loci_profile_of(const loci_exec *x)
{
    return ((const loci_context *)(const void *)x->host)->profile;
}

/* (2): what the lane did until now. */
static int turn_to(loci_profile_lane *l, int kind)
{
    const double now = loci_seconds();
    const int was = l->kind;

    if (was != IDLE)
        l->seconds[was] += now - l->since;
    l->kind = kind;
    l->since = now;
    return was;
}

/* ---- calls ------------------------------------------------------------------------------------------------------- */

int loci_profile_enter(const loci_exec *x, enum loci_profile_kind kind)
{
    loci_profile *p = loci_profile_of(x);

    if (!p->on || !mine)
        return IDLE;
    if (mine == p->lanes) /* pieces of another thread are counted where they were dealt out */
        p->calls[kind]++;
    return turn_to(mine, (int)kind);
}

loci_status loci_profile_leave(int was, loci_status status)
{
    if (was != IDLE)
        turn_to(mine, was);
    return status;
}

static loci_status attend(const loci_child *c, const loci_exec *x, const loci_attend *a, loci_error *err)
{
    const int was = loci_profile_enter(x, LOCI_PROFILE_ATTENTION);

    return loci_profile_leave(was, loci_profile_of(x)->host.attend(c, x, a, err));
}

static loci_status attend_back(const loci_child *c, const loci_exec *x, const loci_attend *a, loci_error *err)
{
    const int was = loci_profile_enter(x, LOCI_PROFILE_ATTENTION);

    return loci_profile_leave(was, loci_profile_of(x)->host.attend_back(c, x, a, err));
}

/* ---- parallel work (3) ------------------------------------------------------------------------------------------- */

typedef struct dealt {
    loci_profile *p;
    int kind;
    loci_task_fn fn;
    void *arg;
} dealt;

static void piece(void *arg, int64_t begin, int64_t end, uint32_t worker)
{
    const dealt *d = arg;
    loci_profile_lane *outer = mine;

    mine = &d->p->lanes[worker];
    turn_to(mine, d->kind);
    d->fn(d->arg, begin, end, worker);
    turn_to(mine, IDLE);
    mine = outer;
}

static loci_status parallel_for(const loci_exec *x, int64_t n, int64_t grain, loci_task_fn fn, void *arg)
{
    loci_profile *p = loci_profile_of(x);
    dealt d = {p, IDLE, fn, arg};
    loci_status status;

    if (!p->on || mine != p->lanes || mine->kind == IDLE || n <= grain) /* inside a piece it is that piece's */
        return p->host.parallel_for(x, n, grain, fn, arg);
    d.kind = turn_to(mine, IDLE);
    p->runs[d.kind]++;
    status = p->host.parallel_for(x, n, grain, piece, &d);
    turn_to(mine, d.kind);
    return status;
}

/* ---- the context ------------------------------------------------------------------------------------------------- */

static const void *get_ext(const loci_host *h, loci_device device, const char *id)
{
    const loci_profile *p = ((const loci_context *)(const void *)h)->profile;
    const void *ext = p->host.get_ext(h, device, id);

    return !ext                         ? NULL
           : !strcmp(id, LOCI_EXT_OPS)  ? (const void *)&loci_profile_ops
           : !strcmp(id, LOCI_EXT_SCAN) ? (const void *)&p->timed_scan
                                        : ext;
}

loci_status loci_profile_open(loci_profile **out, loci_context *cx, loci_error *err)
{
    loci_profile *p;

    *out = NULL;
    if (cx->device.type != LOCI_CPU)
        return loci_fail(err, LOCI_E_UNSUPPORTED, "a profile is of the cpu only: set run.device = cpu");
    p = loci_alloc(sizeof *p);
    if (!p)
        return loci_fail(err, LOCI_E_NOMEM, "out of memory for a profile");
    p->workers = cx->device_class->workers(cx->device_module);
    p->lanes = loci_alloc(p->workers * sizeof *p->lanes);
    if (!p->lanes) {
        loci_free(p);
        return loci_fail(err, LOCI_E_NOMEM, "out of memory for a profile of %u threads", p->workers);
    }
    p->host = cx->host;
    p->ops = cx->ops;
    p->fused = cx->fused;
    p->scan = cx->host.get_ext(&cx->host, cx->device, LOCI_EXT_SCAN);
    p->timed_scan = loci_profile_scan;
    p->timed_scan.plan = p->scan ? p->scan->plan : NULL;
    cx->profile = p;
    cx->ops = &loci_profile_ops;
    cx->fused = p->fused ? &loci_profile_fused : NULL;
    cx->host.get_ext = get_ext;
    cx->host.parallel_for = parallel_for;
    cx->host.attend = attend;
    cx->host.attend_back = attend_back;
    *out = p;
    return LOCI_OK;
}

void loci_profile_free(loci_profile *p)
{
    if (!p)
        return;
    loci_free(p->lanes);
    loci_free(p);
}

void loci_profile_clear(loci_profile *p)
{
    for (uint32_t i = 0; i < p->workers; i++)
        p->lanes[i] = (loci_profile_lane){.kind = IDLE};
    memset(p->calls, 0, sizeof p->calls);
    memset(p->runs, 0, sizeof p->runs);
    p->wall = 0;
}

void loci_profile_begin(loci_profile *p)
{
    mine = p->lanes;
    turn_to(mine, LOCI_PROFILE_REST);
    p->started = mine->since;
    p->on = true;
}

void loci_profile_end(loci_profile *p)
{
    p->on = false;
    turn_to(p->lanes, IDLE);
    p->wall += p->lanes[0].since - p->started;
    mine = NULL;
}

void loci_profile_read(loci_profile_share *out, const loci_profile *p)
{
    const double all = p->wall * (double)p->workers;

    *out = (loci_profile_share){.wait = 1};
    for (int k = 0; k < LOCI_PROFILE_KINDS && all > 0; k++) {
        for (uint32_t i = 0; i < p->workers; i++)
            out->share[k] += p->lanes[i].seconds[k] / all;
        out->calls[k] = p->calls[k];
        out->runs[k] = p->runs[k];
        out->wait -= out->share[k];
    }
    out->wait = out->wait > 0 ? out->wait : 0;
}
