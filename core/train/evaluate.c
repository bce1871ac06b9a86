/* SPDX-License-Identifier: Apache-2.0
 *
 * Evaluation: the mean loss over the windows of the validation text, and the size of a stream's state.
 */
#include "core/train/train.h"

loci_status loci_evaluate(double *loss, int64_t *tokens, const loci_data *d, loci_pass *pass, int64_t want_tokens,
                          volatile sig_atomic_t *stop, loci_error *err)
{
    loci_status status = LOCI_OK;
    int64_t rows = pass->session.rows, seq = pass->session.seq, n = loci_data_windows(d, want_tokens, seq);
    int32_t *in = loci_alloc((size_t)(rows * seq) * sizeof *in), *next = loci_alloc((size_t)(rows * seq) * sizeof *next);
    double sum = 0, one;
    int64_t count;

    *tokens = 0;
    if (!in || !next) {
        status = loci_fail(err, LOCI_E_NOMEM, "out of memory for an evaluation batch");
        goto out;
    }
    for (int64_t i = 0; i < n && !(stop && *stop); i += rows) {
        for (int64_t r = 0; r < rows; r++)
            for (int64_t t = 0; i + r >= n && t < seq; t++) { /* a row too many: no targets */
                in[r * seq + t] = 0;
                next[r * seq + t] = -1;
            }
        for (int64_t r = 0; r < rows && i + r < n; r++)
            loci_data_window(d, i + r, n, seq, in + r * seq, next + r * seq);
        LOCI_TRY(loci_pass_forward(pass, in, next, NULL, 0, 0, 0, 0, &one, &count, NULL, err));
        sum += one;
        *tokens += count;
    }
    if (stop && *stop) {
        status = loci_fail(err, LOCI_E_STOPPED, "the evaluation was interrupted: there is no result");
        goto out;
    }
    *loss = *tokens ? sum / (double)*tokens : 0;
out:
    loci_free(in);
    loci_free(next);
    return status;
}

loci_status loci_stream_bytes(uint64_t *out, loci_model *m, int64_t capacity, loci_error *err)
{
    loci_pass *p = NULL;
    loci_status status = loci_pass_new(&p, m, 1, 1, 1, 1, capacity, 0, err);

    *out = status == LOCI_OK ? p->state_bytes : 0;
    loci_pass_free(p);
    return status;
}
