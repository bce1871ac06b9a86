/* SPDX-License-Identifier: Apache-2.0
 *
 * The bandwidth: how fast the threads of a context read memory together. The buffer is larger than the caches; the best
 * of several runs counts.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif
#include "core/bench/fma.h"
#include "core/bench/impl.h"
#include <string.h>
#include <unistd.h>

#define PIECE (INT64_C(1) << 20)
#define RUNS 8

struct reading {
    const loci_fma *fma;
    const char *from;
    double sink[1024];
};

static void piece(void *arg, int64_t begin, int64_t end, uint32_t worker)
{
    struct reading *r = arg;

    (void)worker;
    for (int64_t i = begin; i < end; i++)
        r->sink[i % 1024] = r->fma->read(r->from + i * PIECE, PIECE);
}

/* Four times the last cache, within what a machine has to spare. */
static int64_t buffer_bytes(void)
{
    const int64_t says = 4 * (int64_t)sysconf(_SC_LEVEL3_CACHE_SIZE), least = 128 * PIECE, most = 512 * PIECE;

    return says < least ? least : says > most ? most : says / PIECE * PIECE;
}

loci_status loci_bench_bandwidth(loci_bench_machine *m, loci_context *cx, const loci_bench_how *how, loci_error *err)
{
    loci_status status = LOCI_OK;
    const int64_t bytes = buffer_bytes();
    char *buffer = NULL;
    struct reading r;

    m->read = 0;
    LOCI_TRY(loci__bench_fma(&r.fma, err));
    buffer = loci_alloc((size_t)bytes);
    if (!buffer) {
        status = loci_fail(err, LOCI_E_NOMEM, "out of memory: %lld bytes to read", (long long)bytes);
        goto out;
    }
    memset(buffer, 1, (size_t)bytes); /* pages of their own, not the one of zeros */
    r.from = buffer;
    for (int run = 0; run < RUNS; run++) {
        double wall = loci_seconds();
        if (how->stop && *how->stop) {
            status = loci_fail(err, LOCI_E_STOPPED, "stopped while measuring");
            goto out;
        }
        if (cx->device_class->parallel_for(cx->device_module, bytes / PIECE, 1, piece, &r) != LOCI_OK) {
            status = loci_fail(err, LOCI_E_DEVICE, "the threads of the device could not run");
            goto out;
        }
        wall = loci_seconds() - wall;
        m->read = (double)bytes / wall > m->read ? (double)bytes / wall : m->read;
    }
out:
    loci_free(buffer);
    return status;
}
