/* SPDX-License-Identifier: Apache-2.0
 *
 * core/device/scan.c: see scan.h. The table itself: sizes, choice of code, dealing out.
 *
 *  (1) A plan covers every smaller call: what a call takes is counted from its own tensors and runs by the same
 *      functions, and grows with each limit.
 *  (2) A backward counts the checkpoints of the runs as its forward did, and so finds them.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif
#include "core/device/scan.h"
#include "core/base/base.h"
#include "core/device/cpu.h"
#include "core/device/kern.h"
#include "core/device/scan_call.h"

#define COEF_GRAIN 8192 /* numbers of scalar tables per task */

/* At most so many segments of a plan's calls have a checkpoint. Every segment but a run's first has one. Of the starts
 * of segments inside a run, those `seg` apart are at most tokens / seg, and one more where the first lies at a phase;
 * when seg does not divide chunk, a chunk's start is nearer than seg to the segment before it. */
static uint64_t most_slots(const scan_job *j)
{
    const uint64_t tokens = (uint64_t)j->B * (uint64_t)j->T, runs = (uint64_t)j->n_runs;

    if (!j->write)
        return 0;
    if (!j->frozen)
        return tokens / (uint64_t)j->seg;
    return tokens / (uint64_t)j->seg + runs + (j->chunk % j->seg ? tokens / (uint64_t)j->chunk + runs : 0);
}

static loci_status plan(const loci_scan_io *io, const loci_shape *shape, loci_need *need, loci_error *err)
{
    const uint64_t size = shape->acc.bits / 8;
    uint64_t scratch = 0;
    scan_bytes bytes = {0};
    loci_status status;
    scan_job j;

    LOCI_TRY(loci_scan_rule(&j, io, err));
    if (shape->rows < 0 || shape->seq < 0 || shape->runs < 0 || shape->heads < 0 || shape->rows > INT32_MAX ||
        shape->seq > INT32_MAX || shape->runs > INT32_MAX || shape->heads > INT32_MAX)
        return loci_fail(
            err, LOCI_E_ARG, "scan: %lld rows of %lld tokens, %lld runs, %lld heads: a size is not in 32 bits",
            (long long)shape->rows, (long long)shape->seq, (long long)shape->runs, (long long)shape->heads);
    if (shape->acc.code != LOCI_FLOAT || (size != 4 && size != 8) || shape->dtype.code != shape->acc.code ||
        shape->dtype.bits != shape->acc.bits)
        return loci_fail(err, LOCI_E_UNSUPPORTED,
                         "scan: the cpu device scans f32, or f64, with state of the same type");
    j.B = shape->rows;
    j.T = shape->seq;
    j.H = j.scan == LOCI_SCAN_D ? 1 : shape->heads;
    j.d = shape->dk;
    j.e = j.scan == LOCI_SCAN_D ? 1 : shape->dv;
    j.n_runs = shape->runs;
    for (int back = 0; back <= (shape->flags & LOCI_X_SAVE ? 1 : 0); back++) {
        j.back = back != 0;
        LOCI_TRY(loci_scan_sizes(&j, most_slots(&j), size, &bytes, err));
        if (scratch < bytes.lanes + bytes.part)
            scratch = bytes.lanes + bytes.part;
    }
    need->scratch += scratch;
    if (shape->flags & LOCI_X_SAVE)
        need->saved += bytes.err + loci_align64(bytes.checkpoint);
out:
    return status;
}

static const scan_kernel *choose(const loci_exec *x, uint8_t bits)
{
    const loci_kern_set *set = (const loci_kern_set *)x->host->get_ext(x->host, x->device, LOCI_EXT_KERN);
    const int level = set ? set->level : LOCI_CPU_REF;
    const scan_kernel *best = &loci_scan_f64__ref;

    if (bits == 64)
        return best;
#define SCAN_KERNEL(isa, need) \
    if (level >= (need)) \
        best = &loci_scan_f32__##isa;
#include SCAN_INC
#undef SCAN_KERNEL
    return best;
}

/* Lanes of a task: several where all threads have work even so. Lanes share nothing, so nothing depends on
 * it but time. */
static int64_t together(const loci_exec *x, const scan_job *j)
{
    const int64_t each = j->lanes / (2 * (int64_t)x->host->workers(x->host));

    return each < 1 ? 1 : each < SCAN_TOGETHER ? each : SCAN_TOGETHER;
}

static loci_status call(const loci_exec *x, const loci_scan_io *io, bool back, loci_error *err)
{
    const scan_kernel *kernel;
    uint64_t slots = 0;
    scan_bytes bytes;
    uint8_t bits;
    loci_status status;
    scan_job j;

    LOCI_TRY(loci_scan_rule(&j, io, err));
    j.back = back;
    j.save = back || (x->flags & LOCI_X_SAVE);
    LOCI_TRY(loci_scan_views(&j, io, &bits, err));
    for (int64_t i = 0; i < j.n_runs && j.save; i++)
        slots += (uint64_t)scan_slots(&j, &j.runs[i]);
    LOCI_TRY(loci_scan_sizes(&j, slots, bits / 8, &bytes, err));
    if (!j.save)
        bytes.err = bytes.checkpoint = 0;
    if (x->scratch_bytes < bytes.lanes + bytes.part)
        return loci_fail(err, LOCI_E_ARG, "scan: %llu bytes of scratch, the call takes %llu: plan for it",
                         (unsigned long long)x->scratch_bytes, (unsigned long long)(bytes.lanes + bytes.part));
    if (x->saved_bytes < bytes.err + bytes.checkpoint)
        return loci_fail(err, LOCI_E_ARG, "scan: %llu bytes of saved, the call takes %llu: plan for it",
                         (unsigned long long)x->saved_bytes, (unsigned long long)(bytes.err + bytes.checkpoint));
    if (j.items == 0)
        return LOCI_OK;
    j.scratch = x->scratch;
    j.part = (char *)x->scratch + bytes.lanes;
    if (bytes.err)
        j.err = (scan_view){x->saved, {j.T * j.H * j.e, j.H * j.e, j.e, 1}};
    if (bytes.checkpoint)
        j.checkpoint = (char *)x->saved + bytes.err;
    kernel = choose(x, bits);
    LOCI_TRY(x->host->parallel_for(x, j.lanes, together(x, &j), kernel->run, &j));
    if (back)
        kernel->finish(&j);
out:
    return status;
}

static loci_status forward(const loci_exec *x, const loci_scan_io *io, loci_error *err)
{
    return call(x, io, false, err);
}

static loci_status backward(const loci_exec *x, const loci_scan_io *io, loci_error *err)
{
    return call(x, io, true, err);
}

static loci_status tables(const loci_exec *x, const loci_coef *c, bool back, loci_error *err)
{
    loci_status status;
    coef_job j;

    LOCI_TRY(loci_coef_call_see(&j, c, back, LOCI_CPU, err));
    if (j.B * j.H * j.w > 0)
        LOCI_TRY(x->host->parallel_for(x, j.B * j.H * j.w, COEF_GRAIN / (j.n * j.n + 1) + 1, choose(x, j.bits)->coef, &j));
out:
    return status;
}

static loci_status coef(const loci_exec *x, const loci_coef *c, loci_error *err)
{
    return tables(x, c, false, err);
}

static loci_status coef_back(const loci_exec *x, const loci_coef *c, loci_error *err)
{
    return tables(x, c, true, err);
}

static const loci_scan table = {sizeof(loci_scan), 0, plan, forward, backward, coef, coef_back};

const loci_scan *loci_cpu_scan(void)
{
    return &table;
}
