/* SPDX-License-Identifier: Apache-2.0
 *
 * mem_hebbian: linear attention as a memory (Katharopoulos et al. 2020; with forgetting: Sun et al. 2023, RetNet, whose
 * decay is constant, and Yang et al. 2024, GLA, whose decay is per channel):
 *
 *     S_t = eta_t S_{t-1} + theta_t v_t k_t'     M_t = (1 - alpha_t) M_{t-1} + S_t     y_t = scale M_t q_t
 *
 * Pairs are added and nothing is predicted: it is the delta rule whose error is -v_t. Without momentum, S_t is the new
 * pair alone. mem_matrix does the rest; tests/unit/matrix.h is the formula in plain loops.
 */
#include "../mem_matrix/matrix.h"

const char matrix_who[] = "memory/hebbian";

static const loci_key key_mode = MATRIX_KEY("mode", LOCI_KEY_ENUM, "exact", "exact|sequential", 0, 0,
                                            "exact: chunks, equal to the recurrence; sequential: token by token.");
static const loci_key key_momentum =
    MATRIX_KEY("momentum", LOCI_KEY_BOOL, "no", NULL, 0, 0, "Keep writing past pairs, with gate eta.");
static const loci_key key_step = MATRIX_KEY("step", LOCI_KEY_ENUM, "gate", "gate|one", 0, 0,
                                            "Weight of a pair: gate theta in (0, 1], or 1 for every token.");
static const loci_key *const keys[] = {&key_mode, &matrix_key_chunk,      &matrix_key_forget,     &key_momentum,
                                       &key_step, &matrix_key_read_order, &matrix_key_init_state, &matrix_key_q_scale};

static loci_status create(const loci_host *host, const loci_config *c, const loci_site *site, const loci_shape *shape,
                          loci_module **out, loci_error *err)
{
    (void)site;
    LOCI_RETURN_IF(matrix_create(host, c, shape, out, err));
    (*out)->scan.error = LOCI_SCAN_ERROR_NONE;
    if (c->get_int(c->ctx, "momentum"))
        (*out)->gate[MATRIX_ETA] = (struct matrix_gate){.hi = 1, .init = 0.5};
    if (matrix_is(c, "step", "gate"))
        (*out)->gate[MATRIX_THETA] = (struct matrix_gate){.hi = 1, .init = 0.5};
    return LOCI_OK;
}

static const loci_class hebbian = {
    .struct_size = sizeof(loci_class),
    .state_version = 1,
    .id = "hebbian",
    .kind = LOCI_KIND_MEMORY,
    .version = "1.0",
    .summary = "matrix memory that adds every pair: linear attention, with forgetting and momentum on request",
    .doc = "S = eta S + theta v k';  M = (1 - alpha) M + S;  y = scale M q\n"
           "Cost: 5 dk dv operations per token and head; executed in chunks of C, d = dk = dv, 4 d^2 + 2 C d.\n"
           "Source: Katharopoulos et al. 2020, Transformers are RNNs; Sun et al. 2023, Retentive Network.\n"
           "Use: the additive baseline: it cannot correct what it stored, and is the cheapest.",
    .caps = LOCI_CAP_BACKWARD | LOCI_CAP_STREAMING | LOCI_CAP_CAUSAL,
    .n_keys = sizeof keys / sizeof *keys,
    .keys = keys,
    .fit = matrix_fit,
    .create = create,
    .destroy = matrix_destroy,
    .declare = matrix_declare,
    .plan = matrix_plan,
    .iface = &matrix_iface,
};

static const loci_class *const classes[] = {&hebbian};

LOCI_EXPORT extern const loci_plugin loci_plugin_v1;
const loci_plugin loci_plugin_v1 = {LOCI_PLUGIN_HEAD, "mem_hebbian", "1.0", "Apache-2.0", 1, 0, classes};
LOCI_PLUGIN_NOTE("class=memory/hebbian\n");
