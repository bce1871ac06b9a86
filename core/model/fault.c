/* SPDX-License-Identifier: Apache-2.0
 *
 * The search for the first number that is not finite: the step is computed again with every node looking at its output.
 */
#include "core/model/pass.h"

loci_status loci_pass_find_fault(loci_pass *p, bool back, char *text, size_t n, loci_error *err)
{
    loci_status status = LOCI_OK;
    loci_context *cx = p->model->cx;
    struct loci_fault fault = {false, ""};
    double loss, sum;
    int64_t count;
    loci_exec x;

    cx->fault = &fault;
    loci_layer_exec(&x, p, NULL, 0);
    for (uint32_t i = 0; i < p->model->weights.n && !fault.found; i++) {
        const loci_weight *w = p->model->weights.at[i];
        LOCI_TRY(cx->ops->sumsq(&x, &w->value.t, &sum, err));
        if (sum - sum != 0) {
            fault.found = true;
            snprintf(fault.text, sizeof fault.text, "the weight %s is not finite", w->name);
        }
    }
    if (!fault.found) {
        LOCI_TRY(loci_weights_zero_grads(&p->model->weights, cx));
        LOCI_TRY(loci_pass_again(p, 1, &loss, &count, NULL, err));
    }
    if (!fault.found && back)
        LOCI_TRY(loci_pass_backward(p, err));
    for (uint32_t i = 0; i < p->model->weights.n && !fault.found && back; i++) {
        const loci_weight *w = p->model->weights.at[i];
        LOCI_TRY(cx->ops->sumsq(&x, &w->grad.t, &sum, err));
        if (sum - sum != 0) {
            fault.found = true;
            snprintf(fault.text, sizeof fault.text, "the gradient of %s is not finite", w->name);
        }
    }
    snprintf(text, n, "%s", fault.found ? fault.text : "no single tensor: the sum over the batch overflows");
out:
    cx->fault = NULL;
    return status;
}
