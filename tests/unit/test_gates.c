/* SPDX-License-Identifier: Apache-2.0
 *
 * Gates of several numbers per head, in the front end of memories: their projections, biases, and what is refused. That
 * their gradients are right is tested with all others, in test_layer.
 */
#include "core/model/node_impl.h"
#include "tests/unit/layer_forms.h"

static loci_node *memory_of(loci_node *n)
{
    for (uint32_t i = 0; i < n->n_children; i++)
        if (n->children[i] && n->children[i]->kind == LOCI_IS_MEMORY)
            return n->children[i];
    return NULL;
}

static const loci_weight *ending(const char *with)
{
    for (uint32_t i = 0; i < rig.w.n; i++) {
        const size_t n = strlen(rig.w.at[i]->name), m = strlen(with);

        if (n > m && !strcmp(rig.w.at[i]->name + n - m, with))
            return rig.w.at[i];
    }
    return NULL;
}

/* Two heads of two layers: four rows, four biases, tensors of [B,T,2,2]. */
static void gates__have_a_row_and_a_bias_for_every_number(void)
{
    const loci_weight *w, *b;
    const loci_node *m;

    NEED_PLUGINS;
    CK_OK(rig_make(&rig, "compose", SMALL PER_LAYER "compose.backend=lmm", 0));
    m = memory_of(rig.node);
    CU_ASSERT_FATAL(m != NULL && m->n_gates == 3);
    for (int i = 0; i < 3; i++)
        CU_ASSERT(m->gates[i].width == 2);
    w = ending("front.gate.eta.weight");
    b = ending("front.gate.eta.bias");
    CU_ASSERT_FATAL(w && b);
    CU_ASSERT(w->value.t.shape[0] == 4 && w->value.t.shape[1] == DIM && b->elements == 4);
    rig_close(&rig);
    CK_OK(rig_make(&rig, "compose", SMALL DEEP "compose.backend=lmm", 0)); /* and one for each head otherwise */
    b = ending("front.gate.eta.bias");
    CU_ASSERT(b && b->elements == 2 && memory_of(rig.node)->gates[0].width == 1);
    rig_close(&rig);
}

/* What is added to the biases is the same in both, so their difference is that of the values asked for. */
static void gate_bias__sets_all_numbers_of_a_gate(void)
{
    static const char *const bias[] = {"theta=0.02", "theta=0.06"};
    double got[2][4] = {{0}}, eta[2][4] = {{0}}; /* eta is not named and stays */

    NEED_PLUGINS;
    for (int i = 0; i < 2; i++) {
        char text[512];

        snprintf(text, sizeof text, "%smemory.gate_bias=%s compose.backend=lmm", SMALL PER_LAYER, bias[i]);
        CK_OK(rig_make(&rig, "compose", text, 0));
        CU_ASSERT_FATAL(ending("gate.theta.bias") && ending("gate.theta.bias")->elements == 4);
        memcpy(got[i], loci_ptr(&ending("gate.theta.bias")->value.t), sizeof got[i]);
        memcpy(eta[i], loci_ptr(&ending("gate.eta.bias")->value.t), sizeof eta[i]);
        rig_close(&rig);
    }
    for (int j = 0; j < 4; j++) { /* theta_max is 0.1 */
        CU_ASSERT(fabs(got[1][j] - got[0][j] - (log(0.6 / 0.4) - log(0.2 / 0.8))) < 1e-12);
        CU_ASSERT(eta[0][j] == eta[1][j]);
    }
}

static void declare_gate__refuses_widths_that_are_none(void)
{
    static const int64_t widths[] = {-1, LOCI_MAX_GATE_WIDTH + 1};

    NEED_PLUGINS;
    CK_OK(rig_make(&rig, "compose", SMALL EXACT "compose.backend=lmm", 0));
    for (int i = 0; i < 2; i++) {
        const loci_gate gate = {.struct_size = sizeof gate, .name = "wide", .hi = 1, .init = 0.5, .width = widths[i]};
        loci_node *m = memory_of(rig.node);
        const uint32_t had = m->n_gates;

        CU_ASSERT(loci_host_declare_gate(NULL, m, &gate, NULL) == LOCI_E_PLUGIN && m->n_gates == had);
        CK_TRUE(strstr(rig.cx->declare_error.msg, "1 to 65536 numbers per head, unlike `wide`") != NULL, "%s",
                rig.cx->declare_error.msg);
        loci_error_clear(&rig.cx->declare_error);
    }
    rig_close(&rig);
}

/* A plugin that was compiled before gates had widths has one number per head. */
static void declare_gate__reads_no_width_beyond_the_struct(void)
{
    const loci_gate gate = {.struct_size = offsetof(loci_gate, width), .name = "old", .hi = 1, .init = 0.5, .width = 7};
    uint32_t at = 99;

    NEED_PLUGINS;
    CK_OK(rig_make(&rig, "compose", SMALL EXACT "compose.backend=lmm", 0));
    CU_ASSERT(loci_host_declare_gate(NULL, memory_of(rig.node), &gate, &at) == LOCI_OK);
    CU_ASSERT_FATAL(at < memory_of(rig.node)->n_gates);
    CU_ASSERT(memory_of(rig.node)->gates[at].width == 1);
    rig_close(&rig);
}

#define TESTS(X) \
    X(gates__have_a_row_and_a_bias_for_every_number) \
    X(gate_bias__sets_all_numbers_of_a_gate) \
    X(declare_gate__refuses_widths_that_are_none) \
    X(declare_gate__reads_no_width_beyond_the_struct)
CK_MAIN("gates", TESTS)
