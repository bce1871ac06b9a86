/* SPDX-License-Identifier: Apache-2.0
 *
 * core/check: hardness: the same call in surroundings that a correct component does not notice.
 *
 *     hard.guards    every buffer ends at a page that may not be touched; scratch, saved and outputs hold NaN
 *     hard.threads   1, 2, 4 and 7 threads
 *     hard.address   tensors one element behind a 64-byte boundary
 *     hard.strides   rows with gaps between them
 *     hard.sizes     no document, no token, one, odd numbers of them
 *     hard.manners   the process around a call
 *     hard.alloc     a planned call takes no memory
 *     hard.leaks     nor does it lose any
 *
 *  (1) The bits must be those of the plain call where only the surroundings of memory differ, and for any number of
 *      threads. Addresses and strides may choose another loop, which may add in another order: a limit holds there.
 *  (2) Whatever promises gradients is called with its backward too, in float64 and in float32.
 */
#include "core/check/open.h"
#include "core/check/subject.h"
#include "core/check/watch.h"
#include "core/model/node_impl.h"

#include <math.h>
#include <string.h>

static bool back(const loci_subject *s)
{
    return (s->caps & LOCI_CAP_BACKWARD) != 0;
}

static const loci_dtype dtypes[] = {{LOCI_FLOAT, 64, 1}, {LOCI_FLOAT, 32, 1}};

/* Run as `other` says and hold it against the plain call: whole, packed and in pieces, forwards alone and with a backward. */
static loci_status held_against(loci_subject *s, const loci_trial_how *other, double limit, const char *words,
                                loci_error *err)
{
    static const char *const ways[] = {"", "packed, ", "in pieces 3,1,7, "};
    const bool stream = s->caps & LOCI_CAP_STREAMING, attention = loci_is_kind(s->c, "attention");
    loci_left plain = {0};
    loci_cutting cut = {0};
    loci_status status = LOCI_OK;

    for (int way = 0; way < (attention ? 1 : stream ? 3 : 2); way++) {
        loci_trial_how how = {.op = LOCI_OP_STEP}, now = *other;
        if (way)
            LOCI_TRY(way == 1 ? loci_cut_packed(&cut, s->t, err)
                              : loci_cut_pieces(&cut, s->t, (const int32_t[]){3, 1, 7}, 3, err));
        how.cut = now.cut = way ? &cut : NULL;
        now.op = LOCI_OP_STEP;
        for (int with = 0; with < 1 + back(s); with++) {
            how.back = now.back = with;
            LOCI_TRY(loci_subject_run(s, &how, err, "%splainly", ways[way]));
            LOCI_TRY(loci_left_keep(&plain, s, err));
            LOCI_TRY(loci_subject_run(s, &now, err, "%s%s, %s", ways[way], words, loci_dtype_name(s->size.dtype)));
            LOCI_TRY(loci_left_same(&plain, s, with, limit, "plainly", err));
            loci_left_free(&plain);
        }
        loci_cut_free(&cut);
    }
out:
    loci_cut_free(&cut);
    loci_left_free(&plain);
    return status;
}

/* limit 0: the same bits; below it: rounding. */
static loci_status against_plain(loci_check *c, const loci_trial_how *how, double limit, bool ragged, const char *words,
                                 loci_error *err)
{
    loci_status status = LOCI_OK;
    loci_subject s = {0};

    for (size_t i = 0; i < 2; i++) {
        loci_trial_how now = *how;
        const loci_scene scene = {.docs = 3, .ragged = ragged, .capacity = 96, .dtype = dtypes[i]};
        LOCI_TRY(loci_subject_open(&s, c, &scene, err));
        now.misalign = how->misalign ? dtypes[i].bits / 8u : 0;
        if (s.t)
            LOCI_TRY(held_against(&s, &now, limit < 0 ? s.limit : limit, words, err));
        loci_subject_close(&s);
    }
out:
    loci_subject_close(&s);
    return status;
}

loci_status loci_check_hard_guards(loci_check *c, loci_error *err)
{
    return against_plain(c, &(loci_trial_how){.harsh = true}, 0, true, "with guard pages and NaN everywhere", err);
}

loci_status loci_check_hard_address(loci_check *c, loci_error *err)
{
    return against_plain(c, &(loci_trial_how){.misalign = 1}, -1, false, "at odd addresses", err);
}

loci_status loci_check_hard_strides(loci_check *c, loci_error *err)
{
    return against_plain(c, &(loci_trial_how){.padded = true}, -1, false, "with gaps between rows", err);
}

