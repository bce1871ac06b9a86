/* SPDX-License-Identifier: Apache-2.0
 *
 * Compositions, their mixer and their memory, through the real host: gradients against central differences, and what
 * must make no difference: cutting, packing, padding, the order of rows, other documents. The future is the subject of
 * test_causality.c.
 */
#include "tests/unit/layer_forms.h"
#include <math.h>

#define TIGHT 1e-10

/* ---- gradients --------------------------------------------------------------------------------------------------- */

/* d(loss)/d(*v) by central differences. */
static double difference(struct rig *r, struct trial *t, double *v)
{
    const double h = 1e-5, old = *v;
    double up = 0, down = 0;

    *v = old + h;
    CK_TRUE(run(r, t, false, &up) == LOCI_OK, "forward: %s", ck_err.msg);
    *v = old - h;
    CK_TRUE(run(r, t, false, &down) == LOCI_OK, "forward: %s", ck_err.msg);
    *v = old;
    return (up - down) / (2 * h);
}

static void check_gradient(const char *form, const char *what, struct rig *r, struct trial *t, double *at,
                           const double *grad, size_t n, size_t stride)
{
    static double got[4096], want[4096];
    size_t m = 0;
    double size = 0;

    for (size_t i = 0; i < n && m < 4096; i += stride, m++) {
        got[m] = grad[i];
        want[m] = difference(r, t, &at[i]);
        size += want[m] * want[m];
    }
    /* a gradient that is nothing but rounding has no relative error */
    if (size < 1e-14)
        CK_TRUE(ck_rms(got, want, m) * sqrt(size > 0 ? size : 1) < 1e-7, "%s: %s should be 0", form, what);
    else
        check_close(form, what, got, want, m, 1e-6);
}

static void gradients__match_central_differences(void)
{
    NEED_PLUGINS;
    for (int f = 0; f < N_FORMS; f++) {
        static double dx[MOST_DOCS][MOST_TOKENS * DIM];
        double loss;
        packed(&trial);
        CK_OK(open_form(&forms[f]));
        CK_OK(rig_plan(&rig, 2, 18, 3, 3, 18));
        CK_OK(run(&rig, &trial, true, &loss));
        result_keep(&one, &rig, &trial);
        memcpy(dx, trial.dx, sizeof dx);
        for (uint32_t i = 0, at = 0; i < rig.w.n; at += (uint32_t)rig.w.at[i]->elements, i++) {
            loci_weight *w = rig.w.at[i];
            check_gradient(forms[f].name, w->name, &rig, &trial, loci_ptr(&w->value.t), one.grads + at, w->elements,
                           w->elements > 40 ? 5 : 1);
        }
        for (int d = 0; d < trial.n_docs; d++)
            check_gradient(forms[f].name, "x", &rig, &trial, trial.x[d], dx[d], (size_t)trial.len[d] * DIM, 1);
        rig_close(&rig);
    }
}

struct floats {
    double *at[20000], *grad[20000];
    const char *base, *grad_base;
    int n;
};

static loci_status collect(void *arg, const char *name, const loci_tensor *s, loci_error *err)
{
    struct floats *f = arg;
    double *v = loci_ptr(s);

    (void)name;
    (void)err;
    for (int64_t i = 0; s->dtype.code == LOCI_FLOAT && i < s->shape[0] * s->strides[0] && f->n < 20000; i++, f->n++) {
        f->at[f->n] = &v[i];
        f->grad[f->n] = (double *)(void *)((char *)(uintptr_t)f->grad_base + ((char *)&v[i] - f->base));
    }
    return LOCI_OK;
}

static loci_status collect_mix(void *arg, const char *name, const loci_tensor *s, loci_error *err)
{
    return strstr(name, "mix.") ? collect(arg, name, s, err) : LOCI_OK;
}

