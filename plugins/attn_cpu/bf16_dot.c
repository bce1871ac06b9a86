/* SPDX-License-Identifier: Apache-2.0
 *
 * bf16 products by AVX512-BF16: vdpbf16ps adds the products of two pairs to an f32. As in tile.tmpl queries are in the
 * lanes, 48 of them in three vectors, but an element is a pair: of neighbouring x in S' = K Q', where pairs of a row of
 * k are read in place as dwords, and of neighbouring keys in O' += V' P, where v is packed into pairs (bf16_room.h) and
 * two rows of P are rounded and woven together.
 *
 *   qt [d / 2][3]    Q' as pairs      s [keys][3]   S', then P in f32, then over it p [keys / 2][3] as pairs
 *   out [e][3]       O'               top, total    softmax state, in powers of two
 *
 *  (1) The maximum and the sum of a row are those of f32, before rounding: lse has the accuracy of f32.
 *  (2) vdpbf16ps takes subnormal numbers for 0, and so do we with what exp2 would make subnormal.
 *  (3) A masked weight is 0, and 0 times an infinite value is none: a unit that sees a group of keys with one is left
 * to the tiles of f32.
 */
#include "bf16_room.h"

#define UNIT 48  /* queries */
#define KEYS 128 /* of a block */
#define ROWS 8   /* of keys, or columns of v, that a product keeps in registers */

typedef struct dot_room {
    bf16_room r;
    __m512i *qt;
    __m512 *s, *out;
    __m512 top[3], total[3];
} dot_room;

static dot_room *cut(char *base, const cpu_call *c, uint64_t *bytes)
{
    loci_cursor at = {base, 0};
    dot_room *r = loci_cut(&at, sizeof *r);
    const uint64_t vector = 3 * sizeof(__m512);
    void *qt = loci_cut(&at, (uint64_t)(c->d + 1) / 2 * vector);
    void *s = loci_cut(&at, KEYS * vector);
    void *out = loci_cut(&at, (uint64_t)c->e * vector);

    bf16_cut(&at, c, base ? &r->r : NULL, 0, c->e);
    if (base) {
        r->qt = qt;
        r->s = s;
        r->out = out;
    }
    *bytes = at.at;
    return r;
}

static uint64_t room_bytes(const cpu_call *c)
{
    uint64_t bytes;

    cut(NULL, c, &bytes);
    return bytes;
}

static void room_open(const cpu_call *c, char *room)
{
    uint64_t bytes;

    cut(room, c, &bytes);
}

/* qt from the rows of q; dead queries are zeros. */
static void load_queries(const cpu_call *c, dot_room *r, int64_t b, int64_t h)
{
    for (int v = 0; v < 3; v++)
        for (int64_t x = 0; x < c->d; x += 32) {
            __m512i row[16];

            for (int64_t i = 0; i < 16; i++) {
                const int64_t at = 16 * v + i;

                row[i] = at < r->r.rows
                             ? _mm512_maskz_loadu_epi16(bf16_below(c->d - x), bf16_at(c->io->q, b, r->r.i0 + at, h) + x)
                             : _mm512_setzero_si512();
            }
            isa_transpose(row);
            for (int64_t i = 0; i < 16 && x / 2 + i < (c->d + 1) / 2; i++)
                r->qt[(x / 2 + i) * 3 + v] = row[i];
        }
}

INLINE __m512i pair(const void *at)
{
    int32_t dword;

    memcpy(&dword, at, sizeof dword);
    return _mm512_set1_epi32(dword);
}

/* s[n] = factor K Q' for ROWS keys. */
INLINE void dots(__m512 *s, const uint16_t *const *k, const __m512i *qt, int64_t d, __m512 factor)
{
    __m512 acc[ROWS][3];

    for (int n = 0; n < ROWS; n++)
        for (int v = 0; v < 3; v++)
            acc[n][v] = _mm512_setzero_ps();
    for (int64_t x = 0; x < d / 2; x++)
        for (int n = 0; n < ROWS; n++)
            for (int v = 0; v < 3; v++)
                acc[n][v] = _mm512_dpbf16_ps(acc[n][v], (__m512bh)qt[x * 3 + v], (__m512bh)pair(k[n] + 2 * x));
    for (int n = 0; n < ROWS && d % 2; n++)
        for (int v = 0; v < 3; v++)
            acc[n][v] =
                _mm512_dpbf16_ps(acc[n][v], (__m512bh)qt[d / 2 * 3 + v], (__m512bh)_mm512_set1_epi32(k[n][d - 1]));
    for (int n = 0; n < ROWS; n++)
        for (int v = 0; v < 3; v++)
            s[n * 3 + v] = _mm512_mul_ps(acc[n][v], factor);
}

