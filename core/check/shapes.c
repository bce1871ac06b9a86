/* SPDX-License-Identifier: Apache-2.0
 *
 * core/check: sizes at which code ends: nothing, one, one less and one more than a chunk; heads and widths of 1, 3, 65;
 * and thousands of tokens.
 *
 *     hard.tokens   documents of 0, 1 ... tokens, around the chunk as configured: each as if alone, or in pieces
 *     hard.widths   heads and widths of a rule, of an attention: gradients, float32 against float64, pieces
 *     hard.long     2048 tokens: finite, and float32 still follows float64
 *
 *  (1) Drift is judged as in exact.c: by what moving the inputs by half a unit of float32 does at the same place.
 */
#include "core/check/subject.h"

#include <math.h>
#include <string.h>

static bool has_back(const loci_subject *s)
{
    return (s->caps & LOCI_CAP_BACKWARD) != 0;
}

/* ---- tokens ------------------------------------------------------------------------------------------------------ */

/* Two documents, of n and of n / 2 tokens, in one call; then each alone, and token by token. */
static loci_status check_tokens(loci_check *c, int64_t n, loci_error *err)
{
    static const int32_t ones[] = {1};
    loci_left whole = {0};
    loci_subject s = {0};
    loci_cutting cut = {0};
    loci_status status;
    char then[64];

    LOCI_TRY(loci_subject_open(&s, c, &(loci_scene){.seq = n ? n : 1, .own_chunk = true, .capacity = n + 4}, err));
    loci_trial_length(s.t, 0, n, 0);
    loci_trial_length(s.t, 1, n / 2, 0);
    snprintf(then, sizeof then, "in one call with documents of %d and %d tokens", (int)n, (int)n / 2);
    LOCI_TRY(loci_subject_run(&s, &(loci_trial_how){.back = has_back(&s)}, err, "%s", then));
    LOCI_TRY(loci_left_keep(&whole, &s, err));
    for (int way = 0; way < (s.caps & LOCI_CAP_STREAMING && n <= 160 ? 2 : 1); way++) {
        LOCI_TRY(way ? loci_cut_pieces(&cut, s.t, ones, 1, err) : loci_cut_alone(&cut, s.t, err));
        LOCI_TRY(loci_subject_run(&s, &(loci_trial_how){.cut = &cut, .back = has_back(&s)}, err, "%s",
                                  way ? "token by token" : "alone"));
        LOCI_TRY(loci_left_same(&whole, &s, has_back(&s), s.limit, then, err));
        loci_cut_free(&cut);
    }
out:
    loci_cut_free(&cut);
    loci_left_free(&whole);
    loci_subject_close(&s);
    return status;
}

loci_status loci_check_hard_tokens(loci_check *c, loci_error *err)
{
    int64_t sizes[24] = {0, 1, 2, 3, 15, 16, 17, 31, 33, 63, 64, 65, 130};
    size_t n = 13;
    loci_subject s = {0};
    loci_status status = loci_subject_open(&s, c, &(loci_scene){.own_chunk = true}, err);
    const int64_t chunk = s.chunk;

    loci_subject_close(&s);
    if (status != LOCI_OK)
        return status;
    for (int64_t k = chunk > 1 && chunk <= 512 ? 1 : 3; k < 3; k++)
        for (int64_t by = -1; by <= 1; by++)
            sizes[n++] = k * chunk + by;
    for (size_t i = 0; i < n; i++)
        LOCI_TRY(check_tokens(c, sizes[i], err));
out:
    return status;
}

/* ---- float32 and float64 ----------------------------------------------------------------------------------------- */

static const loci_port *output(loci_subject *s)
{
    const loci_port *y = loci_trial_find(s->t, "y");

    return y ? y : loci_trial_find(s->t, "o");
}