/* The state a stream begins a call with: what 5 tokens left, then its derivative. */
static void gradients__reach_the_state_a_call_begins_with(void)
{
    static struct floats at;
    static double got[20000], want[20000];

    NEED_PLUGINS;
    for (int f = 0; f < N_FORMS; f++) {
        const int head = forms[f].retrieval == LITERAL ? 4 : 5; /* literal goes on with whole segments only */
        double loss;
        int n = 0;
        trial_new(&trial, 1, &head);
        trial_alone(&trial);
        CK_OK(open_form(&forms[f]));
        CK_OK(rig_plan(&rig, 1, 10, 1, 1, 18));
        CK_OK(run_forward(&rig, &trial, true));
        memcpy(rig.state[0], rig.state[1], rig.state_bytes);
        trial_new(&trial, 1, (const int[]){9});
        trial.pos0[0] = head;
        trial.end_state = true;
        trial_alone(&trial);
        CK_OK(run(&rig, &trial, true, &loss));
        at = (struct floats){.base = rig.state[0], .grad_base = rig.grad};
        CK_OK(loci_node_each_state(rig.node, &rig.session, rig.state[0], "s", collect, &at, &ck_err));
        for (int i = 0; i < at.n; i++)
            got[i] = *at.grad[i];
        for (int i = 0; i < at.n; i += 1 + at.n / 400, n++) {
            got[n] = got[i];
            want[n] = difference(&rig, &trial, at.at[i]);
        }
        check_close(forms[f].name, "the gradient of the first state", got, want, (size_t)n, 1e-6);
        rig_close(&rig);
    }
}

/* ---- what must not matter ---------------------------------------------------------------------------------------- */

static void streaming__any_cut_gives_the_outputs_and_gradients_of_one_call(void)
{
    const int len = 11;

    NEED_PLUGINS;
    for (int f = 0; f < N_FORMS; f++) {
        double loss;
        if (forms[f].retrieval == LITERAL)
            continue;
        trial_new(&trial, 1, &len);
        trial.end_state = true;
        trial_alone(&trial);
        CK_OK(open_form(&forms[f]));
        CK_OK(rig_plan(&rig, 1, len, 1, 1, len));
        CK_OK(run(&rig, &trial, true, &loss));
        result_keep(&one, &rig, &trial);
        for (int cut = 1; cut <= len; cut++) {
            trial.n_calls = 2;
            trial.calls[0] = (struct call){1, cut, 1, {{0, 0, cut, 0, 0}}};
            trial.calls[1] = (struct call){1, len - cut, 1, {{0, cut, len - cut, 0, 0}}};
            if (cut == len) { /* token by token, each between padding */
                trial.n_calls = len;
                for (int i = 0; i < len; i++)
                    trial.calls[i] = (struct call){1, 3, 1, {{0, i, 1, 0, i % 3}}};
            }
            CK_OK(run(&rig, &trial, true, &loss));
            result_keep(&two, &rig, &trial);
            check_same(forms[f].name, &rig, &two, &one, TIGHT);
            CK_OK(run_forward(&rig, &trial, false)); /* in place */
            check_close(forms[f].name, "y in place", trial.y[0], one.t.y[0], (size_t)len * DIM, TIGHT);
        }
        rig_close(&rig);
    }
}

static void packing__equals_every_document_alone(void)
{
    NEED_PLUGINS;
    for (int f = 0; f < N_FORMS; f++) {
        double loss;
        packed(&trial);
        CK_OK(open_form(&forms[f]));
        CK_OK(rig_plan(&rig, 2, 18, 3, 3, 18));
        CK_OK(run(&rig, &trial, true, &loss));
        result_keep(&one, &rig, &trial);
        trial_alone(&trial);
        CK_OK(run(&rig, &trial, true, &loss));
        result_keep(&two, &rig, &trial);
        check_same(forms[f].name, &rig, &two, &one, TIGHT);
        rig_close(&rig);
    }
}

