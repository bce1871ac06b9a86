/* SPDX-License-Identifier: Apache-2.0
 *
 * The peak: what the threads of a context reach when they do nothing but multiply and add.
 *
 *  (1) The work is cut finer than there are threads, so that one that is held up for a moment does not hold up all. Of
 *      the time on the wall the best of many short runs counts, because only too little can be measured, never too
 * much. (2) CPU time is what a thread was given, whoever else was at work: nothing has to be picked, and the median of
 * the runs counts. (3) bf16 has the fastest of the loops that can multiply it: an instruction for bf16 that is slower
 * than a float32 multiply-add is no peak.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif
#include "core/bench/impl.h"
#include "core/device/cpu.h"
#include <stdio.h>
#include <string.h>

#define PIECES 8 /* a thread, of one run      */
#define PIECE 2e-4
#define RUNS 60

loci_status loci__bench_fma(const loci_fma **out, loci_error *err)
{
    int level;
    loci_status status = loci_cpu_level(&level, err);

    *out = NULL;
    if (status != LOCI_OK)
        return status;
#define LOCI_FMA(isa, need) \
    if (level >= (need)) \
        *out = &loci_fma_##isa;
#include "core/bench/fma.inc"
#undef LOCI_FMA
    return LOCI_OK;
}

struct loop {
    double (*fn)(int64_t rounds);
    double ops; /* of a round */
    int64_t rounds;
    double sink[1024]; /* of each piece */
};

static void piece(void *arg, int64_t begin, int64_t end, uint32_t worker)
{
    struct loop *p = arg;

    (void)worker;
    for (int64_t i = begin; i < end; i++)
        p->sink[i % 1024] = p->fn(p->rounds);
}

/* p->name, flops and cpu_flops of the loop. */
static loci_status measure(loci_bench_peak *p, const char *name, struct loop *l, loci_context *cx, uint32_t threads,
                           const loci_bench_how *how, loci_error *err)
{
    const int64_t pieces = (int64_t)threads * PIECES;
    double rate[RUNS], start;
    loci_cpu_clock clock;

    snprintf(p->name, sizeof p->name, "%s", name);
    p->flops = 0;
    l->rounds = 4096;
    for (double took = 0; took < PIECE && l->rounds < (INT64_C(1) << 40); l->rounds *= 2) {
        start = loci_seconds();
        l->sink[0] = l->fn(l->rounds);
        took = loci_seconds() - start;
    }
    for (int run = -1; run < RUNS; run++) { /* the first one wakes the threads, and is not counted */
        const double ops = l->ops * (double)l->rounds * (double)pieces;
        double cpu, wall;
        if (run <= 0)
            loci__cpu_clock_open(&clock);
        cpu = loci__cpu_clock_read(&clock);
        wall = loci_seconds();
        if (how->stop && *how->stop)
            return loci_fail(err, LOCI_E_STOPPED, "stopped while measuring");
        if (cx->device_class->parallel_for(cx->device_module, pieces, 1, piece, l) != LOCI_OK)
            return loci_fail(err, LOCI_E_DEVICE, "the threads of the device could not run");
        wall = loci_seconds() - wall;
        cpu = loci__cpu_clock_read(&clock) - cpu;
        if (run < 0)
            continue;
        p->flops = ops / wall > p->flops ? ops / wall : p->flops;
        rate[run] = ops / cpu;
    }
    p->cpu_flops = loci_bench_quantile(rate, RUNS, 0.5);
    return LOCI_OK;
}

static loci_status measure_fma(loci_bench_machine *m, loci_context *cx, enum loci_bench_unit unit,
                               const loci_bench_how *how, loci_error *err)
{
    const bool wide = unit == LOCI_BENCH_F64;
    const loci_fma *fma;
    struct loop l;
    char name[64];
    loci_status status;

    LOCI_TRY(loci__bench_fma(&fma, err));
    m->isa = fma->name;
    l.fn = wide ? fma->f64 : fma->f32;
    l.ops = 2.0 * LOCI_FMA_CHAINS * fma->bytes / (wide ? 8 : 4);
    snprintf(name, sizeof name, "%s fma, %s", wide ? "f64" : "f32", fma->name);
    LOCI_TRY(measure(&m->peak[unit], name, &l, cx, m->threads, how, err));
out:
    return status;
}

/* (3); the loops that lose are kept in m->dot. */
static loci_status measure_dot(loci_bench_machine *m, loci_context *cx, const loci_bench_how *how, loci_error *err)
{
    static const loci_dot *const all[] = {
#define LOCI_DOT(name) &loci_dot_##name,
#include "core/bench/dot.inc"
#undef LOCI_DOT
        NULL};
    loci_status status;
    struct loop l;
    int level;

    LOCI_TRY(loci_cpu_level(&level, err));
    m->peak[LOCI_BENCH_BF16] = m->peak[LOCI_BENCH_F32];
    m->n_dots = 0;
    for (int i = 0; all[i]; i++) {
        loci_bench_peak *p = &m->dot[m->n_dots];
        if (!loci__dot_runs(all[i]->need, level))
            continue;
        l.fn = all[i]->bf16;
        l.ops = all[i]->ops;
        LOCI_TRY(measure(p, all[i]->name, &l, cx, m->threads, how, err));
        m->n_dots++;
        if (p->cpu_flops > m->peak[LOCI_BENCH_BF16].cpu_flops)
            m->peak[LOCI_BENCH_BF16] = *p;
    }
out:
    return status;
}

enum loci_bench_unit loci_bench_unit_of(loci_dtype t)
{
    return t.code == LOCI_BFLOAT ? LOCI_BENCH_BF16 : t.bits == 64 ? LOCI_BENCH_F64 : LOCI_BENCH_F32;
}

loci_status loci_bench_find_peak(loci_bench_machine *m, loci_context *cx, enum loci_bench_unit unit,
                                 const loci_bench_how *how, loci_error *err)
{
    loci_status status = LOCI_OK;

    if (cx->device.type != LOCI_CPU)
        return loci_fail(err, LOCI_E_UNSUPPORTED, "bench measures on the cpu only: set run.device = cpu");
    m->threads = cx->device_class->workers(cx->device_module);
    if (m->peak[LOCI_BENCH_F32].flops <= 0)
        LOCI_TRY(measure_fma(m, cx, LOCI_BENCH_F32, how, err));
    if (unit == LOCI_BENCH_F64 && m->peak[unit].flops <= 0)
        LOCI_TRY(measure_fma(m, cx, unit, how, err));
    if (unit == LOCI_BENCH_BF16 && m->peak[unit].flops <= 0)
        LOCI_TRY(measure_dot(m, cx, how, err));
out:
    return status;
}