/* Keys [j, j + keys): S' in powers of two, masked where some query does not see a key. */
static void scores(const cpu_call *c, dot_room *r, int64_t b, int64_t h, int64_t j, int64_t keys)
{
    const __m512 factor = _mm512_set1_ps((float)(c->desc->scale * 1.4426950408889634));
    const int64_t last = r->r.len - 1;

    for (int64_t n = 0; n < keys; n += ROWS) {
        const uint16_t *k[ROWS];

        for (int64_t i = 0; i < ROWS; i++)
            k[i] = bf16_at(c->io->k, b, j + n + i < last ? j + n + i : last, h / (c->H / c->Hk));
        dots(r->s + n * 3, k, r->qt, c->d, factor);
        if (bf16_whole(&r->r, j + n, ROWS))
            continue;
        for (int64_t i = 0; i < ROWS; i++)
            for (int v = 0; v < 3; v++) {
                const __m512i key = _mm512_set1_epi32((int32_t)(j + n + i));
                const __mmask16 m = _mm512_cmple_epi32_mask(_mm512_loadu_si512(r->r.lo + 16 * v), key) &
                                    _mm512_cmpge_epi32_mask(_mm512_loadu_si512(r->r.hi + 16 * v), key);
                __m512 *s = &r->s[(n + i) * 3 + v];

                *s = _mm512_mask_mov_ps(_mm512_set1_ps(-INFINITY), m, *s);
            }
    }
}

/* top, total and out take the block in; over s comes P as pairs of bf16. (1) */
static void softmax(dot_room *r, int64_t keys, int64_t e)
{
    const __m512 none = _mm512_set1_ps(-INFINITY);
    __m512i *p = (__m512i *)r->s;
    __m512 base[3], fade[3];
    int moved = 0;

    for (int v = 0; v < 3; v++)
        base[v] = r->top[v];
    for (int64_t n = 0; n < keys; n++)
        for (int v = 0; v < 3; v++)
            base[v] = _mm512_max_ps(r->s[n * 3 + v], base[v]);
    for (int v = 0; v < 3; v++) {
        moved |= _mm512_cmp_ps_mask(base[v], r->top[v], _CMP_NEQ_UQ);
        fade[v] = r->top[v];
        r->top[v] = base[v];
        base[v] = _mm512_mask_mov_ps(base[v], _mm512_cmp_ps_mask(base[v], none, _CMP_EQ_OQ), _mm512_setzero_ps());
        fade[v] = bf16_exp2(_mm512_sub_ps(fade[v], base[v]));
    }
    if (moved) {
        for (int v = 0; v < 3; v++)
            r->total[v] = _mm512_mul_ps(r->total[v], fade[v]);
        for (int64_t x = 0; x < e; x++)
            for (int v = 0; v < 3; v++)
                r->out[x * 3 + v] = _mm512_mul_ps(r->out[x * 3 + v], fade[v]);
    }
    for (int64_t n = 0; n < keys; n += 2)
        for (int v = 0; v < 3; v++) {
            const __m512 one = bf16_exp2(_mm512_sub_ps(r->s[n * 3 + v], base[v]));
            const __m512 two = bf16_exp2(_mm512_sub_ps(r->s[(n + 1) * 3 + v], base[v]));

            r->total[v] = _mm512_add_ps(r->total[v], _mm512_add_ps(one, two));
            p[n / 2 * 3 + v] = bf16_weave(one, two);
        }
}

