/* SPDX-License-Identifier: Apache-2.0
 *
 * The peak: what the threads of a context reach when they do nothing but multiply and add.
 *
 * The work is cut finer than there are threads, so that one that is held up for a moment does not hold up all; and the
 * best of many short runs counts, because only too little can be measured, never too much.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif
#include "core/bench/fma.h"
#include "core/bench/impl.h"
#include "core/device/cpu.h"

#define PIECES 8 /* a thread, of one run */
#define RUNS 40

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

struct peak {
    double (*loop)(int64_t rounds);
    int64_t rounds;
    double sink[1024]; /* of each piece */
};

static void piece(void *arg, int64_t begin, int64_t end, uint32_t worker)
{
    struct peak *p = arg;

    (void)worker;
    for (int64_t i = begin; i < end; i++)
        p->sink[i % 1024] = p->loop(p->rounds);
}

static loci_status measure(loci_bench_machine *m, loci_context *cx, struct peak *p, int which, int lanes,
                           const loci_bench_how *how, loci_error *err)
{
    const int64_t pieces = (int64_t)m->threads * PIECES;
    double start = loci_seconds();

    p->rounds = 4096; /* until a piece takes about 0.2 ms */
    for (double took = 0; took < 2e-4 && p->rounds < (INT64_C(1) << 40); p->rounds *= 2) {
        start = loci_seconds();
        p->sink[0] = p->loop(p->rounds);
        took = loci_seconds() - start;
    }
    for (int run = 0; run < RUNS; run++) {
        const double ops = 2.0 * lanes * LOCI_FMA_CHAINS * (double)p->rounds * (double)pieces;
        double cpu = loci__cpu_seconds(), wall = loci_seconds();
        if (how->stop && *how->stop)
            return loci_fail(err, LOCI_E_STOPPED, "stopped while measuring");
        if (cx->device_class->parallel_for(cx->device_module, pieces, 1, piece, p) != LOCI_OK)
            return loci_fail(err, LOCI_E_DEVICE, "the threads of the device could not run");
        wall = loci_seconds() - wall;
        cpu = loci__cpu_seconds() - cpu;
        m->flops[which] = ops / wall > m->flops[which] ? ops / wall : m->flops[which];
        m->cpu_flops[which] = ops / cpu > m->cpu_flops[which] ? ops / cpu : m->cpu_flops[which];
    }
    return LOCI_OK;
}

loci_status loci_bench_peak(loci_bench_machine *m, loci_context *cx, const loci_bench_how *how, loci_error *err)
{
    loci_status status = LOCI_OK;
    const loci_fma *fma;
    struct peak p;

    if (cx->device.type != LOCI_CPU)
        return loci_fail(err, LOCI_E_UNSUPPORTED, "bench measures on the cpu only: set run.device = cpu");
    LOCI_TRY(loci__bench_fma(&fma, err));
    m->isa = fma->name;
    m->threads = cx->device_class->workers(cx->device_module);
    m->flops[0] = m->flops[1] = m->cpu_flops[0] = m->cpu_flops[1] = 0;
    p.loop = fma->f32;
    LOCI_TRY(measure(m, cx, &p, 0, fma->bytes / 4, how, err));
    p.loop = fma->f64;
    LOCI_TRY(measure(m, cx, &p, 1, fma->bytes / 8, how, err));
out:
    return status;
}
