/* SPDX-License-Identifier: Apache-2.0
 *
 * One component alone, measured: a trial opens and fills it, and hands over its bare call.
 *
 *  (1) A forward is planned without a backward to follow, as a model that only answers plans it; a backward finds what
 *      its forward saved, put back before every call.
 *  (2) A decode is one more token: of an attention one query before T keys, of a mixer with T - 1 rows in its cache, of
 * a memory a step, its state overwritten in place. A composition's children keep phases that only a stream knows:
 *      loci_bench_decode has one.
 */
#include "core/bench/bench.h"
#include "core/trial/trial.h"
#include <math.h>
#include <string.h>

struct around {
    loci_bench_row *row;
    const loci_bench_how *how;
    const char *stage;
};

static loci_status around(void *arg, const char *stage, const loci_trial_bare *bare, loci_error *err)
{
    const struct around *a = arg;
    const loci_bench_call c = {bare->call, bare->again, bare->self};

    return strcmp(stage, a->stage) ? bare->call(bare->self, err) : loci_bench_measure(&a->row->t, &c, a->how, err);
}

static loci_status check(const loci_trial *t, const char *kind, const loci_bench_size *z, loci_error *err)
{
    const char *id = loci_node_id(loci_trial_node(t));

    if (z->pass == LOCI_BENCH_BACKWARD && !(loci_node_caps(loci_trial_node(t)) & LOCI_CAP_BACKWARD))
        return loci_fail(err, LOCI_E_UNSUPPORTED, "%s/%s has no backward: leave that pass out", kind, id);
    if (z->pass == LOCI_BENCH_DECODE && !strcmp(kind, "compose"))
        return loci_fail(
            err, LOCI_E_UNSUPPORTED,
            "compose/%s alone does not decode, since its children's caches belong to a stream: `loci bench "
            "decode` times a model",
            id);
    return LOCI_OK;
}

/* T - 1 tokens were there before, and caches hold them. */
static void go_on(loci_trial *t, const loci_bench_size *z)
{
    for (int64_t b = 0; b < z->B; b++)
        loci_trial_length(t, b, 1, z->T - 1);
    for (uint32_t i = 0; i < loci_trial_n_ports(t); i++)
        if (loci_trial_port(t, i)->cache)
            loci_trial_port(t, i)->given = true;
}

loci_status loci_bench_component(loci_bench_row *out, loci_context *cx, const char *kind, bool layer,
                                 const loci_bench_size *z, const loci_bench_how *how, loci_error *err)
{
    loci_status status = LOCI_OK;
    const bool attention = !strcmp(kind, "attention"), decode = z->pass == LOCI_BENCH_DECODE;
    const int64_t left = z->window_tok > 0 ? z->window_tok - 1 : -1, right = z->full ? left : -1;
    const loci_attn_desc desc = {.struct_size = sizeof desc,
                                 .causal = !z->full,
                                 .scale = 1 / sqrt((double)z->D),
                                 .window_left = left,
                                 .window_right = right,
                                 .offset = decode ? z->T - 1 : 0};
    const loci_mask mask = {sizeof mask, !z->full, left, right};
    const loci_trial_size size = {.docs = z->B,
                                  .seq = decode ? 1 : z->T,
                                  .keys = attention ? z->T : 0,
                                  .dim = z->D,
                                  .heads = z->H,
                                  .k_heads = z->Hk,
                                  .v_heads = z->Hk,
                                  .dk = z->D,
                                  .dv = z->D,
                                  .capacity = z->T,
                                  .dtype = z->dtype,
                                  .desc = &desc,
                                  .mask = &mask};
    struct around a = {out, how, z->pass == LOCI_BENCH_BACKWARD ? "backward" : "forward"};
    loci_trial_how run = {.op = LOCI_OP_STEP, .around = around, .arg = &a};
    loci_trial *t = NULL;

    memset(out, 0, sizeof *out);
    LOCI_TRY(loci_trial_open(&t, cx, kind, layer ? LOCI_TRIAL_LAYER : LOCI_TRIAL_AS_IS, &size, err));
    snprintf(out->backend, sizeof out->backend, "%s", loci_node_id(loci_trial_node(t)));
    LOCI_TRY(check(t, kind, z, err));
    loci_trial_fill(t, 1);
    if (decode && !attention)
        go_on(t, z);
    run.back = z->pass == LOCI_BENCH_BACKWARD;
    run.inplace = decode && !attention;
    LOCI_TRY(loci_trial_run(t, &run, err));
    out->tokens = (double)z->B * (double)(decode ? 1 : z->T);
    out->flops = attention ? loci_bench_attention_flops(z) : loci_bench_node_flops(loci_trial_node(t), z);
    out->bytes = attention && decode ? loci_bench_decode_bytes(z) : 0;
out:
    loci_trial_free(t);
    return status;
}
