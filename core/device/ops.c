/* SPDX-License-Identifier: Apache-2.0
 *
 * core/device/ops: the table of loci.ops/1 and sums over rows. See ops.h.
 */
#include "core/device/ops.h"

#include <string.h>

#define STRIP 256     /* columns of a task of loci_ops_columns */
#define PARTIAL 8192  /* elements of partial sums, on the stack of the caller: 64 KiB */
#define SHARDS 32     /* at most */
#define SHARD_ROWS 64 /* least rows worth a shard */

/* ---- kernels ---------------------------------------------------------------------------------------------------- */

const loci_kern_set *loci_ops_kern_set(const loci_exec *x)
{
    static const loci_kern_set plain = {.level = LOCI_CPU_REF, .f32 = &loci_kern_f32_ref, .f64 = &loci_kern_f64};
    const loci_kern_set *set = x->host->get_ext(x->host, x->device, LOCI_EXT_KERN);

    return set ? set : &plain;
}

const loci_kern *loci_ops_kern(const loci_exec *x, const char *op, const loci_tensor *t, loci_error *err)
{
    const int bits = loci_ops_bits(op, t, err);

    return bits == 32 ? loci_ops_kern_set(x)->f32 : bits == 64 ? loci_ops_kern_set(x)->f64 : NULL;
}

/* ---- sums over rows --------------------------------------------------------------------------------------------- */

typedef struct columns_job {
    const loci_kern *k;
    loci_ops_add_fn add;
    void *arg;
    char *out;
    double *partial;                     /* [shards][n], of the kernel's type */
    int64_t rows, n, shards, shard_rows; /* shards 1: straight into out */
    int64_t strip;                       /* columns of a task */
} columns_job;

static void columns_task(void *arg, int64_t begin, int64_t end, uint32_t worker)
{
    columns_job *j = arg;

    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        int64_t shard = i % j->shards, c = i / j->shards * j->strip;
        int64_t wide = j->n - c < j->strip ? j->n - c : j->strip;
        int64_t row = shard * j->shard_rows, last = row + j->shard_rows;
        char *acc = j->shards == 1 ? j->out : (char *)j->partial + shard * j->n * j->k->size;

        acc += c * j->k->size;
        if (j->shards > 1)
            j->k->fill(acc, wide, 0);
        j->add(j->arg, acc, row, last < j->rows ? last : j->rows, c, wide);
    }
}

static loci_status columns(const loci_exec *x, const loci_kern *k, int64_t rows, int64_t n, int64_t strip,
                           loci_ops_add_fn add, void *arg, void *out, double beta)
{
    double partial[PARTIAL];
    int64_t strips = (n + strip - 1) / strip, shards = PARTIAL / (strips * strip);
    columns_job j = {
        .k = k, .add = add, .arg = arg, .out = out, .partial = partial, .rows = rows, .n = n, .strip = strip};
    loci_status status;

    if (n == 0)
        return LOCI_OK;
    if (beta == 0)
        k->fill(out, n, 0);
    else if (beta != 1)
        k->map1(LOCI_MAP_COPY, out, out, 1, n, beta, 0);
    if (rows == 0)
        return LOCI_OK;
    if (shards > SHARDS)
        shards = SHARDS;
    if (shards > rows / SHARD_ROWS)
        shards = rows / SHARD_ROWS;
    if (shards < 1)
        shards = 1;
    j.shard_rows = (rows + shards - 1) / shards;
    j.shards = shards;
    status = loci_ops_for(x, strips * shards, LOCI_OPS_GRAIN / (j.shard_rows * strip + 1), columns_task, &j);
    for (int64_t s = 0; s < shards && shards > 1; s++)
        k->map1(LOCI_MAP_COPY, out, (char *)partial + s * n * k->size, 1, n, 1, 1);
    return status;
}

loci_status loci_ops_columns(const loci_exec *x, const loci_kern *k, int64_t rows, int64_t n, loci_ops_add_fn add,
                             void *arg, void *out, double beta)
{
    return columns(x, k, rows, n, STRIP, add, arg, out, beta);
}

loci_status loci_ops_whole_rows(const loci_exec *x, const loci_kern *k, int64_t rows, int64_t n, loci_ops_add_fn add,
                                void *arg, void *out, double beta)
{
    return columns(x, k, rows, n, n ? n : 1, add, arg, out, beta);
}

/* ---- the table -------------------------------------------------------------------------------------------------- */

const loci_ops loci_cpu_ops = {
    .struct_size = sizeof(loci_ops),
    .gemm = loci_op_gemm,
    .fill = loci_op_fill,
    .map1 = loci_op_map1,
    .map2 = loci_op_map2,
    .sum_rows = loci_op_sum_rows,
    .norm = loci_op_norm,
    .norm_back = loci_op_norm_back,
    .conv = loci_op_conv,
    .conv_back = loci_op_conv_back,
    .take = loci_op_take,
    .put = loci_op_put,
    .rope = loci_op_rope,
    .xent = loci_op_xent,
    .sumsq = loci_op_sumsq,
    .adamw = loci_op_adamw,
    .dot = loci_op_dot,
};
