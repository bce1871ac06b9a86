/* SPDX-License-Identifier: Apache-2.0
 *
 * plugins/attn_cpu/judge.h: how the tests of attention/cpu judge it: the same numbers as attention/ref in double; in
 * float an error of at most twice that of ref plus 4 ulp, both judged by ref in double, for every kernel this machine
 * runs. And the features that cases are made of.
 */
#ifndef ATTN_CPU_JUDGE_H
#define ATTN_CPU_JUDGE_H

#include <float.h>

#include "../attn_ref/attn_features.h"
#include "../attn_ref/attn_results.h"
#include "tile.h"

extern const loci_class loci_attn_ref_class;
extern const tile_ops attn_cpu_tile_f32_lanes16;

static const char *const levels[] = {"ref", "avx2", "avx512"};

/* Calls from here on are of that level; where the machine has no AVX-512 its text runs in narrower vectors. */
static inline void take_level(int level)
{
    setenv("LOCI_CPU", levels[level], 1);
    attn_cpu_tile_only = NULL;
    if (level == CPU_AVX512 && tile_machine() < CPU_AVX512 && tile_machine() >= attn_cpu_tile_f32_lanes16.level)
        attn_cpu_tile_only = &attn_cpu_tile_f32_lanes16;
}

static inline void leave_levels(void)
{
    unsetenv("LOCI_CPU");
    attn_cpu_tile_only = NULL;
}

/* Largest difference; -inf agrees with -inf only. */
static inline double worst(const double *got, const double *want, int64_t n, double *peak)
{
    double most = 0;

    *peak = 0;
    for (int64_t i = 0; i < n; i++) {
        if (isinf(want[i]) || isinf(got[i]) || isnan(got[i])) {
            if (want[i] != got[i])
                return INFINITY;
            continue;
        }
        most = fmax(most, fabs(got[i] - want[i]));
        *peak = fmax(*peak, fabs(want[i]));
    }
    return most;
}

/* Sum of squared differences; infinite unless infinities and NaN agree. want NULL: of got itself. */
static inline double squares(const double *got, const double *want, int64_t n)
{
    double sum = 0;

    for (int64_t i = 0; i < n; i++) {
        double w = want ? want[i] : 0;

        if (isinf(got[i]) || isinf(w) || isnan(got[i])) {
            if (want && got[i] != w)
                return INFINITY;
        } else
            sum += (got[i] - w) * (got[i] - w);
    }
    return sum;
}

/* The squares of many cases, so that no case is judged by the luck of a single rounding. */
typedef struct pool {
    double cpu[3][RESULTS], ref[RESULTS], want[RESULTS];
} pool;

static inline void add_float(pool *all, const attn_prob *p, int odd)
{
    attn_out *d = attn_run(attn_host(), &loci_attn_ref_class, p, (attn_how){.dtype = 'd'});
    attn_out *ref = attn_run(attn_host(), &loci_attn_ref_class, p, (attn_how){.dtype = 'f'});
    result r[RESULTS];
    int n = results(p, r);

    for (int i = 0; d && ref && i < n; i++) {
        all->ref[i] += squares(get(ref, r + i), get(d, r + i), r[i].n);
        all->want[i] += squares(get(d, r + i), NULL, r[i].n);
    }
    for (int level = 0; d && ref && level < 3; level++) {
        attn_out *cpu;

        take_level(level);
        cpu = attn_run(attn_host(), &loci_attn_cpu_class, p, (attn_how){.dtype = 'f', .odd = odd});
        for (int i = 0; cpu && i < n; i++) {
            double sum = squares(get(cpu, r + i), get(d, r + i), r[i].n);

            CK_TRUE(sum < INFINITY, "%s, T %d S %d d %d e %d: %s has an infinity or NaN of its own", levels[level],
                    (int)p->T, (int)p->S, (int)p->d, (int)p->e, r[i].name);
            all->cpu[level][i] += sum;
        }
    }
    leave_levels();
}

