/* SPDX-License-Identifier: Apache-2.0
 *
 * core/check: what a component remembers is in its states, and nowhere else.
 *
 *     state.hidden   the same call again, with others in between, gives the same bits
 *     hard.repeats   so does the same call ten times over
 *     state.resume   a new instance goes on from copied states with the same bits, in the middle of a chunk
 *     state.inplace  so does a call whose state_out is its state_in
 *     state.dirty    outputs and states are written, whatever they held before
 */
#include "core/check/subject.h"

#include <string.h>

loci_status loci_check_state_hidden(loci_check *c, loci_error *err)
{
    loci_left first = {0};
    loci_subject s = {0};
    loci_cutting cut = {0};
    bool back;
    loci_status status;

    LOCI_TRY(loci_subject_open(&s, c, &(loci_scene){0}, err));
    back = s.caps & LOCI_CAP_BACKWARD;
    LOCI_TRY(loci_subject_run(&s, &(loci_trial_how){.back = back}, err, "the first time"));
    LOCI_TRY(loci_left_keep(&first, &s, err));
    loci_trial_fill(s.t, c->seed + 3);
    LOCI_TRY(loci_subject_run(&s, &(loci_trial_how){.back = back}, err, "with other numbers"));
    if (!loci_is_kind(c, "attention")) {
        LOCI_TRY(loci_cut_alone(&cut, s.t, err));
        LOCI_TRY(loci_subject_run(&s, &(loci_trial_how){.cut = &cut, .back = back}, err, "with other numbers, alone"));
    }
    loci_trial_fill(s.t, c->seed);
    LOCI_TRY(loci_subject_run(&s, &(loci_trial_how){.back = back}, err, "the same call again, after others"));
    LOCI_TRY(loci_left_same(&first, &s, back, 0, "the first time", err));
out:
    loci_cut_free(&cut);
    loci_left_free(&first);
    loci_subject_close(&s);
    return status;
}

/* Ten times the same. */
loci_status loci_check_hard_repeats(loci_check *c, loci_error *err)
{
    static const loci_dtype dtypes[] = {{LOCI_FLOAT, 64, 1}, {LOCI_FLOAT, 32, 1}};
    loci_left first = {0};
    bool back;
    loci_subject s = {0};
    loci_status status = LOCI_OK;

    for (size_t i = 0; i < 2; i++) {
        LOCI_TRY(loci_subject_open(&s, c, &(loci_scene){.docs = 3, .seq = 40, .dtype = dtypes[i]}, err));
        back = s.caps & LOCI_CAP_BACKWARD;
        for (int n = 0; s.t && n < 10; n++) {
            LOCI_TRY(loci_subject_run(&s, &(loci_trial_how){.back = back}, err, "in repetition %d, %s", n,
                                      loci_dtype_name(dtypes[i])));
            LOCI_TRY(n ? loci_left_same(&first, &s, back, 0, "the first time", err) : loci_left_keep(&first, &s, err));
        }
        loci_left_free(&first);
        loci_subject_close(&s);
    }
out:
    loci_left_free(&first);
    loci_subject_close(&s);
    return status;
}

/* ---- going on ---------------------------------------------------------------------------------------------------- */

static void copy_ports(loci_subject *to, const loci_subject *from, const loci_left *ends, int64_t first)
{
    for (uint32_t i = 0; i < loci_trial_n_ports(to->t); i++) {
        loci_port *p = loci_trial_port(to->t, i);
        const loci_port *q = loci_trial_port(from->t, i);
        const uint64_t token = loci_port_token(from, q), a = (uint64_t)to->size.seq, b = (uint64_t)from->size.seq;
        if (p->role == LOCI_PORT_STATE) {
            memcpy(p->value, ends->end[i], p->elements * sizeof *p->value);
            p->given = true;
        } else if (p->role == LOCI_PORT_WEIGHT) {
            memcpy(p->value, q->value, p->elements * sizeof *p->value);
        } else if (p->role != LOCI_PORT_OUTPUT) {
            for (int64_t d = 0; d < to->size.docs; d++)
                memcpy(p->value + (uint64_t)d * a * token, q->value + ((uint64_t)d * b + (uint64_t)first) * token,
                       a * token * sizeof *p->value);
        }
    }
}

