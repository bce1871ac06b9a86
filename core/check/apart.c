/* SPDX-License-Identifier: Apache-2.0
 *
 * core/check: what must not depend on what: documents on documents, heads on heads, outputs on later tokens.
 *
 *  (1) One part of the inputs is replaced, and what does not depend on it must keep its bits: the call has the same
 * sizes, so every sum has the same order. (2) Tokens after t are replaced by other values and by very large ones, which
 * find a mask that adds a finite "minus infinity". In the middle of a stream too, and in pieces. (3) Backwards the
 * same: cotangents of outputs up to t give later inputs a gradient of exactly 0. (4) Who does not promise causality is
 * told what it depends on, and does not fail.
 */
#include "core/check/subject.h"
#include "core/device/rng.h"

#include <math.h>
#include <string.h>

/* ---- replacing a part of the inputs ------------------------------------------------------------------------------ */

/* Other numbers of the kind that the port takes; `by`: how large. */
static double other(const loci_port *p, uint64_t key, uint64_t i, double by)
{
    double x;

    if (isfinite(p->lo))
        return isfinite(p->hi) ? p->lo + (p->hi - p->lo) * (0.02 + 0.96 * loci_random_unit(key, i))
                               : p->lo + by * (0.1 + loci_random_unit(key, i));
    x = 2 * loci_random_unit(key, i) - 1;
    return (float)(by * (x + (x < 0 ? -0.5 : 0.5)));
}

static bool replaceable(const loci_port *p)
{
    return p->real && (p->role == LOCI_PORT_INPUT || p->role == LOCI_PORT_GATE);
}

/* Elements of which token, document and head they are, of a port [docs, seq, H, ...]. */
struct part {
    int64_t doc, head, after; /* -1: any; tokens > after */
};

static bool in_part(const loci_port *p, uint64_t i, const struct part *part)
{
    const uint64_t row = p->shape[0] ? p->elements / (uint64_t)p->shape[0] : 1, token = row / (uint64_t)p->shape[1];
    const uint64_t head = p->ndim > 2 ? token / (uint64_t)p->shape[2] : 1;

    return (part->doc < 0 || i / row == (uint64_t)part->doc) &&
           (part->head < 0 || i % token / head == (uint64_t)part->head) && (int64_t)(i % row / token) > part->after;
}

static void replace(loci_subject *s, const struct part *part, double by)
{
    for (uint32_t k = 0; k < loci_trial_n_ports(s->t); k++) {
        loci_port *p = loci_trial_port(s->t, k);
        const uint64_t key = loci_random_name_key(s->c->seed + 77, p->name);
        for (uint64_t i = 0; replaceable(p) && loci_port_token(s, p) && i < p->elements; i++)
            if (in_part(p, i, part))
                p->value[i] = other(p, key, i, by);
    }
}

static void restore(loci_subject *s, const loci_left *first)
{
    for (uint32_t k = 0; k < loci_trial_n_ports(s->t); k++) {
        loci_port *p = loci_trial_port(s->t, k);
        if (replaceable(p))
            memcpy(p->value, first->value[k], p->elements * sizeof *p->value);
    }
}

/* Element of an output outside of `part` that moved: said in err. */
static loci_status kept_outside(loci_subject *s, const loci_left *want, const struct part *part, loci_error *err)
{
    for (uint32_t k = 0; k < want->n; k++) {
        const loci_port *p = loci_trial_port(s->t, k);
        for (uint64_t i = 0; p->role == LOCI_PORT_OUTPUT && loci_port_token(s, p) && i < p->elements; i++) {
            char at[80];
            const double now = p->value[i], was = want->value[k][i];
            if (in_part(p, i, part) || now == was || (isnan(now) && isnan(was)))
                continue;
            return loci_fail(err, LOCI_E_PLUGIN, "%s: %s at %s became %.17g, from %.17g (the same bits are due)",
                             s->what, p->name, loci_place(at, p, i), now, was);
        }
    }
    return LOCI_OK;
}

static double large(const loci_subject *s)
{
    return loci_is_kind(s->c, "memory") ? 1e4 : s->exact ? 1e7 : 1e4;
}

