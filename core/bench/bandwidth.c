/* SPDX-License-Identifier: Apache-2.0
 *
 * The bandwidth: how fast the threads of a context read memory together, and how fast they do the triad a = b + s c.
 * The buffer is larger than the caches; the best of several runs counts.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif
#include "core/bench/impl.h"
#include <string.h>
#include <unistd.h>

#define PIECE (INT64_C(1) << 20)
#define RUNS 8

struct stream {
    const loci_fma *fma;
    char *at;
    int64_t third; /* of the buffer: a, b and c of the triad begin there */
    double sink[1024];
};

static void read_piece(void *arg, int64_t begin, int64_t end, uint32_t worker)
{
    struct stream *s = arg;

    (void)worker;
    for (int64_t i = begin; i < end; i++)
        s->sink[i % 1024] = s->fma->read(s->at + i * PIECE, PIECE);
}

static void triad_piece(void *arg, int64_t begin, int64_t end, uint32_t worker)
{
    const struct stream *s = arg;
    char *a = s->at + begin * PIECE;

    (void)worker;
    s->fma->triad(a, a + s->third, a + 2 * s->third, (end - begin) * PIECE);
}

/* Four times the last cache, within what a machine has to spare. */
static int64_t buffer_bytes(void)
{
    const int64_t says = 4 * (int64_t)sysconf(_SC_LEVEL3_CACHE_SIZE), least = 129 * PIECE, most = 516 * PIECE;

    return says < least ? least : says > most ? most : says / (3 * PIECE) * (3 * PIECE);
}

/* The most bytes a second of `pieces` pieces, each of which moves PIECE bytes `times` times. */
static loci_status best(double *out, struct stream *s, loci_task_fn fn, int64_t pieces, double times, loci_context *cx,
                        const loci_bench_how *how, loci_error *err)
{
    *out = 0;
    for (int run = 0; run < RUNS; run++) {
        double wall = loci_seconds(), rate;
        if (how->stop && *how->stop)
            return loci_fail(err, LOCI_E_STOPPED, "stopped while measuring");
        if (cx->device_class->parallel_for(cx->device_module, pieces, 1, fn, s) != LOCI_OK)
            return loci_fail(err, LOCI_E_DEVICE, "the threads of the device could not run");
        wall = loci_seconds() - wall;
        rate = times * (double)(pieces * PIECE) / wall;
        *out = rate > *out ? rate : *out;
    }
    return LOCI_OK;
}

loci_status loci_bench_bandwidth(loci_bench_machine *m, loci_context *cx, const loci_bench_how *how, loci_error *err)
{
    loci_status status = LOCI_OK;
    const int64_t bytes = buffer_bytes();
    struct stream s = {.third = bytes / 3};

    LOCI_TRY(loci__bench_fma(&s.fma, err));
    s.at = loci_alloc((size_t)bytes);
    if (!s.at) {
        status = loci_fail(err, LOCI_E_NOMEM, "out of memory: %lld bytes to read", (long long)bytes);
        goto out;
    }
    memset(s.at, 1, (size_t)bytes); /* pages of their own, not the one of zeros */
    LOCI_TRY(best(&m->read, &s, read_piece, bytes / PIECE, 1, cx, how, err));
    LOCI_TRY(best(&m->triad, &s, triad_piece, bytes / 3 / PIECE, 3, cx, how, err));
out:
    loci_free(s.at);
    return status;
}
