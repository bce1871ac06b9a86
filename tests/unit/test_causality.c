/* SPDX-License-Identifier: Apache-2.0
 *
 * What a token of a composition can see. For tokens i < j of a document:
 *
 *     d o_i / d x_j = 0, exactly      by the adjoint, one output at a time
 *     o_i has the same bits           whatever x_j is, a number or none
 *
 * on ground where a leak cannot hide: learned memories that are not zero, persistent rows, three segments, the last one
 * incomplete, and tokens i >= j that are seen. mac as printed must fail it, through each of its two leaks alone.
 */
#include "tests/unit/layer_forms.h"

#define LEN 11

static double dx[LEN][LEN][DIM]; /* [i][j]: of the sum of o_i r_i by x_j */

/* Every row of the adjoint, for the open rig and one document. */
static loci_status adjoint(void)
{
    static double r[LEN * DIM];
    loci_status status = LOCI_OK;
    double loss;

    memcpy(r, trial.r[0], sizeof r);
    for (int i = 0; i < LEN; i++) {
        memset(trial.r[0], 0, sizeof r);
        memcpy(&trial.r[0][i * DIM], &r[i * DIM], TOKEN);
        LOCI_TRY(run(&rig, &trial, true, &loss));
        memcpy(dx[i], trial.dx[0], sizeof dx[i]);
    }
    memcpy(trial.r[0], r, sizeof r);
out:
    return status;
}

static double size(const double *v)
{
    double s = 0;

    for (int d = 0; d < DIM; d++)
        s += fabs(v[d]);
    return s;
}

static loci_status prepare(const struct form *f)
{
    loci_status status = LOCI_OK;

    trial_new(&trial, 1, (const int[]){LEN});
    trial_alone(&trial);
    LOCI_TRY(open_form(f));
    LOCI_TRY(rig_plan(&rig, 1, LEN, 1, 1, LEN));
out:
    return status;
}

/* May token i of a form see token j? A window of the mixer hides some; a memory none. */
static bool may_see(const struct form *f, int i, int j)
{
    return j <= i && !(f->retrieval == LITERAL && i / f->segment != j / f->segment);
}

static void gradient__of_later_tokens_is_exactly_zero(void)
{
    NEED_PLUGINS;
    for (int f = 0; f < N_FORMS; f++) {
        int seen = 0, most = 0;
        if (forms[f].retrieval == LITERAL)
            continue;
        CK_OK(prepare(&forms[f]));
        CK_OK(adjoint());
        for (int i = 0; i < LEN; i++)
            for (int j = 0; j < LEN; j++) {
                if (j > i)
                    CK_TRUE(size(dx[i][j]) == 0, "%s: token %d sees token %d", forms[f].name, i, j);
                most += may_see(&forms[f], i, j);
                seen += j <= i && size(dx[i][j]) > 0;
            }
        CK_TRUE(seen == most, "%s: %d of %d earlier tokens are seen", forms[f].name, seen, most);
        rig_close(&rig);
    }
}

/* One later token at a time, replaced by `value`. */
static void replace(double value)
{
    NEED_PLUGINS;
    for (int f = 0; f < N_FORMS; f++) {
        if (forms[f].retrieval == LITERAL)
            continue;
        CK_OK(prepare(&forms[f]));
        CK_OK(run_forward(&rig, &trial, true));
        result_keep(&one, &rig, &trial);
        for (int j = 1; j < LEN; j++) {
            int changed = 0;
            for (int d = 0; d < DIM; d++)
                trial.x[0][j * DIM + d] += value;
            CK_OK(run_forward(&rig, &trial, true));
            CK_TRUE(!memcmp(trial.y[0], one.t.y[0], (size_t)j * TOKEN), "%s: a token before %d sees it", forms[f].name,
                    j);
            for (int i = j; i < LEN; i++)
                changed += memcmp(&trial.y[0][i * DIM], &one.t.y[0][i * DIM], TOKEN) != 0;
            CK_TRUE(changed == LEN - j, "%s: of %d tokens from %d on %d changed", forms[f].name, LEN - j, j, changed);
            memcpy(trial.x, one.t.x, sizeof trial.x);
        }
        rig_close(&rig);
    }
}