/* Streams at different phases, dropping out and coming back, in rows that change. */
static void streaming__works_for_streams_side_by_side(void)
{
    NEED_PLUGINS;
    for (int f = 0; f < N_FORMS; f++) {
        double loss;
        if (forms[f].retrieval == LITERAL)
            continue;
        trial_new(&trial, 3, (const int[]){11, 7, 5});
        trial.end_state = true;
        trial_alone(&trial);
        CK_OK(open_form(&forms[f]));
        CK_OK(rig_plan(&rig, 3, 11, 3, 3, 11));
        CK_OK(run(&rig, &trial, true, &loss));
        result_keep(&one, &rig, &trial);
        trial.n_calls = 4;
        trial.calls[0] = (struct call){2, 7, 3, {{0, 0, 3, 0, 0}, {1, 0, 4, 0, 3}, {2, 0, 1, 1, 6}}};
        trial.calls[1] = (struct call){1, 6, 1, {{0, 3, 6, 0, 0}}};
        trial.calls[2] = (struct call){3, 4, 3, {{2, 1, 4, 0, 0}, {0, 9, 1, 1, 1}, {1, 4, 2, 2, 2}}};
        trial.calls[3] = (struct call){1, 3, 2, {{1, 6, 1, 0, 2}, {0, 10, 1, 0, 0}}};
        CK_OK(run(&rig, &trial, true, &loss));
        result_keep(&two, &rig, &trial);
        check_same(forms[f].name, &rig, &two, &one, TIGHT);
        rig_close(&rig);
    }
}

/* Whole rows that go to whole states: in the order of both, or of neither. */
static void rows__and_states_may_be_in_any_order(void)
{
    static const struct call orders[] = {
        {3, 6, 3, {{0, 0, 6, 0, 0}, {1, 0, 6, 1, 0}, {2, 0, 6, 2, 0}}}, /* states and rows go up */
        {3, 6, 3, {{0, 0, 6, 2, 0}, {1, 0, 6, 0, 0}, {2, 0, 6, 1, 0}}}, /* states alone          */
        {3, 6, 3, {{2, 0, 6, 0, 0}, {0, 0, 6, 1, 0}, {1, 0, 6, 2, 0}}}, /* rows alone            */
        {3, 6, 3, {{2, 0, 6, 2, 0}, {1, 0, 6, 1, 0}, {0, 0, 6, 0, 0}}}, /* both go down          */
    };

    NEED_PLUGINS;
    for (int f = 0; f < N_FORMS; f++) {
        double loss;
        CK_OK(open_form(&forms[f]));
        CK_OK(rig_plan(&rig, 3, 6, 3, 3, 6));
        for (size_t i = 0; i < sizeof orders / sizeof *orders; i++) {
            trial_new(&trial, 3, (const int[]){6, 6, 6});
            trial.end_state = true;
            trial_alone(&trial);
            CK_OK(run(&rig, &trial, true, &loss));
            result_keep(&one, &rig, &trial);
            trial.n_calls = 1;
            trial.calls[0] = orders[i];
            CK_OK(run(&rig, &trial, true, &loss));
            result_keep(&two, &rig, &trial);
            check_same(forms[f].name, &rig, &two, &one, TIGHT);
        }
        rig_close(&rig);
    }
}

static void forward__without_saving_gives_the_same(void)
{
    NEED_PLUGINS;
    for (int f = 0; f < N_FORMS; f++) {
        packed(&trial);
        CK_OK(open_form(&forms[f]));
        CK_OK(rig_plan(&rig, 2, 18, 3, 3, 18));
        CK_OK(run_forward(&rig, &trial, true));
        result_keep(&one, &rig, &trial);
        CK_OK(rig_plan_for(&rig, 2, 18, 3, 3, 18, 0));
        memset(rig.state[0], 0xff, rig.state_bytes); /* reset() must make it good */
        CK_OK(run_forward(&rig, &trial, false));
        for (int d = 0; d < trial.n_docs; d++)
            check_close(forms[f].name, "y", trial.y[d], one.t.y[d], (size_t)trial.len[d] * DIM, 1e-14);
        rig_close(&rig);
    }
}