static inline void judge(const pool *all, const char *what)
{
    for (int level = 0; level < 3; level++)
        for (int i = 0; i < RESULTS; i++) {
            double limit = 2 * sqrt(all->ref[i]) + 4 * (double)FLT_EPSILON * sqrt(all->want[i]) + (double)FLT_MIN;

            CK_TRUE(sqrt(all->cpu[level][i]) <= limit, "%s, %s: %s errs by %g, ref by %g, limit %g", what,
                    levels[level], result_names[i], sqrt(all->cpu[level][i]), sqrt(all->ref[i]), limit);
        }
}

static inline void check_double(const attn_prob *p, int odd, const char *what)
{
    attn_out *ref = attn_run(attn_host(), &loci_attn_ref_class, p, (attn_how){.dtype = 'd'});
    attn_out *cpu = attn_run(attn_host(), &loci_attn_cpu_class, p, (attn_how){.dtype = 'd', .odd = odd});
    result r[RESULTS];
    int n = results(p, r);

    for (int i = 0; ref && cpu && i < n; i++) {
        double peak, err = worst(get(cpu, r + i), get(ref, r + i), r[i].n, &peak);

        CK_TRUE(err <= 3e-13 * peak + 1e-300, "%s: %s differs by %g of %g", what, r[i].name, err, peak);
    }
}

/* Numbers that bf16 holds, so that an error is one of arithmetic and of the last rounding. */
static inline void round_to_bf16(attn_prob *p)
{
    const int64_t n[] = {p->B * p->T * p->H * p->d, p->B * p->S * p->Hk * p->d, p->B * p->S * p->Hv * p->e,
                         p->B * p->T * p->H * p->e};
    double *const all[] = {p->q, p->k, p->v, p->d_o};

    for (int t = 0; t < 4; t++)
        for (int64_t i = 0; i < n[t]; i++) {
            float value = (float)all[t][i];
            uint32_t bits;

            memcpy(&bits, &value, sizeof bits);
            bits &= 0xffff0000;
            memcpy(&value, &bits, sizeof value);
            all[t][i] = (double)value;
        }
}

/* Feature n of what cpu serves. */
static inline void feature(attn_prob *p, int n)
{
    switch (n) {
    case 0:
        p->a.causal = 1;
        break;
    case 1:
        p->a.window_left = (int64_t)(ck_bits() % 40);
        break;
    case 2:
        p->a.window_right = (int64_t)(ck_bits() % 40);
        break;
    case 3:
        p->a.prefix = (int64_t)(ck_bits() % 21);
        break;
    case 4: /* a ring that has wrapped, with some keys at -1 */
        p->k_pos = attn_ints(p->B * p->S, 0, 0);
        for (int64_t j = 0; j < p->B * p->S; j++)
            p->k_pos[j] = j % p->S == 2 ? -1 : (int32_t)((j + p->S / 3) % p->S);
        break;
    case 5:
        p->q_pos = attn_ints(p->B * p->T, 0, 0);
        for (int64_t i = 0; i < p->B * p->T; i++)
            p->q_pos[i] = (int32_t)(ck_bits() % (uint64_t)(p->S + 5));
        break;
    case 6:
        p->q_len = attn_ints(p->B, 0, 0);
        p->k_len = attn_ints(p->B, 0, 0);
        for (int64_t b = 0; b < p->B; b++) {
            p->q_len[b] = (int32_t)(ck_bits() % (uint64_t)(p->T + 1));
            p->k_len[b] = (int32_t)(ck_bits() % (uint64_t)(p->S + 1));
        }
        break;
    case 7:
        p->slopes = attn_real(p->H, 0.1);
        break;
    case 8:
        p->a.offset = (int64_t)(ck_bits() % 60) - 20;
        break;
    default: /* segments, mask, biases, tables, softcap, sink, dropout, pages, blocks */
        attn_feature(p, (const int[]){5, 7, 8, 9, 11, 12, 13, 14, 15, 16, 17}[n - 9]);
        break;
    }
}

enum { FEATURES = 20 };

#endif
