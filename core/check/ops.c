/* SPDX-License-Identifier: Apache-2.0
 *
 * core/check: the operations of a memory against each other, token by token.
 *
 *     op.read    READ leaves the state
 *     op.write   WRITE leaves the state that STEP leaves
 *     op.step    STEP answers what READ answers: from the state after the write, or before it, as is the rule's order
 */
#include "core/check/subject.h"

#include <string.h>

loci_status loci_check_op_read(loci_check *c, loci_error *err)
{
    loci_subject s = {0};
    loci_status status;
    char name[160];

    LOCI_TRY(loci_subject_open_warm(&s, c, err));
    LOCI_TRY(loci_subject_run(&s, &(loci_trial_how){.op = LOCI_OP_READ}, err, "op read"));
    for (uint32_t i = 0; i < loci_trial_n_ports(s.t); i++) {
        const loci_port *p = loci_trial_port(s.t, i);
        snprintf(name, sizeof name, "the end of %s", p->name);
        if (p->role == LOCI_PORT_STATE)
            LOCI_TRY(loci_numbers_same(p->end, p->value, p->elements, 0, s.what, name, p, 0, "before it", err));
    }
out:
    loci_subject_close(&s);
    return status;
}

loci_status loci_check_op_write(loci_check *c, loci_error *err)
{
    loci_left want = {0};
    loci_subject s = {0};
    loci_status status;
    char name[160];

    LOCI_TRY(loci_subject_open_warm(&s, c, err));
    LOCI_TRY(loci_subject_run(&s, NULL, err, "op step"));
    LOCI_TRY(loci_left_keep(&want, &s, err));
    LOCI_TRY(loci_subject_run(&s, &(loci_trial_how){.op = LOCI_OP_WRITE}, err, "op write"));
    for (uint32_t i = 0; i < want.n; i++) {
        const loci_port *p = loci_trial_port(s.t, i);
        snprintf(name, sizeof name, "the end of %s", p->name);
        if (p->role == LOCI_PORT_STATE)
            LOCI_TRY(
                loci_numbers_same(p->end, want.end[i], p->elements, s.limit, s.what, name, p, 0, "by op step", err));
    }
out:
    loci_left_free(&want);
    loci_subject_close(&s);
    return status;
}

static void begin_at_end(loci_subject *s)
{
    for (uint32_t i = 0; i < loci_trial_n_ports(s->t); i++) {
        loci_port *p = loci_trial_port(s->t, i);
        if (p->role == LOCI_PORT_STATE) {
            memcpy(p->value, p->end, p->elements * sizeof *p->value);
            p->given = true;
        }
    }
}

/* One token, after six: y of STEP, and y of READ before and after it. */
static loci_status three_reads(double *before, double *after, loci_check *c, loci_error *err)
{
    loci_left step = {0};
    loci_subject s = {0};
    loci_cutting one = {0};
    const loci_port *y;
    loci_status status;

    LOCI_TRY(loci_subject_open_warm(&s, c, err));
    y = loci_trial_find(s.t, "y");
    for (int64_t d = 0; d < s.size.docs; d++)
        loci_trial_length(s.t, d, 1, 6);
    LOCI_TRY(loci_cut_pieces(&one, s.t, (const int32_t[]){1}, 1, err));
    LOCI_TRY(loci_subject_run(&s, &(loci_trial_how){.cut = &one}, err, "op step of one token"));
    LOCI_TRY(loci_left_keep(&step, &s, err));
    LOCI_TRY(loci_subject_run(&s, &(loci_trial_how){.op = LOCI_OP_READ, .cut = &one}, err, "op read before it"));
    for (uint32_t i = 0; i < step.n; i++)
        if (loci_trial_port(s.t, i) == y)
            *before = loci_numbers_apart(y->value, step.value[i], y->elements);
    LOCI_TRY(loci_subject_run(&s, &(loci_trial_how){.op = LOCI_OP_WRITE, .cut = &one}, err, "op write of the token"));
    begin_at_end(&s);
    for (int64_t d = 0; d < s.size.docs; d++)
        loci_trial_length(s.t, d, 1, 7);
    LOCI_TRY(loci_subject_run(&s, &(loci_trial_how){.op = LOCI_OP_READ, .cut = &one}, err, "op read after it"));
    for (uint32_t i = 0; i < step.n; i++)
        if (loci_trial_port(s.t, i) == y)
            *after = loci_numbers_apart(y->value, step.value[i], y->elements);
out:
    loci_cut_free(&one);
    loci_left_free(&step);
    loci_subject_close(&s);
    return status;
}

loci_status loci_check_op_step(loci_check *c, loci_error *err)
{
    double before = 1, after = 1;
    loci_status status;

    LOCI_TRY(three_reads(&before, &after, c, err));
    if (before <= 2e-5 || after <= 2e-5)
        loci_check_note(c, "%s",
                        before <= 2e-5 && after <= 2e-5 ? "reading does not depend on the state"
                        : before <= 2e-5                ? "it reads before it writes"
                                                        : "it writes before it reads");
    else
        loci_check_note(
            c,
            "its STEP is more than READ and WRITE one after the other (apart by %.1e and %.1e): say in `doc` "
            "what it reads",
            before, after);
out:
    return status;
}
