/* SPDX-License-Identifier: Apache-2.0
 *
 * mix_gla against gla_ref.tmpl in both element types, its three modes against each other, and what it becomes when its
 * decay is nothing or the same everywhere. Gradients, streaming, packing and causality are tested with the compositions
 * in tests/unit/test_layer.c.
 */
#include "tests/unit/layer.h"

#define REAL double
#define NAME(f) f##_f64
#include "plugins/mix_gla/gla_ref.tmpl"
#undef REAL
#undef NAME
#define REAL float
#define NAME(f) f##_f32
#include "plugins/mix_gla/gla_ref.tmpl"
#undef REAL
#undef NAME

#define LEN 23
#define PATH "layer.0.compose."

struct form {
    const char *name, *settings;
    int H, dk, dv, rank, taps, norm, gate;
    double normalizer;
};
static const struct form forms[] = {
    {"as it comes", "mixer.gla.heads=2", 2, 2, 4, 16, 0, 1, 1, 16},
    {"fast forgetting, convolutions",
     "mixer.gla.heads=2 mixer.gla.chunk=5 mixer.gla.conv=3 mixer.gla.gate_normalizer=0.25", 2, 2, 4, 16, 3, 1, 1, 0.25},
    {"bare",
     "mixer.gla.heads=4 mixer.gla.out_gate=none mixer.gla.out_norm=no mixer.gla.expand_k=2 mixer.gla.gate_low_rank=3",
     4, 4, 2, 3, 0, 0, 0, 16},
    {"one head, wide",
     "mixer.gla.heads=1 mixer.gla.out_norm=no mixer.gla.expand_k=1 mixer.gla.expand_v=4 mixer.gla.conv=1", 1, 8, 32, 16,
     1, 0, 1, 16},
};
#define N_FORMS (int)(sizeof forms / sizeof *forms)
static const char *const names[] = {"q.weight",      "k.weight",      "v.weight",          "q_conv.weight",
                                    "k_conv.weight", "v_conv.weight", "decay.down.weight", "decay.up.weight",
                                    "decay.bias",    "norm.weight",   "out_gate.weight",   "o.weight"};

static loci_weight *found(const char *name)
{
    char full[80];

    snprintf(full, sizeof full, PATH "%s", name);
    return (loci_weight *)loci_weights_find(&rig.w, full);
}

/* A rig of the form, and a document of LEN tokens in `trial`. */
static loci_status open_form(const struct form *f, const char *more)
{
    char settings[512];
    loci_status status;

    snprintf(settings, sizeof settings, "mixer.backend=gla %s %s", f->settings, more);
    LOCI_TRY(rig_make(&rig, "mixer", settings, 0));
    LOCI_TRY(rig_plan(&rig, 1, LEN, 1, 1, LEN));
    trial_new(&trial, 1, (const int[]){LEN});
    trial_alone(&trial);
out:
    return status;
}

/* ---- the oracle -------------------------------------------------------------------------------------------------- */

static void oracle_f64(const struct form *f, double *y)
{
    gla_case_f64 a = {LEN,     DIM,     f->H,          f->dk, f->dv,           f->rank, f->taps,
                      f->norm, f->gate, f->normalizer, 1e-5,  .x = trial.x[0], .y = y};
    const double **const at[] = {&a.w[0], &a.w[1], &a.w[2], &a.conv[0], &a.conv[1], &a.conv[2],
                                 &a.down, &a.up,   &a.bias, &a.gain,    &a.wz,      &a.wo};

    for (int i = 0; i < 12; i++)
        if (found(names[i]))
            *at[i] = loci_ptr(&found(names[i])->value.t);
    gla_ref_f64(&a);
}

static float *narrow(const double *from, uint64_t n)
{
    float *to = malloc((size_t)n * sizeof *to);

    for (uint64_t i = 0; i < n; i++)
        to[i] = (float)from[i];
    return to;
}

static void oracle_f32(const struct form *f, float *y)
{
    gla_case_f32 a = {LEN,   DIM,   f->H, f->dk, f->dv, f->rank, f->taps, f->norm, f->gate, (float)f->normalizer,
                      1e-5f, .y = y};
    const float **const at[] = {&a.w[0], &a.w[1], &a.w[2], &a.conv[0], &a.conv[1], &a.conv[2],
                                &a.down, &a.up,   &a.bias, &a.gain,    &a.wz,      &a.wo};
    float *made[12] = {0}, *x = narrow(trial.x[0], LEN * DIM);

    for (int i = 0; i < 12; i++)
        if (found(names[i]))
            *at[i] = made[i] = narrow(loci_ptr(&found(names[i])->value.t), found(names[i])->elements);
    a.x = x;
    gla_ref_f32(&a);
    for (int i = 0; i < 12; i++)
        free(made[i]);
    free(x);
}

