/* SPDX-License-Identifier: Apache-2.0
 *
 * What the tests of loci.ops/1 share: tensors with guard bands, and rigs.
 *
 *  - A ck_t is a tensor in a block of its own, poisoned with NaN; every byte the tensor does not address must still be
 *    poison afterwards. `skew` moves it off its alignment by that many elements.
 *  - A rig is a device at one level and type. EACH_RIG walks float64, float32 ref, and float32 at each LOCI_CPU level;
 *    the numbers drawn are the same in each. judge() compares with the oracle, a plain float64 loop: float64 to
 *    1e-12, float32 ref to 2e-6, a level to twice the error of ref plus 4 ulp (RMS of the error over the RMS of the
 *    oracle or, where sums may cancel, over rig.floor if that is more).
 */
#ifndef LOCI_TESTS_OPS_TOOLS_H
#define LOCI_TESTS_OPS_TOOLS_H

#include "tests/ck.h"
#include "core/device/kern.h"
#include "tests/unit/host.h"

#include <float.h>

#define GUARD 128
#define JUDGED 8192

static loci_error ck_err __attribute__((unused)) = LOCI_ERROR_INIT;

/* ---- tensors ---------------------------------------------------------------------------------------------------- */

struct ck_t {
    loci_tensor t;
    int64_t shape[5], strides[5], n; /* n: elements */
    size_t bytes;
    unsigned char *mem;
};

static inline int64_t ck_at(const struct ck_t *a, int64_t i)
{
    int64_t at = 0;

    for (int k = a->t.ndim - 1; k >= 0; k--) {
        at += i % a->shape[k] * a->strides[k];
        i /= a->shape[k];
    }
    return at;
}

static inline double ck_get(const struct ck_t *a, int64_t i)
{
    if (a->t.dtype.code == LOCI_INT)
        return ((const int32_t *)a->t.data)[ck_at(a, i)];
    return a->t.dtype.bits == 64 ? ((const double *)a->t.data)[ck_at(a, i)] : ((const float *)a->t.data)[ck_at(a, i)];
}

/* What the tensor then holds. */
static inline double ck_set(struct ck_t *a, int64_t i, double v)
{
    if (a->t.dtype.code == LOCI_INT)
        ((int32_t *)a->t.data)[ck_at(a, i)] = (int32_t)v;
    else if (a->t.dtype.bits == 64)
        ((double *)a->t.data)[ck_at(a, i)] = v;
    else
        ((float *)a->t.data)[ck_at(a, i)] = (float)v;
    return ck_get(a, i);
}

/* bits: 32, 64, or -32 for i32. strides NULL: row-major. */
static inline struct ck_t ck_new(int bits, int skew, int ndim, const int64_t *shape, const int64_t *strides)
{
    struct ck_t a = {.n = 1};
    int64_t step = 1, span = 1;
    size_t size = bits == 64 ? 8 : 4;

    for (int i = ndim - 1; i >= 0; i--) {
        a.shape[i] = shape[i];
        a.strides[i] = strides ? strides[i] : step;
        step *= shape[i];
        span += shape[i] > 0 ? (shape[i] - 1) * a.strides[i] : 0;
        a.n *= shape[i];
    }
    a.bytes = 2 * GUARD + ((size_t)span + (size_t)skew) * size;
    a.mem = malloc(a.bytes);
    if (!a.mem)
        abort();
    memset(a.mem, 0xFF, a.bytes); /* a NaN in either type */
    a.t = (loci_tensor){.data = a.mem + GUARD + (size_t)skew * size,
                        .device = {LOCI_CPU, 0},
                        .ndim = ndim,
                        .dtype = {bits < 0 ? LOCI_INT : LOCI_FLOAT, (uint8_t)(bits == 64 ? 64 : 32), 1}};
    return a;
}

/* The tensor, its shape pointing into the struct as it lies now. */
static inline const loci_tensor *T(struct ck_t *a)
{
    a->t.shape = a->shape;
    a->t.strides = a->strides;
    return &a->t;
}

static inline void ck_fill(struct ck_t *a, double scale)
{
    for (int64_t i = 0; i < a->n; i++)
        ck_set(a, i, scale * ck_norm());
}

static inline void ck_const(struct ck_t *a, double v)
{
    for (int64_t i = 0; i < a->n; i++)
        ck_set(a, i, v);
}

static inline double *ck_read(const struct ck_t *a)
{
    double *v = malloc((size_t)(a->n + 1) * sizeof *v);

    for (int64_t i = 0; v && i < a->n; i++)
        v[i] = ck_get(a, i);
    return v;
}

/* Is every byte outside the tensor's elements still poison? */
static inline int ck_intact(const struct ck_t *a)
{
    unsigned char *own = calloc(1, a->bytes);
    size_t first = (size_t)((unsigned char *)a->t.data - a->mem), size = a->t.dtype.bits / 8;
    int ok = 1;

    for (int64_t i = 0; i < a->n; i++)
        memset(own + first + (size_t)ck_at(a, i) * size, 1, size);
    for (size_t i = 0; i < a->bytes; i++)
        ok = ok && (own[i] || a->mem[i] == 0xFF);
    free(own);
    return ok;
}

static inline void ck_drop(struct ck_t *a)
{
    free(a->mem);
    a->mem = NULL;
}