static void documents__do_not_see_each_other(void)
{
    NEED_PLUGINS;
    for (int f = 0; f < N_FORMS; f++) {
        double loss;
        packed(&trial);
        CK_OK(open_form(&forms[f]));
        CK_OK(rig_plan(&rig, 2, 18, 3, 3, 18));
        CK_OK(run(&rig, &trial, true, &loss));
        result_keep(&one, &rig, &trial);
        for (int i = 0; i < trial.len[0] * DIM; i++)
            trial.x[0][i] *= -2;
        CK_OK(run(&rig, &trial, true, &loss));
        for (int d = 1; d < trial.n_docs; d++) {
            CK_TRUE(!memcmp(trial.y[d], one.t.y[d], (size_t)trial.len[d] * TOKEN), "%s: y of document %d",
                    forms[f].name, d);
            CK_TRUE(!memcmp(trial.dx[d], one.t.dx[d], (size_t)trial.len[d] * TOKEN), "%s: dx of document %d",
                    forms[f].name, d);
        }
        CK_TRUE(memcmp(trial.y[0], one.t.y[0], sizeof trial.y[0]) != 0, "%s: nothing changed", forms[f].name);
        rig_close(&rig);
    }
}

/* What lies in padding must not reach anything; plain and mac promise it for numbers that are none. */
static void padding__may_hold_anything(void)
{
    static const int which[] = {0, 1, 10, 13, 15, 18, 19, 21, 22, 24};

    NEED_PLUGINS;
    for (size_t i = 0; i < sizeof which / sizeof *which; i++) {
        const struct form *f = &forms[which[i]];
        double loss;
        packed(&trial);
        CK_OK(open_form(f));
        CK_OK(rig_plan(&rig, 2, 18, 3, 3, 18));
        CK_OK(run(&rig, &trial, true, &loss));
        result_keep(&one, &rig, &trial);
        trial.rubbish = NAN;
        CK_OK(run(&rig, &trial, true, &loss));
        result_keep(&two, &rig, &trial);
        check_same(f->name, &rig, &two, &one, 0);
        rig_close(&rig);
    }
}

static void threads__do_not_change_a_bit(void)
{
    NEED_PLUGINS;
    for (int f = 0; f < N_FORMS; f++) {
        char settings[1024];
        struct form other = forms[f];
        double loss;
        for (int threads = 1; threads <= 3; threads += 2) {
            snprintf(settings, sizeof settings, "%s run.threads=%d", forms[f].settings, threads);
            other.settings = settings;
            packed(&trial);
            CK_OK(open_form(&other));
            CK_OK(rig_plan(&rig, 2, 18, 3, 3, 18));
            CK_OK(run(&rig, &trial, true, &loss));
            result_keep(threads == 1 ? &one : &two, &rig, &trial);
            if (threads > 1)
                check_same(forms[f].name, &rig, &two, &one, 0);
            rig_close(&rig);
        }
    }
}

/* ---- equivalences ------------------------------------------------------------------------------------------------ */

static void memory_none__is_the_plain_block_bit_for_bit(void)
{
    static const char *const backends[] = {"mac", "mag", "mal"};
    char settings[512];
    double loss;

    NEED_PLUGINS;
    for (int p = 0; p <= 2; p += 2) {
        packed(&trial);
        snprintf(settings, sizeof settings, SMALL "compose.backend=plain compose.plain.persistent_tok=%d", p);
        CK_OK(rig_make(&rig, "compose", settings, 0));
        rig.persistent = p;
        CK_OK(rig_plan(&rig, 2, 18, 3, 3, 18));
        CK_OK(run(&rig, &trial, true, &loss));
        result_keep(&one, &rig, &trial);
        rig_close(&rig);
        for (int i = 0; i < 3; i++) {
            snprintf(settings, sizeof settings, SMALL "compose.backend=%s compose.%s.persistent_tok=%d", backends[i],
                     backends[i], p);
            CK_OK(rig_make(&rig, "compose", settings, 0));
            rig.persistent = p;
            CK_OK(rig_plan(&rig, 2, 18, 3, 3, 18));
            CK_OK(run(&rig, &trial, true, &loss));
            result_keep(&two, &rig, &trial);
            CK_TRUE(two.n == one.n, "%s without memory has other weights than plain", backends[i]);
            check_same(backends[i], &rig, &two, &one, 0);
            rig_close(&rig);
        }
    }
}