static void output__is_the_formulas(void)
{
    static double y[LEN * DIM];

    NEED_PLUGINS;
    for (int f = 0; f < N_FORMS; f++) {
        CK_OK(open_form(&forms[f], ""));
        CK_OK(run_forward(&rig, &trial, true));
        oracle_f64(&forms[f], y);
        check_close(forms[f].name, "y", trial.y[0], y, LEN * DIM, 1e-13);
        rig_close(&rig);
    }
}

/* The mixer of the open rig once more, in float32, with its weights: y of the trial. */
static loci_status run_f32(float *y)
{
    loci_session session = {1, LEN, 1, 1, LEN, 0}, none = {0};
    loci_need need = {.struct_size = sizeof need};
    loci_status status = LOCI_OK;
    loci_weights w = {0};
    loci_node *node = NULL;
    void *scratch = NULL, *host = NULL, *state = NULL;
    float *x = narrow(trial.x[0], LEN * DIM);
    const int64_t size[] = {1, LEN, DIM};
    loci_run one_run = {0, 0, LEN, 0, 0, 40};
    int32_t pos[LEN];
    loci_view vx, vy, vpos;
    loci_batch batch = {sizeof batch, 1, &one_run,
                        loci_view_set(&vpos, pos, (loci_device){LOCI_CPU, 0}, loci_i32, 2, size)};
    loci_io io = {.struct_size = sizeof io, .op = LOCI_OP_MIX, .q = &batch, .mask = &ck_causal};
    loci_shape shape;
    loci_exec exec;

    for (int i = 0; i < LEN; i++)
        pos[i] = i;
    loci_session_shape(&shape, &none, rig.cx, DIM, loci_f32);
    shape.session = NULL;
    LOCI_TRY(loci_node_new(&node, rig.cx, &w, "mixer", 0, 1, "layer.0.compose", &shape, 0, &ck_err));
    LOCI_TRY(loci_weights_alloc(&w, rig.cx, false, false, &ck_err));
    for (uint32_t i = 0; i < w.n; i++) {
        float *to = loci_ptr(&w.at[i]->value.t);
        const double *from = loci_ptr(&rig.w.at[i]->value.t);

        for (uint64_t j = 0; j < w.at[i]->elements; j++)
            to[j] = (float)from[j];
    }
    loci_session_shape(&shape, &session, rig.cx, DIM, loci_f32);
    LOCI_TRY(loci_node_need(node, &shape, LOCI_OP_MIX, &need, &ck_err));
    scratch = loci_alloc(need.scratch);
    host = loci_alloc(need.host);
    state = loci_alloc(loci_node_state_bytes(node, &session));
    loci_exec_init(&exec, rig.cx, &session, LOCI_X_STATE_INPLACE, 5, 3);
    exec.scratch = scratch;
    exec.scratch_bytes = need.scratch;
    exec.host_scratch = host;
    exec.host_bytes = need.host;
    io.x = loci_view_set(&vx, x, (loci_device){LOCI_CPU, 0}, loci_f32, 3, size);
    io.y = loci_view_set(&vy, y, (loci_device){LOCI_CPU, 0}, loci_f32, 3, size);
    io.state_in = io.state_out = state;
    LOCI_TRY(loci_node_reset(node, &exec, state, &batch, &ck_err));
    status = loci_node_forward(node, &exec, &io, &ck_err);
out:
    free(x);
    loci_free(scratch);
    loci_free(host);
    loci_free(state);
    loci_node_free(node);
    loci_weights_free(&w, rig.cx);
    return status;
}

/* In float32, at most twice the error of the formula in float32, plus four rounding errors. */
static void output__is_as_close_in_float32_as_the_formula(void)
{
    static const char *const modes[] = {"", "mixer.gla.mode=parallel", "mixer.gla.mode=sequential"};
    static double want[LEN * DIM], got[LEN * DIM], ref[LEN * DIM];
    static float y[LEN * DIM];

    NEED_PLUGINS;
    for (int f = 0; f < N_FORMS; f++)
        for (int m = 0; m < 3; m++) {
            double off, ref_off;

            CK_OK(open_form(&forms[f], modes[m]));
            oracle_f64(&forms[f], want);
            oracle_f32(&forms[f], y);
            for (int i = 0; i < LEN * DIM; i++)
                ref[i] = y[i];
            CK_OK(run_f32(y));
            for (int i = 0; i < LEN * DIM; i++)
                got[i] = y[i];
            off = ck_rms(got, want, LEN * DIM);
            ref_off = ck_rms(ref, want, LEN * DIM);
            CK_TRUE(off <= 2 * ref_off + 4 * 0x1p-24, "%s %s: %g, the formula in float32 %g", forms[f].name, modes[m],
                    off, ref_off);
            rig_close(&rig);
        }
}

