/* SPDX-License-Identifier: Apache-2.0
 *
 * What the 32 lanes of a warp compute together, as the PTX manual defines it, and 16-bit numbers.
 */
#include "simt.h"

void simt_shuffle(void *const lane[32])
{
    for (int n = 0; n < 32; n++) {
        simt_word *w = (simt_word *)lane[n];

        if (w && !lane[w->from])
            simt_fail("a shuffle reads lane %d, which is not in its mask", w->from);
        if (w)
            w->got = ((const simt_word *)lane[w->from])->value;
    }
}

void simt_ballot(void *const lane[32])
{
    uint32_t all = 0;

    for (int n = 0; n < 32; n++)
        if (lane[n] && ((const simt_word *)lane[n])->value)
            all |= 1u << n;
    for (int n = 0; n < 32; n++)
        if (lane[n])
            ((simt_word *)lane[n])->got = all;
}

/* c[16,8] += a[16,16] b[16,8] in float. Lane l holds, with g = l / 4 and t = l % 4:
 *     a0 (g, 2t..2t+1)   a1 (g+8, 2t..)   a2 (g, 2t+8..)   a3 (g+8, 2t+8..)
 *     b0 (2t..2t+1, g)   b1 (2t+8.., g)        c0 c1 (g, 2t..2t+1)   c2 c3 (g+8, 2t..) */
void simt_mma_m16n8k16(void *const lane[32])
{
    float a[16][16], b[16][8];

    for (int l = 0; l < 32; l++) {
        const simt_mma *m = (const simt_mma *)lane[l];

        for (int r = 0; r < 4; r++)
            for (int x = 0; x < 2; x++) {
                uint16_t bits = (uint16_t)(m->a[r] >> 16 * x);

                a[l / 4 + 8 * (r % 2)][l % 4 * 2 + 8 * (r / 2) + x] =
                    m->fp16 ? simt_from_fp16(bits) : simt_from_bf16(bits);
            }
        for (int r = 0; r < 2; r++)
            for (int x = 0; x < 2; x++) {
                uint16_t bits = (uint16_t)(m->b[r] >> 16 * x);

                b[l % 4 * 2 + 8 * r + x][l / 4] = m->fp16 ? simt_from_fp16(bits) : simt_from_bf16(bits);
            }
    }
    for (int l = 0; l < 32; l++)
        for (int n = 0; n < 4; n++) {
            float *c = ((const simt_mma *)lane[l])->c + n;
            int row = l / 4 + 8 * (n / 2), col = l % 4 * 2 + n % 2;

            for (int k = 0; k < 16; k++)
                *c += a[row][k] * b[k][col];
        }
}

/* Four 8x8 matrices of 16 bits. Lane 8n+r gives the address of row r of matrix n; lane l gets of each matrix the two
 * elements from (l / 4, l % 4 * 2) on, of its transpose when asked. */
void simt_ldmatrix_x4(void *const lane[32])
{
    uint16_t m[4][8][8];

    for (int l = 0; l < 32; l++) {
        const void *row = ((const simt_matrix *)lane[l])->row;

        if ((uintptr_t)row % 16)
            simt_fail("ldmatrix reads a row at %p: not divisible by 16", row);
        memcpy(m[l / 8][l % 8], row, 16);
    }
    for (int l = 0; l < 32; l++) {
        const simt_matrix *x = (const simt_matrix *)lane[l];
        int r = l / 4, c = l % 4 * 2;

        for (int n = 0; n < 4; n++)
            x->got[n] = x->transposed ? m[n][c][r] | (uint32_t)m[n][c + 1][r] << 16
                                      : m[n][r][c] | (uint32_t)m[n][r][c + 1] << 16;
    }
}

static uint32_t bits_of(float x)
{
    uint32_t bits;

    memcpy(&bits, &x, 4);
    return bits;
}

static float float_of(uint32_t bits)
{
    float x;

    memcpy(&x, &bits, 4);
    return x;
}

/* To nearest, ties to even; NaN stays NaN. */
uint16_t simt_to_bf16(float x)
{
    uint32_t bits = bits_of(x);

    return x != x ? (uint16_t)0x7fff : (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

float simt_from_bf16(uint16_t x)
{
    return float_of((uint32_t)x << 16);
}

uint16_t simt_to_fp16(float x)
{
    uint32_t sign = bits_of(x) >> 16 & 0x8000;
    float a = fabsf(x), unit;
    int e;

    if (x != x)
        return 0x7fff;
    if (a == 0)
        return (uint16_t)sign;
    if (a >= 65520)
        return (uint16_t)(sign | 0x7c00);
    frexpf(a, &e);
    e = e - 1 < -14 ? -14 : e - 1;        /* a = m 2^e with m below 2; below 2^-14 numbers are subnormal */
    unit = nearbyintf(ldexpf(a, 10 - e)); /* 1024 to 2048; a carry into the exponent is the right one    */
    return (uint16_t)(sign | (uint32_t)((e + 14) * 1024 + (int)unit));
}

float simt_from_fp16(uint16_t x)
{
    int e = x >> 10 & 31, m = x & 1023;
    float a = e == 31 ? (m ? NAN : INFINITY) : e ? ldexpf((float)(1024 + m), e - 25) : ldexpf((float)m, -24);

    return x & 0x8000 ? -a : a;
}