/* A cache smaller than the text: a ring of the window and one piece, behind pinned persistent rows. */
static void window__streams_through_a_ring(void)
{
    static const char *const settings[] = {
        "compose.backend=plain mixer.mha.heads=2 mixer.mha.window_tok=4",
        SMALL EXACT MAG "compose.mag.persistent_tok=2 mixer.mha.window_tok=4",
        SMALL EXACT MAL "compose.mal.persistent_tok=2 mixer.mha.window_tok=4",
    };
    const int len = 23;

    NEED_PLUGINS;
    for (int f = 0; f < 3; f++) {
        trial_new(&trial, 1, &len);
        trial_alone(&trial);
        CK_OK(rig_make(&rig, "compose", settings[f], 0));
        CK_OK(rig_plan(&rig, 1, len, 1, 1, len));
        CK_OK(run_forward(&rig, &trial, true));
        result_keep(&one, &rig, &trial);
        CK_OK(rig_plan(&rig, 1, 5, 1, 1, len)); /* the ring: 3 + 5 rows */
        trial.n_calls = 0;
        for (int at = 0, n; at < len; at += n) {
            n = at % 5 + 1 < len - at ? at % 5 + 1 : len - at;
            trial.calls[trial.n_calls++] = (struct call){1, n, 1, {{0, at, n, 0, 0}}};
        }
        CK_OK(run_forward(&rig, &trial, false));
        check_close(settings[f], "y", trial.y[0], one.t.y[0], (size_t)len * DIM, 1e-12);
        rig_close(&rig);
    }
}

/* At position -1: also past a window. */
static void persistent_rows__are_seen_by_every_token(void)
{
    static const int which[] = {1, 3, 4, 7, 10, 18, 21, 24};

    NEED_PLUGINS;
    for (size_t i = 0; i < sizeof which / sizeof *which; i++) {
        const struct form *f = &forms[which[i]];
        char settings[1024];
        snprintf(settings, sizeof settings, "%s mixer.mha.window_tok=2", f->settings);
        packed(&trial);
        CK_OK(rig_make(&rig, "compose", settings, 0));
        CK_OK(rig_plan(&rig, 2, 18, 3, 3, 18));
        CK_OK(run_forward(&rig, &trial, true));
        result_keep(&one, &rig, &trial);
        weight("layer.0.compose.persistent")[0] += 1;
        CK_OK(run_forward(&rig, &trial, true));
        for (int d = 0; d < trial.n_docs; d++)
            for (int t = 0; t < trial.len[d]; t++)
                CK_TRUE(memcmp(&trial.y[d][t * DIM], &one.t.y[d][t * DIM], TOKEN) != 0,
                        "%s: token %d of document %d does not see the persistent rows", f->name, t, d);
        rig_close(&rig);
    }
}

/* Every read of the summary begins without a tail: over a memory that does not change, segments of equal tokens that know
 * no positions have equal outputs, but for what the convolution over y carries from the segment before. */