/* ---- threads ----------------------------------------------------------------------------------------------------- */

/* A context like the check's with that many threads. */
static loci_status with_threads(loci_context **out, loci_check *c, int threads, loci_error *err)
{
    loci_status status;
    char set[40];

    snprintf(set, sizeof set, "run.threads=%d", threads);
    LOCI_TRY(loci_conf_set(c->conf, set, "check", err));
    LOCI_TRY(loci_context_new(out, c->conf, c->plugin_path, true, err));
out:
    return status;
}

/* (1): rows enough that every thread has some. */
static loci_status in_threads(loci_left *first, loci_check *c, int threads, loci_dtype dtype, loci_error *err)
{
    loci_context *cx = NULL;
    loci_subject s = {0};
    loci_status status;

    LOCI_TRY(with_threads(&cx, c, threads, err));
    LOCI_TRY(loci_subject_open(&s, c,
                               &(loci_scene){.docs = 5, .seq = 37, .heads = 3, .ragged = true, .own_chunk = true, .cx = cx,
                                             .dtype = dtype},
                               err));
    if (!s.t)
        goto out;
    LOCI_TRY(loci_subject_run(&s, &(loci_trial_how){.op = LOCI_OP_STEP, .back = back(&s)}, err, "with %d thread%s, %s",
                              threads, threads > 1 ? "s" : "", loci_dtype_name(dtype)));
    LOCI_TRY(threads == 1 ? loci_left_keep(first, &s, err)
                          : loci_left_same(first, &s, back(&s), 0, "with 1 thread", err));
out:
    loci_subject_close(&s);
    loci_context_free(cx);
    return status;
}

loci_status loci_check_hard_threads(loci_check *c, loci_error *err)
{
    static const int counts[] = {1, 2, 4, 7};
    loci_left first = {0};
    loci_status status = LOCI_OK;

    for (size_t d = 0; d < 2; d++) {
        for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
            LOCI_TRY(in_threads(&first, c, counts[i], dtypes[d], err));
        loci_left_free(&first);
    }
out:
    loci_left_free(&first);
    return status;
}

/* ---- sizes ------------------------------------------------------------------------------------------------------- */

/* Every output and gradient is a number. */
static loci_status all_finite(loci_subject *s, loci_error *err)
{
    char place[80];

    for (uint32_t i = 0; i < loci_trial_n_ports(s->t); i++) {
        const loci_port *p = loci_trial_port(s->t, i);
        const bool lse = !strcmp(p->name, "lse");
        for (uint64_t k = 0; k < p->elements; k++) {
            if (p->role == LOCI_PORT_OUTPUT && !isfinite(p->value[k]) && !(lse && isinf(p->value[k])))
                return loci_fail(err, LOCI_E_PLUGIN, "%s: %s at %s is %g", s->what, p->name, loci_place(place, p, k),
                                 p->value[k]);
            if (back(s) && loci_port_slopes(p) && !isfinite(p->grad[k]))
                return loci_fail(err, LOCI_E_PLUGIN, "%s: the gradient of %s at %s is %g", s->what, p->name,
                                 loci_place(place, p, k), p->grad[k]);
        }
    }
    return LOCI_OK;
}

loci_status loci_check_hard_sizes(loci_check *c, loci_error *err)
{
    static const struct {
        int64_t docs, seq;
    } sizes[] = {{0, 5}, {1, 0}, {1, 1}, {3, 1}, {1, 2}, {2, 3}, {1, 7}, {1, 8}, {1, 9}, {3, 33}, {1, 65}};
    /* What a call of nothing looks like: rows of padding, with a run of no tokens and without any. */
    static const loci_piece nobody = {0, 0, 0, 0, 0};
    loci_cut_call empty[] = {{2, 5, 1, &nobody}, {2, 5, 0, &nobody}};
    const loci_cutting nothing_at_all = {2, empty};
    loci_status status = LOCI_OK;

    for (size_t i = 0; i < sizeof sizes / sizeof *sizes && status == LOCI_OK; i++) {
        loci_subject s = {0};
        const bool attention = !strcmp(c->kind, "attention"), none = !attention && (!sizes[i].docs || !sizes[i].seq);
        const loci_scene scene = {.docs = sizes[i].docs ? sizes[i].docs : 2,
                                  .seq = sizes[i].seq ? sizes[i].seq : 5,
                                  .heads = 1,
                                  .keys = !attention ? 0 : sizes[i].seq ? sizes[i].seq : 1};
        status = loci_subject_open(&s, c, &scene, err);
        for (int64_t d = 0; status == LOCI_OK && none && d < scene.docs; d++)
            loci_trial_length(s.t, d, 0, 0);
        if (status == LOCI_OK)
            status = loci_subject_run(&s, &(loci_trial_how){.op = LOCI_OP_STEP,
                                                            .back = back(&s),
                                                            .harsh = true,
                                                            .cut = none ? &nothing_at_all : NULL},
                                      err, "%lld documents of %lld tokens", (long long)sizes[i].docs, (long long)sizes[i].seq);
        if (status == LOCI_OK)
            status = all_finite(&s, err);
        loci_subject_close(&s);
    }
    return status;
}