static void output__has_the_same_bits_whatever_comes_later(void)
{
    replace(3);
}

static void output__is_finite_when_a_later_token_is_not(void)
{
    replace(NAN);
}

/* ---- mac as printed ---------------------------------------------------------------------------------------------- */

#define PRINTED SMALL MAC_BY(literal) "compose.mac.persistent_tok=2 memory.backend=titans memory.titans.forget=no "
#define LEARNED "memory.titans.momentum=no memory.titans.init_state=learned "
#define EMPTY "memory.titans.momentum=no "

/* How many pairs i < j of a segment leak, of how many. */
static int leaks(int segment, int *of)
{
    int n = 0;

    *of = 0;
    for (int i = 4 * segment; i < 4 * segment + 4 && i < LEN; i++)
        for (int j = i + 1; j < 4 * segment + 4 && j < LEN; j++, ++*of)
            n += size(dx[i][j]) > 0;
    return n;
}

static void open_printed(const char *settings, bool writes)
{
    const struct form f = {"mac, as printed", settings, 2, 4, LITERAL};

    CK_OK(prepare(&f));
    if (!writes) { /* keys of zero: the memory stays what it is, whatever is written */
        loci_weight *w = (loci_weight *)(uintptr_t)loci_weights_find(&rig.w, "layer.0.memory.front.k.weight");
        CK_TRUE(w != NULL, "the memory has no keys");
        if (w)
            memset(loci_ptr(&w->value.t), 0, w->elements * sizeof(double));
    }
    CK_OK(adjoint());
    rig_close(&rig);
}

/* Leak 1: rows of h that later tokens asked for. Without writes it is the only one. */
static void literal__leaks_by_what_later_tokens_ask(void)
{
    int of;

    NEED_PLUGINS;
    open_printed(PRINTED LEARNED, false);
    for (int s = 0; s < 3; s++)
        CK_TRUE(leaks(s, &of) == of && of > 0, "segment %d: %d of %d pairs leak", s, leaks(s, &of), of);
    open_printed(PRINTED EMPTY, false); /* nothing to ask for, nothing written: nothing leaks */
    for (int s = 0; s < 3; s++)
        CK_TRUE(leaks(s, &of) == 0, "segment %d: %d of %d pairs leak without a memory", s, leaks(s, &of), of);
}

/* Leak 2: a read after the whole segment was written. In the first segment of an empty memory it is the only one. */
static void literal__leaks_by_what_later_tokens_write(void)
{
    int of;

    NEED_PLUGINS;
    open_printed(PRINTED EMPTY, true);
    CK_TRUE(leaks(0, &of) == of && of > 0, "%d of %d pairs leak", leaks(0, &of), of);
}

/* The segments themselves are in order: no token sees a later segment, and every one sees the segments before. */
static void literal__sees_no_later_segment(void)
{
    NEED_PLUGINS;
    open_printed(PRINTED LEARNED, true);
    for (int i = 0; i < LEN; i++)
        for (int j = 0; j < LEN; j++)
            CK_TRUE((size(dx[i][j]) > 0) == (j / 4 <= i / 4), "token %d and token %d", i, j);
}

#define TESTS(X) \
    X(gradient__of_later_tokens_is_exactly_zero) \
    X(output__has_the_same_bits_whatever_comes_later) \
    X(output__is_finite_when_a_later_token_is_not) \
    X(literal__leaks_by_what_later_tokens_ask) \
    X(literal__leaks_by_what_later_tokens_write) \
    X(literal__sees_no_later_segment)
CK_MAIN("causality", TESTS)