/* out[x .. x + columns - 1] += V' P for pairs of keys from j on. */
INLINE void spread(dot_room *r, int64_t j, int64_t keys, int64_t x, const int columns)
{
    const __m512i *p = (const __m512i *)r->s;
    __m512 acc[ROWS][3];

    for (int n = 0; n < columns; n++)
        for (int v = 0; v < 3; v++)
            acc[n][v] = r->out[(x + n) * 3 + v];
    for (int64_t i = 0; i < keys / 2; i++) {
        const int64_t at = j / 2 + i; /* of all pairs */
        const uint32_t *a = r->r.v + at / 16 * r->r.vt * 256 + x / 16 * 256 + at % 16 * 16 + x % 16;

        for (int n = 0; n < columns; n++)
            for (int v = 0; v < 3; v++)
                acc[n][v] = _mm512_dpbf16_ps(acc[n][v], (__m512bh)p[i * 3 + v], (__m512bh)pair(a + n));
    }
    for (int n = 0; n < columns; n++)
        for (int v = 0; v < 3; v++)
            r->out[(x + n) * 3 + v] = acc[n][v];
}

static void store(const cpu_call *c, dot_room *r, int64_t b, int64_t h)
{
    const int64_t here = c->T - r->r.i0;
    float lse[UNIT];

    for (int v = 0; v < 3; v++) {
        const __m512 share = _mm512_div_ps(_mm512_set1_ps(1), r->total[v]);

        _mm512_storeu_ps(lse + 16 * v, _mm512_fmadd_ps(r->top[v], _mm512_set1_ps(0.69314718f), bf16_log(r->total[v])));
        for (int64_t x = 0; x < c->e; x += 16) {
            const __mmask16 m = (__mmask16)bf16_below(c->e - x);
            __m512i row[16];

            for (int64_t i = 0; i < 16; i++)
                row[i] = x + i < c->e ? _mm512_castps_si512(_mm512_mul_ps(r->out[(x + i) * 3 + v], share))
                                      : _mm512_setzero_si512();
            isa_transpose(row);
            for (int64_t i = 0; i < 16 && 16 * v + i < here; i++)
                _mm256_mask_storeu_epi16(bf16_at(c->io->o, b, r->r.i0 + 16 * v + i, h) + x, m,
                                         bf16_round(_mm512_castsi512_ps(row[i])));
        }
    }
    for (int64_t i = 0; i < here && i < UNIT; i++) {
        if (i >= r->r.rows || ((const float *)r->total)[i] == 0) /* NaN is seen */
            bf16_nothing(c, b, h, r->r.i0 + i);
        else if (c->io->lse)
            *bf16_lse(c->io->lse, b, h, r->r.i0 + i) = lse[i];
    }
}

static void pack(const cpu_call *c, bf16_room *r, int64_t group)
{
    bf16_pack_v(c, r, group, 0);
}

static int forward(const cpu_call *c, char *room, int64_t b, int64_t h, int64_t unit)
{
    dot_room *r = (dot_room *)room;
    int64_t keys;

    bf16_unit(c, &r->r, b, unit, UNIT);
    bf16_pack(c, &r->r, b, h, pack);
    if (bf16_peak(&r->r, r->r.v_peak) >= BF16_INFINITE)
        return 0; /* (3) */
    for (int v = 0; v < 3; v++) {
        r->top[v] = _mm512_set1_ps(-INFINITY);
        r->total[v] = _mm512_setzero_ps();
    }
    for (int64_t x = 0; x < c->e * 3; x++)
        r->out[x] = _mm512_setzero_ps();
    load_queries(c, r, b, h);
    for (int64_t j = r->r.first / ROWS * ROWS; j < r->r.end; j += keys) {
        int64_t x = 0;

        keys = r->r.end - j < KEYS ? (r->r.end - j + ROWS - 1) / ROWS * ROWS : KEYS;
        scores(c, r, b, h, j, keys);
        softmax(r, keys, c->e);
        for (; x + ROWS <= c->e; x += ROWS)
            spread(r, j, keys, x, ROWS);
        for (; x < c->e; x++)
            spread(r, j, keys, x, 1);
    }
    store(c, r, b, h);
    return 1;
}

static void nothing(void)
{
}

const bf16_ops attn_cpu_bf16_dot = {"bf16_dot", CPU_AVX512, UNIT,    room_bytes, room_open,
                                    nothing,    nothing,    forward, NULL,       NULL};
