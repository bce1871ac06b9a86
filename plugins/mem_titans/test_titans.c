/* SPDX-License-Identifier: Apache-2.0
 *
 * mem_titans through the suite of memory rules, and what its class declares.
 */
#include "tests/unit/matrix.h"
#include "tests/unit/suite.h"

static const struct matrix plain = {0}, before = {.before = true, .c = 1.5}, frozen = {.frozen = 5},
                           frozen_before = {.frozen = 5, .before = true, .c = 1.5}, lasting = {.no_forget = true},
                           calm = {.no_momentum = true}, bare = {.no_forget = true, .no_momentum = true},
                           calm_frozen = {.no_momentum = true, .frozen = 3};

#define OWN .id = "titans", .formula = matrix_formula
#define GATES .forget = "alpha", .momentum = "eta", .top = {0.5, 0.95}
#define LINEAR "the rule is the recurrence itself"
#define STABLE "theta < (1 + eta)(2 - alpha) holds for every gate in range"
#define FROZEN "a frozen chunk is another rule, not the recurrence in chunks"
#define LATE "the errors of a chunk are taken at its start"

static const subject subjects[] = {
    {OWN, .name = "exact", .keys = {"chunk", "5", NULL}, .how = &plain, .chunk = 5, GATES, .calm = {0, -1, 0},
     .recurrence = {"mode", "sequential", NULL}, .storing = {0, 0, 1}, .why = {[NOT_DIVERGING] = STABLE}},
    {OWN, .name = "exact, before, c = 1.5", .how = &before, .chunk = 16, GATES, .calm = {0, -1, 0.6},
     .keys = {"read_order", "before_write", "loss_scale", "1.5", NULL}, .recurrence = {"mode", "sequential", NULL},
     .storing = {0, 0, 1 / 1.5}, .why = {[NOT_DIVERGING] = STABLE}},
    {OWN, .name = "sequential", .keys = {"mode", "sequential", NULL}, .how = &plain, GATES, .calm = {0, -1, 0},
     .storing = {0, 0, 1}, .why = {[NOT_CHUNKED] = LINEAR, [NOT_DIVERGING] = STABLE}},
    {OWN, .name = "sequential, before, c = 1.5", .how = &before, GATES, .calm = {0, -1, 0.6},
     .keys = {"mode", "sequential", "read_order", "before_write", "loss_scale", "1.5", NULL},
     .storing = {0, 0, 1 / 1.5}, .why = {[NOT_CHUNKED] = LINEAR, [NOT_DIVERGING] = STABLE}},
    {OWN, .name = "frozen", .keys = {"mode", "frozen", "chunk", "5", NULL}, .how = &frozen, .chunk = 5,
     .forget = "alpha", .momentum = "eta", .top = {0.5, 0.7, 0.3}, .calm = {0, -1, 0.2}, .diverging = {0, 0, 1},
     .why = {[NOT_CHUNKED] = FROZEN, [NOT_STORING] = LATE}},
    {OWN, .name = "frozen, before, c = 1.5", .how = &frozen_before, .chunk = 5,
     .keys = {"mode", "frozen", "chunk", "5", "read_order", "before_write", "loss_scale", "1.5", NULL},
     .forget = "alpha", .momentum = "eta", .top = {0.5, 0.7, 0.2}, .calm = {0, -1, 0.1}, .diverging = {0, 0, 1},
     .why = {[NOT_CHUNKED] = FROZEN, [NOT_STORING] = LATE}},
    {OWN, .name = "without forgetting", .keys = {"forget", "no", "chunk", "5", NULL}, .how = &lasting, .chunk = 5,
     .momentum = "eta", .top = {0.9}, .calm = {-1, 0}, .recurrence = {"mode", "sequential", NULL}, .storing = {0, 1},
     .why = {[NOT_FORGETTING] = "forget = no", [NOT_DIVERGING] = STABLE}},
    {OWN, .name = "without momentum", .keys = {"momentum", "no", "chunk", "5", NULL}, .how = &calm, .chunk = 5,
     .forget = "alpha", .top = {0.5}, .recurrence = {"mode", "sequential", NULL}, .storing = {0, 1},
     .why = {[NOT_MOMENTUM] = "momentum = no", [NOT_DIVERGING] = STABLE}},
    {OWN, .name = "without either", .keys = {"forget", "no", "momentum", "no", "chunk", "5", NULL}, .how = &bare,
     .chunk = 5, .recurrence = {"mode", "sequential", NULL}, .storing = {1},
     .why = {[NOT_FORGETTING] = "forget = no", [NOT_MOMENTUM] = "momentum = no", [NOT_DIVERGING] = STABLE}},
    {OWN, .name = "frozen without momentum", .keys = {"mode", "frozen", "momentum", "no", "chunk", "3", NULL},
     .how = &calm_frozen, .chunk = 3, .forget = "alpha", .top = {0.5, 0.5}, .diverging = {0, 1},
     .why = {[NOT_MOMENTUM] = "momentum = no", [NOT_CHUNKED] = FROZEN, [NOT_STORING] = LATE}},
    {OWN, .name = "learned start", .keys = {"init_state", "learned", "chunk", "5", NULL}, .how = &plain, .chunk = 5,
     GATES, .calm = {0, -1, 0}, .recurrence = {"mode", "sequential", NULL}, .storing = {0, 0, 1},
     .why = {[NOT_DIVERGING] = STABLE}},
};
SUITE_SUBJECTS(subjects)