static loci_status check_part(loci_subject *s, const loci_left *first, const struct part *part, const loci_cutting *cut,
                              const char *words, loci_error *err)
{
    const double by[] = {1, large(s)};
    loci_status status = LOCI_OK;

    for (int i = 0; i < 2 && status == LOCI_OK; i++) {
        replace(s, part, by[i]);
        status = loci_subject_run(s, &(loci_trial_how){.cut = cut}, err, "%s replaced by %s", words,
                                  i ? "very large numbers" : "other numbers");
        if (status == LOCI_OK)
            status = kept_outside(s, first, part, err);
        restore(s, first);
    }
    return status;
}

/* ---- documents and heads ----------------------------------------------------------------------------------------- */

static loci_status rows_apart(loci_subject *s, const loci_cutting *cut, const char *how, loci_error *err)
{
    loci_left first = {0};
    loci_status status;
    char words[96];

    LOCI_TRY(loci_subject_run(s, &(loci_trial_how){.cut = cut}, err, "%splainly", how));
    LOCI_TRY(loci_left_keep(&first, s, err));
    for (int64_t d = 0; d < s->size.docs; d++) {
        snprintf(words, sizeof words, "%swith the inputs of row %d", how, (int)d);
        LOCI_TRY(check_part(s, &first, &(struct part){d, -1, -1}, cut, words, err));
    }
out:
    loci_left_free(&first);
    return status;
}

loci_status loci_check_apart_rows(loci_check *c, loci_error *err)
{
    loci_subject s = {0};
    loci_cutting cut = {0};
    loci_status status;

    LOCI_TRY(loci_subject_open(&s, c, &(loci_scene){.docs = 3, .seq = loci_is_kind(c, "attention") ? 9 : 0}, err));
    LOCI_TRY(rows_apart(&s, NULL, "", err));
    if (!loci_is_kind(c, "attention") && (s.caps & LOCI_CAP_STREAMING)) {
        LOCI_TRY(loci_cut_pieces(&cut, s.t, (const int32_t[]){3, 1, 7}, 3, err));
        LOCI_TRY(rows_apart(&s, &cut, "in pieces 3,1,7, ", err));
    }
out:
    loci_cut_free(&cut);
    loci_subject_close(&s);
    return status;
}

loci_status loci_check_apart_heads(loci_check *c, loci_error *err)
{
    loci_left first = {0};
    loci_subject s = {0};
    loci_status status;
    char words[64];

    LOCI_TRY(loci_subject_open(&s, c, &(loci_scene){.heads = 3, .seq = loci_is_kind(c, "attention") ? 9 : 0}, err));
    LOCI_TRY(loci_subject_run(&s, NULL, err, "plainly"));
    LOCI_TRY(loci_left_keep(&first, &s, err));
    for (int64_t h = 0; h < 3; h++) {
        snprintf(words, sizeof words, "with the inputs of head %d", (int)h);
        LOCI_TRY(check_part(&s, &first, &(struct part){-1, h, -1}, NULL, words, err));
    }
out:
    loci_left_free(&first);
    loci_subject_close(&s);
    return status;
}

/* ---- causality --------------------------------------------------------------------------------------------------- */

static loci_status future(loci_subject *s, const loci_cutting *cut, const char *how, double only, loci_error *err)
{
    loci_left first = {0};
    loci_status status;
    char words[96];

    LOCI_TRY(loci_subject_run(s, &(loci_trial_how){.cut = cut}, err, "plainly"));
    LOCI_TRY(loci_left_keep(&first, s, err));
    for (int64_t t = 0; t < s->size.seq - 1; t++) {
        const struct part part = {-1, -1, t};
        snprintf(words, sizeof words, "%swith the tokens after %d", how, (int)t);
        if (isnan(only)) {
            replace(s, &part, 1);
            for (uint32_t k = 0; k < first.n; k++) {
                loci_port *p = loci_trial_port(s->t, k);
                for (uint64_t i = 0; replaceable(p) && loci_port_token(s, p) && i < p->elements; i++)
                    p->value[i] = in_part(p, i, &part) ? NAN : p->value[i];
            }
            status = loci_subject_run(s, &(loci_trial_how){.cut = cut}, err, "%s replaced by NaN", words);
            if (status == LOCI_OK)
                status = kept_outside(s, &first, &part, err);
            restore(s, &first);
        } else {
            status = check_part(s, &first, &part, cut, words, err);
        }
        if (status != LOCI_OK)
            break;
    }
out:
    loci_left_free(&first);
    return status;
}