/* C of the tensors as given, by definition; c holds the old C. */
static inline double *ck_product(const struct ck_t *a, const struct ck_t *b, const struct ck_t *c, unsigned flags,
                                 double alpha, double beta)
{
    int r = c->t.ndim;
    int64_t M = c->shape[r - 2], N = c->shape[r - 1], K = a->shape[flags & LOCI_GEMM_TA ? r - 2 : r - 1];
    double *want = ck_read(c);

    for (int64_t i = 0; i < c->n; i++) {
        int64_t batch = i / (M * N), m = i / N % M, n = i % N;
        double sum = 0;
        for (int64_t k = 0; k < K; k++)
            if (!(flags & LOCI_GEMM_LOWER) || (flags & LOCI_GEMM_TA ? k >= m : k <= m))
                sum += ck_get(a, batch * M * K + (flags & LOCI_GEMM_TA ? k * M + m : m * K + k)) *
                       ck_get(b, batch * K * N + (flags & LOCI_GEMM_TB ? n * K + k : k * N + n));
        want[i] = alpha * sum + (beta == 0 ? 0 : beta * want[i]);
    }
    return want;
}

/* ---- rigs ------------------------------------------------------------------------------------------------------- */

struct rig {
    struct ck_host h;
    loci_exec x;
    const loci_ops *ops;
    const char *level;
    int bits, judged;
    double floor;
    double err_ref[JUDGED];
};
static struct rig rig __attribute__((unused));

static inline int rig_open(int which, int threads)
{
#ifdef CK_CARD
    static const char *const levels[] = {"card", "ref", "card"};
#else
    static const char *const levels[] = {"ref", "ref", "avx2", "avx512"};
#endif
    static const int most = (int)(sizeof levels / sizeof *levels);
    const loci_kern_set *set;

    if (which >= most)
        return 0;
    rig.level = levels[which];
    rig.bits = which == 0 ? 64 : 32;
    rig.judged = 0;
    rig.floor = 0;
    ck_seed = 1;
#ifdef CK_CARD
    ck_on_card = strcmp(rig.level, "card") == 0;
    setenv("LOCI_CPU", "ref", 1);
#else
    setenv("LOCI_CPU", rig.level, 1);
#endif
    if (ck_host_open(&rig.h, threads, &ck_err) != LOCI_OK)
        return 0;
    rig.x = ck_exec(&rig.h);
    rig.ops = rig.h.host.get_ext(&rig.h.host, rig.x.device, LOCI_EXT_OPS);
    set = rig.h.host.get_ext(&rig.h.host, rig.x.device, LOCI_EXT_KERN);
    if (rig.ops && strcmp(rig.level, "card") == 0)
        return 1;
    if (rig.ops && set && (rig.bits == 64 || strcmp(set->f32->name, rig.level) == 0))
        return 1;
    ck_host_close(&rig.h); /* a level this machine or build lacks; higher ones are missing too */
    return 0;
}

#define EACH_RIG(which, threads) for (int which = 0; rig_open(which, threads); ck_host_close(&rig.h), which++)

static inline void judge(const char *what, int64_t size, const struct ck_t *got, const double *want)
{
    double *v = ck_read(got), e = ck_rms(v, want, (size_t)got->n), size_of = 0, limit;

    for (int64_t i = 0; i < got->n; i++)
        size_of += want[i] * want[i];
    size_of = sqrt(size_of / (double)(got->n ? got->n : 1));
    if (size_of < rig.floor)
        e *= (size_of > 0 ? size_of : 1 / sqrt((double)(got->n ? got->n : 1))) / rig.floor;
    if (rig.bits == 64)
        limit = 1e-12;
    else if (strcmp(rig.level, "ref") == 0)
        limit = 2e-6;
    else
        limit = 2 * rig.err_ref[rig.judged] + 4 * (double)FLT_EPSILON;
    if (rig.bits == 32 && strcmp(rig.level, "ref") == 0)
        rig.err_ref[rig.judged] = e;
    if (rig.judged < JUDGED - 1)
        rig.judged++;
    CK_TRUE(e <= limit, "%s, %lld, f%d %s: error %.3g, limit %.3g", what, (long long)size, rig.bits, rig.level, e,
            limit);
    CK_TRUE(ck_intact(got), "%s, %lld, f%d %s: wrote outside its output", what, (long long)size, rig.bits, rig.level);
    free(v);
}

/* A hash of the bits of a tensor's elements. */
static inline uint64_t ck_hash(const struct ck_t *a, uint64_t h)
{
    for (int64_t i = 0; i < a->n; i++) {
        double v = ck_get(a, i);
        uint64_t bits;
        memcpy(&bits, &v, sizeof bits);
        h = (h ^ bits) * UINT64_C(0x100000001B3);
        h ^= h >> 29;
    }
    return h;
}

/* d loss / d at[i], by central differences; for float64. */
static inline double difference(struct ck_t *at, int64_t i, double (*loss)(void *), void *arg)
{
    const double h = 1e-5, x = ck_get(at, i);
    double up, down;

    ck_set(at, i, x + h);
    up = loss(arg);
    ck_set(at, i, x - h);
    down = loss(arg);
    ck_set(at, i, x);
    return (up - down) / (2 * h);
}

#define SHAPE(...) ((const int64_t[]){__VA_ARGS__})

#endif
