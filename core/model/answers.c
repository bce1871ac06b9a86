/* SPDX-License-Identifier: Apache-2.0
 *
 * What a model answers where it is asked: the most probable token.
 */
#include "core/model/pass.h"
#include <math.h>

/* The first of the greatest; NaN is never greater. */
static int32_t greatest(const void *row, int64_t n, bool wide)
{
    int32_t best = 0;
    double top = -INFINITY;

    for (int64_t i = 0; i < n; i++) {
        double v = wide ? ((const double *)row)[i] : (double)((const float *)row)[i];
        if (v > top) {
            top = v;
            best = (int32_t)i;
        }
    }
    return best;
}

void loci_pass_ask(loci_pass *p, int32_t *answers)
{
    p->answers = answers;
}

loci_status loci_head_answers(const loci_pass *p, const loci_exec *x, const void *logits, int64_t at, int64_t n,
                              loci_error *err)
{
    const loci_model *m = p->model;
    const uint64_t row = (uint64_t)m->vocab * loci_dtype_bytes(m->dtype);
    void *host = loci_alloc(row);
    loci_status status = LOCI_OK;

    if (!host)
        return loci_fail(err, LOCI_E_NOMEM, "out of memory for the answers");
    for (int64_t i = 0; i < n; i++) {
        p->answers[at + i] = -1;
        if (p->targets[at + i] < 0)
            continue;
        LOCI_TRY(m->cx->device_class->down(m->cx->device_module, x->stream, host,
                                           (const char *)logits + (uint64_t)i * row, row));
        p->answers[at + i] = greatest(host, m->vocab, m->dtype.bits == 64);
    }
out:
    loci_free(host);
    return status;
}
