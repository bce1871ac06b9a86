/* SPDX-License-Identifier: Apache-2.0
 *
 * What the kernels of bf16 products share: the memory of a worker, which keys a unit of queries sees, packing, and the
 * ways between bf16 rows and registers. AVX-512 F, DQ, BW, VL, BF16.
 *
 *  (1) Keys are packed in groups of 32, when a unit first needs them, and stay until another head comes: [from, to) is
 *      what lies there. Values become pairs of neighbouring keys, a dword for each element, in tiles of 16 columns:
 *
 *          v[group][column / 16][key / 2][column % 16] = { v[key], v[key + 1] }
 *
 *      One column more than e is packed, of ones where a kernel wants the sum of its weights as a product.
 *  (2) A unit's queries have neighbouring positions, so both ends of what they see ascend, and the groups from the
 *      first one's first to the last one's last are all there is. Dead queries look like the last that lives.
 *  (3) Each group's largest magnitudes are kept as 15 bits; 0x7f80 and above is infinite or NaN. A unit asks for those
 *      of the groups it sees, so the answer does not depend on what else was packed.
 */
#ifndef ATTN_CPU_BF16_ROOM_H
#define ATTN_CPU_BF16_ROOM_H

#include <immintrin.h>
#include <math.h>

#include "../../isa/transpose.h"
#include "bf16.h"

#define INLINE static inline __attribute__((always_inline))
#define BF16_INFINITE 0x7f80
#define BF16_QUERIES 128 /* the most of a unit */

typedef struct bf16_room {
    int64_t b, kh, vh;         /* whose keys and values are packed; b is -1: nobody's */
    int64_t from, to;          /* (1) groups */
    uint16_t *k_peak, *v_peak; /* (3) */
    uint32_t *k, *v;
    int64_t len;                                /* keys of row b                                           */
    int64_t kd, vt;                             /* dwords of a group of k, tiles of a group of v           */
    int64_t i0, rows;                           /* of the unit; rows is 0 when no query lives              */
    int64_t first, end;                         /* keys that some query sees; first = end: none            */
    int32_t lo[BF16_QUERIES], hi[BF16_QUERIES]; /* a query sees lo .. hi; hi < lo: nothing */
    int64_t lo_max, hi_min;
} bf16_room;

/* ---- sizes ---- */

static inline int64_t bf16_groups(const cpu_call *c)
{
    return (c->S + BF16_GROUP - 1) / BF16_GROUP;
}

/* Cuts the common part; kd dwords of a group of keys, 0 when the kernel reads keys in place. */
static inline void bf16_cut(loci_cursor *at, const cpu_call *c, bf16_room *r, int64_t kd, int64_t columns)
{
    uint64_t groups = (uint64_t)bf16_groups(c);
    bf16_room set = {.b = -1, .kd = kd, .vt = (columns + 15) / 16};

    set.k_peak = loci_cut(at, groups * sizeof(uint16_t));
    set.v_peak = loci_cut(at, groups * sizeof(uint16_t));
    set.k = loci_cut(at, groups * (uint64_t)kd * sizeof(uint32_t));
    set.v = loci_cut(at, groups * (uint64_t)set.vt * 1024);
    if (at->base)
        *r = set;
}

/* ---- registers ---- */

static inline uint16_t *bf16_at(const loci_tensor *t, int64_t b, int64_t i, int64_t h)
{
    return (uint16_t *)loci_ptr(t) + b * t->strides[0] + i * t->strides[1] + h * t->strides[2];
}

static inline float *bf16_lse(const loci_tensor *t, int64_t b, int64_t h, int64_t i)
{
    return (float *)loci_ptr(t) + b * t->strides[0] + h * t->strides[1] + i * t->strides[2];
}

/* Calls a row of d or e elements into the second cache. */
static inline void bf16_fetch(const loci_tensor *t, int64_t b, int64_t i, int64_t h)
{
    const char *row = (const char *)bf16_at(t, b, i, h);

    for (int64_t x = 0; x < t->shape[3] * 2; x += 64)
        __builtin_prefetch(row + x, 0, 2);
}

INLINE __mmask32 bf16_below(int64_t n)
{
    return n >= 32 ? 0xffffffffu : n <= 0 ? 0 : (1u << n) - 1;
}

INLINE __m512i bf16_magnitude(__m512i peak, __m512i halves)
{
    return _mm512_max_epu16(peak, _mm512_and_si512(halves, _mm512_set1_epi16(0x7fff)));
}

INLINE uint16_t bf16_largest(__m512i peak)
{
    return (uint16_t)_mm512_reduce_max_epu32(
        _mm512_max_epu32(_mm512_and_si512(peak, _mm512_set1_epi32(0xffff)), _mm512_srli_epi32(peak, 16)));
}

static inline double bf16_value(uint16_t half)
{
    union {
        uint32_t bits;
        float value;
    } wide = {(uint32_t)half << 16};

    return (double)wide.value;
}

