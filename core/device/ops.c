/* SPDX-License-Identifier: Apache-2.0
 *
 * core/device/ops: the table of loci.ops/1, its checks, and sums over rows. See ops.h.
 */
#include "core/device/ops.h"

#include <string.h>

#define STRIP 256     /* columns of a task of loci_ops_columns */
#define PARTIAL 8192  /* elements of partial sums, on the stack of the caller: 64 KiB */
#define SHARDS 32     /* at most */
#define SHARD_ROWS 64 /* least rows worth a shard */

/* ---- kernels ---------------------------------------------------------------------------------------------------- */

static const loci_kern_set *kern_set(const loci_exec *x)
{
    static const loci_kern_set plain = {LOCI_CPU_REF, &loci_kern_f32_ref, &loci_kern_f64, NULL};
    const loci_kern_set *set = x->host->get_ext(x->host, x->device, LOCI_EXT_KERN);

    return set ? set : &plain;
}

int loci_ops_level(const loci_exec *x)
{
    return kern_set(x)->level;
}

struct loci_rooms *loci_ops_bf16(const loci_exec *x)
{
    return kern_set(x)->bf16;
}

const loci_kern *loci_ops_kern(const loci_exec *x, const char *op, const loci_tensor *t, loci_error *err)
{
    if (!t) {
        loci_fail(err, LOCI_E_ARG, "%s: an operand is missing", op);
        return NULL;
    }
    if (t->dtype.code == LOCI_FLOAT && t->dtype.lanes == 1 && t->dtype.bits == 32)
        return kern_set(x)->f32;
    if (t->dtype.code == LOCI_FLOAT && t->dtype.lanes == 1 && t->dtype.bits == 64)
        return kern_set(x)->f64;
    loci_fail(err, LOCI_E_ARG, "%s: type of code %d and %d bits; use f32 or f64", op, t->dtype.code, t->dtype.bits);
    return NULL;
}

/* ---- checks ----------------------------------------------------------------------------------------------------- */

bool loci_ops_same_type(loci_dtype a, loci_dtype b)
{
    return a.code == b.code && a.bits == b.bits && a.lanes == b.lanes;
}

int64_t loci_ops_elements(const loci_tensor *t)
{
    int64_t n = 1;

    for (int i = 0; i < t->ndim; i++)
        n *= t->shape[i];
    return n;
}

bool loci_ops_contiguous(const loci_tensor *t)
{
    int64_t want = 1;

    for (int i = t->ndim - 1; i >= 0; i--) {
        if (t->shape[i] != 1 && t->strides[i] != want)
            return false;
        want *= t->shape[i];
    }
    return true;
}

static void shape_text(char *to, size_t size, int ndim, const int64_t *shape)
{
    size_t len = 0;

    to[len++] = '[';
    for (int i = 0; i < ndim && len + 24 < size; i++)
        len += (size_t)snprintf(to + len, size - len, "%s%lld", i ? "," : "", (long long)shape[i]);
    snprintf(to + len, size - len, "]");
}

loci_status loci_ops_check(const char *op, const char *name, const loci_tensor *t, loci_dtype type, int least, bool out,
                           loci_error *err)
{
    int64_t last, step;

    if (!t)
        return loci_fail(err, LOCI_E_ARG, "%s: %s is missing", op, name);
    if (t->ndim < least || t->ndim > LOCI_WALK_DIMS)
        return loci_fail(err, LOCI_E_ARG, "%s: %s has %d dimensions; give %d to %d", op, name, t->ndim, least,
                         LOCI_WALK_DIMS);
    if (!loci_ops_same_type(t->dtype, type))
        return loci_fail(err, LOCI_E_ARG, "%s: %s has type code %d of %d bits, the others code %d of %d bits", op, name,
                         t->dtype.code, t->dtype.bits, type.code, type.bits);
    last = t->shape[t->ndim - 1];
    step = t->strides[t->ndim - 1];
    if (loci_ops_elements(t) == 0)
        return LOCI_OK;
    if (last > 1 && step != 1 && (out || step != 0))
        return loci_fail(err, LOCI_E_ARG, "%s: the last axis of %s has stride %lld; it must be %s", op, name,
                         (long long)step, out ? "1" : "1 or 0");
    for (int i = 0; i < t->ndim; i++)
        if (t->shape[i] > 1 && (t->strides[i] < 0 || (out && t->strides[i] == 0)))
            return loci_fail(err, LOCI_E_ARG, "%s: axis %d of %s has stride %lld, %s", op, i, name,
                             (long long)t->strides[i], t->strides[i] ? "which is negative" : "so it cannot be written");
    if (!t->data)
        return loci_fail(err, LOCI_E_ARG, "%s: %s has no data", op, name);
    return LOCI_OK;
}

static loci_status wrong_shape(const char *op, const char *name, const loci_tensor *t, int ndim, const int64_t *shape,
                               loci_error *err)
{
    char has[160], want[160];

    shape_text(has, sizeof has, t->ndim, t->shape);
    shape_text(want, sizeof want, ndim, shape);
    return loci_fail(err, LOCI_E_ARG, "%s: %s has shape %s; it must be %s", op, name, has, want);
}

loci_status loci_ops_check_like(const char *op, const char *name, const loci_tensor *t, const loci_tensor *like,
                                bool out, loci_error *err)
{
    loci_status status = loci_ops_check(op, name, t, like->dtype, 1, out, err);

    if (status != LOCI_OK)
        return status;
    if (t->ndim != like->ndim || memcmp(t->shape, like->shape, (size_t)t->ndim * sizeof *t->shape) != 0)
        return wrong_shape(op, name, t, like->ndim, like->shape, err);
    return LOCI_OK;
}

loci_status loci_ops_check_i32(const char *op, const char *name, const loci_tensor *t, int ndim, const int64_t *shape,
                               loci_error *err)
{
    static const loci_dtype i32 = {LOCI_INT, 32, 1};
    loci_status status = loci_ops_check(op, name, t, i32, 1, false, err);

    if (status != LOCI_OK)
        return status;
    if (t->ndim != ndim || memcmp(t->shape, shape, (size_t)ndim * sizeof *shape) != 0)
        return wrong_shape(op, name, t, ndim, shape, err);
    return LOCI_OK;
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
    columns_job j = {.k = k, .add = add, .arg = arg, .out = out, .partial = partial, .rows = rows, .n = n, .strip = strip};
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