/* ---- equivalences ------------------------------------------------------------------------------------------------ */

static void modes__are_one_function(void)
{
    static const char *const modes[] = {"mixer.gla.mode=sequential", "mixer.gla.mode=parallel", "mixer.gla.chunk=1",
                                        "mixer.gla.chunk=4",         "mixer.gla.chunk=16",      "mixer.gla.chunk=64"};

    NEED_PLUGINS;
    for (int f = 0; f < N_FORMS; f++)
        for (int m = 0; m < 6; m++) {
            double loss;

            CK_OK(open_form(&forms[f], modes[m]));
            packed(&trial);
            CK_OK(rig_plan(&rig, 2, 18, 3, 3, 18));
            CK_OK(run(&rig, &trial, true, &loss));
            result_keep(m ? &two : &one, &rig, &trial);
            if (m)
                check_same(modes[m], &rig, &two, &one, 1e-11);
            rig_close(&rig);
        }
}

/* y_t = Wo [ sum over j <= t of gamma_h^(t-j) (q_t.k_j) v_j / sqrt(dk) ], which is retention (Sun et al. 2023) without
 * its rotation, and linear attention where gamma is 1. */
static void retention(const struct form *f, const double *gamma, double *y)
{
    const double *wq = weight(PATH "q.weight"), *wk = weight(PATH "k.weight"), *wv = weight(PATH "v.weight"),
                 *wo = weight(PATH "o.weight");
    const int nk = f->H * f->dk, nv = f->H * f->dv;
    double *q = calloc(LEN * 64, sizeof *q), *k = calloc(LEN * 64, sizeof *k), *v = calloc(LEN * 64, sizeof *v), o[64];

    for (int t = 0; t < LEN; t++) {
        times_matrix_f64(q + t * nk, wq, trial.x[0] + t * DIM, nk, DIM);
        times_matrix_f64(k + t * nk, wk, trial.x[0] + t * DIM, nk, DIM);
        times_matrix_f64(v + t * nv, wv, trial.x[0] + t * DIM, nv, DIM);
    }
    for (int t = 0; t < LEN; t++) {
        for (int i = 0; i < nv; i++) {
            const int h = i / f->dv;

            o[i] = 0;
            for (int j = 0; j <= t; j++) {
                double score = 0;

                for (int c = 0; c < f->dk; c++)
                    score += q[t * nk + h * f->dk + c] * k[j * nk + h * f->dk + c];
                o[i] += pow(gamma[h], t - j) * score * v[j * nv + i] / sqrt(f->dk);
            }
        }
        times_matrix_f64(y + t * DIM, wo, o, DIM, nv);
    }
    free(q);
    free(k);
    free(v);
}

/* The bare form, its decay made by the bias alone. */
static void constant_decay(const double *logit, double most)
{
    const struct form *f = &forms[2];
    static double y[LEN * DIM];
    double gamma[4];

    for (int m = 0; m < 2; m++) {
        CK_OK(open_form(f, m ? "mixer.gla.mode=sequential" : "mixer.gla.chunk=7"));
        memset(weight(PATH "decay.up.weight"), 0, (size_t)(f->H * f->dk * f->rank) * sizeof(double));
        for (int h = 0; h < f->H; h++) {
            gamma[h] = pow(1 / (1 + exp(-logit[h])), 1 / f->normalizer);
            for (int c = 0; c < f->dk; c++)
                weight(PATH "decay.bias")[h * f->dk + c] = logit[h];
        }
        CK_OK(run_forward(&rig, &trial, true));
        retention(f, gamma, y);
        check_close(f->name, "y", trial.y[0], y, LEN * DIM, most);
        rig_close(&rig);
    }
}

static void equal_decays__are_retention(void)
{
    NEED_PLUGINS;
    constant_decay((const double[]){-3, 0, 2, 5}, 1e-13);
}

static void no_decay__is_linear_attention(void)
{
    NEED_PLUGINS;
    constant_decay((const double[]){800, 800, 800, 800}, 1e-13);
}

/* A logit of -1e4 forgets everything between one token and the next; nothing overflows on the way. */
static void total_decay__leaves_the_token_itself(void)
{
    NEED_PLUGINS;
    constant_decay((const double[]){-1e4, -1e4, 0, 800}, 1e-13);
}

/* ---- calls ------------------------------------------------------------------------------------------------------- */

