/* SPDX-License-Identifier: Apache-2.0
 *
 * ref.tmpl compiled twice, and how its work is cut: a task is a (b, h), or all that write to one memory.
 */
#include <math.h>

#include "ref.h"

typedef void head_fn(const ref_call *c, int64_t b, int64_t h, uint32_t worker);

typedef struct job {
    const ref_call *c;
    head_fn *fn;
    int64_t heads;
    int all_b, all_h; /* one task runs over every b, over every h */
} job;

static void run(void *arg, int64_t begin, int64_t end, uint32_t worker)
{
    const job *w = arg;
    int64_t per_b = w->all_h ? 1 : w->heads;

    for (int64_t task = begin; task < end; task++) {
        int64_t b0 = task / per_b, h0 = task % per_b;

        for (int64_t b = b0; b < (w->all_b ? w->c->B : b0 + 1); b++)
            for (int64_t h = h0; h < (w->all_h ? w->heads : h0 + 1); h++)
                w->fn(w->c, b, h, worker);
    }
}

static loci_status each_head(const ref_call *c, int64_t heads, int all_b, int all_h, head_fn *fn)
{
    job w = {c, fn, heads, all_b, all_h};
    int64_t tasks = (all_b ? 1 : c->B) * (all_h ? 1 : heads);

    return c->exec->host->parallel_for(c->exec, tasks, 1, run, &w);
}

/* Do all indices of this axis share their memory? */
static int one(const loci_tensor *t, int32_t axis)
{
    return t && (t->shape[axis] == 1 || t->strides[axis] == 0);
}

/* Round to nearest, ties to even; NaN stays NaN. */
static uint16_t bf16(float value)
{
    union {
        float value;
        uint32_t bits;
    } wide = {value};

    if (isnan(value))
        return (uint16_t)(wide.bits >> 16 | 0x40);
    return (uint16_t)((wide.bits + 0x7fff + (wide.bits >> 16 & 1)) >> 16);
}

#define REAL float
#define NAME(f) f##_f32
#define NAME_EXP expf
#define NAME_LOG logf
#define NAME_TANH tanhf
#include "ref.tmpl"
#undef REAL
#undef NAME
#undef NAME_EXP
#undef NAME_LOG
#undef NAME_TANH

#define REAL double
#define NAME(f) f##_f64
#define NAME_EXP exp
#define NAME_LOG log
#define NAME_TANH tanh
#include "ref.tmpl"
