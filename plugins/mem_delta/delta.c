/* SPDX-License-Identifier: Apache-2.0
 *
 * mem_delta: the delta rule (Schlag et al. 2021; Yang et al. 2024, DeltaNet) and the gated delta rule (Yang, Kautz,
 * Hatamizadeh 2025):
 *
 *     e_t = A_t k_t - v_t                            the error of what the memory says about k_t
 *     M_t = (1 - alpha_t) M_{t-1} - theta_t e_t k_t'  forget, then replace what is stored under k_t
 *     y_t = scale M_t q_t
 *
 * with A_t = (1 - alpha_t) M_{t-1}, the memory that has already forgotten (gated DeltaNet), or M_{t-1} (Titans without
 * momentum). Without forgetting the two are DeltaNet. mem_matrix does the rest; tests/unit/matrix.h is the formula in
 * plain loops.
 */
#include "../mem_matrix/matrix.h"

const char matrix_who[] = "memory/delta";

static const loci_key key_mode = MATRIX_KEY(
    "mode", LOCI_KEY_ENUM, "exact", "exact|frozen|sequential", 0, 0,
    "exact: chunks, equal to the recurrence; frozen: the error is taken at the chunk's start; sequential: token by "
    "token.");
static const loci_key key_order =
    MATRIX_KEY("decay_order", LOCI_KEY_ENUM, "error_on_decayed", "error_on_decayed|error_on_undecayed", 0, 0,
               "The memory an error is taken at: after forgetting (gated DeltaNet), or before (Titans).");
static const loci_key key_beta = MATRIX_KEY("beta_max", LOCI_KEY_REAL, "1", NULL, 1e-6, 2,
                                            "Largest step; above 1 a write can turn what is stored around (negative "
                                            "eigenvalues). Unit keys are stable up to 2.");
static const loci_key *const keys[] = {&key_mode, &matrix_key_chunk,      &matrix_key_forget,     &key_order,
                                       &key_beta, &matrix_key_read_order, &matrix_key_init_state, &matrix_key_q_scale};

static loci_status create(const loci_host *host, const loci_config *c, const loci_site *site, const loci_shape *shape,
                          loci_module **out, loci_error *err)
{
    const double beta_max = c->get_real(c->ctx, "beta_max");

    (void)site;
    LOCI_RETURN_IF(matrix_create(host, c, shape, out, err));
    (*out)->scan.error = matrix_is(c, "decay_order", "error_on_decayed") && (*out)->gate[MATRIX_ALPHA].hi > 0
                        ? LOCI_SCAN_ERROR_DECAYED
                        : LOCI_SCAN_ERROR_UNDECAYED; /* without forgetting the two are one, and this one is cheaper */
    (*out)->gate[MATRIX_THETA] = (struct matrix_gate){.hi = beta_max, .init = beta_max / 2};
    return LOCI_OK;
}

static const loci_class delta = {
    .struct_size = sizeof(loci_class),
    .state_version = 1,
    .id = "delta",
    .kind = LOCI_KIND_MEMORY,
    .version = "1.0",
    .summary = "matrix memory whose writes replace what is stored under a key: (gated) delta rule",
    .doc =
        "e = A k - v;  M = (1 - alpha) M - theta e k';  y = scale M q;  A = (1 - alpha) M or M\n"
        "Cost: 7 dk dv operations per token and head; executed in exact chunks of C, d = dk = dv, 6 d^2 + 4 C d.\n"
        "Source: Yang et al. 2024, Parallelizing Linear Transformers with the Delta Rule; Yang, Kautz, Hatamizadeh 2025, Gated "
        "Delta Networks.\n"
        "Use: where keys are written again and the last value counts; titans without momentum, at half the state.",
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

static const loci_class *const classes[] = {&delta};

LOCI_EXPORT extern const loci_plugin loci_plugin_v1;
const loci_plugin loci_plugin_v1 = {LOCI_PLUGIN_HEAD, "mem_delta", "1.0", "Apache-2.0", 1, 0, classes};
LOCI_PLUGIN_NOTE("class=memory/delta\n");
