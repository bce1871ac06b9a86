/* SPDX-License-Identifier: Apache-2.0
 *
 * A matrix product of the device: what oneDNN, a CBLAS or our own loop reach in this shape.
 */
#include "core/bench/bench.h"
#include "core/device/rng.h"
#include <string.h>

struct product {
    const loci_ops *ops;
    loci_exec x;
    loci_gemm g;
    loci_view a, b, c;
};

static loci_status call(void *arg, loci_error *err)
{
    struct product *p = arg;

    return p->ops->gemm(&p->x, &p->g, err);
}

/* Numbers around 0, of any type: float32 rounded to bf16 is its upper half. */
static loci_status matrix(loci_view *v, loci_context *cx, loci_dtype dtype, int64_t rows, int64_t columns,
                          uint64_t seed, loci_error *err)
{
    const uint64_t bytes = loci_dtype_bytes(dtype);
    const int64_t shape[] = {rows, columns};
    uint64_t total;
    double x[64];
    char *at;

    if (!loci_shape_bytes(&total, dtype, 2, shape))
        return loci_fail(err, LOCI_E_ARG, "a matrix of %lld x %lld is too large to address", (long long)rows,
                         (long long)columns);
    at = loci_device_alloc(cx, total);
    if (!at)
        return loci_fail(err, LOCI_E_NOMEM, "out of memory for a matrix of %lld x %lld", (long long)rows,
                         (long long)columns);
    loci_view_set(v, at, cx->device, dtype, 2, shape);
    loci_random_fill_normal(x, 64, seed);
    for (uint64_t i = 0; i < total / bytes; i++) {
        const double value = x[(i * 7 + i / 64) % 64];
        const float f = (float)value;
        uint32_t half;
        memcpy(&half, &f, sizeof half);
        half >>= 16;
        if (bytes == 8)
            memcpy(at + 8 * i, &value, 8);
        else if (bytes == 4)
            memcpy(at + 4 * i, &f, 4);
        else
            memcpy(at + 2 * i, &(uint16_t){(uint16_t)half}, 2);
    }
    return LOCI_OK;
}

loci_status loci_bench_gemm(loci_bench_row *out, loci_context *cx, const loci_bench_size *z, const loci_bench_how *how,
                            loci_error *err)
{
    loci_status status = LOCI_OK;
    const loci_session session = {z->M, 1, 1, 1, 1, 0};
    struct product p;

    memset(out, 0, sizeof *out);
    memset(&p, 0, sizeof p);
    p.ops = cx->ops;
    p.g = (loci_gemm){sizeof p.g, 0, 1, 0, &p.a.t, &p.b.t, &p.c.t};
    loci_exec_init(&p.x, cx, &session, 0, 0, 0);
    snprintf(out->backend, sizeof out->backend, "%s", cx->device_meta->id);
    LOCI_TRY(matrix(&p.a, cx, z->dtype, z->M, z->K, 1, err));
    LOCI_TRY(matrix(&p.b, cx, z->dtype, z->K, z->N, 2, err));
    LOCI_TRY(matrix(&p.c, cx, z->dtype, z->M, z->N, 3, err));
    LOCI_TRY(loci_bench_measure(&out->t, &(loci_bench_call){call, NULL, &p}, how, err));
    out->flops = 2.0 * (double)z->M * (double)z->N * (double)z->K;
out:
    loci_device_free(cx, p.a.t.data);
    loci_device_free(cx, p.b.t.data);
    loci_device_free(cx, p.c.t.data);
    return status;
}