/* ---- what a call leaves ------------------------------------------------------------------------------------------ */

static void nothing(void *arg, int64_t begin, int64_t end, uint32_t worker)
{
    (void)arg;
    (void)begin;
    (void)end;
    (void)worker;
}

/* The threads of the pool begin with its first task. */
static loci_status start_pool(loci_context *cx)
{
    const struct loci_session none = {0};
    loci_exec x;

    loci_exec_init(&x, cx, &none, 0, 0, 0);
    return cx->host.parallel_for(&x, 256, 1, nothing, NULL);
}

loci_status loci_check_hard_manners(loci_check *c, loci_error *err)
{
    loci_watched w;
    loci_subject s = {0};
    loci_status status;

    LOCI_TRY(loci_subject_open(&s, c, &(loci_scene){0}, err));
    LOCI_TRY(start_pool(c->cx));
    if (loci_watch_begin(&w, err) != LOCI_OK) {
        status = LOCI_E_NOMEM;
        goto out;
    }
    status = loci_subject_run(&s, &(loci_trial_how){.op = LOCI_OP_STEP, .back = back(&s)}, err, "plainly");
    if (loci_watch_end(&w, back(&s) ? "forward and backward" : "forward", status == LOCI_OK ? err : NULL) != LOCI_OK &&
        status == LOCI_OK)
        status = LOCI_E_PLUGIN;
out:
    loci_subject_close(&s);
    return status;
}

static uint32_t asked;

static void *refuse_memory(const loci_host *h, uint64_t bytes)
{
    (void)h;
    (void)bytes;
    asked++;
    return NULL;
}

/* The host's table is taken over once the instance stands: plan, forward and backward are left. */
loci_status loci_check_hard_alloc(loci_check *c, loci_error *err)
{
    void *(*const usual)(const loci_host *, uint64_t) = c->cx->host.alloc;
    loci_subject s = {0};
    loci_status status;

    LOCI_TRY(loci_subject_open(&s, c, &(loci_scene){0}, err));
    c->cx->host.alloc = refuse_memory;
    asked = 0;
    status = loci_subject_run(&s, &(loci_trial_how){.op = LOCI_OP_STEP, .back = back(&s)}, err, "plainly");
    c->cx->host.alloc = usual;
    if (asked) {
        loci_error_clear(err);
        status = loci_fail(err, LOCI_E_PLUGIN,
                           "a call asked the host %u times for memory: what a call needs is scratch, said by plan", asked);
    }
out:
    loci_subject_close(&s);
    return status;
}

/* As life.balance does: growth in both halves of many calls. */
loci_status loci_check_hard_leaks(loci_check *c, loci_error *err)
{
    enum { ROUNDS = 12 };
    uint64_t held[3] = {0}, each = UINT64_MAX;
    loci_subject s = {0};
    loci_status status;

    LOCI_TRY(loci_subject_open(&s, c, &(loci_scene){0}, err));
    for (int i = 0; i < 3; i++) {
        for (int k = 0; k < ROUNDS; k++)
            LOCI_TRY(loci_subject_run(&s, &(loci_trial_how){.op = LOCI_OP_STEP, .back = back(&s)}, err, "again"));
        held[i] = loci_heap_bytes();
    }
    for (int i = 1; i < 3; i++) {
        const uint64_t grown = held[i] > held[i - 1] ? (held[i] - held[i - 1]) / ROUNDS : 0;
        each = grown < each ? grown : each;
    }
    if (each >= 8)
        status = loci_fail(err, LOCI_E_PLUGIN, "each call leaves about %llu bytes of the heap behind",
                           (unsigned long long)each);
out:
    loci_subject_close(&s);
    return status;
}
