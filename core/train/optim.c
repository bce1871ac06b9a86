/* SPDX-License-Identifier: Apache-2.0
 *
 * Learning-rate schedules, clipping by the global norm, AdamW.
 *
 *   warm-up   lr (step + 1) / warmup                                          for step < warmup
 *   constant  lr
 *   linear    lr (1 - (1 - m) u)            u = (step - warmup) / (steps - warmup), m = train.lr_min
 *   cosine    lr (m + (1 - m) (1 + cos pi u) / 2)       Loshchilov and Hutter 2017, one period
 *   step      lr gamma^floor((step - warmup) / every), at least lr m
 */
#include "core/train/train.h"
#include <math.h>
#include <string.h>

double loci_schedule_lr(const loci_conf *c, int64_t step, int64_t steps)
{
    double lr = loci_conf_real(c, -1, "train", "lr"), m = loci_conf_real(c, -1, "train", "lr_min");
    int64_t warmup = loci_conf_int(c, -1, "train", "warmup"), every = loci_conf_int(c, -1, "train", "step_every");
    const char *kind = loci_conf_str(c, -1, "train", "schedule");
    double u = steps > warmup ? (double)(step - warmup) / (double)(steps - warmup) : 0;

    if (step < warmup)
        return lr * (double)(step + 1) / (double)warmup;
    if (!strcmp(kind, "linear"))
        return lr * (1 - (1 - m) * u);
    if (!strcmp(kind, "cosine"))
        return lr * (m + (1 - m) * 0.5 * (1 + cos(3.14159265358979323846 * u)));
    if (!strcmp(kind, "step") && every > 0)
        return lr * fmax(m, pow(loci_conf_real(c, -1, "train", "step_gamma"), (double)((step - warmup) / every)));
    return lr;
}

loci_status loci_optimiser_norm(loci_model *m, double *norm, loci_error *err)
{
    loci_status status = LOCI_OK;
    double sum = 0, one = 0;
    loci_exec x;

    loci_exec_init(&x, m->cx, NULL, 0, 0, 0);
    for (uint32_t i = 0; i < m->weights.n; i++) {
        LOCI_TRY(m->cx->ops->sumsq(&x, &m->weights.at[i]->grad.t, &one, err));
        sum += one;
    }
    *norm = sqrt(sum);
out:
    return status;
}

loci_status loci_optimiser_step(loci_model *m, const loci_conf *c, double lr, int64_t step, double norm,
                                loci_error *err)
{
    loci_status status = LOCI_OK;
    double clip = loci_conf_real(c, -1, "train", "clip"), decay = loci_conf_real(c, -1, "train", "weight_decay");
    loci_adamw a = {.struct_size = sizeof a,
                    .lr = lr,
                    .beta1 = loci_conf_real(c, -1, "train", "beta1"),
                    .beta2 = loci_conf_real(c, -1, "train", "beta2"),
                    .eps = loci_conf_real(c, -1, "train", "eps"),
                    .scale = clip > 0 && norm > clip ? clip / norm : 1};
    loci_exec x;

    a.c1 = 1 - pow(a.beta1, (double)(step + 1));
    a.c2 = 1 - pow(a.beta2, (double)(step + 1));
    loci_exec_init(&x, m->cx, NULL, 0, 0, 0);
    for (uint32_t i = 0; i < m->weights.n; i++) {
        const loci_weight *w = m->weights.at[i];
        a.decay = w->flags & LOCI_SLOT_NO_DECAY ? 0 : decay;
        LOCI_TRY(m->cx->ops->adamw(&x, &w->value.t, &w->grad.t, &w->m.t, &w->v.t, &a, err));
    }
out:
    return status;
}