/* (3) */
static loci_status backwards(loci_subject *s, loci_error *err)
{
    loci_status status = LOCI_OK;
    loci_left full = {0};

    LOCI_TRY(loci_left_keep(&full, s, err));
    for (int64_t t = 0; t < s->size.seq - 1; t += 3) {
        const struct part later = {-1, -1, t};
        for (uint32_t k = 0; k < full.n; k++) {
            loci_port *p = loci_trial_port(s->t, k);
            if (p->role == LOCI_PORT_STATE)
                memset(p->end_grad, 0, p->elements * sizeof *p->end_grad);
            for (uint64_t i = 0; p->role == LOCI_PORT_OUTPUT && i < p->elements; i++)
                p->grad[i] = in_part(p, i, &later) ? 0 : full.grad[k][i];
        }
        LOCI_TRY(loci_subject_run(s, &(loci_trial_how){.back = true}, err, "from the outputs up to token %d", (int)t));
        for (uint32_t k = 0; k < full.n; k++) {
            const loci_port *p = loci_trial_port(s->t, k);
            for (uint64_t i = 0; replaceable(p) && loci_port_token(s, p) && i < p->elements; i++) {
                char at[80];
                if (in_part(p, i, &later) && p->grad[i] != 0)
                    LOCI_TRY(loci_fail(err, LOCI_E_PLUGIN, "%s: the gradient of %s at %s is %.6e, and exactly 0 is due",
                                       s->what, p->name, loci_place(at, p, i), p->grad[i]));
            }
        }
    }
out:
    loci_left_free(&full);
    return status;
}

/* (4) */
static loci_status judge(loci_check *c, const loci_subject *s, loci_status status, loci_error *found, loci_error *err)
{
    if (s->t && (s->caps & LOCI_CAP_CAUSAL))
        return status == LOCI_OK ? LOCI_OK : loci_fail(err, status, "%s", found->msg);
    if (status == LOCI_OK)
        loci_check_note(c, "causal in all that was tried; it does not promise it");
    else
        loci_check_note(c, "not causal: %s; it does not promise to be", found->msg);
    return LOCI_OK;
}

loci_status loci_check_causal_values(loci_check *c, loci_error *err)
{
    loci_error found = LOCI_ERROR_INIT;
    loci_subject s = {0};
    loci_status status;

    LOCI_TRY(loci_subject_open(&s, c, &(loci_scene){0}, err));
    status = future(&s, NULL, "", 0, &found);
    if (status == LOCI_OK && (s.caps & LOCI_CAP_STREAMING)) {
        loci_subject_close(&s);
        LOCI_TRY(loci_subject_open_warm(&s, c, err));
        status = future(&s, NULL, "in the middle of a stream, ", 0, &found);
    }
    status = judge(c, &s, status, &found, err);
out:
    loci_subject_close(&s);
    return status;
}

loci_status loci_check_causal_pieces(loci_check *c, loci_error *err)
{
    loci_error found = LOCI_ERROR_INIT;
    loci_subject s = {0};
    loci_cutting cut = {0};
    loci_status status;

    LOCI_TRY(loci_subject_open_warm(&s, c, err));
    LOCI_TRY(loci_cut_pieces(&cut, s.t, (const int32_t[]){3, 1, 7}, 3, err));
    status = future(&s, &cut, "in pieces 3,1,7, ", 0, &found);
    status = judge(c, &s, status, &found, err);
out:
    loci_cut_free(&cut);
    loci_subject_close(&s);
    return status;
}

loci_status loci_check_causal_grad(loci_check *c, loci_error *err)
{
    loci_error found = LOCI_ERROR_INIT;
    loci_subject s = {0};
    loci_status status;

    LOCI_TRY(loci_subject_open_warm(&s, c, err));
    status = judge(c, &s, backwards(&s, &found), &found, err);
out:
    loci_subject_close(&s);
    return status;
}

loci_status loci_check_causal_nan(loci_check *c, loci_error *err)
{
    loci_error found = LOCI_ERROR_INIT;
    loci_subject s = {0};
    loci_status status;

    LOCI_TRY(loci_subject_open_warm(&s, c, err));
    status = judge(c, &s, future(&s, NULL, "", NAN, &found), &found, err);
out:
    loci_subject_close(&s);
    return status;
}
