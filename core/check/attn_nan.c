/* SPDX-License-Identifier: Apache-2.0
 *
 * core/check: keys that nobody sees may hold anything: NaN in them reaches no query.
 *
 * A mask that multiplies by zero, or adds a large negative number to a score, keeps what is no number. So garbage
 * behind the last key of a short row, or in the tokens to come, would spoil what is right.
 */
#include "core/check/subject.h"

#include <math.h>
#include <string.h>

/* k and v of the keys from `first` on, in every row. */
static void spoil(loci_subject *s, const loci_left *was, int64_t first)
{
    static const char *const names[] = {"k", "v"};

    for (size_t n = 0; n < 2; n++) {
        loci_port *p = loci_trial_find(s->t, names[n]);
        const uint64_t key = p->elements / (uint64_t)(p->shape[0] * p->shape[1]);
        for (uint32_t i = 0; i < was->n; i++)
            if (loci_trial_port(s->t, i) == p)
                memcpy(p->value, was->value[i], p->elements * sizeof *p->value);
        for (uint64_t i = 0; i < p->elements; i++)
            if ((int64_t)(i / key % (uint64_t)p->shape[1]) >= first)
                p->value[i] = NAN;
    }
}

/* Queries before `queries` keep the bits of o and lse. */
static loci_status kept(loci_subject *s, const loci_left *was, int64_t queries, loci_error *err)
{
    for (uint32_t i = 0; i < was->n; i++) {
        const loci_port *p = loci_trial_port(s->t, i);
        const bool lse = !strcmp(p->name, "lse");
        const uint64_t row = (uint64_t)(p->shape[p->ndim - 1] * (lse ? 1 : p->shape[2]));
        for (uint64_t k = 0; p->role == LOCI_PORT_OUTPUT && k < p->elements; k++) {
            const uint64_t query = lse ? k % (uint64_t)s->size.seq : k / row % (uint64_t)s->size.seq;
            char at[80];
            if ((int64_t)query < queries && p->value[k] != was->value[i][k])
                return loci_fail(err, LOCI_E_PLUGIN, "%s: %s at %s became %g, from %g: that query does not see them",
                                 s->what, p->name, loci_place(at, p, k), p->value[k], was->value[i][k]);
        }
    }
    return LOCI_OK;
}

static loci_status check(loci_check *c, const loci_attn_desc *desc, loci_dtype dtype, int64_t from, int64_t to,
                         bool causal, bool *served, loci_error *err)
{
    loci_left was = {0};
    loci_subject s = {0};
    const loci_scene scene = {.seq = 20, .keys = 20, .dtype = dtype, .desc = desc};
    loci_status status;

    LOCI_TRY(loci_subject_open(&s, c, &scene, err));
    if (!s.t)
        goto out;
    *served = true;
    LOCI_TRY(loci_subject_run(&s, NULL, err, "plainly"));
    LOCI_TRY(loci_left_keep(&was, &s, err));
    for (int64_t first = from; first < to; first += 3) {
        spoil(&s, &was, first);
        LOCI_TRY(loci_subject_run(&s, NULL, err, "%s, %s, keys from %lld on are NaN", causal ? "causal" : "k_len",
                                  loci_dtype_name(dtype), (long long)first));
        LOCI_TRY(kept(&s, &was, causal ? first : s.size.seq, err));
    }
out:
    loci_left_free(&was);
    loci_subject_close(&s);
    return status;
}

loci_status loci_check_attn_nan(loci_check *c, loci_error *err)
{
    static const loci_dtype dtypes[] = {{LOCI_FLOAT, 64, 1}, {LOCI_FLOAT, 32, 1}};
    int32_t lengths[] = {14, 14};
    loci_view view;
    const loci_attn_desc plain = {
        .struct_size = sizeof plain, .scale = 0.5, .causal = 1, .window_left = -1, .window_right = -1};
    loci_attn_desc shorter = plain;
    bool served = false;
    loci_status status = LOCI_OK;

    shorter.causal = 0;
    shorter.k_len =
        loci_view_set(&view, lengths, (loci_device){LOCI_CPU, 0}, (loci_dtype){LOCI_INT, 32, 1}, 1, (int64_t[]){2});
    for (size_t i = 0; i < 2; i++) {
        LOCI_TRY(check(c, &plain, dtypes[i], 1, 20, true, &served, err));
        LOCI_TRY(check(c, &shorter, dtypes[i], 14, 20, false, &served, err));
    }
    if (!served)
        status = loci_check_skip(c, "it has neither float64 nor float32");
out:
    return status;
}
