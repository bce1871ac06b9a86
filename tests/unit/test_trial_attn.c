/* SPDX-License-Identifier: Apache-2.0
 *
 * Trials of attention: every field of the descriptor, tensors that lie oddly, and the narrower types.
 */
#include "tests/unit/trial_rig.h"

#define B 2
#define T 5
#define S 7
#define H 4
struct tensors {
    loci_view mask, bias, slopes, table, sink, lengths, q_seg, blocks;
    uint8_t mask_data[B * H * T * S];
    int32_t lengths_data[B], seg_data[B * S], blocks_data[B * 3];
};

/* Nothing; everything that a descriptor can hold but pages; pages; what every backend has. */
static void describe(loci_attn_desc *d, struct tensors *n, int which)
{
    const loci_device cpu = {LOCI_CPU, 0};

    memset(n, 0, sizeof *n);
    *d = (loci_attn_desc){.struct_size = sizeof *d, .scale = 0.4, .window_left = -1, .window_right = -1};
    if (which == 0)
        return;
    if (which == 1) {
        for (int i = 0; i < B * H * T * S; i++)
            n->mask_data[i] = i % 5 != 0;
        d->causal = 1;
        d->offset = S - T;
        d->window_left = 4;
        d->window_right = 0;
        d->prefix = 1;
        d->softcap = 5;
        d->max_distance = 8;
        d->mask = loci_view_set(&n->mask, n->mask_data, cpu, loci_u8, 4, (int64_t[]){B, H, T, S});
        d->bias = loci_view_set(&n->bias, NULL, cpu, loci_f64, 4, (int64_t[]){1, H, T, S});
        d->slopes = loci_view_set(&n->slopes, NULL, cpu, loci_f64, 1, (int64_t[]){H});
        d->table = loci_view_set(&n->table, NULL, cpu, loci_f64, 2, (int64_t[]){8, H});
        d->sink = loci_view_set(&n->sink, NULL, cpu, loci_f64, 1, (int64_t[]){H});
    }
    if (which == 3) {
        d->causal = 1;
        d->offset = S - T;
        d->window_left = 4;
    }
    for (int i = 0; i < B; i++)
        n->lengths_data[i] = S - 3 * i;
    for (int i = 0; i < 3 * B; i++)
        n->blocks_data[i] = (5 * i + 2) % 6;
    d->k_len = loci_view_set(&n->lengths, n->lengths_data, cpu, loci_i32, 1, (int64_t[]){B});
    if (which == 2) {
        d->block_tok = 3;
        d->block_table = loci_view_set(&n->blocks, n->blocks_data, cpu, loci_i32, 2, (int64_t[]){B, 3});
    }
}

static void attention__is_the_same_however_its_tensors_lie(void)
{
    static const char *const backends[] = {"ref", "cpu"};

    NEED_PLUGINS;
    for (int backend = 0; backend < 2; backend++)
        for (int which = 0; which < 4; which++) {
            struct subject s = {backends[backend], "attention", RULE, NULL, false};
            struct tensors tensors;
            struct results want;
            loci_attn_desc desc;
            loci_trial_size size = {.docs = B,
                                    .seq = T,
                                    .keys = S,
                                    .blocks = 6,
                                    .heads = H,
                                    .k_heads = 2,
                                    .v_heads = 2,
                                    .dk = 4,
                                    .dv = 3,
                                    .dtype = loci_f64,
                                    .desc = &desc};
            char set[64], what[64];
            struct rig r;
            snprintf(set, sizeof set, "attention.backend=%s", backends[backend]);
            describe(&desc, &tensors, which);
            if (rig_open(&r, "attention", RULE, set, &size) == LOCI_E_PLUGIN) {
                CK_TRUE(backend == 1 && (which == 1 || which == 2), "%s",
                        ck_err.msg); /* cpu lacks some of it, and says so */
                rig_close(&r);
                continue;
            }
            CK_OK(ck_err.code);
            loci_trial_fill(r.t, 3);
            snprintf(what, sizeof what, "descriptor %d", which);
            if (ran(&s, what, r.t, &(loci_trial_how){.back = true})) {
                results_keep(&want, r.t);
                ran(&s, what, r.t, &(loci_trial_how){.back = true, .harsh = true, .padded = true, .from = 0.5});
                results_same(s.name, "harsh, padded", r.t, &want, true, 1e-10);
                ran(&s, what, r.t, &(loci_trial_how){.back = true, .misalign = 8});
                results_same(s.name, "misaligned", r.t, &want, true, 1e-10);
                results_free(&want);
                check_gradients(&s, r.t);
            }
            rig_close(&r);
        }
}

/* float32 and bf16 pass through. */
static void narrower_types__are_rounded_only_by_the_component(void)
{
    const loci_dtype dtypes[] = {loci_f64, loci_f32, loci_bf16};
    const double most[] = {0, 1e-5, 1e-2};
    struct results want = {0};

    NEED_PLUGINS;
    for (int i = 0; i < 3; i++) {
        struct subject s = {loci_dtype_name(dtypes[i]), "attention", RULE, NULL, false};
        loci_trial_size size = {.docs = B,
                                .seq = T,
                                .keys = S,
                                .heads = H,
                                .k_heads = 2,
                                .v_heads = 2,
                                .dk = 4,
                                .dv = 3,
                                .dtype = dtypes[i]};
        struct rig r;
        CK_OK(rig_open(&r, "attention", RULE, "attention.backend=ref", &size));
        loci_trial_fill(r.t, 3);
        for (uint32_t k = 0; k < loci_trial_n_ports(r.t); k++) { /* all that bf16 can hold */
            loci_port *p = loci_trial_port(r.t, k);
            for (uint64_t j = 0; j < p->elements; j++) {
                p->value[j] = loci__round(loci_bf16, p->value[j]);
                p->grad[j] = loci__round(loci_bf16, p->grad[j]);
            }
        }
        ran(&s, "narrow", r.t, &(loci_trial_how){.back = true, .harsh = true});
        if (i == 0)
            results_keep(&want, r.t);
        results_same(s.name, "narrow", r.t, &want, true, most[i]);
        rig_close(&r);
    }
    results_free(&want);
}

#define TESTS(X) \
    X(attention__is_the_same_however_its_tensors_lie) \
    X(narrower_types__are_rounded_only_by_the_component)
CK_MAIN("trial of attention", TESTS)