/* Outputs of the second from token 0 on are those of the first from token `after` on. */
static loci_status same_tail(loci_subject *b, const loci_subject *a, const loci_left *want, int64_t after,
                             loci_error *err)
{
    loci_status status = LOCI_OK;
    char name[160];

    for (uint32_t i = 0; i < want->n; i++) {
        const loci_port *p = loci_trial_port(b->t, i), *q = loci_trial_port(a->t, i);
        const uint64_t token = loci_port_token(a, q), tail = (uint64_t)b->size.seq;
        for (int64_t d = 0; p->role == LOCI_PORT_OUTPUT && d < b->size.docs; d++)
            LOCI_TRY(loci_numbers_same(p->value + (uint64_t)d * tail * token,
                                       want->value[i] + ((uint64_t)d * (uint64_t)a->size.seq + (uint64_t)after) * token,
                                       tail * token, 0, b->what, p->name, p, (uint64_t)d * tail * token,
                                       "in the instance that came so far", err));
        snprintf(name, sizeof name, "the end of %s", p->name);
        if (loci_port_ends(b, p))
            LOCI_TRY(loci_numbers_same(p->end, want->end[i], p->elements, 0, b->what, name, p, 0,
                                       "in the instance that came so far", err));
    }
out:
    return status;
}

loci_status loci_check_state_resume(loci_check *c, loci_error *err)
{
    enum { TOKENS = 19, BEFORE = 6 };
    loci_left want = {0}, half = {0};
    loci_subject a = {0}, b = {0};
    loci_cutting cut = {0};
    loci_status status;

    LOCI_TRY(loci_subject_open(&a, c, &(loci_scene){.seq = TOKENS, .capacity = 64}, err));
    LOCI_TRY(loci_cut_pieces(&cut, a.t, (const int32_t[]){BEFORE, TOKENS}, 2, err));
    LOCI_TRY(loci_subject_run(&a, &(loci_trial_how){.cut = &cut}, err, "in pieces %d,%d", BEFORE, TOKENS - BEFORE));
    LOCI_TRY(loci_left_keep(&want, &a, err));
    for (int64_t d = 0; d < a.size.docs; d++)
        loci_trial_length(a.t, d, BEFORE, 0);
    loci_cut_free(&cut);
    LOCI_TRY(loci_cut_pieces(&cut, a.t, (const int32_t[]){BEFORE}, 1, err));
    LOCI_TRY(loci_subject_run(&a, &(loci_trial_how){.cut = &cut}, err, "over the first %d tokens", BEFORE));
    LOCI_TRY(loci_left_keep(&half, &a, err));
    LOCI_TRY(loci_subject_open(&b, c, &(loci_scene){.seq = TOKENS - BEFORE, .capacity = 64}, err));
    copy_ports(&b, &a, &half, BEFORE);
    for (int64_t d = 0; d < b.size.docs; d++)
        loci_trial_length(b.t, d, TOKENS - BEFORE, BEFORE);
    LOCI_TRY(loci_subject_run(&b, NULL, err, "in a new instance, after %d tokens", BEFORE));
    status = same_tail(&b, &a, &want, BEFORE, err);
out:
    loci_cut_free(&cut);
    loci_left_free(&want);
    loci_left_free(&half);
    loci_subject_close(&a);
    loci_subject_close(&b);
    return status;
}

static bool has_state(const loci_subject *s)
{
    for (uint32_t i = 0; i < loci_trial_n_ports(s->t); i++)
        if (loci_trial_port(s->t, i)->role == LOCI_PORT_STATE)
            return true;
    return false;
}

/* One way of running forwards against the plain one: the same bits. */
static loci_status same_bits(loci_check *c, const loci_trial_how *how, bool whole, const char *words, loci_error *err)
{
    loci_left want = {0};
    loci_subject s = {0};
    loci_cutting cut = {0};
    loci_trial_how plain = {0}, now = *how;
    loci_status status;

    LOCI_TRY(loci_subject_open(&s, c, &(loci_scene){.capacity = 96}, err));
    if (how->inplace && !has_state(&s)) {
        status = loci_check_skip(c, "it has no state");
        goto out;
    }
    if (!whole && (s.caps & LOCI_CAP_STREAMING)) {
        LOCI_TRY(loci_cut_pieces(&cut, s.t, (const int32_t[]){3, 1, 7}, 3, err));
        plain.cut = now.cut = &cut;
    }
    LOCI_TRY(loci_subject_run(&s, &plain, err, "plainly"));
    LOCI_TRY(loci_left_keep(&want, &s, err));
    LOCI_TRY(loci_subject_run(&s, &now, err, "%s", words));
    LOCI_TRY(loci_left_same(&want, &s, false, 0, "plainly", err));
out:
    loci_cut_free(&cut);
    loci_left_free(&want);
    loci_subject_close(&s);
    return status;
}

loci_status loci_check_state_inplace(loci_check *c, loci_error *err)
{
    return same_bits(c, &(loci_trial_how){.inplace = true}, false, "with state_out in the place of state_in", err);
}

loci_status loci_check_state_dirty(loci_check *c, loci_error *err)
{
    return same_bits(c, &(loci_trial_how){.dirty = true}, true, "onto outputs and states that hold something", err);
}