/* ---- what the class declares ---- */

static void exact_and_sequential_have_the_same_slots_and_frozen_one_state_more(void)
{
    static const char *const modes[] = {"sequential", "exact", "frozen"};

    for (int mode = 0; mode < 3; mode++) {
        const char *const keys[] = {"mode", modes[mode], "init_state", "learned", "theta_max", "0.5", NULL};
        rule r;

        CK_OK(rule_open(&r, "titans", 32, 2, 8, 4, 1, keys));
        CU_ASSERT(r.n_weight == 1 && !strcmp(r.weight[0].name, "M0"));
        CU_ASSERT(r.weight[0].flags == LOCI_SLOT_NO_DECAY && r.weight[0].ndim == 3);
        CU_ASSERT(r.n_state == (mode == 2 ? 3 : 2));
        CU_ASSERT(!strcmp(r.state[0].name, "M") && !strcmp(r.state[1].name, "S"));
        CU_ASSERT(mode != 2 || !strcmp(r.state[2].name, "C"));
        CU_ASSERT(r.n_gate == 3 && !strcmp(r.gate[0].name, "alpha") && !strcmp(r.gate[1].name, "eta"));
        CU_ASSERT(!strcmp(r.gate[2].name, "theta") && r.gate[2].hi == 0.5 && r.gate[2].init == 0.1);
        rule_close(&r);
    }
}

static const void *only_ops(const loci_host *h, loci_device device, const char *id)
{
    return !strcmp(id, LOCI_EXT_SCAN) ? NULL : ck_host_get_ext(h, device, id);
}

static void fit_says_why_not(void)
{
    rule r;
    loci_shape shape;
    loci_config config;
    loci_fit f = {.struct_size = sizeof f};

    CK_OK(rule_open(&r, "titans", 32, 2, 8, 8, 1, NULL));
    config = rule_config(&r);
    shape = rule_shape(&r, 0, 0, 0, 0);
    CU_ASSERT(r.cls->fit(&r.h.host, &config, &shape, &f) == LOCI_OK && f.score == 100);
    shape.dtype = (loci_dtype){LOCI_BFLOAT, 16, 1};
    CU_ASSERT(r.cls->fit(&r.h.host, &config, &shape, &f) == LOCI_OK && f.score == 0 && strstr(f.reason, "float32"));
    shape.dtype = shape.acc;
    r.h.host.get_ext = only_ops;
    CU_ASSERT(r.cls->fit(&r.h.host, &config, &shape, &f) == LOCI_OK && f.score == 0 && strstr(f.reason, "loci.scan/1"));
    rule_close(&r);
}

#define TESTS(X) \
    SUITE(X) \
    X(exact_and_sequential_have_the_same_slots_and_frozen_one_state_more) \
    X(fit_says_why_not)

CK_MAIN("titans", TESTS)
