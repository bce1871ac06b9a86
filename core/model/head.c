/* SPDX-License-Identifier: Apache-2.0
 *
 * The head: logits = n W', losses, and in a step of training its backward at once.
 *
 * (1) A large vocabulary makes logits the largest tensor of a step: 1024 tokens of 50257 are 206 MB. Where only
 * losses are wanted they exist for loci_head_rows tokens at a time; with SAVE xent overwrites them with their gradient,
 * from which d(n) and the gradient of W follow before the next tokens come. (2) The pieces follow from sizes alone, so the bits do not depend on the
 * number of threads.
 */
#include "core/model/pass.h"

static const loci_device host_memory = {LOCI_CPU, 0};

static loci_status losses_of(const loci_pass *p, const loci_exec *x, void *logits, void *loss, int64_t at, int64_t n,
                             double scale, loci_error *err)
{
    const loci_model *m = p->model;
    const bool save = (p->session.flags & LOCI_X_SAVE) != 0;
    loci_view vl, vg, vt;

    loci_view4(&vg, x, m->dtype, logits, n, m->vocab, -1, -1);
    return m->cx->ops->xent(
        x, loci_view4(&vl, x, m->dtype, loss, n, -1, -1, -1), save ? &vg.t : NULL, &vg.t,
        loci_view_set(&vt, (void *)(uintptr_t)(p->targets + at), host_memory, loci_i32, 1, (int64_t[]){n}), scale, err);
}

loci_status loci_head_forward(loci_pass *p, const loci_exec *x, const struct top_pieces *t,
                              const struct scratch_pieces *s, double scale, loci_error *err)
{
    loci_status status = LOCI_OK;
    const loci_model *m = p->model;
    const bool save = (p->session.flags & LOCI_X_SAVE) != 0;
    const uint64_t size = loci_dtype_bytes(m->dtype);
    const int64_t all = tokens_of(p), rows = loci_head_rows(p);

    if ((save || p->losses_alone) && !p->targets)
        return loci_fail(err, LOCI_E_ARG, "a pass that keeps activations for a backward, or no logits, needs targets");
    for (int64_t at = 0; at < all; at += rows) {
        const int64_t n = all - at < rows ? all - at : rows;
        const uint64_t wide = (uint64_t)(at * m->dim) * size;
        const void *in = (const char *)s->n + wide;
        LOCI_TRY(loci_linear(x, m->dtype, t->logits, in, m->head, n, 0, err));
        if (p->targets)
            LOCI_TRY(losses_of(p, x, t->logits, (char *)s->loss + (uint64_t)at * size, at, n, scale, err));
        if (p->targets && p->answers)
            LOCI_TRY(loci_head_answers(p, x, t->logits, at, n, err));
        if (save)
            LOCI_TRY(loci_linear_back(x, m->dtype, (char *)t->dn + wide, in, m->head, t->logits, n, 0, err));
    }
out:
    return status;
}

loci_status loci_head_losses(const loci_pass *p, const loci_exec *x, const void *row_loss, double *loss, int64_t *count,
                             double *token_loss)
{
    loci_status status = LOCI_OK;
    const loci_model *m = p->model;
    char piece[4096];
    int64_t n = tokens_of(p), size = (int64_t)loci_dtype_bytes(m->dtype), per = (int64_t)sizeof piece / size;

    *loss = 0;
    *count = 0;
    for (int64_t i = 0; i < n; i += per) {
        int64_t some = n - i < per ? n - i : per;
        LOCI_TRY(m->cx->device_class->down(m->cx->device_module, x->stream, piece, (const char *)row_loss + i * size,
                                           (uint64_t)(some * size)));
        for (int64_t j = 0; j < some; j++) {
            double v = size == 8 ? ((double *)(void *)piece)[j] : (double)((float *)(void *)piece)[j];
            *loss += v;
            *count += p->targets[i + j] >= 0;
            if (token_loss)
                token_loss[i + j] = v;
        }
    }
out:
    return status;
}
