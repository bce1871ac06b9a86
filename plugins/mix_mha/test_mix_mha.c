/* SPDX-License-Identifier: Apache-2.0
 *
 * mix_mha by itself, through the real host: equivalences and refusals. Its gradients, streaming and packing are tested
 * with the compositions in tests/unit/test_layer.c.
 */
#include "tests/unit/layer.h"

static double *gradient(const char *name)
{
    const loci_weight *w = loci_weights_find(&rig.w, name);

    CK_TRUE(w != NULL, "no weight %s", name);
    return w ? loci_ptr(&w->grad.t) : NULL;
}

static void grouped_heads__equal_repeated_heads(void)
{
    enum { HEAD = DIM / 2 * DIM };
    static double kept[4][DIM * DIM], grads[2][HEAD];
    static const char *const names[] = {"layer.0.compose.q.weight", "layer.0.compose.o.weight",
                                        "layer.0.compose.k.weight", "layer.0.compose.v.weight"};
    double loss;

    NEED_PLUGINS;
    packed(&trial);
    trial.end_state = false;
    CK_OK(rig_make(&rig, "mixer", "mixer.mha.heads=2 mixer.mha.kv_heads=1", 0));
    CK_OK(rig_plan(&rig, 2, 18, 3, 3, 18));
    CK_OK(run(&rig, &trial, true, &loss));
    result_keep(&one, &rig, &trial);
    for (int i = 0; i < 4; i++)
        memcpy(kept[i], weight(names[i]), (i < 2 ? 2 : 1) * HEAD * sizeof(double));
    for (int i = 0; i < 2; i++)
        memcpy(grads[i], gradient(names[2 + i]), sizeof grads[i]);
    rig_close(&rig);

    CK_OK(rig_make(&rig, "mixer", "mixer.mha.heads=2", 0));
    CK_OK(rig_plan(&rig, 2, 18, 3, 3, 18));
    for (int i = 0; i < 4; i++)
        for (int h = 0; h < 2; h++)
            memcpy(weight(names[i]) + h * HEAD, kept[i] + (i < 2 ? h * HEAD : 0), HEAD * sizeof(double));
    CK_OK(run(&rig, &trial, true, &loss));
    for (int d = 0; d < trial.n_docs; d++) {
        check_close("mha", "y", trial.y[d], one.t.y[d], (size_t)trial.len[d] * DIM, 1e-13);
        check_close("mha", "dx", trial.dx[d], one.t.dx[d], (size_t)trial.len[d] * DIM, 1e-13);
    }
    for (int i = 0; i < 2; i++) {
        double *g = gradient(names[2 + i]);
        for (int j = 0; j < HEAD; j++)
            g[j] += g[j + HEAD];
        check_close("mha", "the heads' gradients together", g, grads[i], HEAD, 1e-12);
    }
    rig_close(&rig);
}

static void window__reaches_back_so_many_tokens_and_no_further(void)
{
    const int len = 14, window = 4;

    NEED_PLUGINS;
    for (int pos = 0; pos < 3; pos++) {
        char settings[128];
        snprintf(settings, sizeof settings, "mixer.mha.heads=2 mixer.mha.window_tok=%d mixer.mha.pos=%s", window,
                 pos == 0   ? "rope"
                 : pos == 1 ? "alibi"
                            : "none");
        trial_new(&trial, 1, &len);
        trial_alone(&trial);
        CK_OK(rig_make(&rig, "mixer", settings, 0));
        CK_OK(rig_plan(&rig, 1, len, 1, 1, len));
        CK_OK(run_forward(&rig, &trial, true));
        result_keep(&one, &rig, &trial);
        for (int t = 0; t < len; t++) {
            trial.x[0][t * DIM] += 1;
            CK_OK(run_forward(&rig, &trial, true));
            for (int i = 0; i < len; i++) {
                const bool same = !memcmp(&trial.y[0][i * DIM], &one.t.y[0][i * DIM], TOKEN);
                CK_TRUE(same == (i < t || i >= t + window), "token %d %s token %d", i, same ? "does not see" : "sees",
                        t);
            }
            memcpy(trial.x, one.t.x, sizeof trial.x);
        }
        rig_close(&rig);
    }
}

static void window__as_long_as_the_text_is_no_window(void)
{
    const int len = 9;
    double loss;

    NEED_PLUGINS;
    for (int w = 0; w < 2; w++) {
        trial_new(&trial, 1, &len);
        trial_alone(&trial);
        CK_OK(rig_make(&rig, "mixer", w ? "mixer.mha.heads=2 mixer.mha.window_tok=9" : "mixer.mha.heads=2", 0));
        CK_OK(rig_plan(&rig, 1, len, 1, 1, len));
        CK_OK(run(&rig, &trial, true, &loss));
        result_keep(w ? &two : &one, &rig, &trial);
        if (w)
            check_same("window", &rig, &two, &one, 0);
        rig_close(&rig);
    }
}

static void dropout__acts_in_training_only(void)
{
    NEED_PLUGINS;
    packed(&trial);
    CK_OK(rig_make(&rig, "mixer", "mixer.mha.heads=2", 0));
    CK_OK(rig_plan(&rig, 2, 18, 3, 3, 18));
    CK_OK(run_forward(&rig, &trial, true));
    result_keep(&one, &rig, &trial);
    rig_close(&rig);
    CK_OK(rig_make(&rig, "mixer", "mixer.mha.heads=2 mixer.mha.dropout=0.5", 0));
    CK_OK(rig_plan(&rig, 2, 18, 3, 3, 18));
    for (int eval = 0; eval < 2; eval++) {
        trial.eval = eval;
        CK_OK(run_forward(&rig, &trial, true));
        for (int d = 0; d < trial.n_docs; d++)
            CK_TRUE((memcmp(trial.y[d], one.t.y[d], (size_t)trial.len[d] * TOKEN) == 0) == eval, "document %d %s", d,
                    eval ? "in evaluation" : "in training");
    }
    rig_close(&rig);
}

static void create__refuses_what_cannot_be(void)
{
    static const struct {
        const char *settings, *says;
    } bad[] = {
        {"mixer.mha.heads=3", "heads = 3"},
        {"mixer.mha.heads=4 mixer.mha.kv_heads=3", "kv_heads = 3"},
        {"mixer.mha.heads=2 mixer.mha.rope_rot=6", "rope_rot = 6"},
        {"mixer.mha.heads=2 mixer.mha.dk=3", "even"},
    };

    NEED_PLUGINS;
    for (int i = 0; i < 4; i++) {
        const loci_status status = rig_make(&rig, "mixer", bad[i].settings, 0);
        CK_TRUE(status != LOCI_OK, "%s was accepted", bad[i].settings);
        CK_TRUE(strstr(ck_err.msg, bad[i].says) != NULL, "%s: %s", bad[i].settings, ck_err.msg);
        rig_close(&rig);
    }
}

#define TESTS(X) \
    X(grouped_heads__equal_repeated_heads) \
    X(window__reaches_back_so_many_tokens_and_no_further) \
    X(window__as_long_as_the_text_is_no_window) \
    X(dropout__acts_in_training_only) \
    X(create__refuses_what_cannot_be)
CK_MAIN("mha", TESTS)
