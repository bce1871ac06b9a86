/* SPDX-License-Identifier: Apache-2.0
 *
 * core/check: what must not change a bit: time, threads, memory, addresses.
 *
 *     same.repeats      the same call ten times
 *     same.threads      1, 2 and 7 threads
 *     same.guarded      memory that ends at a page nobody may touch, and holds NaN beforehand
 *     same.strides      rows that do not follow each other (1)
 *     same.misaligned   addresses that are only those of a number (1)
 *
 *  (1) There a sum may be cut in other blocks: rounding is allowed.
 *  (2) In float32 and in float64: fast paths differ.
 */
#include "core/check/subject.h"

#include <stdio.h>

static const loci_dtype dtypes[] = {{LOCI_FLOAT, 64, 1}, {LOCI_FLOAT, 32, 1}};

static bool has_back(const loci_subject *s)
{
    return (s->caps & LOCI_CAP_BACKWARD) != 0;
}

loci_status loci_check_same_repeats(loci_check *c, loci_error *err)
{
    loci_left first = {0};
    loci_subject s = {0};
    loci_status status = LOCI_OK;

    for (size_t i = 0; i < 2; i++) {
        LOCI_TRY(loci_subject_open(&s, c, &(loci_scene){.docs = 3, .seq = 40, .keys = 40, .dtype = dtypes[i]}, err));
        for (int n = 0; s.t && n < 10; n++) {
            LOCI_TRY(loci_subject_run(&s, &(loci_trial_how){.back = has_back(&s)}, err, "in repetition %d, %s", n,
                                      loci_dtype_name(dtypes[i])));
            LOCI_TRY(n ? loci_left_same(&first, &s, has_back(&s), 0, "the first time", err)
                       : loci_left_keep(&first, &s, err));
        }
        loci_left_free(&first);
        loci_subject_close(&s);
    }
out:
    loci_left_free(&first);
    loci_subject_close(&s);
    return status;
}

/* ---- threads ----------------------------------------------------------------------------------------------------- */

static loci_status in_threads(loci_left *first, loci_check *c, int threads, loci_dtype dtype, loci_error *err)
{
    loci_context *cx = NULL;
    loci_subject s = {0};
    loci_status status;
    char set[48];

    snprintf(set, sizeof set, "run.threads=%d", threads);
    LOCI_TRY(loci_conf_set(c->conf, set, "check", err));
    LOCI_TRY(loci_context_new(&cx, c->conf, c->plugin_path, c->allow_unknown, err));
    LOCI_TRY(loci_subject_open(&s, c, &(loci_scene){.docs = 3, .seq = 40, .keys = 40, .dtype = dtype, .cx = cx}, err));
    if (!s.t)
        goto out;
    LOCI_TRY(loci_subject_run(&s, &(loci_trial_how){.back = has_back(&s)}, err, "in %d threads, %s", threads,
                              loci_dtype_name(dtype)));
    LOCI_TRY(threads == 1 ? loci_left_keep(first, &s, err)
                          : loci_left_same(first, &s, has_back(&s), 0, "in one thread", err));
out:
    loci_subject_close(&s);
    loci_context_free(cx);
    return status;
}

loci_status loci_check_same_threads(loci_check *c, loci_error *err)
{
    static const int threads[] = {1, 2, 7};
    loci_left first = {0};
    loci_status status = LOCI_OK;

    for (size_t i = 0; i < 2; i++) {
        for (int n = 0; n < 3; n++)
            LOCI_TRY(in_threads(&first, c, threads[n], dtypes[i], err));
        loci_left_free(&first);
    }
out:
    loci_left_free(&first);
    return status;
}

/* ---- memory ------------------------------------------------------------------------------------------------------ */

/* The plain way and another, whole, packed and in pieces, forwards alone and with a backward. */
static loci_status held_against(loci_subject *s, const loci_trial_how *other, double limit, const char *words,
                                loci_error *err)
{
    const bool stream = s->caps & LOCI_CAP_STREAMING, attention = loci_is_kind(s->c, "attention");
    loci_left plain = {0};
    loci_cutting cut = {0};
    loci_status status = LOCI_OK;

    for (int way = 0; way < (attention ? 1 : stream ? 3 : 2); way++) {
        loci_trial_how how = {0}, now = *other;
        if (way)
            LOCI_TRY(way == 1 ? loci_cut_packed(&cut, s->t, err)
                              : loci_cut_pieces(&cut, s->t, (const int32_t[]){3, 1, 7}, 3, err));
        how.cut = now.cut = way ? &cut : NULL;
        for (int back = 0; back < 1 + has_back(s); back++) {
            how.back = now.back = back;
            LOCI_TRY(loci_subject_run(s, &how, err, "plainly"));
            LOCI_TRY(loci_left_keep(&plain, s, err));
            LOCI_TRY(loci_subject_run(s, &now, err, "%s, %s, %s", way == 0 ? "whole" : way == 1 ? "packed" : "in pieces 3,1,7",
                                      words, loci_dtype_name(s->size.dtype)));
            LOCI_TRY(loci_left_same(&plain, s, back, limit, "in plain memory", err));
            loci_left_free(&plain);
        }
        loci_cut_free(&cut);
    }
out:
    loci_cut_free(&cut);
    loci_left_free(&plain);
    return status;
}

static loci_status check(loci_check *c, const loci_trial_how *other, bool bits, const char *words, loci_error *err)
{
    loci_status status = LOCI_OK;
    loci_subject s = {0};

    for (size_t i = 0; i < 2; i++) {
        loci_trial_how how = *other;
        LOCI_TRY(loci_subject_open(&s, c, &(loci_scene){.docs = 3, .ragged = true, .capacity = 96, .dtype = dtypes[i]},
                                   err));
        how.misalign = other->misalign ? dtypes[i].bits / 8u : 0;
        if (s.t)
            LOCI_TRY(held_against(&s, &how, bits ? 0 : s.limit, words, err));
        loci_subject_close(&s);
    }
out:
    loci_subject_close(&s);
    return status;
}

loci_status loci_check_same_guarded(loci_check *c, loci_error *err)
{
    return check(c, &(loci_trial_how){.harsh = true}, true, "in guarded memory full of NaN", err);
}

loci_status loci_check_same_strides(loci_check *c, loci_error *err)
{
    return check(c, &(loci_trial_how){.padded = true}, false, "with strides larger than the shapes say", err);
}

loci_status loci_check_same_misaligned(loci_check *c, loci_error *err)
{
    return check(c, &(loci_trial_how){.misalign = 1}, false, "at addresses that are only those of a number", err);
}
