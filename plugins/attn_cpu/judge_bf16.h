/* SPDX-License-Identifier: Apache-2.0
 *
 * plugins/attn_cpu/judge_bf16.h: how kernels of bf16 products are run and judged. Each that this processor can run is
 * forced, whatever the machine would choose, and judged by attention/ref in double on inputs that bf16 holds: an error
 * of at most twice that of ref with the same inputs and results in bf16. The kernels of AMX run here with their tile
 * instructions emulated, and where the machine has them, in hardware, too.
 *
 * An lse whose weights are summed as bf16 numbers is good to the rounding of those, 2^-8; one of f32 weights to f32.
 */
#ifndef ATTN_CPU_JUDGE_BF16_H
#define ATTN_CPU_JUDGE_BF16_H

#include "isa/amx_emulated.h"
#include "bf16.h"
#include "judge.h"

#if CPU_HAVE_AMX
extern const bf16_ops attn_cpu_bf16_amx_emulated;
#endif

typedef struct kernel {
    const bf16_ops *ops;
    double lse_unit; /* of its log-sum-exp: the relative rounding of a weight */
    int runs;        /* here */
} kernel;

static inline int bit(const char *name)
{
#if defined(__x86_64__)
    if (strcmp(name, "vectors") == 0)
        return tile_machine() >= CPU_AVX512;
    if (strcmp(name, "dot") == 0)
        return tile_machine() >= CPU_AVX512 && __builtin_cpu_supports("avx512bf16");
    if (strcmp(name, "emulation") == 0)
        return bit("dot") && __builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("bmi2");
#endif
    (void)name;
    return 0;
}

/* The kernels, and how many. */
static inline int kernels(kernel *all)
{
    int n = 0;

#if CPU_HAVE_BF16
    all[n++] = (kernel){&attn_cpu_bf16_dot, 0, bit("dot")};
#endif
#if CPU_HAVE_AMX
    all[n++] = (kernel){&attn_cpu_bf16_amx_emulated, 0x1p-8, bit("emulation")};
    all[n++] = (kernel){&attn_cpu_bf16_amx, 0x1p-8, bf16_pick() == &attn_cpu_bf16_amx};
#endif
    return n;
}

#define EACH_KERNEL(k) \
    for (int k##_n = 0, k##_of = kernels(the_kernels); k##_n < k##_of; k##_n++) \
        for (const kernel *k = the_kernels + k##_n; k && k->runs; k = NULL)
static kernel the_kernels[4];

/* The kernel under test, and how many units it left to the tiles. */
static const bf16_ops *counted;
static _Atomic int units_left;

static inline int count_left(const cpu_call *c, char *room, int64_t b, int64_t h, int64_t unit)
{
    int done = counted->forward(c, room, b, h, unit);

    units_left += !done;
    return done;
}

static inline int count_left_back(const cpu_call *c, char *room, int64_t b, int64_t kh)
{
    int done = counted->backward(c, room, b, kh);

    units_left += !done;
    return done;
}

/* how.dtype is bf16. */
static inline attn_out *run_how(const kernel *k, const struct ck_host *h, const attn_prob *p, attn_how how)
{
    static bf16_ops counting;
    attn_out *o;

    counted = k->ops;
    counting = *counted;
    counting.forward = count_left;
    counting.backward = counted->backward ? count_left_back : NULL;
    units_left = 0;
    attn_cpu_bf16_only = &counting;
    how.dtype = 'b';
    o = attn_run(h, &loci_attn_cpu_class, p, how);
    attn_cpu_bf16_only = NULL;
    return o;
}

/* The same call by the tiles of f32. */
static inline attn_out *run_tiles(const attn_prob *p, attn_how how)
{
    attn_out *o;

    attn_cpu_bf16_only = &attn_cpu_bf16_none;
    how.dtype = 'b';
    o = attn_run(attn_host(), &loci_attn_cpu_class, p, how);
    attn_cpu_bf16_only = NULL;
    return o;
}

/* A forward alone. */
static inline attn_out *run(const kernel *k, const attn_prob *p, int odd)
{
    return run_how(k, attn_host(), p, (attn_how){.odd = odd, .forward_only = 1});
}

/* ---- how results are judged ---- */

enum { O, LSE, DQ, DK, DV, JUDGED };
static const char *const judged[] = {"o", "lse", "dq", "dk", "dv"};

typedef struct sums {
    double got[4][JUDGED], ref[JUDGED], want[JUDGED], n;
} sums;

/* Where no unit has to be left none may be: the tiles would hide what the kernel does wrong. */
static inline void take_in(sums *all, const attn_prob *p, int odd, int may_leave)
{
    attn_out *d = attn_run(attn_host(), &loci_attn_ref_class, p, (attn_how){.dtype = 'd'});
    attn_out *ref = attn_run(attn_host(), &loci_attn_ref_class, p, (attn_how){.dtype = 'b', .given = d});
    result r[RESULTS];

    results(p, r);
    for (int i = 0; i < JUDGED; i++) {
        all->ref[i] += squares(get(ref, r + i), get(d, r + i), r[i].n);
        all->want[i] += squares(get(d, r + i), NULL, r[i].n);
    }
    all->n += (double)r[LSE].n;
    EACH_KERNEL(k)
    {
        attn_out *o = run_how(k, attn_host(), p, (attn_how){.odd = odd, .given = d});

        CK_TRUE(may_leave || !units_left, "%s, T %d S %d d %d e %d: %d units are left", k->ops->name, (int)p->T,
                (int)p->S, (int)p->d, (int)p->e, units_left);
        for (int i = 0; o && i < JUDGED; i++) {
            double sum = squares(get(o, r + i), get(d, r + i), r[i].n);

            CK_TRUE(sum < INFINITY, "%s, T %d S %d d %d e %d: %s has an infinity or NaN of its own", k->ops->name,
                    (int)p->T, (int)p->S, (int)p->d, (int)p->e, r[i].name);
            all->got[k_n][i] += sum;
        }
    }
}

static inline void verdict(const sums *all, const char *what)
{
    EACH_KERNEL(k)
    {
        const double *got = all->got[k_n];

        for (int i = 0; i < JUDGED; i++) {
            double limit = 2 * sqrt(all->ref[i]) + (double)FLT_MIN;

            if (i == LSE)
                limit += 4 * (double)FLT_EPSILON * sqrt(all->want[LSE]) + k->lse_unit * sqrt(all->n);
            CK_TRUE(sqrt(got[i]) <= limit, "%s, %s: %s errs by %.3g, limit %.3g", what, k->ops->name, judged[i],
                    sqrt(got[i]), limit);
        }
    }
}

#endif