/* To nearest, ties to even; NaN stays NaN. */
INLINE __m256i bf16_round(__m512 x)
{
    const __m512i bits = _mm512_castps_si512(x), one = _mm512_set1_epi32(1);
    __m512i up = _mm512_add_epi32(_mm512_set1_epi32(0x7fff), _mm512_and_si512(_mm512_srli_epi32(bits, 16), one));
    __m512i y = _mm512_mask_or_epi32(_mm512_add_epi32(bits, up), _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q), bits,
                                     _mm512_set1_epi32(0x400000));

    return _mm512_cvtepi32_epi16(_mm512_srli_epi32(y, 16));
}

/* Elements of two rows as pairs; a row that is NULL is zeros. */
INLINE __m512i bf16_pair(const uint16_t *a, const uint16_t *b, __mmask16 m)
{
    const __m512i none = _mm512_setzero_si512();
    const __m512i low = a ? _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(m, a)) : none;
    const __m512i high = b ? _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(m, b)) : none;

    return _mm512_or_si512(low, _mm512_slli_epi32(high, 16));
}

/* Rounded, 16 of a then 16 of b. Subnormal numbers become 0. */
INLINE __m512i bf16_two(__m512 a, __m512 b)
{
    return (__m512i)_mm512_cvtne2ps_pbh(b, a);
}

/* The same as pairs { a, b }. */
INLINE __m512i bf16_weave(__m512 a, __m512 b)
{
    static const uint16_t order[32] = {0, 16, 1, 17, 2,  18, 3,  19, 4,  20, 5,  21, 6,  22, 7,  23,
                                       8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31};

    return _mm512_permutexvar_epi16(_mm512_loadu_si512(order), bf16_two(a, b));
}

/* 2^x for x <= 0: Taylor's series of 2^f, |f| <= 1/2, within 2 ulp; 0 where that would be subnormal. NaN stays NaN. */
INLINE __m512 bf16_exp2(__m512 x)
{
    static const float term[] = {1.3333558e-3f, 9.6181291e-3f, 5.5504109e-2f, 2.4022651e-1f, 6.9314718e-1f, 1.0f};
    const __m512 n = _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC), f = _mm512_sub_ps(x, n);
    __m512 y = _mm512_set1_ps(1.5403530e-4f);

    for (int i = 0; i < 6; i++)
        y = _mm512_fmadd_ps(y, f, _mm512_set1_ps(term[i]));
    return _mm512_maskz_scalef_ps(_mm512_cmp_ps_mask(x, _mm512_set1_ps(-126), _CMP_NLT_UQ), y, n);
}

/* ln x for normal x > 0, as Cephes' logf. */
INLINE __m512 bf16_log(__m512 x)
{
    static const float term[] = {-1.1514610310e-1f, 1.1676998740e-1f, -1.2420140846e-1f, 1.4249322787e-1f,
                                 -1.6668057665e-1f, 2.0000714765e-1f, -2.4999993993e-1f, 3.3333331174e-1f};
    const __m512 half = _mm512_set1_ps(0.5f);
    __m512 e = _mm512_getexp_ps(x), f = _mm512_getmant_ps(x, _MM_MANT_NORM_1_2, _MM_MANT_SIGN_src), y, z;
    __mmask16 high = _mm512_cmp_ps_mask(f, _mm512_set1_ps(1.41421356f), _CMP_GT_OQ);

    f = _mm512_mask_mul_ps(f, high, f, half);
    e = _mm512_mask_add_ps(e, high, e, _mm512_set1_ps(1));
    f = _mm512_sub_ps(f, _mm512_set1_ps(1));
    z = _mm512_mul_ps(f, f);
    y = _mm512_set1_ps(7.0376836292e-2f);
    for (int i = 0; i < 8; i++)
        y = _mm512_fmadd_ps(y, f, _mm512_set1_ps(term[i]));
    y = _mm512_mul_ps(_mm512_mul_ps(y, f), z);
    y = _mm512_fmadd_ps(e, _mm512_set1_ps(-2.12194440e-4f), y);
    y = _mm512_fnmadd_ps(half, z, y);
    return _mm512_fmadd_ps(e, _mm512_set1_ps(0.693359375f), _mm512_add_ps(f, y));
}

/* ---- which keys a unit sees ---- */

static inline int64_t bf16_length(const loci_tensor *len, int64_t b, int64_t all)
{
    return len ? cpu_i32(len, b, 0) : all;
}

