/* SPDX-License-Identifier: Apache-2.0
 *
 * One more token of a text, again and again. The text grows by a token a sample; once it is an eighth longer than asked
 * for it begins anew, untimed.
 */
#include "core/bench/bench.h"
#include "core/infer/infer.h"
#include <string.h>

struct decoding {
    loci_stream *s;
    int32_t *text;
    int64_t T, slack;
};

static loci_status again(void *arg, loci_error *err)
{
    struct decoding *d = arg;

    if (loci_stream_tokens(d->s) > 0 && loci_stream_tokens(d->s) < d->T + d->slack)
        return LOCI_OK;
    loci_stream_reset(d->s);
    return loci_stream_prefill(d->s, d->text, d->T, NULL, err);
}

static loci_status call(void *arg, loci_error *err)
{
    struct decoding *d = arg;

    return loci_stream_feed(d->s, &d->text[loci_stream_tokens(d->s) % d->T], 1, NULL, err);
}

loci_status loci_bench_decode(loci_bench_row *out, loci_context *cx, int64_t T, const loci_bench_how *how,
                              loci_error *err)
{
    loci_status status = LOCI_OK;
    struct decoding d = {.T = T, .slack = T / 8 > 32 ? T / 8 : 32};
    loci_model *m = NULL;
    uint64_t weights;
    char why[512];

    memset(out, 0, sizeof *out);
    LOCI_TRY(loci_model_new(&m, cx, err));
    if (!loci_model_streams(m, why, sizeof why)) {
        status = loci_fail(err, LOCI_E_UNSUPPORTED, "%s", why);
        goto out;
    }
    LOCI_TRY(loci_model_alloc(m, false, (uint64_t)loci_conf_int(cx->conf, -1, "run", "seed"), err));
    d.text = loci_alloc((size_t)T * sizeof *d.text);
    if (!d.text) {
        status = loci_fail(err, LOCI_E_NOMEM, "out of memory for a text of %lld tokens", (long long)T);
        goto out;
    }
    for (int64_t i = 0; i < T; i++)
        d.text[i] = (int32_t)(((uint64_t)i * UINT64_C(0x9E3779B97F4A7C15) >> 33) % (uint64_t)m->vocab);
    LOCI_TRY(loci_stream_new(&d.s, m, T < 256 ? T : 256, 0, err));
    if (d.s->pass->session.capacity < T + d.slack) /* all of it now: no sample pays for growing */
        LOCI_TRY(loci_stream_replan(d.s, T + d.slack, false, err));
    snprintf(out->backend, sizeof out->backend, "%s", loci_node_id(m->layers[0].compose));
    LOCI_TRY(loci_bench_measure(&out->t, &(loci_bench_call){call, again, &d}, how, err));
    weights = m->weights.elements - (m->head == m->embed ? 0 : m->embed->elements);
    out->tokens = 1;
    out->state_bytes = (double)d.s->pass->state_bytes;
    out->bytes = (double)(weights * loci_dtype_bytes(m->dtype)) + out->state_bytes;
out:
    loci_stream_close(d.s);
    loci_free(d.text);
    loci_model_free(m);
    return status;
}
