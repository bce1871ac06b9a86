/* SPDX-License-Identifier: Apache-2.0
 *
 * core/check: the same documents put before a component in different ways.
 *
 *     cut.padding   documents shorter than their rows: what lies behind them counts for nothing
 *     cut.rows      only the state rows that the runs name are touched
 *     cut.alone     a document gives the same alone and among others, wherever its row stands
 *     cut.packed    documents behind each other in one row are as if alone: everything begins anew at a boundary
 *     cut.pieces    a stream in pieces, however cut, is the whole
 *     cut.context   so is one that attends to a context of its own
 *
 *  (1) In float64 two ways differ by rounding alone: 1e-10. They need not be the same bits, since a product of matrices
 * may be summed in other blocks when a call has other sizes. (2) Gradients are compared where the component promises a
 * backward.
 */
#include "core/check/subject.h"
#include "core/device/rng.h"
#include "core/trial/impl.h"

#include <string.h>

static bool has_back(const loci_subject *s)
{
    return (s->caps & LOCI_CAP_BACKWARD) != 0;
}

static loci_status compare(loci_subject *s, const loci_left *want, loci_cutting *cut, const char *then,
                           const char *words, loci_error *err)
{
    loci_status status;

    LOCI_TRY(loci_subject_run(s, &(loci_trial_how){.cut = cut, .back = has_back(s)}, err, "%s", words));
    status = loci_left_same(want, s, has_back(s), s->limit, then, err);
out:
    loci_cut_free(cut);
    return status;
}

/* Each document in a call of its own, which is exactly as long: what every other way is held against. */
static loci_status alone(loci_left *to, loci_subject *s, loci_error *err)
{
    loci_cutting cut = {0};
    loci_status status;

    LOCI_TRY(loci_cut_alone(&cut, s->t, err));
    LOCI_TRY(loci_subject_run(s, &(loci_trial_how){.cut = &cut, .back = has_back(s)}, err, "each document alone"));
    status = loci_left_keep(to, s, err);
out:
    loci_cut_free(&cut);
    return status;
}

static loci_status check_cut(loci_check *c, bool ragged,
                             loci_status (*make)(loci_cutting *, loci_subject *, loci_error *), const char *words,
                             loci_error *err)
{
    loci_left want = {0};
    loci_subject s = {0};
    loci_cutting cut = {0};
    loci_status status;

    LOCI_TRY(loci_subject_open(&s, c, &(loci_scene){.docs = 3, .ragged = ragged}, err));
    LOCI_TRY(alone(&want, &s, err));
    LOCI_TRY(make(&cut, &s, err));
    LOCI_TRY(compare(&s, &want, &cut, "alone", words, err));
out:
    loci_left_free(&want);
    loci_subject_close(&s);
    return status;
}

static loci_status make_whole(loci_cutting *cut, loci_subject *s, loci_error *err)
{
    return loci_cut_whole(cut, s->t, err);
}

static loci_status make_packed(loci_cutting *cut, loci_subject *s, loci_error *err)
{
    return loci_cut_packed(cut, s->t, err);
}

static loci_status make_shuffled(loci_cutting *cut, loci_subject *s, loci_error *err)
{
    return loci_cut_shuffled(cut, s->t, (const int32_t[]){2, 0, 1}, err);
}

loci_status loci_check_cut_padding(loci_check *c, loci_error *err)
{
    return check_cut(c, true, make_whole, "in rows that are longer than the documents", err);
}

loci_status loci_check_cut_packed(loci_check *c, loci_error *err)
{
    return check_cut(c, true, make_packed, "packed into one row", err);
}

loci_status loci_check_cut_alone(loci_check *c, loci_error *err)
{
    loci_status status;

    LOCI_TRY(check_cut(c, false, make_whole, "in one call with others", err));
    status = check_cut(c, false, make_shuffled, "in one call with others, in the order 2, 0, 1", err);
out:
    return status;
}

/* ---- rows of the states ------------------------------------------------------------------------------------------ */

struct rows {
    loci_subject *s;
    uint32_t call, n_calls; /* call i has document i alone; then their backwards, in reverse */
    char found[200];
};

static bool row_same(const loci_tensor *a, const loci_tensor *b, int64_t row)
{
    const size_t bytes = (size_t)a->strides[0] * loci_dtype_bytes(a->dtype);

    return memcmp((const char *)loci_ptr(a) + (size_t)row * bytes, (const char *)loci_ptr(b) + (size_t)row * bytes,
                  bytes) == 0;
}

static void look_at_rows(void *arg, const loci_exec *x, const loci_slots *slots)
{
    struct rows *r = arg;
    const uint32_t doc = r->call++;
    const loci_node *n = loci_trial_node(r->s->t);

    (void)x;
    for (uint32_t i = 0; i < slots->n_state && !r->found[0]; i++)
        for (int64_t row = 0; row < slots->state_in[i].shape[0]; row++)
            if (row != doc && !row_same(&slots->state_in[i], &slots->state_out[i], row))
                snprintf(
                    r->found, sizeof r->found,
                    "a call whose runs name state row %u writes row %lld of state.%s: write the rows of the runs only",
                    doc, (long long)row, n->states[i].name);
}