/* y of the last `tail` tokens of document 0 (all of it: 0), in float32 against float64. */
static loci_status follows(loci_check *c, const loci_scene *scene, int64_t tail, double slack, const char *words,
                           bool *served, loci_error *err)
{
    loci_scene one = *scene;
    loci_left wide = {0};
    loci_subject s = {0};
    uint64_t first = 0, n = 0;
    double delta = 0;
    const loci_port *y;
    uint32_t at = 0;
    loci_status status;

    one.dtype = (loci_dtype){LOCI_FLOAT, 64, 1};
    LOCI_TRY(loci_subject_open(&s, c, &one, err));
    if (!s.t)
        goto out;
    *served = true;
    LOCI_TRY(loci_subject_run(&s, NULL, err, "%s, in float64", words));
    LOCI_TRY(loci_left_keep(&wide, &s, err));
    y = output(&s);
    while (loci_trial_port(s.t, at) != y)
        at++;
    n = y->elements;
    if (tail) {
        const uint64_t token = loci_port_token(&s, y);
        first = (uint64_t)(s.size.seq - tail) * token;
        n = (uint64_t)tail * token;
    }
    for (uint64_t i = 0; i < y->elements; i++)
        if (!isfinite(y->value[i])) {
            char place[80];
            LOCI_TRY(loci_fail(err, LOCI_E_PLUGIN, "%s: %s at %s is %g", s.what, y->name, loci_place(place, y, i),
                               y->value[i]));
        }
    loci_subject_nudge(&s);
    LOCI_TRY(loci_subject_run(&s, NULL, err, "%s, in float64, with inputs moved by 2^-24", words));
    delta = loci_numbers_apart(y->value + first, wide.value[at] + first, n);
    loci_subject_close(&s);
    one.dtype = (loci_dtype){LOCI_FLOAT, 32, 1};
    LOCI_TRY(loci_subject_open(&s, c, &one, err));
    if (!s.t)
        goto out;
    LOCI_TRY(loci_subject_run(&s, NULL, err, "%s, in float32", words));
    y = output(&s);
    status = loci_numbers_same(y->value + first, wide.value[at] + first, n, 100 * delta + slack, s.what, y->name, y,
                               first, "in float64", err);
out:
    loci_left_free(&wide);
    loci_subject_close(&s);
    return status;
}

/* ---- widths ------------------------------------------------------------------------------------------------------ */

static loci_status pieces(loci_subject *s, const char *words, loci_error *err)
{
    loci_left whole = {0};
    loci_cutting cut = {0};
    loci_status status;

    LOCI_TRY(loci_subject_run(s, &(loci_trial_how){.back = has_back(s)}, err, "%s, in one call", words));
    LOCI_TRY(loci_left_keep(&whole, s, err));
    LOCI_TRY(loci_cut_pieces(&cut, s->t, (const int32_t[]){3, 1, 7}, 3, err));
    LOCI_TRY(
        loci_subject_run(s, &(loci_trial_how){.cut = &cut, .back = has_back(s)}, err, "%s, in pieces 3,1,7", words));
    LOCI_TRY(loci_left_same(&whole, s, has_back(s), s->limit, "in one call", err));
out:
    loci_cut_free(&cut);
    loci_left_free(&whole);
    return status;
}

static loci_status check_widths(loci_check *c, const loci_scene *scene, const char *words, bool *served,
                                loci_error *err)
{
    loci_subject s = {0};
    loci_status status;
    char where[112];

    LOCI_TRY(follows(c, scene, 0, 1e-5, words, served, err));
    if (!*served)
        goto out;
    LOCI_TRY(loci_subject_open(&s, c, scene, err));
    snprintf(where, sizeof where, "%s, ", words);
    if (has_back(&s))
        LOCI_TRY(loci_gradients_check(&s, where, err));
    if (!loci_is_kind(c, "attention") && (s.caps & LOCI_CAP_STREAMING)) {
        loci_trial_fill(s.t, c->seed);
        status = pieces(&s, words, err);
    }
out:
    loci_subject_close(&s);
    return status;
}

loci_status loci_check_hard_widths(loci_check *c, loci_error *err)
{
    static const struct {
        int64_t heads, dk, dv;
    } all[] = {{1, 1, 1}, {1, 3, 3}, {3, 3, 5}, {1, 1, 4}, {2, 33, 17}, {1, 65, 65}, {5, 8, 8}};
    uint32_t n = 0;
    loci_status status = LOCI_OK;
    char words[96];

    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        const loci_scene scene = {.heads = all[i].heads, .dk = all[i].dk, .dv = all[i].dv};
        bool served = false;
        snprintf(words, sizeof words, "with %d heads, d %d, e %d", (int)all[i].heads, (int)all[i].dk, (int)all[i].dv);
        LOCI_TRY(check_widths(c, &scene, words, &served, err));
        n += served;
    }
    loci_check_note(c, "%u of %zu sizes; it declines the others", n, sizeof all / sizeof *all);
out:
    return status;
}

/* ---- many tokens ------------------------------------------------------------------------------------------------- */

loci_status loci_check_hard_long(loci_check *c, loci_error *err)
{
    const loci_scene scene = {.docs = 1, .seq = 2048, .own_chunk = true};
    bool served = false;
    loci_status status = follows(c, &scene, 256, 1e-4, "over 2048 tokens", &served, err);

    return status == LOCI_OK && !served ? loci_check_skip(c, "it has no float64 to be held against") : status;
}
