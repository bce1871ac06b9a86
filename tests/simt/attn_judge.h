/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/simt/attn_judge.h: how attention/cuda is judged: by attention/ref in double.
 *
 * Inputs of 16 bits are rounded first, so that the oracle sees the same numbers. The error, a root mean square over the
 * cases of a test, is in float at most twice that of attention/ref in float plus 4 ulp; in 16 bits it is held against
 * the type's unit u: 2 u for o, whose weights and result were rounded; 4 u for dq, dk and dv, which pass through a
 * rounded o and two products of rounded numbers; 16 u for sums over pairs or a whole head, whose terms cancel.
 */
#ifndef LOCI_SIMT_ATTN_JUDGE_H
#define LOCI_SIMT_ATTN_JUDGE_H

#include <float.h>

#include "../../plugins/attn_ref/attn_features.h"
#include "../../plugins/attn_ref/attn_results.h"
#include "plugins/attn_cuda/attn.h"
#include "schedule.h"

extern const loci_class loci_attn_ref_class, loci_attn_cuda_class;

static const char types[] = {'f', 'b', 'h'};

/* Squares over many cases, so that none is judged by the luck of a single rounding. */
typedef struct pool {
    double error[RESULTS], want[RESULTS], ref[RESULTS]; /* ref: of attention/ref in float */
} pool;

static inline void judge(const pool *all, char type, const char *what)
{
    const double unit = type == 'b' ? 0x1p-9 : 0x1p-12;

    for (int i = 0; i < RESULTS; i++) {
        double error = sqrt(all->error[i]), size = sqrt(all->want[i]);
        double limit = 2 * sqrt(all->ref[i]) + 4 * (double)FLT_EPSILON * size;

        if (type != 'f' && i != 1) /* lse is float, of scores whose products are exact */
            limit = (i == 0 ? 2 : i < 5 ? 4 : 16) * unit * size;
        CK_TRUE(error <= limit + 1e-30, "%s, type %c: %s errs by %g of %g, limit %g", what, type, result_names[i],
                error, size, limit);
    }
}

static inline void round_to(attn_prob *p, char type)
{
    double *x[4] = {p->q, p->k, p->v, p->d_o};
    int64_t n[4] = {p->B * p->T * p->H * p->d, p->B * p->S * p->Hk * p->d, p->B * p->S * p->Hv * p->e,
                    p->B * p->T * p->H * p->e};

    for (int i = 0; i < 4; i++)
        for (int64_t j = 0; type != 'f' && j < n[i]; j++)
            x[i][j] = (double)attn_from_16(attn_dtype(type), attn_to_16(attn_dtype(type), (float)x[i][j]));
}

static inline attn_out *run_cuda(const attn_prob *p, char type, int odd, int forward_only)
{
    attn_out *o = attn_run(attn_host(), &loci_attn_cuda_class, p,
                           (attn_how){.dtype = type, .odd = odd, .forward_only = forward_only, .device = LOCI_CUDA});

    return o;
}

/* Runs p in a type and adds its errors to all. */
static inline void add(pool *all, attn_prob *p, char type, int odd, const char *what)
{
    const int forward_only = p->block_tok != 0;
    attn_out *want, *got, *ref;
    result r[RESULTS];

    round_to(p, type);
    want = attn_run(attn_host(), &loci_attn_ref_class, p, (attn_how){.dtype = 'd', .forward_only = forward_only});
    ref = attn_run(attn_host(), &loci_attn_ref_class, p, (attn_how){.dtype = 'f', .forward_only = forward_only});
    got = run_cuda(p, type, odd, forward_only);
    results(p, r);
    for (int i = 0; want && got && ref && i < (forward_only ? 2 : RESULTS); i++)
        for (int64_t n = 0; n < r[i].n; n++) {
            double g = get(got, r + i)[n], w = get(want, r + i)[n], f = get(ref, r + i)[n];

            if (isinf(g) || isinf(w) || isnan(g)) {
                CK_TRUE(g == w, "%s, type %c, T %d S %d d %d e %d: %s[%d] is %g, wanted %g", what, type, (int)p->T,
                        (int)p->S, (int)p->d, (int)p->e, r[i].name, (int)n, g, w);
                if (g != w)
                    return;
                continue;
            }
            all->error[i] += (g - w) * (g - w);
            all->ref[i] += (f - w) * (f - w);
            all->want[i] += w * w;
        }
}

#endif