static void padding__may_hold_anything(void)
{
    NEED_PLUGINS;
    for (int f = 0; f < N_FORMS; f++) {
        double loss;

        CK_OK(open_form(&forms[f], ""));
        CK_OK(rig_plan(&rig, 2, 18, 3, 3, 18));
        for (int bad = 0; bad < 2; bad++) {
            packed(&trial);
            trial.rubbish = bad ? NAN : 1e3;
            CK_OK(run(&rig, &trial, true, &loss));
            result_keep(bad ? &two : &one, &rig, &trial);
        }
        check_same(forms[f].name, &rig, &two, &one, 0);
        rig_close(&rig);
    }
}

/* The state is all a stream keeps: [H, dv, dk], whatever the length of the text. */
static void state__does_not_grow(void)
{
    loci_session s = {1, 1, 1, 1, 10, 0};
    uint64_t bytes;

    NEED_PLUGINS;
    CK_OK(open_form(&forms[0], ""));
    bytes = loci_node_state_bytes(rig.node, &s);
    CU_ASSERT(bytes >= 2 * 2 * 4 * sizeof(double));
    s.capacity = 100000;
    CU_ASSERT(loci_node_state_bytes(rig.node, &s) == bytes);
    rig_close(&rig);
}

static loci_status call_with(const loci_mask *mask, bool own_context)
{
    static struct tensors n;

    lay_out(&n, &rig, &trial, 0, LOCI_X_STATE_INPLACE);
    n.io.mask = mask;
    n.io.state_in = n.io.state_out = rig.state[0];
    n.io.ctx = own_context ? NULL : &n.vdx.t;
    loci_error_clear(&ck_err);
    return loci_node_forward(rig.node, &n.exec, &n.io, &ck_err);
}

static void call__refuses_what_a_recurrence_cannot_do(void)
{
    const loci_mask open = {sizeof open, 0, -1, -1}, window = {sizeof window, 1, 3, -1};

    NEED_PLUGINS;
    CK_OK(open_form(&forms[0], ""));
    CK_OK(call_with(&ck_causal, true));
    CK_TRUE(call_with(&open, true) == LOCI_E_ARG && strstr(ck_err.msg, "causal"), "%s", ck_err.msg);
    CK_TRUE(call_with(&window, true) == LOCI_E_ARG && strstr(ck_err.msg, "without a window"), "%s", ck_err.msg);
    CK_TRUE(call_with(&ck_causal, false) == LOCI_E_ARG && strstr(ck_err.msg, "takes no context"), "%s", ck_err.msg);
    rig_close(&rig);
}

static void create__refuses_what_cannot_be(void)
{
    static const struct {
        const char *settings, *says;
    } bad[] = {
        {"mixer.gla.heads=3", "dim = 8 times expand_k = 0.5 is 4, not a multiple of heads = 3"},
        {"mixer.gla.heads=2 mixer.gla.expand_k=0.3", "expand_k = 0.3"},
        {"mixer.gla.heads=2 mixer.gla.expand_v=0.125", "expand_v = 0.125 is 1"},
    };

    NEED_PLUGINS;
    for (int i = 0; i < 3; i++) {
        char settings[256];

        snprintf(settings, sizeof settings, "mixer.backend=gla %s", bad[i].settings);
        CK_TRUE(rig_make(&rig, "mixer", settings, 0) == LOCI_E_CONFIG, "%s was accepted", bad[i].settings);
        CK_TRUE(strstr(ck_err.msg, bad[i].says) != NULL, "%s: %s", bad[i].settings, ck_err.msg);
        rig_close(&rig);
    }
}

/* mac needs a mixer that takes the memory's rows as context. */
static void mac__says_why_it_cannot_have_it(void)
{
    NEED_PLUGINS;
    CK_TRUE(rig_make(&rig, "compose", "compose.backend=mac mixer.backend=gla memory.backend=titans memory.heads=2",
                     0) != LOCI_OK,
            "mac took a mixer without context");
    CK_TRUE(strstr(ck_err.msg, "gla") && strstr(ck_err.msg, "context"), "%s", ck_err.msg);
    rig_close(&rig);
}

#define TESTS(X) \
    X(output__is_the_formulas) \
    X(output__is_as_close_in_float32_as_the_formula) \
    X(modes__are_one_function) \
    X(equal_decays__are_retention) \
    X(no_decay__is_linear_attention) \
    X(total_decay__leaves_the_token_itself) \
    X(padding__may_hold_anything) \
    X(state__does_not_grow) \
    X(call__refuses_what_a_recurrence_cannot_do) \
    X(create__refuses_what_cannot_be) \
    X(mac__says_why_it_cannot_have_it)
CK_MAIN("gla", TESTS)
