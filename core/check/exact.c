/* SPDX-License-Identifier: Apache-2.0
 *
 * core/check: float32 against float64.
 *
 *  (1) Both compute the same numbers, which are float32 numbers, so that what differs is the arithmetic alone.
 *  (2) The limit follows from the problem. In float64 every input, weight and state is moved by half a unit in the last
 *      place of float32, at random: what that changes (delta, tensor by tensor) no float32 computation can avoid.
 * Allowed are 100 delta + 1e-5: rounding happens in every intermediate sum, not in the inputs alone. (3) A wrong term
 * shows as an error of the order of the term, 1e-2 and more; a delta so large that the limit exceeds 1e-2 makes the
 * test say nothing, and is said.
 */
#include "core/check/subject.h"

#include <math.h>
#include <string.h>

static loci_status one_tensor(const double *single, const double *wide, const double *moved, const loci_port *p,
                              const char *what, double *worst, loci_error *err)
{
    const double delta = loci_numbers_apart(moved, wide, p->elements), limit = 100 * delta + 1e-5;
    loci_status status = LOCI_OK;

    if (!single)
        return LOCI_OK;
    *worst = fmax(*worst, loci_numbers_apart(single, wide, p->elements) / limit);
    status = loci_numbers_same(single, wide, p->elements, limit, "in float32", what, p, 0, "in float64", err);
    return status;
}

static loci_status compare(loci_subject *single, const loci_left *wide, const loci_left *moved, bool back,
                           double *worst, loci_error *err)
{
    loci_status status = LOCI_OK;
    char name[160];

    for (uint32_t i = 0; i < wide->n; i++) {
        const loci_port *p = loci_trial_port(single->t, i);
        if (p->role == LOCI_PORT_OUTPUT)
            LOCI_TRY(one_tensor(p->value, wide->value[i], moved->value[i], p, p->name, worst, err));
        snprintf(name, sizeof name, "the end of %s", p->name);
        if (loci_port_ends(single, p))
            LOCI_TRY(one_tensor(p->end, wide->end[i], moved->end[i], p, name, worst, err));
        snprintf(name, sizeof name, "the gradient of %s", p->name);
        if (back && loci_port_slopes(p))
            LOCI_TRY(one_tensor(p->grad, wide->grad[i], moved->grad[i], p, name, worst, err));
    }
out:
    return status;
}

static void copy_values(loci_subject *to, const loci_subject *from)
{
    for (uint32_t i = 0; i < loci_trial_n_ports(to->t); i++) {
        loci_port *p = loci_trial_port(to->t, i);
        const loci_port *q = loci_trial_port(from->t, i);
        if (p->role != LOCI_PORT_OUTPUT)
            memcpy(p->value, q->value, p->elements * sizeof *p->value);
        else if (p->real)
            memcpy(p->grad, q->grad, p->elements * sizeof *p->grad);
        if (p->end_grad)
            memcpy(p->end_grad, q->end_grad, p->elements * sizeof *p->end_grad);
    }
}

loci_status loci_check_exact_f32(loci_check *c, loci_error *err)
{
    loci_left wide = {0}, moved = {0};
    loci_subject a = {0}, b = {0};
    double worst = 0;
    bool back;
    loci_status status;

    LOCI_TRY(loci_subject_open(&b, c, &(loci_scene){.dtype = {LOCI_FLOAT, 32, 1}}, err));
    if (b.t)
        LOCI_TRY(loci_subject_open(&a, c, &(loci_scene){.dtype = {LOCI_FLOAT, 64, 1}}, err));
    if (!a.t || !b.t) {
        status = loci_check_skip(c, "it has no %s", b.t ? "float64" : "float32");
        goto out;
    }
    back = a.caps & LOCI_CAP_BACKWARD;
    copy_values(&b, &a);
    LOCI_TRY(loci_subject_run(&a, &(loci_trial_how){.back = back}, err, "in float64"));
    LOCI_TRY(loci_left_keep(&wide, &a, err));
    loci_subject_nudge(&a);
    LOCI_TRY(loci_subject_run(&a, &(loci_trial_how){.back = back}, err, "in float64, with inputs moved by 2^-24"));
    LOCI_TRY(loci_left_keep(&moved, &a, err));
    LOCI_TRY(loci_subject_run(&b, &(loci_trial_how){.back = back}, err, "in float32"));
    LOCI_TRY(compare(&b, &wide, &moved, back, &worst, err));
    loci_check_note(c, "worst %.0e of what is allowed", worst);
out:
    loci_left_free(&wide);
    loci_left_free(&moved);
    loci_subject_close(&a);
    loci_subject_close(&b);
    return status;
}