static void summary__reads_as_a_sequence_of_its_own(void)
{
    const int len = 12;
    double d;

    NEED_PLUGINS;
    trial_new(&trial, 1, &len);
    trial_alone(&trial);
    for (int i = 4 * DIM; i < len * DIM; i++)
        trial.x[0][i] = trial.x[0][i - 4 * DIM];
    CK_OK(rig_make(&rig, "compose",
                   SMALL EXACT MAC_BY(summary) "compose.mac.persistent_tok=2 mixer.mha.pos=none "
                   "memory.titans.forget=no memory.titans.momentum=no", 0));
    memset(weight("layer.0.memory.front.k.weight"), 0, DIM * DIM * sizeof(double)); /* writes do nothing */
    CK_OK(rig_plan(&rig, 1, len, 1, 1, len));
    CK_OK(run_forward(&rig, &trial, true));
    for (int segment = 1; segment < 3; segment++)
        for (int t = 2; t < 4; t++) { /* three taps: two tokens later nothing is left */
            d = ck_rms(&trial.y[0][(4 * segment + t) * DIM], &trial.y[0][t * DIM], DIM);
            CK_TRUE(d < 1e-14, "token %d of segment %d differs by %g from that of the first", t, segment, d);
        }
    rig_close(&rig);
}

/* The cache of a segment that is over is nobody's: whatever gradient stands there ends where the next one begins. */
static void mac__stops_the_gradient_of_the_old_segments_cache(void)
{
    static struct floats at;

    NEED_PLUGINS;
    trial_new(&trial, 1, (const int[]){3});
    trial.pos0[0] = 8;
    trial_alone(&trial);
    CK_OK(open_form(&forms[10]));
    CK_OK(rig_plan(&rig, 1, 3, 1, 1, 18));
    CK_OK(run_forward(&rig, &trial, true));
    at = (struct floats){.base = rig.grad, .grad_base = rig.grad};
    CK_OK(loci_node_each_state(rig.node, &rig.session, rig.grad, "s", collect_mix, &at, &ck_err));
    CK_TRUE(at.n > 0, "mac has no cache");
    for (int i = 0; i < at.n; i++)
        *at.grad[i] = 1;
    CK_OK(run_backward(&rig, &trial));
    for (int i = 0; i < at.n; i++)
        CK_TRUE(*at.grad[i] == 0, "number %d of the cache has gradient %g", i, *at.grad[i]);
    rig_close(&rig);
}

/* ---- refusals ---------------------------------------------------------------------------------------------------- */

static void lmm__refuses_to_be_without_a_memory(void)
{
    NEED_PLUGINS;
    CK_TRUE(rig_make(&rig, "compose", "compose.backend=lmm", 0) == LOCI_E_CONFIG, "it was accepted");
    CK_TRUE(strstr(ck_err.msg, "needs a memory") != NULL, "%s", ck_err.msg);
    rig_close(&rig);
}

static void call__refuses_more_than_was_planned(void)
{
    static const int which[] = {0, 4, 10};

    NEED_PLUGINS;
    for (int i = 0; i < 3; i++) {
        packed(&trial);
        CK_OK(open_form(&forms[which[i]]));
        CK_OK(rig_plan(&rig, 1, 6, 1, 3, 18));
        CK_TRUE(run_forward(&rig, &trial, true) == LOCI_E_ARG, "%s took it", forms[which[i]].name);
        CK_TRUE(strstr(ck_err.msg, "planned") != NULL, "%s", ck_err.msg);
        rig_close(&rig);
    }
}

#define TESTS(X) \
    X(gradients__match_central_differences) \
    X(gradients__reach_the_state_a_call_begins_with) \
    X(streaming__any_cut_gives_the_outputs_and_gradients_of_one_call) \
    X(streaming__works_for_streams_side_by_side) \
    X(rows__and_states_may_be_in_any_order) \
    X(packing__equals_every_document_alone) \
    X(forward__without_saving_gives_the_same) \
    X(documents__do_not_see_each_other) \
    X(padding__may_hold_anything) \
    X(threads__do_not_change_a_bit) \
    X(memory_none__is_the_plain_block_bit_for_bit) \
    X(window__streams_through_a_ring) \
    X(persistent_rows__are_seen_by_every_token) \
    X(summary__reads_as_a_sequence_of_its_own) \
    X(mac__stops_the_gradient_of_the_old_segments_cache) \
    X(lmm__refuses_to_be_without_a_memory) \
    X(call__refuses_more_than_was_planned)
CK_MAIN("layer", TESTS)
