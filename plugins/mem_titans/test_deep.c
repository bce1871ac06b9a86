/* SPDX-License-Identifier: Apache-2.0
 *
 * The deep memory of mem_titans through the suite of memory rules: its two modes, with everything that can be chosen
 * chosen in one of them.
 */
#include "plugins/mem_titans/deep_formula.h"
#include "tests/unit/suite.h"

static const struct deep_how frozen = {.depth = 2, .expansion = 2, .frozen = 5},
                             all = {.depth = 3, .expansion = 2, .before = true, .residual = true, .gelu = true,
                                    .per_layer = true};

#define OWN .id = "titans", .formula = deep_formula, .forget = "alpha", .momentum = "eta"
#define APART "an MLP has no exact chunk form"
#define NOISE "told noise, its weights decay to 0 and stay there, or jump about; test_deep_more tells it what can be learned"
#define NETWORK "what an MLP is told it approaches, never holds exactly"

static const subject subjects[] = {
    {OWN, .name = "depth 2, frozen", .keys = {"theta_max", "1", "depth", "2", "expansion", "2", "chunk", "5", NULL}, .how = &frozen,
     .chunk = 5, .top = {0.01, 0.7, 0.25}, .scale = {0.4, 0.4, 0.1, 0.1, 0.4, 0.4}, .calm = {0, -1, 0.1},
     .diverging = {0, 0.9, 1}, .why = {[NOT_CHUNKED] = APART, [NOT_STORING] = NETWORK, [NOT_STEADY] = NOISE}},
    {OWN, .name = "depth 3, sequential, with everything", .how = &all, .square = true,
     .keys = {"mode", "sequential", "theta_max", "1", "depth", "3", "expansion", "2", "residual", "yes", "activation",
              "gelu", "gates",
              "per_layer", "read_order", "before_write", NULL},
     .top = {0.01, 0.7, 0.2}, .scale = {0.3, 0.3, 0.3, 0.1, 0.1, 0.1}, .calm = {0, -1, 0.1},
     .why = {[NOT_CHUNKED] = APART, [NOT_STORING] = NETWORK, [NOT_STEADY] = NOISE,
             [NOT_DIVERGING] = "how large a step may be depends on the weights"}},
};
SUITE_SUBJECTS(subjects)

CK_MAIN("deep", SUITE)