/* (2) */
static inline void bf16_unit(const cpu_call *c, bf16_room *r, int64_t b, int64_t unit, int64_t queries)
{
    const loci_attn_desc *a = c->desc;
    const int64_t len = bf16_length(a->k_len, b, c->S), live = bf16_length(a->q_len, b, c->T) - unit * queries;

    r->len = len;
    r->i0 = unit * queries;
    r->rows = live < 0 ? 0 : live < queries ? live : queries;
    r->first = r->end = 0;
    for (int64_t i = 0; i < queries && r->rows; i++) {
        const int64_t p = a->offset + r->i0 + (i < r->rows ? i : r->rows - 1);
        int64_t lo = a->window_left < 0 || p < a->window_left ? 0 : p - a->window_left;
        int64_t hi = a->window_right < 0 || a->window_right > INT32_MAX - p ? INT32_MAX : p + a->window_right;

        hi = a->causal && p < hi ? p : hi;
        hi = hi >= len ? len - 1 : hi < -1 ? -1 : hi;
        lo = lo > len ? len : lo;
        r->lo[i] = (int32_t)lo;
        r->hi[i] = (int32_t)hi;
        if (i == 0)
            r->first = r->lo_max = lo, r->hi_min = hi;
        r->lo_max = lo;
        r->end = hi + 1;
    }
    if (r->end <= r->first)
        r->first = r->end = 0;
}

/* The keys of [base, base + 32) that query i sees, as bits. */
INLINE uint32_t bf16_sees(const bf16_room *r, int64_t i, int64_t base)
{
    return bf16_below(r->hi[i] + 1 - base) & ~bf16_below(r->lo[i] - base);
}

INLINE int bf16_whole(const bf16_room *r, int64_t base, int64_t keys)
{
    return base >= r->lo_max && base + keys - 1 <= r->hi_min;
}

/* ---- packing ---- */

/* (1) One group of values; keys from the row's length on are zeros and not read. `ones` is the bf16 number that column
 * e holds. */
static inline void bf16_pack_v(const cpu_call *c, bf16_room *r, int64_t group, uint16_t ones)
{
    const loci_tensor *v = c->io->v;
    const __m512i low = _mm512_set1_epi32(ones), both = _mm512_set1_epi32((int)((uint32_t)ones << 16 | ones));
    uint32_t *to = r->v + group * r->vt * 256;
    __m512i peak = _mm512_setzero_si512();

    for (int64_t n = 0; n < BF16_GROUP; n += 2) {
        const int64_t j = group * BF16_GROUP + n, rows = r->len - j;
        const uint16_t *row = bf16_at(v, r->b, j, r->vh);

        for (int64_t t = 0; t < r->vt; t++) {
            const int64_t left = c->e - 16 * t;
            const __mmask16 m = (__mmask16)bf16_below(left);
            __m512i y = bf16_pair(rows > 0 ? row + 16 * t : NULL, rows > 1 ? row + v->strides[1] + 16 * t : NULL, m);

            peak = bf16_magnitude(peak, y);
            if (left >= 0 && left < 16)
                y = _mm512_mask_mov_epi32(y, (__mmask16)(1u << left), rows > 1 ? both : low);
            _mm512_storeu_si512(to + t * 256 + n / 2 * 16, y);
        }
    }
    r->v_peak[group] = bf16_largest(peak);
}

/* Packs the groups of what the unit sees that do not lie there yet; pack does one. */
static inline void bf16_pack(const cpu_call *c, bf16_room *r, int64_t b, int64_t h,
                             void (*pack)(const cpu_call *, bf16_room *, int64_t group))
{
    const int64_t kh = h / (c->H / c->Hk), vh = h / (c->H / c->Hv);
    const int64_t from = r->first / BF16_GROUP, to = (r->end + BF16_GROUP - 1) / BF16_GROUP;

    if (r->b != b || r->kh != kh || r->vh != vh || from > r->to || to < r->from) {
        r->b = b;
        r->kh = kh;
        r->vh = vh;
        r->from = r->to = from;
    }
    while (r->from > from)
        pack(c, r, --r->from);
    while (r->to < to) {
        const int64_t next = (r->to + 1) * BF16_GROUP;

        for (int64_t j = next; j < next + BF16_GROUP && j < r->end; j++) {
            bf16_fetch(c->io->k, b, j, kh);
            bf16_fetch(c->io->v, b, j, vh);
        }
        pack(c, r, r->to++);
    }
}

/* The largest magnitude of the groups that the unit sees. (3) */
static inline uint16_t bf16_peak(const bf16_room *r, const uint16_t *peak)
{
    uint16_t most = 0;

    for (int64_t g = r->first / BF16_GROUP; g * BF16_GROUP < r->end; g++)
        most = peak[g] > most ? peak[g] : most;
    return most;
}

/* ---- results ---- */

/* A query that sees nothing: o is 0 and lse -inf. */
static inline void bf16_nothing(const cpu_call *c, int64_t b, int64_t h, int64_t i)
{
    memset(bf16_at(c->io->o, b, i, h), 0, (size_t)c->e * sizeof(uint16_t));
    if (c->io->lse)
        *bf16_lse(c->io->lse, b, h, i) = -INFINITY;
}

#endif