loci_status loci_check_cut_rows(loci_check *c, loci_error *err)
{
    loci_subject s = {0};
    loci_cutting cut = {0};
    struct rows r = {.s = &s};
    loci_status status;

    LOCI_TRY(loci_subject_open(&s, c, &(loci_scene){.docs = 3, .capacity = 96}, err));
    if (!loci_trial_node(s.t)->n_states) {
        status = loci_check_skip(c, "it has no state of its own");
        goto out;
    }
    if (s.caps & LOCI_CAP_STREAMING)
        LOCI_TRY(loci_subject_warm(&s, 5, err));
    LOCI_TRY(loci_cut_alone(&cut, s.t, err));
    LOCI_TRY(loci_subject_run(&s, &(loci_trial_how){.cut = &cut, .seen = look_at_rows, .arg = &r}, err,
                              "each document alone"));
    if (r.found[0])
        status = loci_fail(err, LOCI_E_PLUGIN, "%s", r.found);
out:
    loci_cut_free(&cut);
    loci_subject_close(&s);
    return status;
}

/* ---- pieces ------------------------------------------------------------------------------------------------------ */

static loci_status check_pieces(loci_subject *s, const loci_left *want, const int32_t *lengths, uint32_t n,
                                const char *words, loci_error *err)
{
    loci_cutting cut = {0};
    loci_status status = loci_cut_pieces(&cut, s->t, lengths, n, err);

    return status == LOCI_OK ? compare(s, want, &cut, "in one call", words, err) : status;
}

/* A cutting from the seed. */
static uint32_t random_lengths(int32_t lengths[], uint32_t room, int64_t tokens, uint64_t key, char *words, size_t size)
{
    uint32_t n = 0;
    size_t at = (size_t)snprintf(words, size, "in pieces");

    for (int64_t left = tokens; left > 0 && n < room; n++) {
        lengths[n] = 1 + (int32_t)loci_random_below(key, n, tokens > 8 ? (uint64_t)tokens / 3 : 3);
        left -= lengths[n];
        if (at < size)
            at += (size_t)snprintf(words + at, size - at, "%s%d", n ? "," : " ", (int)lengths[n]);
    }
    return n;
}

static loci_status check_all_pieces(loci_subject *s, const loci_left *want, bool all, loci_error *err)
{
    static const int32_t ones[] = {1}, odd[] = {3, 1, 7};
    const int32_t tokens = (int32_t)s->size.seq;
    int32_t lengths[64];
    loci_status status;
    char words[128];

    LOCI_TRY(check_pieces(s, want, odd, 3, "in pieces 3,1,7", err));
    LOCI_TRY(check_pieces(s, want, ones, 1, "token by token", err));
    for (uint64_t k = 0; k < 3; k++) {
        const uint32_t n = random_lengths(lengths, 64, tokens, loci_mix64(s->c->seed ^ (k + 1)), words, sizeof words);
        LOCI_TRY(check_pieces(s, want, lengths, n, words, err));
    }
    for (int32_t first = 1; all && first < tokens; first++) {
        snprintf(words, sizeof words, "cut in two after %d tokens", (int)first);
        LOCI_TRY(check_pieces(s, want, (const int32_t[]){first, tokens}, 2, words, err));
    }
out:
    return status;
}

/* From the beginning, in chunks made short; and in the middle of a stream, in chunks as they are. */
loci_status loci_check_cut_pieces(loci_check *c, loci_error *err)
{
    loci_left want = {0};
    loci_subject s = {0};
    loci_status status;

    LOCI_TRY(loci_subject_open(&s, c, &(loci_scene){0}, err));
    LOCI_TRY(loci_subject_run(&s, &(loci_trial_how){.back = has_back(&s)}, err, "in one call"));
    LOCI_TRY(loci_left_keep(&want, &s, err));
    LOCI_TRY(check_all_pieces(&s, &want, true, err));
    loci_left_free(&want);
    loci_subject_close(&s);
    LOCI_TRY(loci_subject_open(&s, c, &(loci_scene){.docs = 1, .seq = 75, .capacity = 128}, err));
    LOCI_TRY(loci_subject_warm(&s, 7, err));
    LOCI_TRY(loci_subject_run(&s, &(loci_trial_how){.back = has_back(&s)}, err, "in one call"));
    LOCI_TRY(loci_left_keep(&want, &s, err));
    LOCI_TRY(check_all_pieces(&s, &want, false, err));
out:
    loci_left_free(&want);
    loci_subject_close(&s);
    return status;
}

/* A context of its own comes with the first piece; the others find it in the cache. */
loci_status loci_check_cut_context(loci_check *c, loci_error *err)
{
    loci_left want = {0};
    loci_subject s = {0};
    loci_status status = LOCI_OK;

    for (int way = 0; way < 2; way++) {
        LOCI_TRY(loci_subject_open_context(&s, c, way, err));
        if (!s.t)
            continue;
        LOCI_TRY(loci_subject_run(&s, &(loci_trial_how){.back = has_back(&s)}, err, "in one call"));
        LOCI_TRY(loci_left_keep(&want, &s, err));
        LOCI_TRY(check_all_pieces(&s, &want, false, err));
        loci_left_free(&want);
        loci_subject_close(&s);
    }
out:
    loci_left_free(&want);
    loci_subject_close(&s);
    return status;
}
