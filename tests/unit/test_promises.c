/* SPDX-License-Identifier: Apache-2.0
 *
 * What a component promises with its config, who is refused for it, and what a model says of itself.
 */
#include "core/model/model.h"
#include "tests/unit/layer.h"

#define STREAM (LOCI_CAP_BACKWARD | LOCI_CAP_STREAMING | LOCI_CAP_CAUSAL)
#define MHA "mixer.mha.heads=2 memory.heads=2 memory.backend=titans "

static uint64_t caps_of(const char *section, const char *settings)
{
    uint64_t caps = 0;
    const loci_status status = rig_make(&rig, section, settings, 0);

    CK_TRUE(status == LOCI_OK, "%s: %s", settings, ck_err.msg);
    if (status == LOCI_OK)
        caps = loci_node_caps(rig.node);
    rig_close(&rig);
    return caps;
}

static void config__narrows_what_a_class_promises(void)
{
    NEED_PLUGINS;
    CU_ASSERT(caps_of("mixer", "mixer.backend=sums") == STREAM);
    CU_ASSERT(caps_of("mixer", "mixer.backend=sums mixer.sums.backwards=yes") == LOCI_CAP_BACKWARD);
    CU_ASSERT(caps_of("compose", MHA "compose.backend=mac") == STREAM);
    CU_ASSERT(caps_of("compose", MHA "compose.backend=mac compose.mac.retrieval=summary") == STREAM);
    CU_ASSERT(caps_of("compose", MHA "compose.backend=mac compose.mac.retrieval=previous") == STREAM);
    CU_ASSERT(caps_of("compose", MHA "compose.backend=mac compose.mac.retrieval=literal") == LOCI_CAP_BACKWARD);
}

static void composition__keeps_no_more_than_its_mixer(void)
{
    NEED_PLUGINS;
    CU_ASSERT(caps_of("compose", "compose.backend=plain mixer.backend=sums") == STREAM);
    CU_ASSERT(caps_of("compose", "compose.backend=plain mixer.backend=sums mixer.sums.backwards=yes") ==
              LOCI_CAP_BACKWARD);
}

static void refused(const char *section, const char *settings, uint64_t caps, const char *const *says)
{
    CK_TRUE(rig_make(&rig, section, settings, caps) == LOCI_E_PLUGIN, "%s: it was accepted", settings);
    for (; *says; says++)
        CK_TRUE(strstr(ck_err.msg, *says) != NULL, "`%s` is not in: %s", *says, ck_err.msg);
    rig_close(&rig);
}

static void class__that_promises_more_than_its_caps_is_refused(void)
{
    NEED_PLUGINS;
    refused("mixer", "mixer.backend=boaster", 0, (const char *const[]){"mixer/boaster", "0xf", "0x7", NULL});
}

static void place__refuses_by_name_what_does_not_promise_enough(void)
{
    NEED_PLUGINS;
    refused("compose", "compose.backend=mac mixer.backend=sums memory.backend=titans", 0,
            (const char *const[]){"layer.0.mixer", "mixer/sums", "a context other than its input", NULL});
    refused("compose", "compose.backend=mag mixer.backend=sums mixer.sums.backwards=yes memory.backend=titans", 0,
            (const char *const[]){"mixer/sums", "streaming with this config", NULL});
    refused("compose", MHA "compose.backend=mac compose.mac.retrieval=literal", LOCI_CAP_CAUSAL,
            (const char *const[]){"compose/mac", "causality with this config", NULL});
    refused("compose", "compose.backend=plain mixer.backend=sums mixer.sums.backwards=yes", LOCI_CAP_CAUSAL,
            (const char *const[]){"compose/plain", "causality", NULL});
}

static void literal__refuses_to_go_on_inside_a_segment(void)
{
    NEED_PLUGINS;
    trial_new(&trial, 1, (const int[]){7});
    trial.n_calls = 2;
    trial.calls[0] = (struct call){1, 4, 1, {{0, 0, 4, 0, 0}}};
    trial.calls[1] = (struct call){1, 3, 1, {{0, 4, 3, 0, 0}}};
    CK_OK(rig_make(&rig, "compose", MHA "compose.backend=mac compose.mac.segment_tok=4 compose.mac.retrieval=literal",
                   0));
    CK_OK(rig_plan(&rig, 1, 7, 1, 1, 7));
    CK_OK(run_forward(&rig, &trial, true)); /* whole segments are no cut */
    trial.calls[0].p[0].len = 3;
    trial.calls[1] = (struct call){1, 4, 1, {{0, 3, 4, 0, 0}}};
    CK_TRUE(run_forward(&rig, &trial, true) == LOCI_E_UNSUPPORTED, "it was accepted");
    CK_TRUE(strstr(ck_err.msg, "token 3") && strstr(ck_err.msg, "segment of 4") && strstr(ck_err.msg, "strict"), "%s",
            ck_err.msg);
    rig_close(&rig);
}

/* ---- models ------------------------------------------------------------------------------------------------------ */

static bool causal(const char *const *settings)
{
    loci_conf *conf = NULL;
    loci_context *cx = NULL;
    loci_model *m = NULL;
    bool yes = false;
    loci_status status = loci_conf_new(&conf, &ck_err);

    for (; status == LOCI_OK && *settings; settings++)
        status = loci_conf_set(conf, *settings, "--set", &ck_err);
    if (status == LOCI_OK)
        status = loci_context_new(&cx, conf, plugin_path(), false, &ck_err);
    if (status == LOCI_OK)
        status = loci_model_new(&m, cx, &ck_err);
    CK_TRUE(status == LOCI_OK, "%s", ck_err.msg);
    if (status == LOCI_OK)
        yes = loci_model_causal(m);
    loci_model_free(m);
    loci_context_free(cx);
    loci_conf_free(conf);
    return yes;
}

static void model__is_causal_when_every_layer_is(void)
{
    NEED_PLUGINS;
    CU_ASSERT(causal((const char *const[]){"plugins.ownership=off", "model.layers=3", "compose.backend=mac",
                                           "memory.backend=titans", NULL}));
    CU_ASSERT(!causal((const char *const[]){"plugins.ownership=off", "model.layers=3", "compose.backend=mac",
                                            "memory.backend=titans", "layer.1.compose.mac.retrieval=literal", NULL}));
}

#define TESTS(X) \
    X(config__narrows_what_a_class_promises) \
    X(composition__keeps_no_more_than_its_mixer) \
    X(class__that_promises_more_than_its_caps_is_refused) \
    X(place__refuses_by_name_what_does_not_promise_enough) \
    X(literal__refuses_to_go_on_inside_a_segment) \
    X(model__is_causal_when_every_layer_is)
CK_MAIN("promises", TESTS)
